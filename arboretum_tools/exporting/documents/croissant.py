"""`croissant.json` of an export: the tables that every export has, and the image files of the format `hf`."""

from __future__ import annotations

from pathlib import Path

from arboretum_metadata.schema import ATTRIBUTION, EXPORT_CLASSES
from arboretum_tools.exporting.base import SPLIT_NAMES, Source
from arboretum_tools.exporting.documents.licenses import licenses
from arboretum_tools.publication.croissant import CROISSANT, document, records, table_file
from arboretum_tools.system.atomic_files import write_json
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted


def write_croissant(folder: Path, source: Source) -> None:
    """Writes croissant.json into an export whose other files but export.json are there."""
    split = source.split
    tables = (("classes", EXPORT_CLASSES, "classes.parquet"), ("photos", ATTRIBUTION, "ATTRIBUTION.parquet"))
    photos = sum(len(samples) for samples in source.parts.values())
    distribution = [table_file(folder, name, table, file) for name, table, file in tables]
    if (folder / "data").is_dir():
        distribution.append(
            {
                "@type": "cr:FileSet",
                "@id": "images-files",
                "name": "images-files",
                "description": "Images with what is known of them, one Parquet file or more a part.",
                "encodingFormat": "application/x-parquet",
                "includes": "data/*.parquet",
            }
        )
    payload = document(
        split,
        source.origin,
        name=split.name,
        description=f"{counted(photos, 'photo')} of {counted(split.num_classes, 'class')}, "
        f"{source.origin.words}: {_parts(source)}. Made by arboretum-tools {__version__}.",
        licenses=licenses(source),
        distribution=distribution,
        record_sets=[records(name, table) for name, table, _ in tables],
    )
    write_json(folder / CROISSANT, payload)


def _parts(source: Source) -> str:
    return ", ".join(f"{len(samples):,} {SPLIT_NAMES[part]}" for part, samples in source.parts.items())
