"""The published Arboretum / BioTrove metadata: Parquet under either spelling, or CSV with its columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from arboretum_metadata.schema import CATALOG
from arboretum_tools.catalog.files import RawFiles, find_many, refuse_pointer
from arboretum_tools.catalog.sources.convert import spool as write_spool
from arboretum_tools.catalog.sources.delimited import COMMA, Member, file_member, header
from arboretum_tools.errors import CatalogError
from arboretum_tools.query import Connection, whole_sql

NAME = "published metadata"

_CSV = (".csv", ".csv.gz")

_TYPED = {
    "int64": whole_sql("@{0}"),
    "int32": "TRY_CAST(@{0} AS INTEGER)",
    "float64": "TRY_CAST(@{0} AS DOUBLE)",
}


def read(paths: Sequence[Path], spool: Path, connection: Connection) -> RawFiles:
    """The Parquet files of some paths; CSV files are written as Parquet into `spool` first.

    Raises:
        CatalogError: a file is damaged or lacks columns.
    """
    parquet: list[Path] = []
    origins: dict[Path, tuple[str, bool]] = {}
    for path in paths:
        csv = _csv_files(path)
        for file in csv:
            target = spool / f"csv-{len(list(spool.iterdir())):05d}.parquet"
            _to_parquet(connection, file_member(file), target)
            parquet.append(target)
            origins[target] = (str(file), True)
        if path.is_dir() or not csv:
            parquet.append(path)
    return replace(find_many(parquet, allow_empty=bool(origins)), origins=origins)


def _csv_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.name.endswith(_CSV) else []
    found = [
        Path(folder, name)
        for folder, _, names in os.walk(path)
        for name in names
        if name.endswith(_CSV) and not name.startswith("._")
    ]
    return sorted(found)


def _to_parquet(connection: Connection, member: Member, target: Path) -> None:
    refuse_pointer(Path(member.name))
    found = header(member, COMMA)
    if "gbifID" in found[0].split("\t"):
        raise CatalogError(
            f"{member.name} is GBIF's simple download, which has no photos",
            hint="Ask GBIF for the same records as Darwin Core Archive: its multimedia.txt lists the photos. "
            "Nothing was changed.",
        )
    columns = {
        spelling: _TYPED.get(column.type, "@{0}").format(spelling)
        for column in CATALOG.columns
        for spelling in (column.name, *column.also)
        if spelling in found
    }
    if "photo_id" not in columns:
        raise CatalogError(
            f"{member.name} has no column photo_id, so it is no catalogue: "
            f"it begins {', '.join(found)[:80]!r}",
            hint="A catalogue has the columns of the published metadata; the data dictionary lists them.",
        )
    if "observation_id" in columns:
        columns["observation_id"] = "@observation_id"  # may be UUIDs, which the reader of rows knows
    # In the order of the text, so that an error can name a row.
    connection.execute("SET preserve_insertion_order = true")
    try:
        write_spool(connection, member, columns, COMMA, target)
    finally:
        connection.execute("SET preserve_insertion_order = false")
