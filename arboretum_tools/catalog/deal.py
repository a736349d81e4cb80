"""Deals the rows of a query into buckets: one pass, one file a bucket, in bounded memory.

DuckDB's own partitioned COPY (2.0) holds every row, in memory or spilled, before it writes the first; this
does not. While one batch is parted and written, DuckDB makes the next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from arboretum_tools.query import Connection, arrow_batches

#: Buckets that there may be: each is an open file.
MOST_BUCKETS = 500

_BUCKET = "bucket"

# Rows a batch: large enough that a bucket's share of one is not a handful.
_ROWS = 500_000


def deal(connection: Connection, sql: str, folder: Path) -> dict[int, Path]:
    """Writes the rows of each bucket as one Arrow stream; see `dealt` for reading it.

    Args:
        connection: asks.
        sql: a query with a column `bucket`, a whole number from 0 to MOST_BUCKETS - 1.
        folder: where the files are written.

    Returns:
        The file of each bucket that has rows, by its number, ascending.
    """
    folder.mkdir()
    files: dict[int, Path] = {}
    writers: dict[int, pa.RecordBatchWriter] = {}
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with contextlib.ExitStack() as stack:

        def write(batch: pa.RecordBatch) -> None:
            place = batch.schema.get_field_index(_BUCKET)
            numbers = batch.column(place).to_numpy().astype(np.int16)
            order = np.argsort(numbers, kind="stable")
            rows = batch.remove_column(place).take(pa.array(order))
            found, starts = np.unique(numbers[order], return_index=True)
            ends = [*starts[1:].tolist(), batch.num_rows]
            for number, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
                if number not in writers:
                    files[number] = folder / f"{number:05d}.arrow"
                    writer = pa.ipc.new_stream(str(files[number]), rows.schema, options=options)
                    writers[number] = stack.enter_context(writer)
                writers[number].write_batch(rows.slice(start, end - start))

        _one_behind(arrow_batches(connection, sql, size=_ROWS), write)
    return dict(sorted(files.items()))


@contextlib.contextmanager
def dealt(connection: Connection, file: Path, name: str) -> Iterator[str]:
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
