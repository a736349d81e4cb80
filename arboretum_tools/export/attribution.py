"""Who took each photo, and under which licence: `ATTRIBUTION.parquet`, and a page to read or to publish.

Most photos of iNaturalist carry a licence that asks for the name of their author. The credit lines are those
that iNaturalist itself shows (`arboretum_tools.credit`).
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import ATTRIBUTION
from arboretum_metadata.vocab import LICENSES
from arboretum_tools.credit import credit_line
from arboretum_tools.export.base import Source
from arboretum_tools.export.licenses import NOT_KNOWN, least_open, licenses
from arboretum_tools.tables import arrow_schema, write_table

#: The files that every export carries.
TABLE, PAGE = "ATTRIBUTION.parquet", "ATTRIBUTION.html"

_PHOTO_PAGE = "https://www.inaturalist.org/photos/"
_BATCH = 5_000

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em 1em .2em 0;text-align:left}"
    "dt{margin-top:1em;font-weight:600}dd{margin:0;overflow-wrap:anywhere}"
)


def write_attribution(folder: Path, source: Source) -> Mapping[str, int]:
    """Writes the table and the page; returns photos by licence, most open first, then `not known`."""
    counted = licenses(source)
    write_table(folder / TABLE, _batches(source), ATTRIBUTION, {"split_sha256": source.split.sha256})
    with (folder / PAGE).open("w", encoding="utf-8") as page:
        page.writelines(_page(source, counted))
    return counted


def _batches(source: Source) -> Iterator[pa.RecordBatch]:
    schema = arrow_schema(ATTRIBUTION)
    for part, samples in source.parts.items():
        for batch in samples.rows.to_batches(max_chunksize=_BATCH):
            names, known = batch["observer_name"].to_pylist(), batch["license"].to_pylist()
            ids = batch["photo_id"]
            columns = {
                "part": pa.array([part] * batch.num_rows),
                "photo_id": ids,
                "label": batch["label"],
                "observer_name": batch["observer_name"],
                "license": batch["license"],
                "credit": pa.array(
                    [credit_line(*row) for row in zip(names, known, strict=True)], pa.string()
                ),
                "page": pc.binary_join_element_wise(_PHOTO_PAGE, ids.cast(pa.string()), ""),
            }
            yield pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)


def _page(source: Source, counted: Mapping[str, int]) -> Iterator[str]:
    title = html.escape(source.split.name)
    yield (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Credits of {title}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>Credits of {title}</h1>\n"
        "<p>Photos from iNaturalist by way of Arboretum, with the credit lines of iNaturalist. A number is "
        "the photo's id and leads to its page.</p>\n<table>\n<tr><th>licence<th>photos\n"
    )
    for name, count in counted.items():
        about = LICENSES.get(name)
        said = f'<a href="{html.escape(about.url)}">{html.escape(name)}</a>' if about else name
        yield f"<tr><td>{said}<td>{count:,}\n"
    yield "</table>\n"
    strictest = least_open(counted)
    if strictest:
        yield f"<p>The most restrictive licence among them is <strong>{strictest}</strong>.</p>\n"
    if NOT_KNOWN in counted:
        yield "<p>Photos whose licence is not known may not be passed on; they are listed last.</p>\n"
    yield "<dl>\n"
    for credit, ids in _by_credit(source):
        links = " ".join(f'<a href="{_PHOTO_PAGE}{photo_id}">{photo_id}</a>' for photo_id in ids)
        yield f"<dt>{html.escape(credit or 'licence not known')}\n<dd>{links}\n"
    yield "</dl>\n"


def _by_credit(source: Source) -> Iterator[tuple[str | None, list[int]]]:
    """Photo ids by credit line: lines in order of their text, those without one last; ids ascending."""
    ids: dict[tuple[str | None, str | None], list[int]] = {}
    for samples in source.parts.values():
        rows = samples.rows.select(["observer_name", "license", "photo_id"])
        for batch in rows.to_batches(max_chunksize=_BATCH):
            for *who, photo_id in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                ids.setdefault((who[0], who[1]), []).append(photo_id)
    lines: dict[str | None, list[int]] = {}
    for (observer, license_name), found in ids.items():
        lines.setdefault(credit_line(observer, license_name), []).extend(found)
    for credit in sorted(lines, key=lambda line: (line is None, line or "")):
        yield credit, sorted(lines[credit])
