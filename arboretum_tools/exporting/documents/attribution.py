"""Who took each photo, and under which licence: `ATTRIBUTION.parquet`, and a page to read or to publish.

Most photos of iNaturalist carry a licence that asks for the name of their author. The credit lines are those
that iNaturalist itself shows (`arboretum_tools.photos.credit`).
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import ATTRIBUTION
from arboretum_metadata.vocab import LICENSES, PHOTO_PAGE
from arboretum_tools.exporting.base import Source
from arboretum_tools.exporting.documents.licenses import NOT_KNOWN, least_open, licenses
from arboretum_tools.exporting.photo_records import in_order
from arboretum_tools.photos.credit import credit_line
from arboretum_tools.tabular.tables import arrow_schema, write_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The files that every export carries.
TABLE, PAGE = "ATTRIBUTION.parquet", "ATTRIBUTION.html"

# Photos, or links to them, that are Python values at a time: bounds memory, shows in no output.
_ROWS = 1_000

# So many of those are a row group, of which a file should not have too many.
_BATCHES = 5

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em 1em .2em 0;text-align:left}"
    "dt{margin-top:1em;font-weight:600}dd{margin:0;overflow-wrap:anywhere}"
)


class _Credits:
    """Which photos have which credit line: four bytes per photo, and each line once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines: dict[str | None, int] = {}
        self._of_photo = np.empty(sum(map(len, source.parts.values())), np.int32)
        self._seen = 0

    def add(self, lines: Sequence[str | None]) -> None:
        """The lines of the next photos, part after part in their order."""
        known = self._lines
        end = self._seen + len(lines)
        self._of_photo[self._seen : end] = [known.setdefault(line, len(known)) for line in lines]
        self._seen = end

    def by_line(self) -> Iterator[tuple[str | None, NDArray[np.int64]]]:
        """Photo ids by line: lines in the order of their text, no line last; ids ascending."""
        each = [samples.photo_ids for samples in self._source.parts.values()]
        ids = each[0] if len(each) == 1 else np.concatenate(each)
        ordered = sorted(self._lines, key=lambda line: (line is None, line or ""))
        order = np.argsort(self._of_photo, kind="stable")
        ends = np.cumsum(np.bincount(self._of_photo, minlength=len(ordered))).tolist()
        for line in ordered:
            number = self._lines[line]
            start = ends[number - 1] if number else 0
            yield line, np.sort(ids[order[start : ends[number]]])


def write_attribution(folder: Path, source: Source) -> Mapping[str, int]:
    """Writes the table and the page; returns photos by licence, most open first, then `not known`."""
    counted = licenses(source)
    credited = _Credits(source)
    write_table(
        folder / TABLE, _batches(source, credited), ATTRIBUTION, {"split_sha256": source.split.sha256}
    )
    with (folder / PAGE).open("w", encoding="utf-8") as page:
        page.writelines(_page(source, counted, credited))
    return counted


def _batches(source: Source, credited: _Credits) -> Iterator[pa.RecordBatch]:
    schema = arrow_schema(ATTRIBUTION)
    held: list[pa.RecordBatch] = []
    for batch in _small_batches(source, credited, schema):
        held.append(batch)
        if len(held) == _BATCHES:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held.clear()
    yield from pa.Table.from_batches(held, schema).combine_chunks().to_batches()


def _small_batches(source: Source, credited: _Credits, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    has_pages = source.store.config.of_inaturalist
    for part, samples in source.parts.items():
        for rows, about in in_order(samples, source.details[part], _ROWS):
            ids = pa.array(samples.photo_ids[rows])
            lines = [credit_line(*row) for row in zip(about.observer_name, about.license, strict=True)]
            credited.add(lines)
            columns = {
                "part": pa.array([part] * len(ids)),
                "photo_id": ids,
                "label": pa.array(samples.labels[rows]),
                "observer_name": pa.array(about.observer_name, pa.string()),
                "license": pa.array(about.license, pa.string()),
                "credit": pa.array(lines, pa.string()),
                "page": pc.binary_join_element_wise(PHOTO_PAGE, ids.cast(pa.string()), "")
                if has_pages
                else pa.nulls(len(ids), pa.string()),
            }
            yield pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)


def _page(source: Source, counted: Mapping[str, int], credited: _Credits) -> Iterator[str]:
    title = html.escape(source.split.title)
    origin = source.origin
    # A photo that was drawn has no page.
    leads = " and leads to its page there" if origin.inaturalist and not origin.drawn else ""
    yield (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Attribution of {title}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>Attribution of {title}</h1>\n"
        f"<p>The photos are {html.escape(origin.words)}. Their credit lines are in the words of "
        f"iNaturalist. A number is the photo's id{leads}.</p>\n"
        "<table>\n<tr><th>licence<th>photos\n"
    )
    for name, count in counted.items():
        about = LICENSES.get(name)
        text = f'<a href="{html.escape(about.url)}">{html.escape(name)}</a>' if about else name
        yield f"<tr><td>{text}<td>{count:,}\n"
    yield "</table>\n"
    strictest = least_open(counted)
    if strictest:
        yield f"<p>The most restrictive licence among them is <strong>{strictest}</strong>.</p>\n"
    if NOT_KNOWN in counted:
        yield "<p>Photos whose licence is not known may not be passed on; they are listed last.</p>\n"
    yield "<dl>\n"
    link = f'<a href="{PHOTO_PAGE}{{0}}">{{0}}</a>' if origin.inaturalist else "{0}"
    for credit, ids in credited.by_line():
        yield f"<dt>{html.escape(credit or 'licence not known')}\n<dd>"
        for start in range(0, len(ids), _ROWS):
            between = " " if start else ""
            some = ids[start : start + _ROWS].tolist()
            yield between + " ".join(link.format(photo) for photo in some)
        yield "\n"
    yield "</dl>\n"
