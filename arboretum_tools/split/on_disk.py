"""Parts of a split that stay in their files, for what goes through millions of rows and needs few columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import PART
from arboretum_tools.errors import SplitError
from arboretum_tools.tables import arrow_schema, one_line, read_table

#: Rows that are held at a time; shows in no result.
BATCH_ROWS = 1_000


class PartsOnDisk(Mapping[str, pa.Table]):
    """The parts of a split folder; a table is read each time that it is asked for, and none is kept."""

    def __init__(self, folder: Path, parts: Sequence[str], refuse: Callable[[str], SplitError]) -> None:
        self._folder = folder
        self._parts = tuple(parts)
        self._refuse = refuse

    def __getitem__(self, part: str) -> pa.Table:
        if part not in self._parts:
            raise KeyError(part)
        return read_table(self._path(part), PART, self._refuse)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, part: object) -> bool:
        return part in self._parts

    def batches(self, part: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of a part, in the order of its rows, at most BATCH_ROWS at a time.

        Raises:
            SplitError: the file cannot be read, or lacks a column.
        """
        wanted = pa.schema([arrow_schema(PART).field(name) for name in columns])
        with self._opened(part) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
                arrays = [batch.column(field.name).cast(field.type) for field in wanted]
                yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    def num_rows(self, part: str) -> int:
        """Number of photos of a part.

        Raises:
            SplitError: the file cannot be read, or lacks a column.
        """
        with self._opened(part) as file:
            return int(file.metadata.num_rows)

    @contextmanager
    def _opened(self, part: str) -> Iterator[pq.ParquetFile]:
        path = self._path(part)
        try:
            # A small buffer, so that no column of a file of one row group is ever in memory whole.
            with pq.ParquetFile(path, buffer_size=65_536, pre_buffer=False) as file:
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
