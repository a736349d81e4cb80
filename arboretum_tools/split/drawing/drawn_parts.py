"""The parts of a split between drawing and saving: on disk, in buckets that are small enough to sort.

A sort of all photos with all their columns would hold or spill every one of them. Here the photos go, as they
come, to buckets that rise with (label, photo_id), and each is sorted when it is read.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from arboretum_metadata.schema import PART
from arboretum_tools.catalog.building.partitions import Bucket, partition
from arboretum_tools.split.files.part_files import PartFiles
from arboretum_tools.system.atomic_files import out_of_space
from arboretum_tools.system.temporary_folders import TemporaryFolder
from arboretum_tools.tabular.arrays import from_numpy, to_numpy
from arboretum_tools.tabular.tables import arrow_schema


class DrawnParts(PartFiles):
    """The parts of a split, each sorted by (label, photo_id). Made by `write`.

    They are in a temporary folder ($TMPDIR), which goes with the object. A table is kept as long as somebody
    holds it; saving reads a bucket at a time.
    """

    def __init__(self, folder: TemporaryFolder, buckets: Mapping[str, Sequence[Bucket]]) -> None:
        super().__init__(tuple(buckets))
        self._folder = folder
        self._buckets = buckets
        self._held: weakref.WeakValueDictionary[str, pa.Table] = weakref.WeakValueDictionary()

    @classmethod
    def write(cls, parts: Mapping[str, range], batches: Iterator[pa.RecordBatch]) -> DrawnParts:
        """Writes the parts.

        Args:
            parts: the numbers of each part's buckets, by its name; a part without rows is one too.
            batches: columns of PART (one that is not there is unknown) and `bucket`, in any order. Within a
                part the buckets rise with (label, photo_id).
        """
        folder = TemporaryFolder("split")
        with out_of_space(folder.path):
            buckets = partition(batches, folder.path / "buckets")
        return cls(
            folder,
            {part: [buckets[n] for n in numbers if n in buckets] for part, numbers in parts.items()},
        )

    def batches(self, part: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """A bucket at a time; while one is used, the next is sorted."""
        with ThreadPoolExecutor(1) as pool:
            pending: Future[pa.RecordBatch] | None = None
            for bucket in self._buckets[part]:
                pending, ready = pool.submit(_sorted, bucket.file, columns), pending
                if ready is not None:
                    yield ready.result()
            if pending is not None:
                yield pending.result()

    def num_rows(self, part: str) -> int:
        """Counted when they were written."""
        return sum(bucket.rows for bucket in self._buckets[part])

    def _table(self, part: str) -> pa.Table:
        table = self._held.get(part)
        if table is None:
            table = pa.Table.from_batches(self.batches(part, PART.names), schema=arrow_schema(PART))
            self._held[part] = table
        return table

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # A copy in another process outlives the folder.
        return dict, (dict(self),)


def _sorted(file: Path, columns: Sequence[str]) -> pa.RecordBatch:
    """Some columns of a bucket, its rows by (label, photo_id)."""
    with pa.OSFile(str(file)) as source:
        names = pa.ipc.read_schema(source).names
        source.seek(0)
        needed = {"label", "photo_id", *columns}
        options = pa.ipc.IpcReadOptions(
            included_fields=[position for position, name in enumerate(names) if name in needed]
        )
        with pa.ipc.open_stream(source, options=options) as reader:
            rows = reader.read_all().combine_chunks()
    labels, ids = (to_numpy(rows[name]) for name in ("label", "photo_id"))
    rows = rows.take(from_numpy(np.lexsort((ids, labels)))).combine_chunks()
    expected = pa.schema([arrow_schema(PART).field(name) for name in columns])
    arrays = [
        rows[field.name].chunk(0).cast(field.type) if field.name in names else pa.nulls(len(rows), field.type)
        for field in expected
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=expected)
