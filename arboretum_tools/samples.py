"""The one join of split and store: which photos of a part the store holds, and where their bytes lie.

Every export and every `Subset` starts here, so all of them agree on what is in a part, in which order, and
on what is missing and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arboretum_metadata.schema import INDEX, Column
from arboretum_tools import stable
from arboretum_tools.errors import MissingPhotosError, SplitError, StoreError
from arboretum_tools.split.manifest import Split
from arboretum_tools.store.layout import PENDING, shard_number
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.tables import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What the join adds to the columns of a part: where the image lies and what it is.
STORED = (
    Column("shard", "int32", "Number of the shard of the image store."),
    INDEX["offset"],
    INDEX["size_bytes"],
    INDEX["sha256"],
    INDEX["format"],
    Column("image_width", "int32", "Width of the image in the store.", unit="pixel"),
    Column("image_height", "int32", "Height of the image in the store.", unit="pixel"),
)

_FROM_INDEX = ("photo_id", "status", "offset", "size_bytes", "sha256", "format", "width", "height")


@dataclass(frozen=True, slots=True)
class Samples:
    """The photos of one part that an image store holds.

    Attributes:
        part: name of the part.
        rows: one row a photo, sorted by (label, photo_id): the columns of the part, then those of STORED.
        missing: one row for each photo of the part that the store does not hold, sorted by photo_id:
            `photo_id`, `status` (its state in the store; `pending` = never tried).
    """

    part: str
    rows: pa.Table
    missing: pa.Table

    def __len__(self) -> int:
        """Number of photos that are there."""
        return int(self.rows.num_rows)

    @property
    def missing_by_status(self) -> dict[str, int]:
        """Number of missing photos by their state in the store, states in alphabetical order."""
        return dict(sorted(Counter(self.missing["status"].to_pylist()).items()))

    def shuffled(self, seed: int) -> NDArray[np.int64]:
        """Positions in `rows` in an order that looks random: by (key_shuffle, photo_id) under `seed`.

        It depends on nothing but the photo ids, so it is the same however the store was filled.
        """
        ids = self.rows["photo_id"].to_numpy()
        return np.lexsort((ids, stable.keys(ids, "shuffle", seed)))


def join(split: Split, part: str, store: ImageStore) -> Samples:
    """Finds the photos of a part in an image store.

    Memory grows with the part, not with the store: its index files are read one after the other.

    Raises:
        SplitError: the split has no such part, or has a photo twice in it.
        StoreError: an index of the store cannot be read.
    """
    table = split.part(part).combine_chunks()
    ids = table["photo_id"].to_numpy()
    by_id = np.argsort(ids, kind="stable")
    if np.any(np.diff(ids[by_id]) == 0):
        raise SplitError(
            f"part {part} of the split {split.path or split.name} has a photo twice",
            hint="Make it again with `arboretum make-split`; nothing was written.",
        )
    found = [hits for path in store.index_files() if (hits := _hits(path, ids, by_id)).num_rows]
    if not found:
        return _joined(part, table, np.empty(0, np.int64), None)
    # The highest shard last: of several rows of a photo that is not ok, it has the state.
    hits = pa.concat_tables(found).sort_by([("shard", "ascending"), ("row", "ascending")])
    is_ok = pc.equal(hits["status"], "ok")
    stored = hits.filter(is_ok)
    if any(stored[name].null_count for name in _FROM_INDEX):
        raise StoreError(
            f"an index of {store.path} has photos that are ok but have no place, size or hash",
            hint="This toolkit never writes that. Bring the store back from a backup, or download again.",
        )
    rows, first = np.unique(stored["row"].to_numpy(), return_index=True)
    return _joined(part, table, rows, stored.take(pa.array(first)), hits.filter(pc.invert(is_ok)))


def require(samples: Iterable[Samples], store: Path) -> None:
    """Refuses to go on where photos are missing.

    Raises:
        MissingPhotosError: says how many of each part, and in which states they are.
    """
    samples = list(samples)
    if not any(found.missing.num_rows for found in samples):
        return
    parts = "; ".join(
        f"{found.missing.num_rows:,} of the {found.missing.num_rows + len(found):,} photos of {found.part} "
        f"({', '.join(f'{count:,} {status}' for status, count in found.missing_by_status.items())})"
        for found in samples
        if found.missing.num_rows
    )
    by_status: Counter[str] = Counter()
    for found in samples:
        by_status.update(found.missing_by_status)
    hint = "Go on without them by --allow-missing, or make the split from what is there: make-split --store."
    if by_status["pending"] or by_status["failed"]:
        hint = f"Fetch them: arboretum download --split SPLIT --images {store}. {hint}"
    raise MissingPhotosError(
        f"the image store {store} does not hold {parts}; nothing was written",
        by_status=dict(sorted(by_status.items())),
        hint=hint,
    )


def missing_of(samples: Iterable[Samples]) -> pa.Table:
    """All missing photos of some parts: `part`, `photo_id`, `status`, part after part, by photo_id."""
    schema = pa.schema([("part", pa.string()), ("photo_id", pa.int64()), ("status", pa.string())])
    tables = [
        found.missing.add_column(0, "part", pa.array([found.part] * found.missing.num_rows, pa.string()))
        for found in samples
    ]
    return pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in tables)])


def _hits(path: Path, ids: NDArray[np.int64], by_id: NDArray[np.int64]) -> pa.Table:
    """The rows of one index file that speak of `ids`, with `row` (position in ids) and `shard`."""
    try:
        index = pq.read_table(path, columns=list(_FROM_INDEX))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"the shard index {path} cannot be read: {one_line(error)}",
            hint="Move that shard's .tar and .parquet away and download again: only its photos are fetched.",
        ) from error
    asked = index["photo_id"].to_numpy()
    if not len(ids) or not len(asked):
        return _with_place(index.slice(0, 0), np.empty(0, np.int64), 0)
    position = np.minimum(np.searchsorted(ids, asked, sorter=by_id), len(ids) - 1)
    row = by_id[position]
    there = ids[row] == asked
    return _with_place(index.filter(pa.array(there)), row[there], shard_number(path))


def _with_place(index: pa.Table, row: NDArray[np.int64], shard: int) -> pa.Table:
    shards = pa.array(np.full(len(row), shard, np.int32))
    return index.append_column("row", pa.array(row)).append_column("shard", shards)


def _joined(
    part: str,
    table: pa.Table,
    rows: NDArray[np.int64],
    stored: pa.Table | None,
    not_ok: pa.Table | None = None,
) -> Samples:
    here = table.take(pa.array(rows))
    for column in STORED:
        source = column.name.removeprefix("image_")
        kind = {"int32": pa.int32(), "int64": pa.int64(), "string": pa.string()}[column.type]
        values = stored[source].cast(kind) if stored is not None else pa.array([], kind)
        here = here.append_column(column.name, values)
    state = np.full(table.num_rows, PENDING, dtype=object)
    if not_ok is not None:
        state[not_ok["row"].to_numpy()] = not_ok["status"].to_numpy(zero_copy_only=False)
    absent = np.ones(table.num_rows, dtype=bool)
    absent[rows] = False
    missing = pa.table(
        {
            "photo_id": table["photo_id"].filter(pa.array(absent)),
            "status": pa.array(state[absent].tolist(), pa.string()),
        }
    ).sort_by("photo_id")
    return Samples(part, here, missing)
