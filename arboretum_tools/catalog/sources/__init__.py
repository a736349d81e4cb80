"""Where metadata come from: each source becomes Parquet files with the columns of the raw layout.

A source stands alone, or brings columns to photos that another one lists; all are joined by photo_id. What is
named several times is one source. One file per format; `source` says what a format is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arboretum_tools.catalog.building.losses import REASONS, Loss, Losses
from arboretum_tools.catalog.layouts.built_files import INACTIVE
from arboretum_tools.catalog.layouts.files import RawFiles, find_many, holds_parquet
from arboretum_tools.catalog.sources import api_json, darwin_core, export_csv, open_data, published
from arboretum_tools.catalog.sources.containers import first_bytes
from arboretum_tools.catalog.sources.source import Format, Reading
from arboretum_tools.errors import CatalogError, UsageError
from arboretum_tools.system.regular_files import regular
from arboretum_tools.tabular.query import Connection, literal, parquet_source
from arboretum_tools.wording import one_line

#: In the order in which they are asked: the first that was named lists the photos, the others add to them.
FORMATS: dict[str, Format] = {
    form.NAME: form for form in (published, export_csv, api_json, open_data, darwin_core)
}

# In the order in which a path is looked at; what nothing else recognises is published metadata.
_LOOKED_FOR: tuple[Format, ...] = (darwin_core, open_data, export_csv, api_json, published)


@dataclass(frozen=True, slots=True)
class Source:
    """A source, ready to be read.

    Attributes:
        kind: its name, a key of FORMATS.
        files: Parquet with columns of the raw layout.
        note: what the reader of a build should know of it, or "".
        inactive: its inactive taxa, where it tells of any.
        losses: rows that it left out.
    """

    kind: str
    files: RawFiles
    note: str = ""
    inactive: Path | None = None
    losses: tuple[Loss, ...] = ()


def recognise(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Sorts what the user named by format, in the order of FORMATS, each sorted by path.

    Raises:
        CatalogError: something is not there, or a damaged archive.
        UsageError: nothing was named.
    """
    if not paths:
        raise UsageError("no source was named")
    found: dict[str, dict[Path, None]] = {kind: {} for kind in FORMATS}
    # Sorted, so that the content never depends on the order in which sources were named.
    for path in sorted(paths):
        if not path.exists():
            raise CatalogError(f"the source {path} is not there", path=path)
        try:
            regular(path)
        except OSError as error:
            raise CatalogError(f"the source {path} cannot be read: {one_line(error)}", path=path) from error
        for kind, own in _looked_at(path):
            found[kind][own] = None
    return {kind: list(members) for kind, members in found.items() if members}


def _looked_at(path: Path) -> list[tuple[str, Path]]:
    """What a path is. A folder that is no source itself, and without Parquet, is what its files are."""
    kind = _kind(path)
    if kind != published.NAME or not path.is_dir() or holds_parquet(path):
        return [(kind, path)]
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    every = [(_kind(file), file) for file in files]
    if all(kind == published.NAME for kind, _ in every):
        return [(kind, path)]
    # A note beside exports is no source; a table that nothing recognises is told by who reads it.
    return [(kind, file) for kind, file in every if kind != published.NAME or published.is_table(file)]


def _kind(path: Path) -> str:
    if path.is_file() and first_bytes(path, 4) == b"PAR1":
        return published.NAME
    return next(form.NAME for form in _LOOKED_FOR if form.recognises(path))


def read(
    kind: str,
    paths: Sequence[Path],
    spool: Path,
    connection: Connection,
    base: Source | None,
    *,
    uuids: bool = False,
) -> Source:
    """Makes a source ready: what is not Parquet is written as such into `spool`, streamed.

    Args:
        kind: a key of FORMATS.
        paths: what was named of it.
        spool: an empty folder of our own.
        connection: for joins within the source; they spill where they must.
        base: the source that lists the photos; None where this is it. Others are dropped while reading.
        uuids: whether the observations' full UUIDs are wanted.

    Raises:
        CatalogError: a file is damaged or lacks columns; file and row are named.
    """
    losses = Losses()
    files: list[Path] = []
    origins: dict[Path, tuple[str, bool]] = {}
    notes, told = [], []
    for number, path in enumerate(paths):
        folder = spool / f"{number:05d}"
        folder.mkdir()
        listed = base.files if base else None
        rows = FORMATS[kind].read(path, Reading(connection, folder, listed, uuids, losses))
        files += rows.files
        origins |= rows.origins
        if rows.note:
            notes.append(rows.note if len(paths) == 1 else f"{path}: {rows.note}")
        if rows.inactive:
            told.append(rows.inactive)
    inactive = told[0] if told else None
    if len(told) > 1:
        inactive = spool / INACTIVE
        every = f"SELECT DISTINCT ON (taxon_id) * FROM {parquet_source(told)} ORDER BY ALL"
        connection.execute(f"COPY ({every}) TO {literal(str(inactive))} (FORMAT parquet)")
    found = f"SELECT 1 FROM {parquet_source(files)} LIMIT 1"
    if losses and not connection.execute(found).fetchall():
        lost = "; ".join(
            f"{loss.rows:,} {REASONS[loss.reason]}, {loss.detail or loss.file}" for loss in losses
        )
        raise CatalogError(
            f"no photo of iNaturalist is in {', '.join(map(str, paths))}: {lost[:500]}",
            hint="Nothing was changed.",
        )
    try:
        described = replace(find_many(files), origins=origins)
    except CatalogError as error:
        # A text that became Parquet is told as what it was.
        origin = next((text for spooled, (text, _) in origins.items() if spooled == error.path), None)
        if origin is None:
            raise
        message = error.message.replace(str(error.path), origin)
        raise CatalogError(message, path=Path(origin), hint=error.hint) from error
    return Source(kind, described, "; ".join(notes), inactive, tuple(losses))
