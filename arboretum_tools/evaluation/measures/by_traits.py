"""Accuracy by what photos have in common besides their species: when, under which licence, by whom and where.

Of people and places the question is whether the train part has any of theirs: a model may know a garden, or
a camera, better than a species.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from arboretum_tools.evaluation.evaluated_part import EvaluatedPart
from arboretum_tools.evaluation.measures.intervals import Estimate
from arboretum_tools.split.bias import COLUMNS, trait_columns

_UNKNOWN = "unknown"

#: What is said of a person or a cell.
SEEN, UNSEEN = "in the train part", "not in the train part"


def by_traits(tested: EvaluatedPart, hits: NDArray[np.bool_]) -> dict[str, dict[str, Estimate]]:
    """Top-1 share by trait and value; a trait that no photo of the part has is left out.

    Args:
        tested: the part.
        hits: whether the first prediction of each photo is right.
    """
    columns = trait_columns(tested.rows.select(COLUMNS))
    named = {trait: columns[trait] for trait in ("years", "months", "licences")}
    if tested.name != "train" and "train" in tested.split.parts:
        for trait in ("observers", "cells"):
            named[trait] = _seen(tested, trait, columns[trait])
    return {
        trait: _shares(tested, hits, values)
        for trait, values in named.items()
        if values.null_count < len(values)
    }


def _seen(tested: EvaluatedPart, trait: str, values: pa.Array) -> pa.Array:
    """Whether the train part has photos of each value; null where it is unknown."""
    trained: set[int] = set()
    for batch in tested.split.batches("train", list(COLUMNS)):
        trained.update(trait_columns(batch)[trait].unique().drop_null().to_pylist())
    there = pc.is_in(values, pa.array(sorted(trained), pa.int64()))
    return pc.if_else(pc.is_valid(values), pc.if_else(there, SEEN, UNSEEN), pa.scalar(None, pa.string()))


def _shares(tested: EvaluatedPart, hits: NDArray[np.bool_], values: pa.Array) -> dict[str, Estimate]:
    ordered = sorted(values.unique().drop_null().to_pylist())
    named = np.array([_UNKNOWN if one is None else str(one) for one in values.to_pylist()])
    names = [*map(str, ordered), *([_UNKNOWN] if values.null_count else [])]
    return {name: tested.sample.within(named == name).share(hits[named == name]) for name in names}
