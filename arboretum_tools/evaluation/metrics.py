"""Accuracies with their intervals. Pure arithmetic over labels; a value that no photo decides is None."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_metadata.vocab import RANKS

# Of the normal distribution, for 95 %.
_Z = 1.959963984540054

_RESAMPLES = 1_000
_RESAMPLES_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or mean with its 95 % interval.

    Attributes:
        value: from 0 to 1; None where nothing decides it.
        low: lower end of the interval.
        high: upper end of the interval.
        n: what it is a mean over: photos, or classes.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def share(hits: NDArray[np.bool_]) -> Estimate:
    """The share of hits among photos, with Wilson's interval (Wilson 1927)."""
    n = len(hits)
    if not n:
        return Estimate(None, None, None, 0)
    p = float(np.count_nonzero(hits)) / n
    middle = p + _Z**2 / (2 * n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return Estimate(p, max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale), n)


def mean_over_classes(values: NDArray[np.float64]) -> Estimate:
    """The unweighted mean over classes; its interval is a bootstrap over classes (1,000 draws, seed 0)."""
    n = len(values)
    if not n:
        return Estimate(None, None, None, 0)
    generator = np.random.Generator(np.random.PCG64(0))
    means = [
        values[generator.integers(0, n, (_RESAMPLES_AT_ONCE, n))].mean(axis=1)
        for _ in range(_RESAMPLES // _RESAMPLES_AT_ONCE)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high), n)


def per_class(hits: NDArray[np.bool_], truth: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    """Share of hits of each class; NaN for a class without photos."""
    photos = np.bincount(truth, minlength=num_classes)
    right = np.bincount(truth, weights=hits, minlength=num_classes)
    shares: NDArray[np.float64] = np.divide(right, photos, out=np.full(num_classes, np.nan), where=photos > 0)
    return shares


def f1_per_class(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int
) -> NDArray[np.float64]:
    """F1 of each class, 2 TP / (2 TP + FP + FN); NaN for a class without photos of its own."""
    right = np.bincount(truth[truth == predicted], minlength=num_classes)
    photos = np.bincount(truth, minlength=num_classes)
    times_predicted = np.bincount(predicted[predicted >= 0], minlength=num_classes)
    f1: NDArray[np.float64] = np.divide(
        2.0 * right, photos + times_predicted, out=np.full(num_classes, np.nan), where=photos > 0
    )
    return f1


@dataclass(frozen=True, slots=True, eq=False)
class Lineages:
    """Classes in the tree of ranks.

    Attributes:
        ranks: from kingdom to the rank of the classes.
        codes: int64, shape (ranks, C): equal codes are the same taxon, told apart by the whole path above it;
            a negative code is of a class that lacks the rank, and equals no other.
    """

    ranks: tuple[str, ...]
    codes: NDArray[np.int64]

    @classmethod
    def of(cls, classes: Sequence[Mapping[str, Any]]) -> Lineages:
        """The lineages of the rows of classes.parquet, in label order."""
        own = str(classes[0]["rank"])
        # Classes that are no taxa stand below the species that they have none of.
        ranks = tuple(RANKS)[: list(RANKS).index(own) + 1] if own in RANKS else (*RANKS, own)
        codes = np.empty((len(ranks), len(classes)), dtype=np.int64)
        for position, rank in enumerate(ranks):
            seen: dict[tuple[Any, ...], int] = {}
            for label, row in enumerate(classes):
                path = tuple(row.get(above) for above in ranks[: position + 1])
                codes[position, label] = seen.setdefault(path, len(seen)) if row.get(rank) else -1 - label
        # The class itself is told by its key, whatever its lineage lacks.
        codes[-1] = np.arange(len(classes))
        return cls(ranks, codes)

    def accuracy(
        self, rank: str, truth: NDArray[np.int64], predicted: NDArray[np.int64]
    ) -> tuple[Estimate, int]:
        """Share of photos whose predicted class lies in the right taxon of a rank.

        Photos of classes that lack the rank are left out; their number is the second value.
        """
        codes = self.codes[self.ranks.index(rank)]
        known = codes[truth] >= 0
        hits = (predicted[known] >= 0) & (codes[truth[known]] == codes[predicted[known]])
        return share(hits), int(np.count_nonzero(~known))

    def severity(self, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> tuple[float | None, int]:
        """Mean height of the lowest common ancestor over wrong predictions, and their number.

        The class is at height 0, the rank above it at 1, and so on; what has no common kingdom meets at the
        root, one above it (Bertinetto et al. 2020, "Making Better Mistakes", arXiv 1912.09393). Photos
        without a prediction are left out. None without a wrong one, or where no class has a lineage.
        """
        wrong = (predicted >= 0) & (truth != predicted)
        if not wrong.any() or (self.codes[:-1] < 0).all():
            return None, int(np.count_nonzero(wrong))
        common = self.codes[:, truth[wrong]] == self.codes[:, predicted[wrong]]
        heights = np.where(common, np.arange(len(self.ranks) - 1, -1, -1)[:, None], len(self.ranks))
        return float(heights.min(axis=0).mean()), int(np.count_nonzero(wrong))
