"""How well look-alikes are told apart: the pairs of a benchmark `confounding`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.evaluation.measures.intervals import Estimate, Sample


@dataclass(frozen=True, slots=True)
class PairAccuracy:
    """Two classes that look alike.

    Attributes:
        names: of the two classes.
        top1: share of the photos of both whose first prediction is right.
        swapped: share of these photos that are taken for the other of the two.
    """

    names: tuple[str, str]
    top1: Estimate
    swapped: Estimate


def accuracies(
    pairs: object,
    classes: Sequence[Mapping[str, Any]],
    sample: Sample,
    predicted: NDArray[np.int64],
) -> tuple[PairAccuracy, ...]:
    """The pairs of class_keys that split.json lists, in its order.

    The file is untrusted: what is not a pair of classes of this split is passed over; the audit says so.
    """
    truth = sample.labels
    labels = {row["class_key"]: label for label, row in enumerate(classes)}
    found = []
    for pair in pairs if isinstance(pairs, list) else ():
        if not isinstance(pair, list) or len(pair) != 2 or any(key not in labels for key in pair):
            continue
        first, second = labels[pair[0]], labels[pair[1]]
        inside = (truth == first) | (truth == second)
        other = np.where(truth == first, second, first)
        found.append(
            PairAccuracy(
                (str(classes[first]["name"]), str(classes[second]["name"])),
                sample.within(inside).share((predicted == truth)[inside]),
                sample.within(inside).share((predicted == other)[inside]),
            )
        )
    return tuple(found)
