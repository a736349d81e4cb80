"""Where metadata come from: each source becomes Parquet files with the columns of the raw layout.

A source stands alone, or brings columns to photos that another one lists; all are joined by photo_id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arboretum_tools.catalog.built_files import INACTIVE
from arboretum_tools.catalog.files import RawFiles, find_files
from arboretum_tools.catalog.sources import gbif, open_data, published
from arboretum_tools.errors import CatalogError, UsageError
from arboretum_tools.query import Connection, literal, parquet_source

#: Kinds of sources in the order in which they are asked: the first lists the photos, the others add to them.
KINDS = (published.NAME, open_data.NAME, gbif.NAME)


@dataclass(frozen=True, slots=True)
class Source:
    """A source, ready to be read.

    Attributes:
        kind: one of KINDS.
        files: Parquet with columns of the raw layout.
        note: what the reader of a build should know of it, or "".
        inactive: its inactive taxa, where it tells of any.
    """

    kind: str
    files: RawFiles
    note: str = ""
    inactive: Path | None = None


def recognise(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Sorts what the user named by kind, in the order of KINDS.

    Raises:
        CatalogError: something is not there, or is of no kind that is known.
        UsageError: nothing was named.
    """
    if not paths:
        raise UsageError("no source was named")
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in paths:
        if not path.exists():
            raise CatalogError(f"the source {path} is not there", path=path)
        found[_kind(path)].append(path)
    if len(dumps := found[open_data.NAME]) > 1:
        named = ", ".join(map(str, dumps))
        raise UsageError(f"{open_data.NAME} was named {len(dumps)} times: {named}")
    return {kind: members for kind, members in found.items() if members}


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
        kind: one of KINDS.
        paths: what was named of it.
        spool: an empty folder of our own.
        connection: for joins within the source; they spill where they must.
        base: the source that lists the photos; None where this is it. Others are dropped while reading.
        uuids: whether the observations' full UUIDs are wanted.

    Raises:
        CatalogError: a file is damaged or lacks columns; file and row are named.
    """
    if kind == published.NAME:
        return Source(kind, published.read(paths, spool, connection))
    listed = base.files if base else None
    photos, told = spool / "photos.parquet", spool / INACTIVE
    if kind == open_data.NAME:
        note = open_data.read(paths[0], spool, connection, listed, uuids=uuids)
    else:
        note = _read_gbif(paths, spool, connection, listed)
    files = replace(find_files(photos), origins={photos: (", ".join(map(str, paths)), False)})
    return Source(kind, files, note, told if told.is_file() else None)


def _read_gbif(paths: Sequence[Path], spool: Path, connection: Connection, listed: RawFiles | None) -> str:
    """One or more archives of GBIF as one `photos.parquet`; their notes, joined."""
    if len(paths) == 1:
        return gbif.read(paths[0], spool, connection, listed)
    notes: list[str] = []
    written: list[Path] = []
    # In the order of their paths, so that the content never depends on the order in which they were named.
    for number, path in enumerate(sorted(paths)):
        folder = spool / f"archive-{number:05d}"
        folder.mkdir()
        note = gbif.read(path, folder, connection, listed)
        notes += [f"{path}: {note}"] if note else []
        written.append(folder / "photos.parquet")
    connection.execute(
        f"COPY (SELECT DISTINCT * FROM {parquet_source(written)}) "
        f"TO {literal(str(spool / 'photos.parquet'))} (FORMAT parquet)"
    )
    return "; ".join(notes)


def _kind(path: Path) -> str:
    if open_data.recognises(path):
        return open_data.NAME
    return gbif.NAME if gbif.recognises(path) else published.NAME
