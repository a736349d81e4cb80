"""Lists of photos: as values, and out of the files in which people keep their ids, pages or addresses."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from arboretum_metadata.vocab import INATURALIST_PAGE, INATURALIST_PHOTO
from arboretum_tools.errors import SelectionError
from arboretum_tools.regular_files import regular
from arboretum_tools.tables import one_line, read_columns

if TYPE_CHECKING:
    import pyarrow as pa

# Spreadsheets and pandas write `12345.0` for 12345.
_ID = re.compile(r"[0-9]+(\.0*)?", re.ASCII)
_LARGEST_FLOAT = 2**53
_SHOWN, _SHOWN_LETTERS = 5, 60

_ADDRESS = re.compile(INATURALIST_PHOTO, re.ASCII | re.IGNORECASE)
_PAGE = re.compile(INATURALIST_PAGE, re.ASCII | re.IGNORECASE)

#: Columns that name a photo, in the order in which they are looked for.
COLUMNS = ("photo_id", "image_url", "photo_url", "url")

#: Columns of published benchmarks of Arboretum that hold iNaturalist's photo ids.
PHOTO_COLUMNS = ("filenumber", "inat21_filename")


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

    def __iter__(self) -> Iterator[int]:
        return iter(self.array.to_pylist())


def read_photo_ids(path: str | Path) -> PhotoIds:
    """Reads ids, or addresses or pages of photos at iNaturalist, from Parquet, CSV or plain text.

    The column is the first of COLUMNS that the file has; text without a header has one id or address a line.

    Raises:
        SelectionError: the file cannot be read, or a line of it is no photo (named by its number).
    """
    import pyarrow as pa

    path = Path(path)
    try:
        is_parquet = _begins(regular(path)) == b"PAR1" or path.suffix.lower() == ".parquet"
        return _read_parquet(path) if is_parquet else _read_text(path)
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise SelectionError(f"photo ids cannot be read from {path}: {one_line(error)}") from error


def photo_id_of(text: str) -> int | None:
    """The id that a text is or names: a whole number, an address of a photo at iNaturalist, or its page.

    >>> photo_id_of("12345.0")
    12345
    >>> photo_id_of("https://static.inaturalist.org/photos/55/medium.jpg?1545")
    55
    >>> photo_id_of("https://www.inaturalist.org/photos/56")
    56
    >>> photo_id_of("https://museum.example/photos/57/medium.jpg")
    """
    found = _ADDRESS.match(text) or _PAGE.match(text)
    digits = text.partition(".")[0] if _ID.fullmatch(text) else found[1] if found else ""
    # An id of 64 bits has no more digits, and Python reads no more than 4,300.
    return int(digits) if 0 < len(digits) < 20 else None


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _read_parquet(path: Path) -> PhotoIds:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pq.read_schema(path).names
    name = next((name for name in COLUMNS if name in names), None)
    if name is None:
        raise SelectionError(f"{path} has no column {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}")
    column = read_columns(path, [name])[name]
    if pa.types.is_floating(column.type):
        column = _whole(path, column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _of_texts(path, "row", enumerate(column.to_pylist(), start=1))
    if not pa.types.is_integer(column.type) or column.null_count:
        raise SelectionError(f"{path}: {name} must be whole numbers without nulls, not {column.type}")
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


def _of_texts(path: Path, unit: str, texts: Iterable[tuple[int, str | None]]) -> PhotoIds:
    """The photos that texts name; each has its number for errors."""
    ids: list[int] = []
    bad: list[tuple[int, str]] = []
    for number, text in texts:
        found = photo_id_of((text or "").strip())
        if found is None:
            bad.append((number, text or ""))
        else:
            ids.append(found)
    if bad:
        _refuse(path, unit, bad)
    return PhotoIds.of(ids)


def _refuse(path: Path, unit: str, bad: Sequence[tuple[int, str]]) -> NoReturn:
    listed = "; ".join(f"{unit} {number}: {text[:_SHOWN_LETTERS]!r}" for number, text in bad[:_SHOWN])
    more = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    raise SelectionError(
        f"{path}, {listed}{more}: not {'a photo id' if len(bad) == 1 else 'photo ids'}",
        hint="Give one id a line, or the photo's page or address at iNaturalist, or CSV or Parquet with a "
        f"column {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}. An id is a whole number with all its digits; a "
        "spreadsheet shows large ones as 1.23E+08 and loses the rest.",
    )


def _read_text(path: Path) -> PhotoIds:
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=first.count)
        lines = csv.reader(file, delimiter=delimiter)
        return _of_texts(path, "line", _cells(lines))


def _cells(lines: Iterable[list[str]]) -> Iterator[tuple[int, str]]:
    """The cell of each line that names its photo, with its number."""
    column = 0
    for number, cells in enumerate(lines, start=1):
        named = [name for name in COLUMNS if name in cells] if number == 1 else []
        if named:
            column = cells.index(named[0])
        elif any(cell.strip() for cell in cells):
            yield number, cells[column] if column < len(cells) else ""
