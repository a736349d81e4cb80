"""Parts of a split that stay in files, so that memory stays bounded; those of a folder."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import PART
from arboretum_tools.errors import SplitError
from arboretum_tools.tabular.tables import arrow_schema, parquet_file, read_table
from arboretum_tools.wording import one_line

#: Rows of a saved part that are held at a time; shows in no result.
BATCH_ROWS = 1_000

# Rows of a table in memory that are hashed or written at a time; shows in no result.
_BLOCK = 200_000


class PartFiles(Mapping[str, pa.Table]):
    """The parts of a split by name; a table is read when it is asked for."""

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = tuple(parts)

    @abstractmethod
    def batches(self, part: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of a part, in the order of its rows, a batch at a time.

        Raises:
            SplitError: the file cannot be read, or lacks a column.
        """

    @abstractmethod
    def num_rows(self, part: str) -> int:
        """Number of photos of a part.

        Raises:
            SplitError: the file cannot be read, or lacks a column.
        """

    @abstractmethod
    def _table(self, part: str) -> pa.Table: ...

    def __getitem__(self, part: str) -> pa.Table:
        if part not in self._parts:
            raise KeyError(part)
        return self._table(part)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, part: object) -> bool:
        return part in self._parts


class SavedParts(PartFiles):
    """The parts of a split folder; no table is kept."""

    def __init__(self, folder: Path, parts: Sequence[str], refuse: Callable[[str], SplitError]) -> None:
        super().__init__(parts)
        self._folder = folder
        self._refuse = refuse

    def batches(self, part: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """At most BATCH_ROWS at a time."""
        expected = pa.schema([arrow_schema(PART).field(name) for name in columns])
        with self._opened(part) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
                arrays = [batch.column(field.name).cast(field.type) for field in expected]
                yield pa.RecordBatch.from_arrays(arrays, schema=expected)

    def num_rows(self, part: str) -> int:
        """From the footer."""
        with self._opened(part) as file:
            return int(file.metadata.num_rows)

    def _table(self, part: str) -> pa.Table:
        return read_table(self._path(part), PART, self._refuse)

    @contextlib.contextmanager
    def _opened(self, part: str) -> Iterator[pq.ParquetFile]:
        path = self._path(part)
        try:
            # A small buffer, so that no column of a file of one row group is ever in memory whole.
            with parquet_file(path, buffer_size=65_536, pre_buffer=False) as file:
                missing = [name for name in PART.names if name not in file.schema_arrow.names]
                if missing:
                    raise self._refuse(
                        f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
                    )
                yield file
        except FileNotFoundError:
            raise self._refuse(f"{path} is not there") from None
        except (OSError, pa.ArrowException) as error:
            raise self._refuse(f"{path} cannot be read as Parquet: {one_line(error)}") from error

    def _path(self, part: str) -> Path:
        return self._folder / f"{part}.parquet"


def part_batches(
    tables: Mapping[str, pa.Table], part: str, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Some columns of a part, a batch at a time; from the file where it is in one."""
    if isinstance(tables, PartFiles):
        yield from tables.batches(part, columns)
    else:
        yield from tables[part].select(list(columns)).to_batches(max_chunksize=_BLOCK)
