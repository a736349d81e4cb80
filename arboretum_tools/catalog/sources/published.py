"""The published Arboretum / BioTrove metadata: Parquet under either spelling, or CSV with its columns."""

from __future__ import annotations

import os
from pathlib import Path

from arboretum_metadata.schema import CATALOG
from arboretum_tools.catalog.layouts.files import holds_parquet, refuse_pointer
from arboretum_tools.catalog.sources.containers import Member, file_member, first_bytes
from arboretum_tools.catalog.sources.convert import spool
from arboretum_tools.catalog.sources.delimited import COMMA, with_header
from arboretum_tools.catalog.sources.source import Reading, Rows
from arboretum_tools.errors import CatalogError
from arboretum_tools.tabular.query import whole_sql

NAME = "published metadata"

_CSV = (".csv", ".csv.gz")

_TYPED = {
    "int64": whole_sql("@{0}"),
    "int32": "TRY_CAST(@{0} AS INTEGER)",
    "float64": "TRY_CAST(@{0} AS DOUBLE)",
}


def recognises(path: Path) -> bool:
    """Always: what no other format recognises is published metadata, or is refused while it is read."""
    return path.exists()


def read(path: Path, reading: Reading) -> Rows:
    """A Parquet file, or the Parquet and CSV files of a folder and of those below it.

    Raises:
        CatalogError: a file is damaged or lacks columns.
    """
    csv = _csv_files(path)
    origins = {}
    for number, file in enumerate(csv):
        target = reading.spool / f"csv-{number:05d}.parquet"
        origins[target] = (str(file), _to_parquet(reading, file_member(file), target))
    parquet = [path] if path not in csv and (not csv or holds_parquet(path)) else []
    return Rows([*origins, *parquet], origins)


def is_table(path: Path) -> bool:
    """Whether a file is CSV by its name."""
    return path.name.endswith(_CSV)


def _csv_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if is_table(path) and first_bytes(path, 4) != b"PAR1" else []
    found = [
        Path(folder, name)
        for folder, _, names in os.walk(path)
        for name in names
        if name.endswith(_CSV) and not name.startswith("._")
    ]
    return sorted(found)


def _to_parquet(reading: Reading, member: Member, target: Path) -> bool:
    """Writes a CSV file as Parquet; gives whether each of its rows is there."""
    refuse_pointer(Path(member.name))
    text = with_header(member, COMMA)
    found = text.names
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
            f"{member.name} has no column photo_id, so it is not a catalogue: "
            f"it begins {', '.join(found)[:80]!r}",
            hint="A catalogue has the columns of the published metadata; the data dictionary lists them.",
        )
    if "observation_id" in columns:
        columns["observation_id"] = "@observation_id"  # may be UUIDs, which the reader of rows knows
    # In the order of the text, so that an error can name a row.
    connection = reading.connection
    connection.execute("SET preserve_insertion_order = true")
    before = len(reading.losses)
    try:
        spool(connection, text, columns, target, reading.losses)
    finally:
        connection.execute("SET preserve_insertion_order = false")
    return len(reading.losses) == before
