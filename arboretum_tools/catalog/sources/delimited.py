"""Delimited text as Arrow batches, streamed, every value a text."""

from __future__ import annotations

import bisect
import contextlib
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from arboretum_tools.catalog.building.losses import Losses
from arboretum_tools.catalog.sources.containers import FETCH_AGAIN, Member, damaged, whole
from arboretum_tools.errors import CatalogError
from arboretum_tools.tabular.arrays import from_numpy
from arboretum_tools.wording import counted

_BLOCK_BYTES = 4 * 2**20

# Characters of a row that an error names.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text is written.

    Attributes:
        delimiter: between the fields.
        quoted: whether a field may stand in double quotes; where not, quotes are letters like any other.
    """

    delimiter: str
    quoted: bool


TAB = Dialect("\t", quoted=False)
COMMA = Dialect(",", quoted=True)
#: Name of the column that has the line of a row in its text, counted as in `Loss`.
LINE = "line_of_text"

#: What spreadsheets write where the comma is the decimal point.
SEMICOLON = Dialect(";", quoted=True)


@dataclass(frozen=True, slots=True)
class Text:
    """A delimited text.

    Attributes:
        member: where it lies.
        dialect: how it is written.
        names: its columns, in order, each name once.
        skipped: lines before the first row.
        constants: values of columns that the text lacks, the same for all rows.
        encoding: of its letters.
    """

    member: Member
    dialect: Dialect
    names: tuple[str, ...]
    skipped: int = 1
    constants: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"


def with_header(member: Member, dialect: Dialect) -> Text:
    """A text whose first line names its columns.

    Raises:
        CatalogError: there is none.
    """
    return Text(member, dialect, tuple(distinct(header(member, dialect))))


def header(member: Member, dialect: Dialect) -> list[str]:
    """The fields of the first line.

    Raises:
        CatalogError: there is none.
    """
    line = first_line(member)
    if not line:
        raise CatalogError(f"{member.name} is empty", hint=FETCH_AGAIN)
    return fields(line, dialect)


def first_line(member: Member) -> str:
    """How a text begins, up to its first line break; empty where there is nothing."""
    with whole(member.name), member.open() as stream:
        line = stream.readline(1 << 20)
    return line.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r\n")


def fields(line: str, dialect: Dialect) -> list[str]:
    """The fields of one line, without blanks around them."""
    if not dialect.quoted:
        return line.split(dialect.delimiter)
    try:
        found = next(csv.reader([line], delimiter=dialect.delimiter), [])
    except csv.Error:  # no text at all, or one with a stray control character
        found = line.split(dialect.delimiter)
    return [name.strip() for name in found]


def distinct(names: Sequence[str]) -> Iterator[str]:
    """The names, of which a second one of the same spelling gets a number that nobody asks for."""
    seen: set[str] = set()
    for position, name in enumerate(names):
        yield f"{name}#{position}" if name in seen else name
        seen.add(name)


def batches(text: Text, columns: Sequence[str], losses: Losses | None = None) -> Iterator[pa.RecordBatch]:
    """Rows of the columns named, as text. An empty field is "", and so is a column that the file lacks.

    Args:
        text: is read once.
        columns: may name some that the text lacks.
        losses: takes rows of another number of fields, which are left out; None = such a row is an error.

    Raises:
        CatalogError: the stream is damaged or not in its encoding, or, without `losses`, a row has another
            number of fields (it is named); or none has the right one.
    """
    member, dialect = text.member, text.dialect
    present = [name for name in text.names if name in columns]
    refused: list[CatalogError] = []
    lines = _Lines(text.skipped + 1)

    def refuse(row: Any) -> str:
        what = f"{row.actual_columns} fields instead of {row.expected_columns}: {row.text[:_SHOWN]!r}"
        lines.malformed.append(row.number)
        if losses is not None:
            losses.add("malformed_row", member.label, line=row.number, detail=what)
            return "skip"
        # What a callback of pyarrow raises is lost; it is kept and raised below.
        refused.append(CatalogError(f"{member.name}, line {row.number}: {what}", hint=FETCH_AGAIN))
        return "error"

    with _reading(member, refused), member.open() as stream:
        reader = pc.open_csv(
            stream,
            read_options=pc.ReadOptions(
                block_size=_BLOCK_BYTES,
                use_threads=False,
                column_names=list(text.names),
                skip_rows=text.skipped,
                encoding=text.encoding,
            ),
            parse_options=pc.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char='"' if dialect.quoted else False,
                double_quote=dialect.quoted,
                newlines_in_values=dialect.quoted,
                invalid_row_handler=refuse,
            ),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(present, pa.string()),
                include_columns=present,
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
        for batch in reader:
            numbers = lines.of_next(batch.num_rows, numbered=LINE in columns)
            arrays = [
                batch.column(name)
                if name in present
                else numbers.cast(pa.string())
                if name == LINE
                else pa.repeat(pa.scalar(text.constants.get(name, ""), pa.string()), batch.num_rows)
                for name in columns
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
    if lines.malformed and not lines.rows:
        raise CatalogError(
            f"{member.name}: none of its {counted(len(lines.malformed), 'row')} has the "
            f"{counted(len(text.names), 'field')} of its header",
            hint=FETCH_AGAIN,
        )


class _Lines:
    """Which lines of a text the rows of its batches are."""

    def __init__(self, first: int) -> None:
        self._next = first
        self.rows = 0
        #: Lines of rows that are in no batch, ascending; told before the batch in which they would stand.
        self.malformed: list[int] = []

    def of_next(self, count: int, *, numbered: bool) -> pa.Array:
        """The lines of the next `count` rows, int64; none unless rows are numbered."""
        self.rows += count
        if not numbered:
            return pa.array([], pa.int64())
        bad = self.malformed[bisect.bisect_left(self.malformed, self._next) :]
        end = self._next + count
        for line in bad:
            end += line < end
        numbers = np.setdiff1d(np.arange(self._next, end), bad, assume_unique=True)
        self._next = end
        return from_numpy(numbers)


@contextlib.contextmanager
def _reading(member: Member, refused: Sequence[CatalogError]) -> Iterator[None]:
    try:
        with whole(member.name):
            yield
    except pa.ArrowInvalid as error:
        if "Could not skip" in str(error):
            return  # a header that no line break follows
        raise (refused[0] if refused else damaged(member.name, error)) from error
