"""Tables of a catalogue, as published and as built, and of a selection of it."""

from __future__ import annotations

from arboretum_metadata.schema.columns import Column, Table

#: One column a rank above the species.
RANK_COLUMNS = tuple(
    Column(
        rank, "string", f"Name of the {rank} that the taxon belongs to; null where the source has none.", True
    )
    for rank in ("kingdom", "phylum", "class", "order", "family", "genus")
)

CATALOG = Table(
    name="catalog (raw layout)",
    path="<catalog>/**/*.parquet",
    order="any; nothing depends on the order of rows or files",
    meaning="One row per photo, as published with Arboretum / BioTrove (arXiv 2406.17720), with optional "
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
        *RANK_COLUMNS,
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
            "read as its first 8 bytes, big-endian, with the top bit cleared. A negative number is unknown.",
            True,
        ),
        Column(
            "observer_id",
            "int64",
            "iNaturalist's number of the person who made the observation; negative = unknown.",
            True,
        ),
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

#: Columns of a lineage, the widest first; `species` is the epithet.
LINEAGE = ("kingdom", "phylum", "class", "order", "family", "genus", "species")

#: Without these a Parquet file is not a catalogue. `photo_url` or `ext` must be there as well.
CATALOG_REQUIRED = ("photo_id", "scientific_name", *LINEAGE)

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
    meaning="One row for each different lineage with names that a photo carries, so usually one per taxon. "
    "A clade is a range of tax.",
    columns=(
        _TAX,
        *(CATALOG[name] for name in ("taxon_id", "scientific_name", "common_name")),
        *RANK_COLUMNS,
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
    meaning="One row per species class: its photos, and its most frequent lineage and names.",
    columns=(
        Column("class_key", "string", "Identity of the class, `<kingdom>|<genus> <epithet>`."),
        Column("n_catalog", "int64", "Photos of the class.", unit="photo"),
        *RANK_COLUMNS,
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
    order="by all columns, in their order; nulls last",
    meaning="Rows of the sources that are not in the catalogue, by reason, and by photo or by their place in "
    "the source. Only where there are any.",
    columns=(
        Column(
            "reason",
            "string",
            "`exact_duplicates` (the same row again), `repeated_photo_id` (the photo again in its class, "
            "with other values), `conflicting_photos` (the photo stands under two or more classes), "
            "`bad_photo_id` (null, below 1, or no 64-bit integer), `bad_extension` (none that is known). "
            "Rows of which no photo could be made: `malformed_row` (a wrong number of fields, or damaged), "
            "`bad_observation_id` (no whole number), `no_occurrence` (a medium without its "
            "occurrence), `not_a_photo` (sound, video), `no_address` (no photo is named), `other_host` (a "
            "photo that is not iNaturalist's).",
        ),
        Column("photo_id", "int64", "As it stands in the source; null where it is no number.", True),
        Column(
            "class_key",
            "string",
            "Class that the rows name; null where they name none, or were not read.",
            True,
        ),
        Column("scientific_name", "string", "Name that the rows carry.", True),
        Column("rows", "int64", "Rows left out."),
        Column(
            "file",
            "string",
            "Text of the source, without the folders above what was named; null for the reasons that are "
            "told by photo. Builds before 2026-11-28 lack this column and those that follow.",
            True,
        ),
        Column(
            "line", "int64", "Line of the text, 1 = its first; null where the row stands for several.", True
        ),
        Column("detail", "string", "How the row is wrong, or the publisher of the photos.", True),
    ),
)

SHARED_PHOTOS = Table(
    name="photos of several observations",
    path="<catalog>/shared_photos.parquet",
    order="photo_id, observation_id ascending",
    meaning="Every observation of the photos that a source lists under more than one; a row of the photos "
    "names the smallest. A split keeps such observations together. Only where there are any.",
    columns=(
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column("observation_id", "int64", "An observation that the photo belongs to."),
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
    meaning="One row per photo, each photo once. Optional columns are there where a source had them.",
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

SPECIES = Table(
    name="species of a selection",
    path="<species>.parquet, .csv or .json",
    order="n_selected descending, then class_key ascending (UTF-8 bytes)",
    meaning="One row per species class of a selection. JSON is a list of objects with these keys; in CSV an "
    "apostrophe stands before text that a spreadsheet would run.",
    columns=(
        *(CATALOG_CLASSES[name] for name in ("class_key", "scientific_name", "common_name", "taxon_id")),
        *RANK_COLUMNS,
        CATALOG["species"],
        Column("n_selected", "int64", "Photos of the class in the selection.", unit="photo"),
        CATALOG_CLASSES["n_catalog"],
    ),
)

CHANGES = Table(
    name="changes from one catalogue to another",
    path="<changes>.parquet or .csv",
    order="photo_id, change ascending",
    meaning="One row per photo and change that `arboretum catalog update` found; a photo with another class "
    "and another licence has two. The fingerprints of both catalogues are in the file's schema metadata "
    "under the key `arboretum`.",
    columns=(
        CATALOG["photo_id"],
        Column(
            "change",
            "string",
            "added; removed; relabelled (another species class, or another name of a photo in none); "
            "relicensed.",
        ),
        Column("old_class_key", "string", "Its class in the older catalogue; null = in none.", True),
        Column("new_class_key", "string", "Its class in the newer catalogue; null = in none.", True),
        Column("old_name", "string", "Its scientific name in the older one, else genus, else family.", True),
        Column("new_name", "string", "The same in the newer catalogue.", True),
        Column("old_license", "string", "Licence in the older one; null = unknown, or not compared.", True),
        Column("new_license", "string", "The same in the newer catalogue.", True),
    ),
)

IMPORTED_PHOTOS = Table(
    name="catalogue of imported images",
    path="<catalog>.parquet",
    order="photo_id ascending",
    meaning="One row per image that `arboretum import-images` took from a folder: what the folders of a tree "
    "say of it, with columns of the raw layout, so that it can be selected from and split. Other columns of "
    "that layout are absent, and so unknown.",
    columns=(
        Column(
            "photo_id",
            "int64",
            "The first 53 bits of the SHA-256 of the file's path below the folder (NFC, `/` between, UTF-8), "
            "big-endian; 1 if that is 0.",
        ),
        Column(
            "scientific_name", "string", "Name of the folder without a leading number; null for labels.", True
        ),
        Column(
            "kingdom",
            "string",
            "`unknown` for species, `label` for labels; part of class_key, which needs one.",
        ),
        *(
            Column(rank, "string", "Null: a folder does not say it.", True)
            for rank in ("phylum", "class", "order", "family")
        ),
        Column("genus", "string", "The genus; the whole label where folders are labels."),
        Column("species", "string", "The epithet; null where folders are labels.", True),
        Column("photo_url", "string", "`file:` and the path below the folder, percent-encoded."),
        Column("ext", "string", "Extension by the bytes: jpg, png, gif or webp."),
        *(CATALOG[name] for name in ("width", "height")),
    ),
)

LEFT_OUT_FILES = Table(
    name="files that were not imported",
    path="<file>.parquet or .csv",
    order="path ascending",
    meaning="One row per file of the folder (or the imported split) of which `arboretum import-images` made "
    "no image in the store, or whose image there is another one.",
    columns=(
        Column("path", "string", "Path below the folder; bytes that are no UTF-8 are written as `\\xNN`."),
        Column(
            "status",
            "string",
            "invalid (no image that is taken), failed (not there, or cannot be read), withdrawn (taken out "
            "of the store before), changed (the store holds other bytes under this path).",
        ),
        Column("reason", "string", "Why, in words."),
    ),
)

SELECTION = Table(
    name="saved selection",
    path="<selection>.parquet or .csv",
    order="photo_id ascending",
    meaning="One row per photo of the selection; the recipe, its English and the catalogue's fingerprint are "
    "in the file's schema metadata under the key `arboretum`. CSV has the rows alone; in it an apostrophe "
    "stands before text that a spreadsheet would run: what begins with `=`, `+`, `-`, `@` (in full width "
    "too), a tab or a carriage return.",
    columns=CATALOG.columns,
)
