"""How well a model tells photos of classes that it knows from those of classes that it does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Known classes against unknown ones, by the probability of the first prediction.

    Attributes:
        split: name of the split with the photos of unknown classes.
        photos: of unknown classes.
        classes: how many these are.
        auroc: probability that a photo of a known class has the greater one of two photos.
        oscr: the same, where it must be predicted right as well.
    """

    split: str
    photos: int
    classes: int
    auroc: float
    oscr: float


def area(known: NDArray[np.float64], counts: NDArray[np.bool_], unknown: NDArray[np.float64]) -> float:
    """Area under the share of known photos that count and are accepted, over the share of unknown accepted.

    Where all count it is the area under the ROC curve. Where those count that are predicted right it is the
    area under the OSCR curve: correct classification rate over false positive rate (Dhamija et al. 2018,
    "Reducing network agnostophobia", arXiv 1811.04110, section 3). Both are integrated by trapezoids over
    every threshold, by which a pair of equal scores is half a pair.

    Args:
        known: score of each photo of a known class.
        counts: whether it counts.
        unknown: score of each photo of an unknown class.

    >>> area(np.array([0.9, 0.4]), np.array([True, True]), np.array([0.4, 0.1]))
    0.875
    """
    ordered = np.sort(unknown)
    below, up_to = (np.searchsorted(ordered, known[counts], side=side) for side in ("left", "right"))
    # Twice the pairs are whole numbers, so that no order of addition shows.
    return int((below + up_to).sum()) / (2 * len(known) * len(unknown))
