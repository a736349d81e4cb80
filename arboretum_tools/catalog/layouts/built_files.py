"""The built layout on disk: which files it is, and whether they belong together.

    catalog.json             what it was made from, counts, defects, fingerprint, coverage of each column
    taxa.parquet             one row per taxon, in the order of `tax`
    classes.parquet          one row per species class
    counts.parquet           photos by taxon, grade, licence, life stage, IUCN category
    inactive_names.parquet   names that iNaturalist no longer uses; only where a source told of any
    rejected.parquet         rows of the sources that were left out, with the reason; only where there are any
    shared_photos.parquet    photos that have several observations; only where there are any
    photos/part-00000.parquet, ...   one row per photo, sorted by (tax, photo_id) within and over the parts

`tax` numbers the rows of one taxa table and no other; every Parquet file carries the hash of that table
under `taxonomy` in its metadata, and files of two builds are refused together.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.errors import CatalogError
from arboretum_tools.system.atomic_files import canonical_json, read_json
from arboretum_tools.tabular.tables import METADATA_KEY
from arboretum_tools.wording import one_line

FORMAT_VERSION = 1

CATALOG_JSON = "catalog.json"
TAXA = "taxa.parquet"
CLASSES = "classes.parquet"
COUNTS = "counts.parquet"
INACTIVE = "inactive_names.parquet"
REJECTED = "rejected.parquet"
SHARED = "shared_photos.parquet"
PHOTOS = "photos"

#: Files that a built catalogue may have or not.
EXTRAS = (INACTIVE, REJECTED, SHARED)

_AGAIN = "Build it again with `arboretum catalog build`. Nothing was changed."


@dataclass(frozen=True, slots=True)
class BuiltFiles:
    """The files of a built catalogue.

    Attributes:
        root: the folder.
        parts: the files of photos, in the order of their rows.
        meta: catalog.json.
        part_taxa: the least and the greatest `tax` of each part; empty where the build did not say.
    """

    root: Path
    parts: tuple[Path, ...]
    meta: Mapping[str, Any]
    part_taxa: tuple[tuple[int, int], ...] = ()

    def has(self, column: str) -> bool:
        """Whether the catalogue has the column."""
        return column in self.meta["columns"]

    def holding(self, taxa: Iterable[tuple[int, int]]) -> tuple[Path, ...]:
        """The parts from the first to the last one that can hold photos of some ranges of taxa.

        All parts where that is not known, or where none can.
        """
        asked = list(taxa)
        held = [
            position
            for position, (first, last) in enumerate(self.part_taxa)
            if any(first <= most and least <= last for least, most in asked)
        ]
        return self.parts[held[0] : held[-1] + 1] if held else self.parts

    @property
    def extras(self) -> tuple[Path, ...]:
        """Those of EXTRAS that are there."""
        return tuple(self.root / name for name in EXTRAS if (self.root / name).is_file())

    @property
    def taxonomy(self) -> str:
        """Hash of the taxa table, as every file carries it."""
        return str(self.meta["taxonomy"])


def is_built(root: Path) -> bool:
    """Whether a folder is a built catalogue (or claims to be one)."""
    return (root / CATALOG_JSON).is_file()


# What five digits count.
_MOST_PARTS = 100_000


def part_name(number: int) -> str:
    """File name of a part of the photos."""
    return f"part-{number:05d}.parquet"


def find_built(root: Path) -> BuiltFiles:
    """Lists and checks the files of a built catalogue; only footers are read.

    Raises:
        CatalogError: a file is missing, not whole, of another build, or of a newer format.
    """
    path = root / CATALOG_JSON
    try:
        meta = read_json(path)
        version, parts = int(meta["format_version"]), int(meta["parts"])
        ranges = [(int(first), int(last)) for first, last in meta.get("part_taxa", ())]
        _ = str(meta["taxonomy"]), str(meta["fingerprint"]), dict(meta["defects"]), list(meta["columns"])
    except (OSError, ValueError, OverflowError, KeyError, TypeError) as error:
        raise CatalogError(f"{path} cannot be read: {one_line(error)}", path=path, hint=_AGAIN) from error
    if version > FORMAT_VERSION:
        raise CatalogError(
            f"{root} was built by a newer toolkit: format {version}, this one reads {FORMAT_VERSION}",
            path=root,
            hint="Upgrade arboretum-tools, or build the catalogue again with this version.",
        )
    if not 0 <= parts <= _MOST_PARTS:
        raise CatalogError(f"{path} says that there are {parts} parts", path=path, hint=_AGAIN)
    if ranges and len(ranges) != parts:
        raise CatalogError(
            f"{path} says of {len(ranges)} of its {parts} parts which taxa they hold", path=path, hint=_AGAIN
        )
    files = BuiltFiles(root, tuple(root / PHOTOS / part_name(n) for n in range(parts)), meta, tuple(ranges))
    for file in (root / TAXA, root / CLASSES, root / COUNTS, *files.extras, *files.parts):
        if not _names_taxonomy(file, files.taxonomy):
            _check_taxonomy(file, files.taxonomy)
    return files


def foreign_files(root: Path) -> list[Path]:
    """Files below a built catalogue that no build wrote."""
    ours = {root / name for name in (CATALOG_JSON, TAXA, CLASSES, COUNTS, *EXTRAS)}
    return sorted(
        path
        for path in root.rglob("*")
        if not path.is_dir()
        and path not in ours
        and not (path.parent == root / PHOTOS and path.match("part-[0-9][0-9][0-9][0-9][0-9].parquet"))
    )


def _names_taxonomy(file: Path, taxonomy: str) -> bool:
    """Whether the bytes of a Parquet footer say so; parsing those of 70 parts takes 0.1 s and 30 MB."""
    text = canonical_json({"taxonomy": taxonomy}).strip("{}").encode()
    with contextlib.suppress(OSError), file.open("rb") as stream:
        # A file ends with its footer, four bytes that say how long that is, and the letters PAR1.
        size = stream.seek(-8, os.SEEK_END) + 8
        length, magic = struct.unpack("<I4s", stream.read(8))
        if magic == b"PAR1" and length + 8 <= size:
            stream.seek(-8 - length, os.SEEK_END)
            return text in stream.read(length)
    return False


def _check_taxonomy(file: Path, taxonomy: str) -> None:
    # Loaded here, as a catalogue that is whole is opened without it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        payload = (pq.read_schema(file).metadata or {}).get(METADATA_KEY)
        found = str(json.loads(payload)["taxonomy"]) if payload else None
    except (pa.ArrowInvalid, OSError) as error:
        raise CatalogError(
            f"{file} is not a whole Parquet file: {one_line(error)}", path=file, hint=_AGAIN
        ) from error
    except (KeyError, ValueError):
        found = None
    if found != taxonomy:
        raise CatalogError(
            f"{file} belongs to another build: taxonomy {found or 'not stated'}, {CATALOG_JSON} says "
            f"{taxonomy}",
            path=file,
            hint=_AGAIN,
        )
