"""Lists of photos or observations: as values, and out of the files in which people keep them."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from arboretum_metadata.vocab import INATURALIST_OBSERVATION, INATURALIST_PAGE, INATURALIST_PHOTO
from arboretum_tools.errors import SelectionError
from arboretum_tools.system.regular_files import regular
from arboretum_tools.tabular.tables import read_columns
from arboretum_tools.wording import first_of, unreadable

if TYPE_CHECKING:
    import pyarrow as pa

# Spreadsheets and pandas write `12345.0` for 12345.
_ID = re.compile(r"[0-9]{1,19}(\.0*)?", re.ASCII)
_MOST_DIGITS = 19
_LARGEST_FLOAT = 2**53
_SHOWN, _SHOWN_LETTERS, _SHOWN_NAMES = 5, 60, 300


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list names: photos or observations.

    Attributes:
        noun: of one of them.
        columns: that name one, in the order in which they are looked for.
        named: how a line may name one besides.
        addresses: patterns of these, with the id as their group.
    """

    noun: str
    columns: tuple[str, ...]
    named: str
    addresses: tuple[re.Pattern[str], ...]

    def id_of(self, text: str) -> int | None:
        """The id that a text is or names."""
        if _ID.fullmatch(text):
            return int(text.partition(".")[0])
        found = next((match for pattern in self.addresses if (match := pattern.match(text))), None)
        return int(found[1]) if found and len(found[1]) <= _MOST_DIGITS else None

    @property
    def columns_in_words(self) -> str:
        """The columns, for errors."""
        return f"{', '.join(self.columns[:-1])} or {self.columns[-1]}"


PHOTOS = Listed(
    "photo",
    ("photo_id", "image_url", "photo_url", "url"),
    "the photo's page or address at iNaturalist",
    tuple(re.compile(p, re.ASCII | re.IGNORECASE) for p in (INATURALIST_PHOTO, INATURALIST_PAGE)),
)

#: `url` and `id` are those of iNaturalist's own export, `occurrenceID` that of GBIF.
OBSERVATIONS = Listed(
    "observation",
    ("observation_id", "observation_url", "url", "occurrenceID", "id"),
    "the observation's page at iNaturalist",
    (re.compile(INATURALIST_OBSERVATION, re.ASCII | re.IGNORECASE),),
)

#: Columns of published benchmarks of Arboretum that hold iNaturalist's photo ids.
PHOTO_COLUMNS = ("filenumber", "inat21_filename")


@dataclass(frozen=True, slots=True)
class PhotoIds:
    """A set of ids, of photos or of observations.

    Attributes:
        array: int64, ascending, unique, each 1 or more.
        sha256: of the ids as decimal text, one per line; two equal sets have equal hashes.
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

        from arboretum_tools.tabular.arrays import from_numpy, to_numpy

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
    """Reads ids, or addresses or pages of photos at iNaturalist; see `read_ids`."""
    return read_ids(path, PHOTOS)


def read_observation_ids(path: str | Path) -> PhotoIds:
    """Reads ids, or pages of observations at iNaturalist; see `read_ids`."""
    return read_ids(path, OBSERVATIONS)


def read_ids(path: str | Path, listed: Listed) -> PhotoIds:
    """Reads a list from Parquet, CSV or plain text.

    Args:
        path: of the file. Text without a header has one per line; of a table the first of `listed.columns` is
            taken. Another column is named behind the file, as `FILE:COLUMN`.
        listed: what the list names.

    Raises:
        SelectionError: the file cannot be read, or a line of it is no such thing (named by its number).
    """
    path, column = _file_and_column(Path(path))
    columns = listed.columns if column is None else (column,)
    try:
        is_parquet = _begins(regular(path)) == b"PAR1" or path.suffix.lower() == ".parquet"
        return (_read_parquet if is_parquet else _read_text)(path, listed, columns)
    except (OSError, ValueError, csv.Error) as error:
        raise SelectionError(unreadable(f"{listed.noun} ids", path, error)) from error


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
    return PHOTOS.id_of(text)


def _file_and_column(path: Path) -> tuple[Path, str | None]:
    """The file and the column of `FILE:COLUMN`; a file that has a colon in its name is that file."""
    file, colon, column = str(path).rpartition(":")
    if colon and file and column and not path.exists() and Path(file).exists():
        return Path(file), column
    return path, None


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _read_parquet(path: Path, listed: Listed, columns: Sequence[str]) -> PhotoIds:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pq.read_schema(path).names
    name = next((name for name in columns if name in names), None)
    if name is None:
        raise _no_column(path, listed, columns, names)
    column = read_columns(path, [name])[name]
    if pa.types.is_floating(column.type):
        column = _whole(path, listed, column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _of_texts(path, listed, "row", enumerate(column.to_pylist(), start=1))
    if not pa.types.is_integer(column.type) or column.null_count:
        raise SelectionError(f"{path}: {name} must be whole numbers without nulls, not {column.type}")
    return PhotoIds.of(column.combine_chunks())


def _whole(path: Path, listed: Listed, column: pa.ChunkedArray) -> pa.ChunkedArray:
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
        _refuse(path, listed, "row", bad)
    return pa.chunked_array([pa.array(map(int, values), pa.int64())])


def _of_texts(path: Path, listed: Listed, unit: str, texts: Iterable[tuple[int, str | None]]) -> PhotoIds:
    """What texts name; each has its number for errors."""
    ids: list[int] = []
    bad: list[tuple[int, str]] = []
    for number, text in texts:
        found = listed.id_of((text or "").strip())
        if found is None:
            bad.append((number, text or ""))
        else:
            ids.append(found)
    if bad:
        _refuse(path, listed, unit, bad)
    return PhotoIds.of(ids)


def _refuse(path: Path, listed: Listed, unit: str, bad: Sequence[tuple[int, str]]) -> NoReturn:
    shown = first_of([f"{unit} {number}: {text[:_SHOWN_LETTERS]!r}" for number, text in bad], _SHOWN, "; ")
    one = ("an " if listed.noun[0] in "aeiou" else "a ") if len(bad) == 1 else ""
    raise SelectionError(
        f"{path}, {shown}: not {one}{listed.noun} id{'' if len(bad) == 1 else 's'}",
        hint=f"Give one id a line, or {listed.named}, or CSV or Parquet with a "
        f"column {listed.columns_in_words}; another column is named as FILE:COLUMN. An id is a whole "
        "number with all its digits; a spreadsheet shows large ones as 1.23E+08 and loses the rest.",
    )


def _no_column(path: Path, listed: Listed, columns: Sequence[str], names: Sequence[str]) -> SelectionError:
    asked = columns[0] if len(columns) == 1 else listed.columns_in_words
    return SelectionError(
        f"{path} has no column {asked}",
        hint=f"It has {', '.join(names)[:_SHOWN_NAMES]}; name the right one as {path.name}:COLUMN.",
    )


def _read_text(path: Path, listed: Listed, columns: Sequence[str]) -> PhotoIds:
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=first.count)
        lines = csv.reader(file, delimiter=delimiter)
        column = 0
        asked = len(columns) == 1
        if asked:
            header = next(lines, [])
            if columns[0] not in header:
                raise _no_column(path, listed, columns, header)
            column = _place(header, columns[0])
        return _of_texts(path, listed, "line", _cells(lines, () if asked else columns, column, int(asked)))


def _place(header: Sequence[str], name: str) -> int:
    if header.count(name) > 1:
        raise ValueError(f"it has more than one column {name}")
    return header.index(name)


def _cells(
    lines: Iterable[list[str]], columns: Sequence[str], column: int, before: int
) -> Iterator[tuple[int, str]]:
    """The cell of each line that names something, with its number.

    Args:
        lines: the cells of each.
        columns: names that the first line may have as a header.
        column: to take where it has none.
        before: lines that were read already.
    """
    for number, cells in enumerate(lines, start=1 + before):
        found = [name for name in columns if name in cells] if number == 1 else []
        if found:
            column = _place(cells, found[0])
        elif any(cell.strip() for cell in cells):
            yield number, cells[column] if column < len(cells) else ""
