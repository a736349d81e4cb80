"""`evaluate`: predictions against a split, as long-tailed papers report them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.display import notebook_views
from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation.evaluated_part import NO_BAND, EvaluatedPart
from arboretum_tools.evaluation.measures.by_traits import by_traits
from arboretum_tools.evaluation.measures.intervals import Estimate
from arboretum_tools.evaluation.measures.metrics import (
    Lineages,
    calibration_error,
    f1_influence,
    f1_per_class,
    geometric_mean,
    per_class,
)
from arboretum_tools.evaluation.measures.open_set import OpenSet
from arboretum_tools.evaluation.measures.pairs import PairAccuracy, accuracies
from arboretum_tools.evaluation.predictions import Predictions, Source, name_of, read_predictions
from arboretum_tools.evaluation.rank_predictions import asked_ranks
from arboretum_tools.evaluation.unknown import read_with_unknown
from arboretum_tools.options import takes
from arboretum_tools.options.evaluation import EvaluationOptions
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.split.stats import group_of_class
from arboretum_tools.version import __version__

#: Life stage of a photo whose life stage is not known.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Measures:
    """Accuracy of some k.

    Attributes:
        overall: share of photos.
        class_balanced: mean over classes.
        bands: mean over the classes of each shot band; empty for a split without a train part.
    """

    overall: Estimate
    class_balanced: Estimate
    bands: Mapping[str, Estimate]

    def by_name(self) -> dict[str, Estimate]:
        """All of them by the names that reports, comparisons and means over runs have for them."""
        return {"overall": self.overall, **self.over_classes()}

    def over_classes(self) -> dict[str, Estimate]:
        """The means over classes by name."""
        return {"class_balanced": self.class_balanced, **self.bands}


@dataclass(frozen=True, slots=True)
class RankAccuracy:
    """Accuracy at one rank.

    Attributes:
        accuracy: share of photos whose predicted class lies in the right taxon.
        left_out: photos of classes that lack the rank.
    """

    accuracy: Estimate
    left_out: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What predictions came to.

    Attributes:
        split: name of the split.
        predictions: name of their file; empty where they were in memory.
        part: which part of the split was predicted.
        photos: of the part.
        missing: photos without a prediction, counted as wrong.
        grouped_by: what the intervals take as one draw: observation, observer or photo.
        num_groups: how many of these the part has.
        classes: C.
        classes_left_out: by shot band, classes without photos in the part: in no mean over classes.
        top1: first prediction.
        top5: any of the first five; None where fewer were given and there are more classes.
        macro_f1: mean of F1 over classes.
        ranks: accuracy by rank, narrowest first; ranks that no class has are left out.
        asked_ranks: by rank at which the model was asked (`predicted_genus`, ...), whether the name that it
            gave is right.
        hierarchical_distance: by k (1, and 5 where five are known), mean height of the lowest common ancestor
            over the first k predictions of every photo; empty where the classes have no lineage.
        geometric_mean: of the top-1 accuracies of classes.
        worst_class: the lowest of them. No interval: the least of many small samples lies below the least of
            the true values, and no bootstrap says how far.
        calibration_error: expected calibration error of first predictions; None where no probabilities were
            given.
        cuts: top-1 over the classes that the given cuts make `head`, `mid` and `tail`; empty without cuts.
        mistake_severity: mean height of the lowest common ancestor over wrong predictions; None without any.
        mistakes: wrong predictions.
        life_stages: top-1 share by life stage, where one is known.
        traits: by trait (years, months, licences; observers and cells: in the train part or not) and value,
            top-1 share; empty unless asked for.
        groups: mean over classes of top-1 by group of Arboretum.
        open_set: known classes against those of `unknown`; None where there are none. All other measures are
            over the known ones alone.
        pairs: of a benchmark of look-alikes, how well those of each pair are told apart.
        per_class: one row per class, in label order: label, class_key, n_train, n_test, top1, f1.
        sha256: content hashes of the split.
        predictions_sha256: of what was predicted, photo by photo.
    """

    split: str
    predictions: str
    part: str
    photos: int
    missing: int
    grouped_by: str
    num_groups: int
    classes: int
    classes_left_out: Mapping[str, int]
    top1: Measures
    top5: Measures | None
    macro_f1: Estimate
    ranks: Mapping[str, RankAccuracy]
    asked_ranks: Mapping[str, RankAccuracy]
    hierarchical_distance: Mapping[int, float]
    geometric_mean: float
    worst_class: float
    calibration_error: float | None
    cuts: Mapping[str, Estimate]
    mistake_severity: float | None
    mistakes: int
    life_stages: Mapping[str, Estimate]
    traits: Mapping[str, Mapping[str, Estimate]]
    groups: Mapping[str, Estimate]
    open_set: OpenSet | None
    pairs: tuple[PairAccuracy, ...]
    per_class: tuple[Mapping[str, Any], ...]
    sha256: Mapping[str, str]
    predictions_sha256: str

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"toolkit_version": __version__, **asdict(self)}


@takes(EvaluationOptions)
def evaluate(split: Split | str | Path, predictions: Source, options: EvaluationOptions) -> Evaluation:
    """Holds predictions against a part of a split.

    Args:
        split: a split, or its folder.
        predictions: a Parquet, CSV, TSV or NPZ file, a data frame, a dict or an array; see
            `arboretum_tools.evaluation.predictions.read_predictions`.
        options: {options}

    Raises:
        SplitError: the split cannot be read, has no such part, or no photo in it.
        PredictionsError: the predictions do not answer the photos of the part.
        UsageError: an invalid value, or classes of `unknown` that the split knows.

    >>> import arboretum_tools as at
    >>> found = at.evaluate("splits/aves-lt100", "splits/aves-lt100/test.parquet")
    >>> found.top1.overall.value
    1.0
    """
    tested, cuts = EvaluatedPart.of(split, options.part), options.cuts
    classes, truth, sample = tested.classes, tested.labels, tested.sample
    open_set = None
    if options.unknown is None:
        found = read_predictions(
            predictions, tested.photo_ids, len(classes), missing=options.missing, split=tested.split.name
        )
    else:
        found, open_set = read_with_unknown(predictions, tested, options.unknown, missing=options.missing)
    predicted = found.top[:, 0]
    hits = predicted == truth
    answered = None if found.confidence is None else ~np.isnan(found.confidence)
    first = per_class(hits, truth, len(classes))
    f1 = f1_per_class(truth, predicted, len(classes))
    empty = np.isnan(first)
    lineages = Lineages.of(classes)
    severity, mistakes = lineages.severity(truth, predicted)
    return Evaluation(
        split=tested.split.name,
        predictions=name_of(predictions),
        part=tested.name,
        photos=len(truth),
        missing=found.missing,
        grouped_by=tested.grouped_by,
        num_groups=sample.num_groups,
        classes=len(classes),
        classes_left_out={
            band: int(np.count_nonzero(empty & (tested.shots == band))) for band in tested.bands or (NO_BAND,)
        },
        top1=_measures(tested, hits),
        top5=_top5(tested, found),
        macro_f1=sample.mean_of_classes(f1[~empty], f1_influence(truth, predicted, f1)),
        ranks=_ranks(tested, lineages, predicted),
        asked_ranks={
            rank: _of_rank(tested, right, known)
            for rank, (right, known) in asked_ranks(predictions, tested.photo_ids, truth, classes).items()
            if known.any()
        },
        hierarchical_distance=_distances(tested, lineages, found.top),
        geometric_mean=geometric_mean(first[~empty]),
        worst_class=float(first[~empty].min()),
        calibration_error=None
        if found.confidence is None or answered is None or not answered.any()
        else calibration_error(found.confidence[answered], hits[answered]),
        cuts=_cuts(tested, hits, cuts),
        mistake_severity=severity,
        mistakes=mistakes,
        life_stages=_life_stages(tested, hits),
        traits=by_traits(tested, hits) if options.bias else {},
        groups=_groups(tested, hits),
        open_set=open_set,
        pairs=accuracies(tested.split.meta.get("pairs"), classes, sample, predicted),
        per_class=tuple(
            {
                "label": label,
                "class_key": row["class_key"],
                "n_train": row["n_train"],
                "n_test": int(np.count_nonzero(truth == label)),
                "top1": _number(first[label]),
                "f1": _number(f1[label]),
            }
            for label, row in enumerate(classes)
        ),
        sha256=tested.split.sha256,
        predictions_sha256=found.sha256,
    )


def _measures(tested: EvaluatedPart, hits: NDArray[np.bool_]) -> Measures:
    means = {
        name: tested.sample.within(inside).class_mean(hits[inside])
        for name, inside in tested.means_over_classes()
    }
    return Measures(tested.sample.share(hits), means.pop("class_balanced"), means)


def _top5(tested: EvaluatedPart, found: Predictions) -> Measures | None:
    """Top-5, where five were given or fewer are all there are."""
    if found.top.shape[1] < min(5, len(tested.classes)):
        return None
    return _measures(tested, (found.top[:, :5] == tested.labels[:, None]).any(axis=1))


def _ranks(
    tested: EvaluatedPart, lineages: Lineages, predicted: NDArray[np.int64]
) -> dict[str, RankAccuracy]:
    found = {}
    for rank in reversed(lineages.ranks):
        hits, known = lineages.hits(rank, tested.labels, predicted)
        if known.any():
            found[rank] = _of_rank(tested, hits, known)
    return found


def _of_rank(tested: EvaluatedPart, hits: NDArray[np.bool_], known: NDArray[np.bool_]) -> RankAccuracy:
    left_out = int(np.count_nonzero(~known))
    return RankAccuracy(tested.sample.within(known).share(hits[known]), left_out)


def _distances(tested: EvaluatedPart, lineages: Lineages, top: NDArray[np.int64]) -> dict[int, float]:
    found = {k: lineages.distance(tested.labels, top[:, :k]) for k in (1, 5) if k <= top.shape[1]}
    return {k: one for k, one in found.items() if one is not None}


def _cuts(
    tested: EvaluatedPart, hits: NDArray[np.bool_], cuts: str | Sequence[int] | None
) -> dict[str, Estimate]:
    if cuts is None or isinstance(cuts, str):
        return {}
    if cuts[1] >= len(tested.classes):
        raise UsageError(f"cuts {cuts[0]},{cuts[1]} leave no tail: there are {len(tested.classes)} classes")
    third = np.searchsorted(cuts, tested.labels, side="right")
    inside = {name: third == number for number, name in enumerate(("head", "mid", "tail"))}
    return {name: tested.sample.within(own).class_mean(hits[own]) for name, own in inside.items()}


def _life_stages(tested: EvaluatedPart, hits: NDArray[np.bool_]) -> dict[str, Estimate]:
    stages = tested.rows["life_stage"].to_pylist()
    if not any(stages):
        return {}
    named = np.array([stage or UNKNOWN for stage in stages])
    inside = {stage: named == stage for stage in sorted(set(named.tolist()))}
    return {stage: tested.sample.within(own).share(hits[own]) for stage, own in inside.items()}


def _groups(tested: EvaluatedPart, hits: NDArray[np.bool_]) -> dict[str, Estimate]:
    group_of = np.array([group_of_class(row) for row in tested.classes])
    inside = {group: group_of[tested.labels] == group for group in sorted(set(group_of.tolist()))}
    return {group: tested.sample.within(own).class_mean(hits[own]) for group, own in inside.items()}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
