"""The built layout as the relations that everything else asks; made of views, so that nothing is read yet.

`photos`, `classes` and `lineages` are what they are in the raw layout. `photos` has the column `tax` as
well, by which a clade is a range; `photos_alone` is the same without the names, which saves the join; and
`counts` answers what can be counted without a look at the photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arboretum_metadata.schema import CATALOG, SHARED_PHOTOS
from arboretum_tools.catalog.layouts.built_files import CLASSES, COUNTS, SHARED, TAXA, BuiltFiles
from arboretum_tools.catalog.layouts.raw import NAME_COLUMNS, PHOTO_COLUMNS, TYPES, Defects
from arboretum_tools.tabular.query import Connection, identifier, parquet_source, rows

#: Columns of a photo that its taxon has.
TAXON_COLUMNS = (*NAME_COLUMNS, "taxon_id")

#: Columns of `counts` by which a selection may choose.
COUNTED_COLUMNS = ("quality_grade", "license", "life_stage", "iucn")

# More ranges than this are asked by a join instead: each is a comparison for every row.
_MOST_RANGES = 32


def prepare(connection: Connection, files: BuiltFiles) -> Defects:
    """Makes the relations of `layout.Layout`, `taxa` and `counts`; gives the defects that the build found."""
    run = connection.execute
    for name, file in (("taxa", TAXA), ("classes", CLASSES), ("counts", COUNTS)):
        run(f"CREATE VIEW {name} AS FROM {parquet_source([files.root / file])}")
    run(
        f"CREATE VIEW lineages AS SELECT {', '.join(map(identifier, TAXON_COLUMNS))}, class_key, n, tax "
        "FROM taxa"
    )
    run(f"CREATE VIEW parts AS FROM {parquet_source(files.parts, alike=True, filename=True)}")
    view_photos(connection, files, files.parts)
    nothing = ", ".join(f"NULL::{TYPES[c.type]} AS {c.name}" for c in SHARED_PHOTOS.columns)
    shared = parquet_source([files.root / SHARED]) if (files.root / SHARED).is_file() else None
    run(f"CREATE VIEW shared_photos AS {f'FROM {shared}' if shared else f'SELECT {nothing} LIMIT 0'}")
    return Defects(**files.meta["defects"])


def view_photos(connection: Connection, files: BuiltFiles, parts: Sequence[Path], suffix: str = "") -> None:
    """Makes `photos_alone` and `photos`, with a suffix to their names, over some of the parts."""
    own = ", ".join(_photo_column(files, name) for name in PHOTO_COLUMNS if name not in TAXON_COLUMNS)
    connection.execute(
        f"CREATE VIEW photos_alone{suffix} AS SELECT {own}, tax FROM {parquet_source(parts, alike=True)}"
    )
    columns = ", ".join(
        f"{'taxa' if name in TAXON_COLUMNS else 'p'}.{identifier(name)}" for name in PHOTO_COLUMNS
    )
    connection.execute(
        f"CREATE VIEW photos{suffix} AS SELECT {columns}, taxa.class_key, taxa.hybrid, p.tax "
        f"FROM photos_alone{suffix} p JOIN taxa USING (tax)"
    )


def _photo_column(files: BuiltFiles, name: str) -> str:
    if name in ("photo_id", "ext", "url") or files.has(name):
        return identifier(name)
    return f"NULL::{TYPES[CATALOG[name].type]} AS {identifier(name)}"


def ranges(connection: Connection, condition: str, parameters: tuple[Any, ...]) -> list[tuple[int, int]]:
    """The numbers of the taxa that meet a condition on their names: first and last of each range, ascending.

    Those of a clade are one range, or a few where some of its taxa lack a rank above it.
    """
    found = rows(
        connection,
        "SELECT min(tax), max(tax) FROM (SELECT tax, tax - row_number() OVER (ORDER BY tax) AS island "
        f"FROM taxa WHERE {condition}) GROUP BY island ORDER BY 1",
        parameters,
    )
    return [(int(str(first)), int(str(last))) for first, last in found]


def ranges_sql(
    found: Sequence[tuple[int, int]], condition: str, parameters: tuple[Any, ...]
) -> tuple[str, tuple[Any, ...]]:
    """A condition on `tax` that stands for a condition on the names of a taxon; SQL and parameters."""
    if not found:
        return "false", ()
    if len(found) > _MOST_RANGES:
        return f"tax IN (SELECT tax FROM taxa WHERE {condition})", parameters
    sql = " OR ".join("tax BETWEEN ? AND ?" for _ in found)
    return sql, tuple(bound for bounds in found for bound in bounds)
