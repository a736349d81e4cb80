"""iNaturalist's export of observations, `observations-123.csv` (https://www.inaturalist.org/observations/export).

Whoever exports chooses the columns; all that is needed is the address of the photo, of which an export has
the first of each observation only. Its `license` is that of the observation and not of the photo, so the
photo's stays unknown. Spreadsheets leave their marks: a byte order mark, semicolons, ids as `12345.0` or,
with digits lost, as `1.23457E+08`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from arboretum_tools.catalog.sources import observations
from arboretum_tools.catalog.sources.containers import Member, texts
from arboretum_tools.catalog.sources.delimited import (
    COMMA,
    SEMICOLON,
    TAB,
    Text,
    batches,
    distinct,
    fields,
    first_line,
)
from arboretum_tools.catalog.sources.source import Reading, Rows

NAME = "iNaturalist export"

_LICENSE = (
    "its licences are those of observations; those of the photos stay unknown unless iNaturalist Open Data "
    "is joined"
)


def recognises(path: Path) -> bool:
    """Whether a text, or each of a zip archive, has a column with the address of a photo and no photo_id."""
    found = texts(path)
    return bool(found) and all(_is_export(_text(member).names) for member in found)


def read(path: Path, reading: Reading) -> Rows:
    """The photos of one export, plain, as gzip or zip.

    Raises:
        CatalogError: a text is damaged.
    """
    found = [_text(member) for member in texts(path)]

    def every() -> Iterator[tuple[str, Iterator[pa.RecordBatch]]]:
        for text in found:
            yield text.member.label, batches(text, observations.ASKED, reading.losses)

    photos = observations.read(path, every(), reading)
    licensed = any("license" in text.names for text in found)
    return Rows(photos.files, photos.origins, _LICENSE if licensed else "")


def _text(member: Member) -> Text:
    """A text by its header: the separator that it has most of, its names in lower case with underscores."""
    line = first_line(member)
    dialect = max((COMMA, SEMICOLON, TAB), key=lambda each: line.count(each.delimiter))
    quoted = type(dialect)(dialect.delimiter, quoted=True)
    names = [re.sub(r"\W+", "_", name.strip().lower()) for name in fields(line, quoted)]
    return Text(member, quoted, tuple(distinct(names)))


def _is_export(names: tuple[str, ...]) -> bool:
    return "photo_id" not in names and any(name in names for name in observations.ADDRESSES)
