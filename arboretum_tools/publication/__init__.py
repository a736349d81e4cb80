"""A split as a publication: a flat folder with its files, a datasheet, a citation and Croissant.

Repositories such as Zenodo take a folder without subfolders, and read nothing in it; so what it is stands in
files for people (`DATASHEET.md`), for citation managers (`CITATION.cff`) and for search engines
(`croissant.json`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_metadata.schema import CLASSES, PART
from arboretum_tools.display import notebook_views
from arboretum_tools.errors import ExportError
from arboretum_tools.options import takes
from arboretum_tools.options.publish import PublishOptions
from arboretum_tools.publication.citations import PAPERS, Author
from arboretum_tools.publication.composition import Composition
from arboretum_tools.publication.croissant import CROISSANT, document, records, table_file
from arboretum_tools.publication.datasheet import datasheet
from arboretum_tools.publication.origin import Origin
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.system.atomic_files import whole_folder, write_json
from arboretum_tools.wording import counted

__all__ = ["CITATION", "DATASHEET", "Publication", "publish_split"]

DATASHEET = "DATASHEET.md"
CITATION = "CITATION.cff"


@dataclass(frozen=True, slots=True)
class Publication:
    """A published split.

    Attributes:
        path: the folder.
        files: what lies in it, with lengths in bytes.
        split_sha256: of the split.
        doi: None where none was given.
    """

    path: Path
    files: dict[str, int]
    split_sha256: str | None
    doi: str | None

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return {
            "path": str(self.path),
            "files": self.files,
            "split_sha256": self.split_sha256,
            "doi": self.doi,
        }


@takes(PublishOptions)
def publish_split(split: Split | str | Path, options: PublishOptions) -> Publication:
    """Writes a split as a flat folder that can be published as it is.

    The folder is a split itself: `open_split`, `audit_split` and `make-split --from` take it.

    Args:
        split: a split, or the folder of one.
        options: {options}

    Raises:
        SplitError: the split cannot be read.
        ExportError: `to` lies inside the split.
        TargetExistsError: `to` holds something.
        NotWritableError: `to` cannot be made.
        OutOfSpaceError: the disk ran full.

    >>> import arboretum_tools as at
    >>> found = at.publish_split("splits/aves-lt100", to="published", authors="Doe, Jane")
    >>> sorted(found.files)[:4]
    ['CITATION.cff', 'DATASHEET.md', 'classes.parquet', 'croissant.json']
    """
    split = split if isinstance(split, Split) else open_split(split, in_memory=False)
    to = Path(options.to)
    if split.path is not None and split.path.resolve() in to.resolve().parents:
        raise ExportError(
            f"{to} lies inside the split {split.path}; nothing was written",
            hint="Choose a folder beside it with --out.",
        )
    title = " ".join((options.title or split.name).split())
    authors = [" ".join(name.split()) for name in options.authors if name.strip()]
    with whole_folder(to) as folder:
        split.write_into(folder)
        # Each reads the rows of all parts.
        origin, found = Origin.of(split), Composition.of(split)
        sheet = datasheet(split, origin, found, title, authors, options.doi)
        (folder / DATASHEET).write_text(sheet, encoding="utf-8")
        (folder / CITATION).write_text(_citation(split, title, authors, options.doi), encoding="utf-8")
        about = _croissant(folder, split, origin, found, title, authors, options.doi)
        write_json(folder / CROISSANT, about)
    files = {path.name: path.stat().st_size for path in sorted(to.iterdir())}
    return Publication(to, files, split.meta.get("split_sha256"), options.doi)


def _croissant(
    folder: Path,
    split: Split,
    origin: Origin,
    found: Composition,
    title: str,
    authors: list[str],
    doi: str | None,
) -> dict[str, Any]:
    tables = [
        ("classes", CLASSES, "classes.parquet"),
        *((part, PART, f"{part}.parquet") for part in split.parts),
    ]
    parts = ", ".join(f"{split.num_photos(part):,} {part}" for part in split.parts)
    return document(
        split,
        origin,
        name=title,
        description=f"A split of {counted(split.num_classes, 'class')}: {parts}. It names photos, "
        f"{origin.words}, and does not hold them.",
        licenses=found.licenses,
        distribution=[table_file(folder, *one) for one in tables],
        record_sets=[records(name, table) for name, table, _ in tables],
        doi=doi,
        authors=authors,
    )


def _citation(split: Split, title: str, authors: list[str], doi: str | None) -> str:
    import yaml  # type: ignore[import-untyped]

    about: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this split, please cite it together with the data set that it is made of.",
        "type": "dataset",
        "title": title,
        "authors": [Author.of(name).cff for name in authors],
        **({"doi": doi} if doi else {}),
        "identifiers": [
            {
                "type": "other",
                "value": f"split_sha256:{split.meta.get('split_sha256')}",
                "description": "The hash over the recipe and every column, as `arboretum audit-split` "
                "proves it.",
            }
        ],
        "keywords": ["biodiversity", "iNaturalist", "image classification"],
        "references": [paper.cff for paper in PAPERS],
    }
    return str(yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=10_000))
