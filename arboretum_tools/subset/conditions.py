"""Conditions that photos of a subset are chosen by: a column of their class or part, and its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import LINEAGE, PART
from arboretum_tools.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Columns of the classes that photos can be chosen by; counts are of the split, not of a subset.
OF_CLASS = (
    "class_key",
    "name",
    "rank",
    "taxon_id",
    "scientific_name",
    "common_name",
    *LINEAGE,
    "shot",
)


def checked(column: str) -> str:
    """A column of the part, if it is one.

    Raises:
        UsageError: it is none.
    """
    if column not in PART.names:
        known = [*OF_CLASS, *PART.names]
        raise UsageError(f"photos have no {column!r}", hint=f"There are {', '.join(known)}.")
    return column


def classes_with(classes: pa.Table, column: str, requested: Any, split: str) -> NDArray[np.bool_]:
    """Which classes have one of the values.

    Raises:
        UsageError: no class of the split has one of them.
    """
    for value in _values(requested):
        if not is_one_of(classes[column], column, [value]).any():
            raise UsageError(f"no class of {split} has {column} {value!r}")
    return is_one_of(classes[column], column, requested)


def is_one_of(column: pa.ChunkedArray, name: str, requested: Any) -> NDArray[np.bool_]:
    """Where a column has one of the values.

    Raises:
        UsageError: a value is of another type than the column.
    """
    values = _values(requested)
    try:
        set_of_values = pa.array(values, column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UsageError(f"{name} is {column.type}; {values!r} is not") from error
    found: NDArray[np.bool_] = np.asarray(pc.is_in(column, value_set=set_of_values))
    return found


def _values(requested: Any) -> list[Any]:
    return list(requested) if isinstance(requested, list | tuple | set | frozenset) else [requested]
