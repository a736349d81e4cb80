"""Tables beside an export."""

from __future__ import annotations

from arboretum_metadata.schema.catalog import CATALOG, RANK_COLUMNS
from arboretum_metadata.schema.columns import Column, Table
from arboretum_metadata.schema.split import CLASSES

EXPORT_CLASSES = Table(
    name="classes of an export",
    path="<export>/classes.parquet",
    order="label ascending",
    meaning="One row per class, as in a split. Label, counts (with what is repeated) and band are those of "
    "what was written, so that they descend; 0 for parts that were not exported. What the split says stands "
    "beside them.",
    columns=(
        *(column for column in CLASSES.columns if not column.counted),
        Column("split_label", "int32", "Label of the class in the split."),
        *(
            Column(f"split_n_{part}", "int64", f"Photos in {part}.parquet of the split.", unit="photo")
            for part in ("train", "val", "test")
        ),
        Column("split_shot", "string", "Shot band by split_n_train."),
    ),
)

EVENED = Table(
    name="photos that equal shards cost",
    path="<export>/evened.parquet",
    order="part, then photo_id ascending",
    meaning="Photos that were left out or written again so that all shards have as many samples; one row "
    "each time. Only where there are any.",
    columns=(
        Column("part", "string", "Part of the split."),
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column("class_key", "string", "Class of the photo."),
        Column("change", "string", "`dropped` or `repeated`."),
    ),
)

TAR_INDEX = Table(
    name="photos of a part in the tars of a store",
    path="<export>/{train,val,test}.parquet",
    order="position ascending",
    meaning="Which photos of the shards that {part}.json lists belong to the part. Only with --index-only.",
    columns=(
        Column("position", "int64", "Place among all photos of these shards, from 0."),
        Column("label", "int32", "Class of the photo: a row of the export's classes.parquet."),
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
    ),
)

MISSING = Table(
    name="photos missing from an export",
    path="<export>/missing.parquet",
    order="part (train, val, test), then photo_id ascending",
    meaning="Photos of the split that the image store did not hold. Only where there are any.",
    columns=(
        Column("part", "string", "Part of the split."),
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column(
            "status",
            "string",
            "Its state in the store; `pending` = never tried, `undecodable` = left out by --skip-bad.",
        ),
    ),
)

ATTRIBUTION = Table(
    name="attribution of an export",
    path="<export>/ATTRIBUTION.parquet",
    order="part (train, val, test), then (label in the split, photo_id)",
    meaning="One row per photo of the export: whom to credit and under which licence.",
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
        Column("page", "string", "Page of the photo at iNaturalist; null for imported images.", True),
    ),
)

FOLDER_METADATA = Table(
    name="photos of a folder for people",
    path="<export>/metadata.csv of the format `folder`",
    order="part (train, val, test), then (label, photo_id)",
    meaning="One row per photo. An apostrophe stands before text that a spreadsheet would run. `--no-place` "
    "leaves `latitude` and `longitude` out.",
    columns=(
        Column("file_name", "string", "Where the photo lies in the export."),
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column("part", "string", "train, val or test; train where a selection was exported."),
        CLASSES["scientific_name"],
        CLASSES["common_name"],
        *RANK_COLUMNS,
        CATALOG["life_stage"],
        CATALOG["observed_on"],
        CATALOG["latitude"],
        CATALOG["longitude"],
        CATALOG["observer_name"],
        CATALOG["license"],
        *(column for column in ATTRIBUTION.columns if column.name in ("credit", "page")),
    ),
)
