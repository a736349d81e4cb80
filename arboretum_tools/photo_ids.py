"""Lists of photo ids: as values, and out of the files that people keep them in."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from arboretum_tools.errors import SelectionError
from arboretum_tools.tables import one_line, read_columns

if TYPE_CHECKING:
    import pyarrow as pa

# Spreadsheets and pandas write `12345.0` for 12345.
_ID = re.compile(r"[0-9]+(\.0*)?", re.ASCII)
_LARGEST_FLOAT = 2**53
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class PhotoIds:
    """A set of photo ids.

    Attributes:
        array: int64, ascending, unique, each 1 or more.
        sha256: of the ids as decimal text, one a line; two equal sets have equal hashes.
    """

    array: pa.Array = field(compare=False, repr=False)
    sha256: str

    @classmethod
    def of(cls, ids: Iterable[int] | pa.Array) -> PhotoIds:
        """The set of these ids.

        Raises:
            SelectionError: one of them is below 1 or no 64-bit integer.
        """
        import numpy as np
        import pyarrow as pa

        from arboretum_tools.arrays import from_numpy, to_numpy

        try:
            given = to_numpy(ids.cast(pa.int64())) if isinstance(ids, pa.Array) else list(ids)
            values = np.unique(np.asarray(given, dtype=np.int64))
        except (OverflowError, TypeError, ValueError) as error:
            raise SelectionError(f"photo ids are whole numbers of at most 63 bits: {error}") from error
        if len(values) and values[0] < 1:
            raise SelectionError(f"photo ids are 1 or more, not {values[0]}")
        text = "".join(f"{value}\n" for value in values.tolist())
        return cls(from_numpy(values), hashlib.sha256(text.encode()).hexdigest())

    def __len__(self) -> int:
        return len(self.array)


def read_photo_ids(path: str | Path) -> PhotoIds:
    """Reads ids from Parquet or CSV with a column `photo_id`, or from text with one id a line.

    Raises:
        SelectionError: the file cannot be read, or a line of it is no photo id (named by its number).
    """
    import pyarrow as pa

    path = Path(path)
    try:
        if path.suffix.lower() == ".parquet":
            return _read_parquet(path)
        return _read_text(path)
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise SelectionError(f"photo ids cannot be read from {path}: {one_line(error)}") from error


def _read_parquet(path: Path) -> PhotoIds:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if "photo_id" not in pq.read_schema(path).names:
        raise SelectionError(f"{path} has no column photo_id")
    column = read_columns(path, ["photo_id"])["photo_id"]
    if pa.types.is_floating(column.type):
        column = _whole(path, column)
    if not pa.types.is_integer(column.type) or column.null_count:
        raise SelectionError(f"{path}: photo_id must be whole numbers without nulls, not {column.type}")
    return PhotoIds.of(column.combine_chunks())


def _whole(path: Path, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Floats as whole numbers, as pandas writes ids of a column that once had gaps."""
    import pyarrow as pa

    values = column.to_pylist()
    # Above 2^53 floats skip numbers, so that the id that was meant is lost.
    bad = [
        (row, str(value))
        for row, value in enumerate(values, start=1)
        if value is None or not value.is_integer() or abs(value) > _LARGEST_FLOAT
    ]
    if bad:
        _refuse(path, "row", bad)
    return pa.chunked_array([pa.array(map(int, values), pa.int64())])


def _refuse(path: Path, unit: str, bad: Sequence[tuple[int, str]]) -> NoReturn:
    listed = "; ".join(f"{unit} {number}: {text[:40]!r}" for number, text in bad[:_SHOWN])
    more = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    raise SelectionError(
        f"{path}, {listed}{more}: not {'a photo id' if len(bad) == 1 else 'photo ids'}",
        hint="Give one id a line, or a CSV or Parquet file with a column photo_id. An id is a whole number "
        "with all its digits; a spreadsheet shows large ones as 1.23E+08 and loses the rest.",
    )


def _read_text(path: Path) -> PhotoIds:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        ids: list[int] = []
        bad: list[tuple[int, str]] = []
        column = 0
        for number, cells in enumerate(lines, start=1):
            if number == 1 and "photo_id" in cells:
                column = cells.index("photo_id")
            elif any(cell.strip() for cell in cells):
                text = cells[column].strip() if column < len(cells) else ""
                if _ID.fullmatch(text):
                    ids.append(int(text.partition(".")[0]))
                else:
                    bad.append((number, text))
    if bad:
        _refuse(path, "line", bad)
    return PhotoIds.of(ids)
