"""Every table that the toolkit reads or writes: its columns, their type, unit and meaning.

The data dictionary page (`docs/data-dictionary.md`) is generated from here, and the Arrow schemas that
the library writes are built from here, so the page cannot drift from the files.

Types are Arrow's names: `int32`, `int64`, `float64`, `bool`, `date32`, `timestamp[us, UTC]`, `string`.
"""

from __future__ import annotations

from arboretum_metadata.schema.catalog import (
    BUILT_PHOTOS,
    CATALOG,
    CATALOG_CLASSES,
    CATALOG_COUNTS,
    CATALOG_REQUIRED,
    CHANGES,
    IMPORTED_PHOTOS,
    INACTIVE_NAMES,
    LEFT_OUT_FILES,
    LINEAGE,
    REJECTED,
    SELECTION,
    SHARED_PHOTOS,
    SPECIES,
    TAXA,
)
from arboretum_metadata.schema.columns import Column, Table
from arboretum_metadata.schema.export import (
    ATTRIBUTION,
    EVENED,
    EXPORT_CLASSES,
    FOLDER_METADATA,
    MISSING,
    TAR_INDEX,
)
from arboretum_metadata.schema.split import (
    CLASSES,
    EPISODES,
    EXCLUDED,
    JOINED,
    LEFT_OUT,
    NEAR_DUPLICATES,
    PART,
    PUBLISHED_FILES,
    UNUSED_CLASSES,
)
from arboretum_metadata.schema.store import INDEX, REQUEST

#: Every table by its short name, in the order of the flow.
TABLES: dict[str, Table] = {
    "catalog": CATALOG,
    "taxa": TAXA,
    "catalog_classes": CATALOG_CLASSES,
    "catalog_counts": CATALOG_COUNTS,
    "inactive_names": INACTIVE_NAMES,
    "rejected": REJECTED,
    "shared_photos": SHARED_PHOTOS,
    "built_photos": BUILT_PHOTOS,
    "changes": CHANGES,
    "imported_photos": IMPORTED_PHOTOS,
    "left_out_files": LEFT_OUT_FILES,
    "selection": SELECTION,
    "species": SPECIES,
    "request": REQUEST,
    "index": INDEX,
    "part": PART,
    "classes": CLASSES,
    "left_out": LEFT_OUT,
    "excluded": EXCLUDED,
    "joined": JOINED,
    "near_duplicates": NEAR_DUPLICATES,
    "unused_classes": UNUSED_CLASSES,
    "published_files": PUBLISHED_FILES,
    "episodes": EPISODES,
    "export_classes": EXPORT_CLASSES,
    "evened": EVENED,
    "tar_index": TAR_INDEX,
    "missing": MISSING,
    "attribution": ATTRIBUTION,
    "folder_metadata": FOLDER_METADATA,
}

__all__ = [
    "ATTRIBUTION",
    "BUILT_PHOTOS",
    "CATALOG",
    "CATALOG_CLASSES",
    "CATALOG_COUNTS",
    "CATALOG_REQUIRED",
    "CHANGES",
    "CLASSES",
    "EPISODES",
    "EVENED",
    "EXCLUDED",
    "EXPORT_CLASSES",
    "FOLDER_METADATA",
    "IMPORTED_PHOTOS",
    "INACTIVE_NAMES",
    "INDEX",
    "JOINED",
    "LEFT_OUT",
    "LEFT_OUT_FILES",
    "LINEAGE",
    "MISSING",
    "NEAR_DUPLICATES",
    "PART",
    "PUBLISHED_FILES",
    "REJECTED",
    "REQUEST",
    "SELECTION",
    "SHARED_PHOTOS",
    "SPECIES",
    "TABLES",
    "TAR_INDEX",
    "TAXA",
    "UNUSED_CLASSES",
    "Column",
    "Table",
]
