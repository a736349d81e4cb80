"""The catalogue of the images of a tree: what the names of its folders say."""

from __future__ import annotations

import filecmp
import re
import shutil
from pathlib import Path

import pyarrow as pa

from arboretum_metadata.schema import IMPORTED_PHOTOS
from arboretum_tools.errors import BadInputError, TargetExistsError
from arboretum_tools.store import inventory
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.system.atomic_files import check_output, whole_file
from arboretum_tools.tabular import query
from arboretum_tools.tabular.tables import write_table
from arboretum_tools.wording import first_of

# As exports number their folders.
_NUMBER = re.compile(r"[0-9]+_")

_GENUS = re.compile(r"[A-Z][^\W\d_A-Z]+")
_EPITHET = re.compile(r"[^\W\d_A-Z]+(-[^\W\d_A-Z]+)*")

_COLUMNS = ("label", "scientific_name", "kingdom", "genus", "species")

# Folders that an error names.
_NAMED = 3


def taxa(labels: list[str], kind: str) -> pa.Table:
    """What the names of folders say, one row each.

    Args:
        labels: names of folders.
        kind: `species` or `labels`.

    Raises:
        BadInputError: a folder has not the name of a species.
    """
    rows: list[tuple[str | None, ...]]
    if kind == "labels":
        rows = [(label, None, "label", label, None) for label in labels]
    else:
        words = {label: _NUMBER.sub("", label, count=1).replace("_", " ").split() for label in labels}
        if wrong := [label for label in labels if not _is_species(words[label])]:
            raise BadInputError(
                "folders that are not named after a species, such as 'Vulpes vulpes': "
                f"{first_of([repr(one) for one in wrong], _NAMED)}; nothing was imported",
                hint="Take the names of the folders as they are with --names labels.",
            )
        rows = [
            (label, " ".join(words[label]), "unknown", words[label][0], words[label][1]) for label in labels
        ]
    return pa.table(
        {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(_COLUMNS)}
    )


def _is_species(words: list[str]) -> bool:
    """Whether words are genus and epithet, and perhaps that of a subspecies."""
    if len(words) not in (2, 3):
        return False
    return bool(_GENUS.fullmatch(words[0])) and all(_EPITHET.fullmatch(word) for word in words[1:])


def write(
    path: Path, store: ImageStore, connection: query.Connection, folder: Path, *, overwrite: bool
) -> int:
    """Writes the catalogue of the files of `listing` that the store holds, and returns how many these are.

    Args:
        path: the file; left as it is where it says the same already.
        store: holds the images.
        connection: has the tables `listing` and `taxa`.
        folder: for a file of our own.
        overwrite: whether a file that says something else may be replaced.

    Raises:
        TargetExistsError: it may not.
    """
    known = {
        "photo_url": "listing.url",
        "ext": "split_part(held.member, '.', 2)",
        "width": "held.width",
        "height": "held.height",
        "photo_id": "listing.photo_id",
        **{name: f"taxa.{name}" for name in ("scientific_name", "kingdom", "genus", "species")},
    }
    columns = ", ".join(
        f"{known.get(name, 'NULL::VARCHAR')} AS {query.identifier(name)}" for name in IMPORTED_PHOTOS.names
    )
    rows = query.arrow_batches(
        connection,
        f"SELECT {columns} FROM listing JOIN taxa USING (label) "
        f"JOIN {inventory.index_source(store.index_files())} AS held USING (photo_id) "
        "WHERE held.status = 'ok' ORDER BY listing.photo_id",
    )
    made = folder / "catalogue.parquet"
    photos = write_table(made, rows, IMPORTED_PHOTOS, {})
    if not (path.is_file() and filecmp.cmp(path, made, shallow=False)):
        if path.exists() and not overwrite:
            raise TargetExistsError(
                f"{path} is there already and says something else: the images are imported, and the "
                "catalogue was not written",
                hint="Run the same command again with --overwrite, or with another --out.",
            )
        check_output(path, overwrite=overwrite)
        with whole_file(path) as temporary:
            shutil.copyfile(made, temporary)
    return photos
