"""Tables beside an export."""

from __future__ import annotations

from arboretum_metadata.schema.catalog import CATALOG
from arboretum_metadata.schema.columns import Column, Table

MISSING = Table(
    name="photos missing from an export",
    path="<export>/missing.parquet",
    order="part (train, val, test), then photo_id ascending",
    meaning="Photos of the split that the image store did not hold. Only where there are any.",
    columns=(
        Column("part", "string", "Part of the split."),
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column("status", "string", "Its state in the store; `pending` = never tried."),
    ),
)

ATTRIBUTION = Table(
    name="attribution of an export",
    path="<export>/ATTRIBUTION.parquet",
    order="part (train, val, test), then (label, photo_id)",
    meaning="One row a photo of the export: whom to credit and under which licence.",
    columns=(
        Column("part", "string", "train, val or test."),
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column("label", "int32", "Class of the photo: a row of the export's classes.parquet."),
        CATALOG["observer_name"],
        CATALOG["license"],
        Column(
            "credit",
            "string",
            "The credit line that iNaturalist shows; null where the licence is not known.",
            True,
        ),
        Column("page", "string", "Page of the photo at iNaturalist."),
    ),
)
