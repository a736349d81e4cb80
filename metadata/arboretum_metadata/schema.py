"""Every table that the toolkit reads or writes: its columns, their type, unit and meaning.

The data dictionary page (`docs/data-dictionary.md`) is generated from here, and the Arrow schemas that
the library writes are built from here, so the page cannot drift from the files.

Types are Arrow's names: `int32`, `int64`, `float64`, `bool`, `date32`, `timestamp[us, UTC]`, `string`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one table.

    Attributes:
        name: as it stands in the file.
        type: Arrow's name of the type.
        meaning: one sentence for a reader who has never seen the table.
        nullable: whether a null may stand in it; what a null means is said in `meaning`.
        unit: the unit of a number, or "" where it has none.
        also: other spellings that are read as this column.
    """

    name: str
    type: str
    meaning: str
    nullable: bool = False
    unit: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table: where it lies, in which order its rows stand, and its columns in their order."""

    name: str
    path: str
    order: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in their order."""
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        """The column called `name`; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


_RANK_COLUMNS = tuple(
    Column(
        rank, "string", f"Name of the {rank} that the taxon belongs to; null where the source has none.", True
    )
    for rank in ("kingdom", "phylum", "class", "order", "family", "genus")
)

CATALOG = Table(
    name="catalog (raw layout)",
    path="<catalog>/**/*.parquet",
    order="any; nothing depends on the order of rows or files",
    meaning="One row a photo, as published with Arboretum / BioTrove (arXiv 2406.17720), with optional "
    "columns that come by join from iNaturalist Open Data and GBIF. A missing optional column reads as null.",
    columns=(
        Column("photo_id", "int64", "iNaturalist's number of the photo, 1 or more."),
        Column(
            "scientific_name",
            "string",
            "Scientific name of the taxon, for a species genus and epithet.",
            True,
            also=("scientificName",),
        ),
        *_RANK_COLUMNS,
        Column(
            "species",
            "string",
            "The species EPITHET alone (`migratorius`, not `Turdus migratorius`). It names a species only "
            "together with kingdom and genus.",
            True,
        ),
        Column("common_name", "string", "English common name; null where the source has none.", True),
        Column(
            "photo_url",
            "string",
            "Address of the photo as published. Its extension keeps its case: the image host tells `JPG` "
            "from `jpg`. Either this column or `ext` must be there.",
            True,
        ),
        Column(
            "ext",
            "string",
            "Extension of the photo's address, case kept (jpg, jpeg, png, gif, webp). Where null or absent "
            "it is taken from photo_url.",
            True,
            also=("extension",),
        ),
        Column("taxon_id", "int64", "iNaturalist's number of the taxon. An attribute, never a key.", True),
        Column(
            "observation_id",
            "int64",
            "Number of the observation (one encounter with one organism, often several photos). A UUID is "
            "read as its first 8 bytes, big-endian, with the top bit cleared.",
            True,
        ),
        Column("observer_id", "int64", "iNaturalist's number of the person who made the observation.", True),
        Column("observer_name", "string", "Name or login of the observer, for the credit line.", True),
        Column("license", "string", "Licence of the photo, one of the licence vocabulary.", True),
        Column("life_stage", "string", "Life stage, one of the life stage vocabulary; null = unknown.", True),
        Column(
            "quality_grade",
            "string",
            "iNaturalist's grade: research, needs_id or casual. Without the column all is research grade.",
            True,
        ),
        Column("latitude", "float64", "Latitude, WGS 84, -90 to 90.", True, "degree"),
        Column("longitude", "float64", "Longitude, WGS 84, -180 to 180.", True, "degree"),
        Column("observed_on", "date32", "Day of the observation, local calendar.", True),
        Column("width", "int32", "Width of the original photo.", True, "pixel"),
        Column("height", "int32", "Height of the original photo.", True, "pixel"),
        Column("position", "int32", "Place of the photo among those of its observation, 0 = first.", True),
        Column(
            "life_stage_source",
            "string",
            "Where life_stage comes from: the source or the file of `catalog annotate`; null where unknown.",
            True,
        ),
        Column(
            "iucn",
            "string",
            "IUCN Red List category of the taxon as GBIF states it: LC, NT, VU, EN, CR, EW, EX, DD or NE.",
            True,
        ),
        Column(
            "observation_uuid",
            "string",
            "UUID of the observation, lower case with hyphens, as iNaturalist Open Data has it; "
            "observation_id is made of its first 8 bytes. A built catalogue keeps it only if it was asked to "
            "(`catalog build --observation-uuid`).",
            True,
        ),
    ),
)

#: Without these a Parquet file is not a catalogue. `photo_url` or `ext` must be there as well.
CATALOG_REQUIRED = (
    "photo_id",
    "scientific_name",
    "kingdom",
    "phylum",
    "class",
    "order",
    "family",
    "genus",
    "species",
)

_TAX = Column(
    "tax",
    "int32",
    "Place of the taxon in taxa.parquet: the order of its lineage, depth first. Internal to this catalogue: "
    "another build may number differently.",
)

TAXA = Table(
    name="taxa of a built catalogue",
    path="<catalog>/taxa.parquet",
    order="tax ascending: lineage, then scientific_name, common_name, taxon_id; nulls last",
    meaning="One row for each different lineage with names that a photo carries, so usually one a taxon. "
    "A clade is a range of tax.",
    columns=(
        _TAX,
        *(CATALOG[name] for name in ("taxon_id", "scientific_name", "common_name")),
        *_RANK_COLUMNS,
        CATALOG["species"],
        Column(
            "class_key",
            "string",
            "Identity of the species class, `<kingdom>|<genus> <epithet>`; null where a part is missing.",
            True,
        ),
        Column("hybrid", "bool", "Whether the scientific name carries a hybrid's mark.", True),
        Column("n", "int64", "Photos of this row's taxon.", unit="photo"),
        Column(
            "n_catalog", "int64", "Photos of its whole species class; null without class_key.", True, "photo"
        ),
    ),
)

CATALOG_CLASSES = Table(
    name="species classes of a built catalogue",
    path="<catalog>/classes.parquet",
    order="class_key ascending (UTF-8 bytes)",
    meaning="One row a species class: its photos, and its most frequent lineage and names.",
    columns=(
        Column("class_key", "string", "Identity of the class, `<kingdom>|<genus> <epithet>`."),
        Column("n_catalog", "int64", "Photos of the class.", unit="photo"),
        *_RANK_COLUMNS,
        CATALOG["species"],
        CATALOG["scientific_name"],
        CATALOG["common_name"],
        CATALOG["taxon_id"],
    ),
)

CATALOG_COUNTS = Table(
    name="counts of a built catalogue",
    path="<catalog>/counts.parquet",
    order="tax ascending",
    meaning="Photos by taxon, quality grade, licence, life stage and IUCN category: what statistics need, "
    "without a look at the photos.",
    columns=(
        _TAX,
        *(CATALOG[name] for name in ("quality_grade", "license", "life_stage", "iucn")),
        Column("n", "int64", "Photos.", unit="photo"),
        Column("n_observation", "int64", "Of these, photos with an observation_id.", unit="photo"),
    ),
)

REJECTED = Table(
    name="rows that a built catalogue left out",
    path="<catalog>/rejected.parquet",
    order="reason, photo_id, class_key, scientific_name; nulls last",
    meaning="Rows of the sources that are not in the catalogue, by reason and photo. Only where there are "
    "any.",
    columns=(
        Column(
            "reason",
            "string",
            "`exact_duplicates` (the same row again), `repeated_photo_id` (the photo again in its class, "
            "with other values), `conflicting_photos` (the photo stands under two or more classes), "
            "`bad_photo_id` (null, below 1, or no 64-bit integer), `bad_extension` (none that is known).",
        ),
        Column("photo_id", "int64", "As it stands in the source; null where it is no number.", True),
        Column("class_key", "string", "Class that the rows name; null for the last two reasons.", True),
        Column("scientific_name", "string", "Name that the rows carry.", True),
        Column("rows", "int64", "Rows left out."),
    ),
)

INACTIVE_NAMES = Table(
    name="inactive names of a built catalogue",
    path="<catalog>/inactive_names.parquet",
    order="name, rank, kingdom, taxon_id; nulls last",
    meaning="Names that iNaturalist no longer uses, where the catalogue has photos under them or under the "
    "name in their place. Only where iNaturalist Open Data was a source and told of any.",
    columns=(
        Column("name", "string", "Scientific name that is no longer active."),
        Column("rank", "string", "iNaturalist's rank of it; any, also below species."),
        Column("kingdom", "string", "Kingdom of the inactive taxon; null where unknown.", True),
        Column("taxon_id", "int64", "iNaturalist's number of the inactive taxon."),
        Column("photos", "int64", "Photos of the catalogue under this name.", unit="photo"),
        Column("active_name", "string", "The name in its place; null where nothing tells it.", True),
        Column(
            "active_taxon_id", "int64", "iNaturalist's number of the active taxon; null if unknown.", True
        ),
        Column(
            "told_by",
            "string",
            "What tells the active name: `name` (an active taxon has the same name; only the id is old), "
            "`photos` (more than half of the photos published under it stand under the other in Open Data), "
            "`epithet` (the one active species of its family with its epithet: likely, not certain).",
            True,
        ),
        Column("n_told", "int64", "With `photos`, how many photos tell it; else null.", True, "photo"),
    ),
)

BUILT_PHOTOS = Table(
    name="photos of a built catalogue",
    path="<catalog>/photos/part-NNNNN.parquet",
    order="(tax, photo_id) ascending, also from part to part",
    meaning="One row a photo, each photo once. Optional columns are there where a source had them.",
    columns=(
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        _TAX,
        Column("ext", "string", "Extension in the photo's address, case kept."),
        Column(
            "url", "string", "Address of the photo, only where id and ext do not give it; else null.", True
        ),
        *(
            column
            for column in CATALOG.columns
            if column.name
            in (
                "observation_id",
                "observer_id",
                "observer_name",
                "license",
                "life_stage",
                "quality_grade",
                "latitude",
                "longitude",
                "observed_on",
                "width",
                "height",
                "position",
                "life_stage_source",
                "iucn",
                "observation_uuid",
            )
        ),
    ),
)

PART = Table(
    name="part of a split",
    path="<split>/train.parquet, val.parquet, test.parquet",
    order="(label, photo_id) ascending",
    meaning="One row a photo of this part. All columns are always there.",
    columns=(
        Column("photo_id", "int64", "iNaturalist's number of the photo; at most once in all parts together."),
        Column("label", "int32", "Class of the photo: a row of classes.parquet, 0 = most train photos."),
        Column("ext", "string", "Extension in the photo's address, case kept."),
        Column(
            "url", "string", "Address of the photo, only where id and ext do not give it; else null.", True
        ),
        *(
            CATALOG[name]
            for name in (
                "observation_id",
                "observer_id",
                "observer_name",
                "license",
                "life_stage",
                "width",
                "height",
                "observed_on",
                "latitude",
                "longitude",
            )
        ),
    ),
)

CLASSES = Table(
    name="classes of a split",
    path="<split>/classes.parquet, <export>/classes.parquet",
    order="label ascending",
    meaning="One row a class. label = row number.",
    columns=(
        Column(
            "label",
            "int32",
            "0 to C-1, by n_train descending, then class_key ascending (UTF-8 bytes); in a split that was "
            "imported as published.",
        ),
        Column(
            "class_key",
            "string",
            "Identity of the class: `<kingdom>|<genus> <epithet>`; above species `<kingdom>|<rank>|<name>`; "
            "of a stage of a species `<kingdom>|<genus> <epithet>|<life stage>`; in a split that was "
            "imported `published|<name>`.",
        ),
        Column("name", "string", "Name for people and ClassLabel; unique in the split."),
        Column(
            "folder",
            "string",
            "Name for folders: label (five digits, more from 100,001 classes), `_`, ASCII slug of the name.",
        ),
        Column(
            "rank",
            "string",
            "Rank of the class: species, genus, family or order; `life stage` where the classes are stages "
            "of species; `category` in a published split whose classes are no taxa.",
        ),
        Column("taxon_id", "int64", "iNaturalist's number of the taxon, where the catalogue has it.", True),
        Column("scientific_name", "string", "Scientific name of the class."),
        Column("common_name", "string", "English common name; null where the catalogue has none.", True),
        *_RANK_COLUMNS,
        Column("species", "string", "The species epithet; null above species.", True),
        Column(
            "n_catalog", "int64", "Photos of the class in the whole de-duplicated catalogue.", unit="photo"
        ),
        Column("n_selected", "int64", "Photos of the class in the selection.", unit="photo"),
        Column(
            "n_available",
            "int64",
            "Capacity: photos of the selection left for training once validation and test groups are out.",
            unit="photo",
        ),
        Column("n_train", "int64", "Photos in train.parquet.", unit="photo"),
        Column("n_val", "int64", "Photos in val.parquet.", unit="photo"),
        Column("n_test", "int64", "Photos in test.parquet.", unit="photo"),
        Column("shot", "string", "Shot band by n_train: many (> 100), medium (20 to 100), few (< 20)."),
    ),
)

REQUEST = Table(
    name="request plan",
    path="<store>/requests/<id>.parquet",
    order="photo_id ascending",
    meaning="One row a photo that was asked for: what one `arboretum download` set out to fetch.",
    columns=(
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column("ext", "string", "Extension in the photo's address, case kept."),
        Column(
            "url", "string", "Address of the photo, only where id and ext do not give it; else null.", True
        ),
    ),
)

INDEX = Table(
    name="shard index of an image store",
    path="<store>/shard-NNNNNN.parquet",
    order="photo_id ascending",
    meaning="One row a photo that was tried, failures too. A shard is finished when its index exists.",
    columns=(
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column(
            "status", "string", "ok, gone (404/410), forbidden (403), invalid (not a whole image), failed."
        ),
        Column("http_status", "int32", "Last HTTP status; null where no answer came.", True),
        Column("error", "string", "Why it is not ok, in words; null for ok.", True),
        Column(
            "attempts",
            "int32",
            "Requests made for this photo in this run. One that is sent again because its connection, kept "
            "from the photo before, had just been closed by the host counts once.",
        ),
        Column("url", "string", "Address that was asked last, before any --origin override."),
        Column("member", "string", "Name in the tar, `<photo_id>.<ext>`; null unless ok.", True),
        Column("offset", "int64", "First byte of the image in the tar; null unless ok.", True, "byte"),
        Column("size_bytes", "int64", "Length of the image in the tar; null unless ok.", True, "byte"),
        Column("sha256", "string", "SHA-256 of the image in the tar, hex; null unless ok.", True),
        Column(
            "source_bytes", "int64", "Length of the body as received; null where none came.", True, "byte"
        ),
        Column("source_sha256", "string", "SHA-256 of the body as received; null where none came.", True),
        Column("etag", "string", "ETag as sent, without quotes; null where none came.", True),
        Column("width", "int32", "Width of the image in the tar, from its header.", True, "pixel"),
        Column("height", "int32", "Height of the image in the tar, from its header.", True, "pixel"),
        Column("format", "string", "jpeg, png, gif or webp, by the bytes; null unless ok.", True),
        Column("fetched_at", "timestamp[us, UTC]", "When the photo reached this state."),
    ),
)

LEFT_OUT = Table(
    name="photos left out",
    path="<split>/left_out.parquet",
    order="photo_id ascending",
    meaning="Photos of the selection that the image store did not hold, so that they are in no part. Only "
    "where the split was made over a store.",
    columns=(Column("photo_id", "int64", "iNaturalist's number of the photo."),),
)

EXCLUDED = Table(
    name="what was kept out",
    path="<split>/excluded.parquet",
    order="kind (photo, observation, class, taxon), then id or name ascending",
    meaning="What `--exclude` named: no photo of these is in any part. Only where something was kept out.",
    columns=(
        Column("kind", "string", "photo, observation, class or taxon."),
        Column("id", "int64", "Number of the photo or observation; null for the others.", True),
        Column("name", "string", "class_key of a species, or term of a taxon; null for the others.", True),
    ),
)

UNUSED_CLASSES = Table(
    name="classes left out",
    path="<split>/unused_classes.parquet",
    order="n_available descending, then class_key",
    meaning="Classes of the selection that take no part in the split, because what is left of them for "
    "training is less than the profile asks at their place.",
    columns=(
        Column("class_key", "string", "Identity of the class."),
        Column("n_selected", "int64", "Photos of the class in the selection.", unit="photo"),
        Column(
            "n_available",
            "int64",
            "Photos left for training once validation and test groups are out.",
            unit="photo",
        ),
    ),
)

PUBLISHED_FILES = Table(
    name="files of a published split",
    path="<split>/files.parquet",
    order="photo_id ascending",
    meaning="Which file each photo is. Only in a split that was imported: its photo ids are numbers of ours, "
    "in the order of first appearance in train, val, test.",
    columns=(
        Column("photo_id", "int64", "Number of the photo in this split."),
        Column("path", "string", "Path of the image as it was published."),
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
        Column("status", "string", "Its state in the store; `pending` = never tried."),
    ),
)

SELECTION = Table(
    name="saved selection",
    path="<selection>.parquet",
    order="photo_id ascending",
    meaning="One row a photo of the selection; the recipe, its English and the catalogue's fingerprint are "
    "in the file's schema metadata under the key `arboretum`.",
    columns=CATALOG.columns,
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

#: Every table by its short name, in the order of the flow.
TABLES: dict[str, Table] = {
    "catalog": CATALOG,
    "taxa": TAXA,
    "catalog_classes": CATALOG_CLASSES,
    "catalog_counts": CATALOG_COUNTS,
    "inactive_names": INACTIVE_NAMES,
    "rejected": REJECTED,
    "built_photos": BUILT_PHOTOS,
    "selection": SELECTION,
    "request": REQUEST,
    "index": INDEX,
    "part": PART,
    "classes": CLASSES,
    "left_out": LEFT_OUT,
    "excluded": EXCLUDED,
    "unused_classes": UNUSED_CLASSES,
    "published_files": PUBLISHED_FILES,
    "missing": MISSING,
    "attribution": ATTRIBUTION,
}
