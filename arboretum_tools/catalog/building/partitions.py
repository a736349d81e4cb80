"""Deals the rows of a query into buckets: one pass, one file per bucket, in bounded memory.

DuckDB's own partitioned COPY (2.0) holds every row, in memory or spilled, before it writes the first; this
does not. While one batch is parted and written, DuckDB makes the next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from arboretum_tools.tabular.arrays import from_numpy, to_numpy
from arboretum_tools.tabular.query import Connection

#: Buckets that there may be: each is an open file.
MOST_BUCKETS = 500

_BUCKET = "bucket"

#: Rows per batch: large enough that a bucket's share of one is not a handful.
PARTITIONED_ROWS = 500_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """Some rows on disk.

    Attributes:
        file: an Arrow stream, without the column `bucket`.
        rows: how many.
    """

    file: Path
    rows: int


def partition(batches: Iterator[pa.RecordBatch], folder: Path) -> dict[int, Bucket]:
    """Writes the rows of each bucket as one Arrow stream; see `read_bucket` for reading it.

    Args:
        batches: rows with a column `bucket`, a whole number from 0 to MOST_BUCKETS - 1.
        folder: where the files are written.

    Returns:
        The buckets that have rows, by number, ascending.
    """
    folder.mkdir()
    rows_of: dict[int, int] = {}
    writers: dict[int, pa.RecordBatchWriter] = {}
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with contextlib.ExitStack() as stack:

        def write(batch: pa.RecordBatch) -> None:
            position = batch.schema.get_field_index(_BUCKET)
            numbers = to_numpy(batch.column(position)).astype(np.int16)
            order = np.argsort(numbers, kind="stable")
            rows = batch.remove_column(position).take(from_numpy(order))
            found, starts = np.unique(numbers[order], return_index=True)
            ends = [*starts[1:].tolist(), batch.num_rows]
            for number, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
                if number not in writers:
                    writer = pa.ipc.new_stream(str(_file(folder, number)), rows.schema, options=options)
                    writers[number] = stack.enter_context(writer)
                writers[number].write_batch(rows.slice(start, end - start))
                rows_of[number] = rows_of.get(number, 0) + end - start

        _one_behind(batches, write)
    return {number: Bucket(_file(folder, number), rows) for number, rows in sorted(rows_of.items())}


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.arrow"


@contextlib.contextmanager
def read_bucket(connection: Connection, file: Path, name: str) -> Iterator[str]:
    """Gives the rows of a bucket as the relation `name`, which can be read once; and its name."""
    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as reader:
        connection.register(name, reader)
        try:
            yield name
        finally:
            connection.unregister(name)


def _one_behind(batches: Iterator[pa.RecordBatch], use: Callable[[pa.RecordBatch], None]) -> None:
    """Uses each batch in another thread while the next is made; at most two are in memory."""
    with ThreadPoolExecutor(1) as pool:
        pending: Future[None] | None = None
        for batch in batches:
            if pending is not None:
                pending.result()
            pending = pool.submit(use, batch)
        if pending is not None:
            pending.result()
