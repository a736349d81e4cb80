"""Predictions for photos of unknown classes, read beside those of the known ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation.evaluated_part import EvaluatedPart
from arboretum_tools.evaluation.measures.open_set import OpenSet, area
from arboretum_tools.evaluation.predictions import (
    NONE,
    Predictions,
    PredictionsError,
    Source,
    read_predictions,
)
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.wording import counted, does

# Below every probability: what has no prediction is accepted last.
_LEAST = -1.0


def read_with_unknown(
    predictions: Source, tested: EvaluatedPart, unknown: Split | str | Path, *, missing: str
) -> tuple[Predictions, OpenSet]:
    """Reads predictions for the photos of a part and for those of unknown classes.

    Args:
        predictions: of the photos of both; an array has those of the part first.
        tested: the part.
        unknown: a split, or its folder, whose part of the same name has the photos of unknown classes.
        missing: as `read_predictions` takes it.

    Raises:
        SplitError: the split cannot be read, or has no such part.
        PredictionsError: as `read_predictions`; or no probabilities were given.
        UsageError: the splits share a class, or have classes of different ranks.
    """
    other = EvaluatedPart.of(unknown, tested.name)
    _check_apart(tested, other)
    ids = np.concatenate([tested.photo_ids, other.photo_ids])
    both = read_predictions(predictions, ids, len(tested.classes), missing=missing, split=tested.split.name)
    if both.confidence is None:
        raise PredictionsError(
            "unknown classes are told by the probability of the first prediction, and none is given",
            hint="Write the probabilities as `scores`: for every photo one number per known class, which sum "
            "to 1.",
        )
    photos = len(tested.photo_ids)
    top, sure = both.top[:photos], both.confidence[:photos]
    known = Predictions(top, int(np.count_nonzero(top[:, 0] == NONE)), sure)
    accepted, refused = (np.nan_to_num(one, nan=_LEAST) for one in (sure, both.confidence[photos:]))
    hits: NDArray[np.bool_] = top[:, 0] == tested.labels
    return known, OpenSet(
        split=other.split.name,
        photos=len(other.photo_ids),
        classes=len(set(other.labels.tolist())),
        auroc=area(accepted, np.ones(photos, dtype=bool), refused),
        oscr=area(accepted, hits, refused),
    )


def _check_apart(tested: EvaluatedPart, other: EvaluatedPart) -> None:
    ranks = {row["rank"] for split in (tested, other) for row in split.classes}
    if len(ranks) > 1:
        raise UsageError(
            f"classes are known or unknown at one rank, and these are of {' and '.join(sorted(ranks))}",
            hint="Make both splits with the same --rank.",
        )
    shared = sorted(
        {row["class_key"] for row in tested.classes} & {row["class_key"] for row in other.classes}
    )
    if shared:
        raise UsageError(
            f"{counted(len(shared), 'unknown class')} {does(len(shared), 'are')} known to the split "
            f"{tested.split.name}, such as {shared[0]}",
            hint="Keep them out of it: arboretum make-split --exclude UNKNOWN/classes.parquet.",
        )
