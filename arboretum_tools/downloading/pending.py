"""Lists of the photos that are still to be fetched, as files in the store while a download runs.

A list is written before the first photo is asked for, so that nothing but reading it stands between one photo
and the next, and every process of a download reads its own share of it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import REQUEST
from arboretum_tools.arrays import to_numpy
from arboretum_tools.atomic_files import PARTIAL
from arboretum_tools.store.lock import Task
from arboretum_tools.tables import write_table

#: A photo that is to be fetched: photo_id, ext, url.
PendingPhoto = tuple[int, str, str | None]

# Rows of a list that are in memory at one time, and those of them that are Python objects.
_ROWS = 10_000
_OBJECTS = 1_024


@dataclass(frozen=True, slots=True)
class PendingList:
    """A list that was written.

    Attributes:
        path: a Parquet file with the columns of `schema.REQUEST`.
        photos: its rows.
    """

    path: Path
    photos: int

    def rows(self, task: Task) -> Iterator[PendingPhoto]:
        """Those of its photos that are a task's own, streamed in its order."""
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_ROWS, use_threads=False):
                own = to_numpy(batch.column("photo_id")) % task.of == task.number
                for start in range(0, batch.num_rows, _OBJECTS):
                    part = batch.slice(start, _OBJECTS)
                    columns = (part.column(name).to_pylist() for name in REQUEST.names)
                    here = own[start : start + _OBJECTS].tolist()
                    yield from (
                        row for row, mine in zip(zip(*columns, strict=True), here, strict=True) if mine
                    )


class PendingLists:
    """Writes lists into a store; a context manager that removes them."""

    def __init__(self, store: Path, to_fetch: Callable[[Task], Iterable[pa.RecordBatch]]) -> None:
        """Writes nothing yet.

        Args:
            store: its folder.
            to_fetch: the photos that a task has to fetch, as the store is now.
        """
        self._store = store.absolute()
        self._to_fetch = to_fetch
        self._paths: list[Path] = []
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)

    def write(self, task: Task) -> PendingList:
        """Lists what a task has to fetch, as the store is now; from any thread, one after the other.

        Raises:
            StoreError: an index or the plan is damaged.
            OutOfSpaceError: the disk is full.
        """
        with self._writing:
            # Under a name that the next writer of the store clears away, should this process be killed.
            path = self._store / f".wanted{PARTIAL}{secrets.token_hex(4)}"
            self._paths.append(path)
            return PendingList(path, write_table(path, self._to_fetch(task), REQUEST, {}, dictionary=False))
