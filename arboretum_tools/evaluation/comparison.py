"""Two models over the same photos: how far apart they are, and whether that is more than chance.

The photos are the same, so what is uncertain is the difference photo by photo, of which photos of one group
are one draw. Its interval is that of `intervals`. Its p is that of a permutation test: if the two models
were one, each could have given either's answers to a group (Fisher 1935; Good 2005, Permutation Tests,
3.2), so the answers of whole groups are exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.display import notebook_views
from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation.evaluated_part import EvaluatedPart
from arboretum_tools.evaluation.measures.intervals import score_interval
from arboretum_tools.evaluation.predictions import Source, name_of, read_predictions
from arboretum_tools.options import takes
from arboretum_tools.options.evaluation import ComparisonOptions
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.stable_key import keys
from arboretum_tools.version import __version__

#: Exchanges that are drawn where there are more than so many.
DRAWS = 10_000

# Numbers of a block of exchanges: bounds memory.
_BLOCK = 1 << 21

# Sums that are equal but for rounding are as extreme as the one that was found.
_TIE = 1e-9

_BITS = 32


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two models are apart in one measure.

    Attributes:
        first: the measure of the first model, from 0 to 1; None where no photo decides it. second: of the
        second. value: first - second. low: lower end of the 95 % interval of the difference, for other
        photos of the same classes. high: upper end of it. p: how often a difference as large, in either
        direction, comes of exchanging the answers to whole groups. exchanges: how many exchanges p was
        counted over: all there are, or DRAWS. n: what the measure is a mean over: photos, or classes.
    """

    first: float | None
    second: float | None
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    exchanges: int
    n: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models, or two sets of runs of two models, over one part.

    Attributes:
        split: name of the split; of a set over seeds all names.
        part: which of its parts was predicted.
        photos: of the part; of all splits of a set, those that are in several counted each time.
        grouped_by: what is exchanged as a whole: observation, observer or photo.
        num_groups: how many of these the part has.
            A group that is in several splits of a set is one.
        differing_groups: in how many of these the two are not right to the same extent.
        runs: how many predictions of the first and of the second were averaged; of a set, of all its splits.
        top1: `overall`, `class_balanced`, and the shot bands of a split with a train part.
        top5: the same; None where fewer than five were given by one of them and there are more classes.
        seed: of the exchanges that were drawn.
        names: of the files of the first and of the second; empty what was in memory.
        predictions_sha256: of each run of the first and of the second, what was predicted.
        splits: the name of each split.
        by_split: of a set, the difference of each measure of `top1` in each of its splits; else empty.
    """

    split: str
    part: str
    photos: int
    grouped_by: str
    num_groups: int
    differing_groups: int
    runs: tuple[int, int]
    top1: Mapping[str, Difference]
    top5: Mapping[str, Difference] | None
    seed: int
    names: tuple[tuple[str, ...], tuple[str, ...]]
    predictions_sha256: tuple[tuple[str, ...], tuple[str, ...]]
    splits: tuple[str, ...] = ()
    by_split: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"toolkit_version": __version__, **asdict(self)}


@takes(ComparisonOptions)
def compare_predictions(
    split: Split | str | Path | Sequence[Split | str | Path],
    first: Source | Sequence[str | Path] | Sequence[Source | Sequence[str | Path]],
    second: Source | Sequence[str | Path] | Sequence[Source | Sequence[str | Path]],
    options: ComparisonOptions,
) -> Comparison:
    """Compares two models by their predictions for the same photos.

    Of several runs of a model (seeds of its training) a photo counts by the share of them that are right. The
    interval and p then speak of these very runs and other photos, not of other runs.

    Over the splits of a set (`make_family(..., seeds=...)`) the difference is the mean of those in its
    splits. The answers to a group are exchanged at once in all splits that have it: its photos are the same.

    Args:
        split: a split, or its folder; a list of them is a set over seeds.
        first: predictions of one model, or those of its runs; of a set a list with these for each split.
        second: of the other.
        options: {options}

    Raises:
        SplitError: the split cannot be read, has no such part, or no photo in it.
        PredictionsError: predictions do not answer the photos of the part.
        UsageError: an invalid value, or no predictions.

    >>> import arboretum_tools as at
    >>> test = "splits/aves-lt100/test.parquet"
    >>> at.compare_predictions("splits/aves-lt100", test, test).differing_groups
    0
    """
    seed = options.seed
    splits: Sequence[Any] = split if isinstance(split, list | tuple) else [split]
    sides: list[Any] = [first, second] if isinstance(split, list | tuple) else [[first], [second]]
    if not splits or any(not isinstance(side, list | tuple) or len(side) != len(splits) for side in sides):
        raise UsageError("a set of splits is compared by predictions of both models for each of them")
    parts = [EvaluatedPart.of(one, options.part) for one in splits]
    tested = EvaluatedPart.pooled(parts)
    hits = [
        [_Hits.of(part, own, options.missing) for part, own in zip(parts, side, strict=True)]
        for side in sides
    ]
    a, b = (_Hits.pooled(each) for each in hits)
    apart = np.bincount(tested.sample.groups, weights=np.abs(a.first - b.first))
    top5 = None if a.five is None or b.five is None else _differences(tested, a.five, b.five, seed)
    return Comparison(
        split=", ".join(part.split.name for part in parts),
        part=tested.name,
        photos=len(tested.labels),
        grouped_by=tested.grouped_by,
        num_groups=tested.sample.num_groups,
        differing_groups=int(np.count_nonzero(apart)),
        runs=(len(a.names), len(b.names)),
        top1=_differences(tested, a.first, b.first, seed),
        top5=top5,
        seed=seed,
        names=(a.names, b.names),
        predictions_sha256=(a.sha256, b.sha256),
        splits=tuple(part.split.name for part in parts),
        by_split=_by_split(parts, *hits) if len(parts) > 1 else {},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """The share of runs that are right on each photo.

    Attributes:
        first: in the first place. five: among the first five; None where a run gives fewer. names: of the
        files of the runs. sha256: of what they predict.
    """

    first: NDArray[np.float64]
    five: NDArray[np.float64] | None
    names: tuple[str, ...]
    sha256: tuple[str, ...]

    @classmethod
    def of(cls, tested: EvaluatedPart, files: Source | Sequence[str | Path], missing: str) -> _Hits:
        runs = list(files) if isinstance(files, list | tuple) else [files]
        if not runs:
            raise UsageError("a comparison needs predictions of both models")
        first, among = np.zeros(len(tested.labels)), np.zeros(len(tested.labels))
        five, hashes = True, []
        for run in runs:
            found = read_predictions(
                run, tested.photo_ids, len(tested.classes), missing=missing, split=tested.split.name
            )
            hits = found.top == tested.labels[:, None]
            first += hits[:, 0]
            among += hits.any(axis=1)
            five &= found.top.shape[1] >= min(5, len(tested.classes))
            hashes.append(found.sha256)
        names = tuple(map(name_of, runs))
        return cls(first / len(runs), among / len(runs) if five else None, names, tuple(hashes))

    @classmethod
    def pooled(cls, each: Sequence[_Hits]) -> _Hits:
        """Those of several splits, one after the other."""
        fives = [one.five for one in each if one.five is not None]
        return cls(
            np.concatenate([one.first for one in each]),
            np.concatenate(fives) if len(fives) == len(each) else None,
            tuple(name for one in each for name in one.names),
            tuple(sha256 for one in each for sha256 in one.sha256),
        )


def _by_split(
    parts: Sequence[EvaluatedPart], first: Sequence[_Hits], second: Sequence[_Hits]
) -> dict[str, tuple[float | None, ...]]:
    """The differences of top-1 in each split of a set."""
    found: dict[str, list[float | None]] = {}
    for part, a, b in zip(parts, first, second, strict=True):
        for name, (weights, _) in _weights(part).items():
            apart = math.fsum(weights * (a.first - b.first)) if (weights > 0).any() else None
            found.setdefault(name, []).append(apart)
    return {name: tuple(values) for name, values in found.items()}


def _differences(
    tested: EvaluatedPart, first: NDArray[np.float64], second: NDArray[np.float64], seed: int
) -> dict[str, Difference]:
    """The measures that papers report, each as a sum over photos of weight times share of right runs."""
    return {
        name: _difference(tested, first, second, weights, n, seed)
        for name, (weights, n) in _weights(tested).items()
    }


def _weights(tested: EvaluatedPart) -> dict[str, tuple[NDArray[np.float64], int]]:
    """By measure, what each photo weighs in it, and what it is a mean over: photos, or classes."""
    photos = np.bincount(tested.labels, minlength=len(tested.classes))
    n = len(tested.labels)
    found = {"overall": (np.full(n, 1 / n), n)}
    for name, inside in tested.means_over_classes():
        size = len(np.unique(tested.labels[inside]))
        found[name] = inside / (max(size, 1) * photos[tested.labels]), size
    return found


def _difference(
    tested: EvaluatedPart,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    weights: NDArray[np.float64],
    n: int,
    seed: int,
) -> Difference:
    inside = weights > 0
    if not inside.any():
        return Difference(None, None, None, None, None, None, 0, 0)
    sample, weights = tested.sample.within(inside), weights[inside]
    influence = weights * (first - second)[inside]
    a, b = math.fsum(weights * first[inside]), math.fsum(weights * second[inside])
    variance, freedom = sample.variance(influence)
    # The interval of a share, of which the difference is the distance from one half, twice.
    low, high = score_interval((1 + a - b) / 2, variance / 4, sample.num_groups, freedom)
    by_group = np.bincount(sample.groups, weights=influence).astype(np.float64)
    p, exchanges = permutation_p(by_group, seed)
    return Difference(a, b, a - b, 2 * low - 1, 2 * high - 1, p, exchanges, n)


def permutation_p(differences: NDArray[np.float64], seed: int = 0) -> tuple[float, int]:
    """How often a sum is as far from 0 as it is, where each of its terms may have either sign.

    All choices of signs are tried up to 13 terms. Of more, DRAWS are drawn by the stable key, and the
    choice that was found counts as one of them (Phipson and Smyth 2010, arXiv 1603.05766), so that p is
    never 0.

    Args:
        differences: shape (groups,); those that are 0 decide nothing.
        seed: draws others.

    Returns:
        p, and over how many choices it was counted.

    >>> permutation_p(np.array([1.0, 1.0, 0.0, 1.0]))
    (0.25, 8)
    """
    terms = differences[np.abs(differences) > _TIE * np.abs(differences).max(initial=0)]
    bound = abs(math.fsum(terms)) - _TIE * math.fsum(np.abs(terms))
    if 2 ** len(terms) <= DRAWS:
        choices = np.arange(2 ** len(terms))
        signs = 1 - 2.0 * ((choices[:, None] >> np.arange(len(terms))) & 1)
        return float(np.mean(np.abs(signs @ terms) >= bound)), len(choices)
    extreme = sum(int(np.count_nonzero(np.abs(sums) >= bound)) for sums in _drawn_sums(terms, seed))
    return (1 + extreme) / (1 + DRAWS), DRAWS


def _drawn_sums(terms: NDArray[np.float64], seed: int) -> Iterator[NDArray[np.float64]]:
    """DRAWS sums of the terms under drawn signs, some at a time: a bit of a stable key is a sign."""
    words = -(-len(terms) // _BITS)
    rows = max(1, _BLOCK // (words * _BITS))
    for start in range(0, DRAWS, rows):
        numbers = np.arange(start * words, min(start + rows, DRAWS) * words)
        drawn = keys(numbers, "permutation", seed).astype("<u4").view(np.uint8).reshape(-1, words * 4)
        bits = np.unpackbits(drawn, axis=1, bitorder="little", count=len(terms))
        yield math.fsum(terms) - 2 * (bits @ terms)
