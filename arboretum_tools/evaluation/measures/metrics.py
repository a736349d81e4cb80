"""Measures per class, and mistakes in the tree of ranks. Pure arithmetic over labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_metadata.vocab import RANKS

#: Bins of the calibration error.
CALIBRATION_BINS = 15


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


def f1_influence(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], f1: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What each photo adds to the mean of F1 over the classes that have photos.

    The derivative of the mean in the weight of a photo. With D_c = photos of c + predictions of c, a photo of
    class t that is predicted as q adds (2 [t = q] - F1_t) / D_t to F1_t and -F1_q / D_q to F1_q.

    Args:
        truth: label of each photo.
        predicted: its predicted label, negative where there is none.
        f1: of each class, NaN for a class without photos.
    """
    num_classes = len(f1)
    size = np.bincount(truth, minlength=num_classes)
    size += np.bincount(predicted[predicted >= 0], minlength=num_classes)
    pull = np.divide(f1, size, out=np.zeros(num_classes), where=~np.isnan(f1))
    there = np.where(predicted >= 0, predicted, 0)
    influence = 2.0 * (truth == predicted) / size[truth] - pull[truth] - pull[there] * (predicted >= 0)
    mean: NDArray[np.float64] = influence / np.count_nonzero(~np.isnan(f1))
    return mean


def geometric_mean(shares: NDArray[np.float64]) -> float:
    """The geometric mean of the accuracies of classes, (a_1 * ... * a_C) ** (1 / C).

    It is 0 where a class has none right.
    Kubat and Matwin 1997, "Addressing the curse of imbalanced training sets" (ICML), there for two classes.

    >>> round(geometric_mean(np.array([0.5, 0.5, 1.0])), 4)
    0.63
    """
    return 0.0 if (shares == 0).any() else math.exp(math.fsum(np.log(shares)) / len(shares))


def calibration_error(confidence: NDArray[np.float64], hits: NDArray[np.bool_]) -> float:
    """Expected calibration error: how far probabilities are from how often first predictions are right.

    The sum over bins of |share of hits - mean confidence| times the bin's share of photos, over 15 bins of
    equal width, each open at its lower end (Guo et al. 2017, arXiv 1706.04599, eq. 3).

    Args:
        confidence: probability of the first prediction of each photo.
        hits: whether it is right.

    >>> round(calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 4)
    0.4
    """
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS) - 1, 0, CALIBRATION_BINS - 1).astype(np.int64)
    gaps = np.bincount(bins, weights=hits - confidence)
    return math.fsum(np.abs(gaps)) / len(hits)


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

    def hits(
        self, rank: str, truth: NDArray[np.int64], predicted: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whose predicted class lies in the right taxon of a rank, and whose class has the rank at all."""
        codes = self.codes[self.ranks.index(rank)]
        return (predicted >= 0) & (codes[truth] == codes[predicted]), codes[truth] >= 0

    @property
    def known(self) -> bool:
        """Whether any class has a rank above its own."""
        return not bool((self.codes[:-1] < 0).all())

    def heights(self, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Height of the lowest common ancestor of two classes, photo by photo.

        The class is at height 0, the rank above it at 1, and so on; what has no common kingdom meets at the
        root, one above it, and so does what has no prediction.
        """
        common = (self.codes[:, truth] == self.codes[:, predicted]) & (predicted >= 0)
        heights = np.where(common, np.arange(len(self.ranks) - 1, -1, -1)[:, None], len(self.ranks))
        lowest: NDArray[np.int64] = heights.min(axis=0)
        return lowest

    def severity(self, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> tuple[float | None, int]:
        """Mean height of the lowest common ancestor over wrong predictions, and their number.

        Bertinetto et al. 2020, "Making Better Mistakes", arXiv 1912.09393: the hierarchical distance of a
        mistake. Photos without a prediction are left out. None without a wrong one, or where no class has a
        lineage.
        """
        wrong = (predicted >= 0) & (truth != predicted)
        if not wrong.any() or not self.known:
            return None, int(np.count_nonzero(wrong))
        return float(self.heights(truth[wrong], predicted[wrong]).mean()), int(np.count_nonzero(wrong))

    def distance(self, truth: NDArray[np.int64], top: NDArray[np.int64]) -> float | None:
        """Mean height of the lowest common ancestor over the k predictions of every photo, right ones too.

        Bertinetto et al. 2020: the average hierarchical distance of top-k. None where no class has a lineage.

        Args:
            truth: shape (photos,).
            top: shape (photos, k).
        """
        if not self.known:
            return None
        return float(np.mean([self.heights(truth, top[:, k]).mean() for k in range(top.shape[1])]))
