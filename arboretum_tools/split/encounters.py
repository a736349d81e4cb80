"""How many encounters the photos of a class are: observations and observers, part by part.

Ten test photos of a class may be one animal, seen once. What a model is told by them is then one answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arboretum_metadata.schema import CLASSES
from arboretum_tools.split.files.part_files import part_batches
from arboretum_tools.tabular.arrays import from_numpy, to_numpy
from arboretum_tools.tabular.tables import arrow_schema

_GROUPS = {"observations": "observation_id", "observers": "observer_id"}


def with_encounters(
    classes: pa.Table, tables: Mapping[str, pa.Table], parts: Iterable[str] | None = None
) -> pa.Table:
    """The classes of a split with their observations and observers by part.

    Args:
        classes: the other columns of CLASSES, in label order.
        tables: the parts by name, by (label, photo_id); those that are in files are read once.
        parts: those that are counted; default all.
    """
    counted = {name: np.zeros(len(classes), np.int64) for name in CLASSES.names if CLASSES[name].counted}
    known = dict.fromkeys(counted, np.ones(len(classes), np.bool_))
    for part in tables if parts is None else parts:
        found = {group: _Distinct(len(classes)) for group in _GROUPS}
        for batch in part_batches(tables, part, ["label", *_GROUPS.values()]):
            labels = to_numpy(batch.column("label"))
            for group, distinct in found.items():
                column = batch.column(_GROUPS[group])
                distinct.add(labels, to_numpy(column), to_numpy(column.is_valid().cast(pa.int8())) > 0)
        for group, distinct in found.items():
            counted[f"{group}_{part}"], known[f"{group}_{part}"] = distinct.counts()
    for field in arrow_schema(CLASSES):
        if field.name in counted:
            values, valid = from_numpy(counted[field.name]), np.packbits(known[field.name], bitorder="little")
            buffers = [pa.py_buffer(valid), values.buffers()[1]]
            column = pa.Array.from_buffers(pa.int64(), len(classes), buffers)
            classes = classes.append_column(field, column)
    return classes


class _Distinct:
    """Different ids by label, of rows whose labels ascend; only those of the last label are held."""

    def __init__(self, classes: int) -> None:
        self._known, self._alone = (np.zeros(classes, np.int64) for _ in range(2))
        self._last: tuple[NDArray[np.int32], NDArray[np.int64]] = (
            np.empty(0, np.int32),
            np.empty(0, np.int64),
        )

    def add(self, labels: NDArray[np.int32], ids: NDArray[np.int64], valid: NDArray[np.bool_]) -> None:
        if not len(labels):
            return
        self._alone += np.bincount(labels[~valid], minlength=len(self._alone))
        owner = np.concatenate([self._last[0], labels[valid]])
        group = np.concatenate([self._last[1], ids[valid]])
        order = np.lexsort((group, owner))
        owner, group = owner[order], group[order]
        first = np.ones(len(owner), np.bool_)
        first[1:] = (owner[1:] != owner[:-1]) | (group[1:] != group[:-1])
        owner, group = owner[first], group[first]
        open_ = owner == labels[-1]
        self._count(owner[~open_])
        self._last = owner[open_], group[open_]

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Groups by label, and where they are known: where a photo has one, or there is no photo."""
        self._count(self._last[0])
        self._last = self._last[0][:0], self._last[1][:0]
        return self._known + self._alone, (self._known > 0) | (self._alone == 0)

    def _count(self, labels: NDArray[np.int32]) -> None:
        self._known += np.bincount(labels, minlength=len(self._known))
