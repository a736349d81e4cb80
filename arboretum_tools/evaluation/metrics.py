"""Measures a class, and mistakes in the tree of ranks. Pure arithmetic over labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_metadata.vocab import RANKS


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
