"""Several runs of one model: mean and standard deviation of every measure over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from arboretum_tools.display import notebook_views
from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation.evaluation import Evaluation
from arboretum_tools.evaluation.measures.intervals import Estimate
from arboretum_tools.evaluation.predictions import PredictionsError
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted, does


@dataclass(frozen=True, slots=True)
class Spread:
    """One measure over the runs.

    Attributes:
        mean: over the runs.
        std: standard deviation over the runs, of the sample (divided by runs - 1); None of one run.
        values: of each run, in order.
    """

    mean: float
    std: float | None
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of the values of the runs.

        >>> Spread.of([1.0, 3.0]).mean
        2.0
        """
        mean = math.fsum(values) / len(values)
        squares = math.fsum((value - mean) ** 2 for value in values)
        std = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
        return cls(mean, std, tuple(values))


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one model, over one split or over splits of the same classes and train counts.

    Attributes:
        splits: the name of each run's split.
        part: which part was predicted.
        top1: `overall`, `class_balanced`, the shot bands, and the given cuts.
        top5: the same without cuts; empty where a run has none.
        ranks: accuracy by rank, narrowest first.
        others: macro_f1, geometric_mean, worst_class, calibration_error, auroc, oscr, asked_RANK,
            mistake_severity and hierarchical_distance_K; what a run does not have is left out.
        evaluations: of each run, in order.
    """

    splits: tuple[str, ...]
    part: str
    top1: Mapping[str, Spread]
    top5: Mapping[str, Spread]
    ranks: Mapping[str, Spread]
    others: Mapping[str, Spread]
    evaluations: tuple[Evaluation, ...]

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        runs = [one.to_dict() for one in self.evaluations]
        return {"toolkit_version": __version__, **asdict(self), "evaluations": runs}


def summarize_runs(evaluations: Sequence[Evaluation]) -> Runs:
    """Mean and standard deviation over runs: seeds of the training, or of the split too.

    Args:
        evaluations: what `evaluate` found of each.

    Raises:
        UsageError: there is none.
        PredictionsError: they are not of one part and the same classes with the same train counts.

    >>> import arboretum_tools as at
    >>> test = "splits/aves-lt100/test.parquet"
    >>> runs = at.summarize_runs([at.evaluate("splits/aves-lt100", test) for _ in range(2)])
    >>> runs.top1["overall"].mean
    1.0
    """
    if not evaluations:
        raise UsageError("mean and standard deviation need a run")
    first = evaluations[0]
    for other in evaluations[1:]:
        if apart := _apart(first, other):
            raise PredictionsError(
                f"runs over {first.split} and {other.split} have no common mean: {apart}",
                hint="Their spread would be that of the splits as well. Report each by itself; splits of one "
                "mean have the same classes and train counts, as make-split --seeds makes them.",
            )
    return Runs(
        splits=tuple(one.split for one in evaluations),
        part=first.part,
        top1=_spreads([_values(one.top1.by_name() | dict(one.cuts)) for one in evaluations]),
        top5=_spreads([_values(one.top5.by_name()) if one.top5 else {} for one in evaluations]),
        ranks=_spreads(
            [_values({rank: found.accuracy for rank, found in one.ranks.items()}) for one in evaluations]
        ),
        others=_spreads([dict(_others(one)) for one in evaluations]),
        evaluations=tuple(evaluations),
    )


def _apart(first: Evaluation, other: Evaluation) -> str:
    """What sets the splits of two runs apart, so that their shot bands are not the same; "" where nothing."""
    if first.part != other.part:
        return f"they are of two parts, {first.part} and {other.part}"
    trained, others = ({row["class_key"]: row["n_train"] for row in run.per_class} for run in (first, other))
    if alone := len(trained.keys() ^ others.keys()):
        return f"{counted(alone, 'class')} {does(alone, 'are')} in one of them only"
    if differing := [key for key, n in trained.items() if others[key] != n]:
        key = differing[0]
        return (
            f"{counted(len(differing), 'class')} {does(len(differing), 'have')} other train counts, such as "
            f"{key} with {trained[key]:,} and {counted(others[key], 'photo')}"
        )
    return ""


def _values(estimates: Mapping[str, Estimate]) -> dict[str, float | None]:
    return {name: one.value for name, one in estimates.items()}


def _others(found: Evaluation) -> Iterator[tuple[str, float | None]]:
    yield "macro_f1", found.macro_f1.value
    yield "geometric_mean", found.geometric_mean
    yield "worst_class", found.worst_class
    yield "calibration_error", found.calibration_error
    if found.open_set is not None:
        yield "auroc", found.open_set.auroc
        yield "oscr", found.open_set.oscr
    for rank, one in found.asked_ranks.items():
        yield f"asked_{rank}", one.accuracy.value
    yield "mistake_severity", found.mistake_severity
    for k, distance in found.hierarchical_distance.items():
        yield f"hierarchical_distance_{k}", distance


def _spreads(runs: Sequence[Mapping[str, float | None]]) -> dict[str, Spread]:
    """The measures that every run has."""
    found = {}
    for name in runs[0]:
        values = tuple(value for run in runs if (value := run.get(name)) is not None)
        if len(values) == len(runs):
            found[name] = Spread.of(values)
    return found
