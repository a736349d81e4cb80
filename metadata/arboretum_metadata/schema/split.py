"""Tables of a split."""

from __future__ import annotations

from arboretum_metadata.schema.catalog import CATALOG, RANK_COLUMNS
from arboretum_metadata.schema.columns import Column, Table

PART = Table(
    name="part of a split",
    path="<split>/train.parquet, val.parquet, test.parquet",
    order="(label, photo_id) ascending",
    meaning="One row per photo of this part. All columns are always there.",
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
    path="<split>/classes.parquet",
    order="label ascending",
    meaning="One row per class. label = row number.",
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
            "Identity of the class: `<kingdom>|<genus> <epithet>`; above species `<kingdom>|<rank>|<name>`, "
            "of a genus that shares its name within a kingdom `<kingdom>|genus|<name> (<family>)`; of a "
            "stage of a species `<kingdom>|<genus> <epithet>|<life stage>`; in a split that was imported "
            "`published|<name>`.",
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
        *RANK_COLUMNS,
        Column("species", "string", "The species epithet; null above species.", True),
        Column(
            "n_catalog", "int64", "Photos of the class in the whole de-duplicated catalogue.", unit="photo"
        ),
        Column("n_selected", "int64", "Photos of the class in the selection.", unit="photo"),
        Column(
            "n_available",
            "int64",
            "Capacity: photos of the selection left for training once validation and test groups are out; in "
            "a set over seeds under the seed that leaves the class fewest.",
            unit="photo",
        ),
        Column("n_train", "int64", "Photos in train.parquet.", unit="photo"),
        Column("n_val", "int64", "Photos in val.parquet.", unit="photo"),
        Column("n_test", "int64", "Photos in test.parquet.", unit="photo"),
        Column("shot", "string", "Shot band by n_train: many (> 100), medium (20 to 100), few (< 20)."),
        *(
            Column(
                f"{group}s_{part}",
                "int64",
                f"Different {group}s of the photos in {part}.parquet; a photo without one counts as one. "
                "Null where none of them is known. In no hash, as it is counted from that file; not there "
                "in splits of earlier releases.",
                True,
                unit=group,
                counted=True,
            )
            for group in ("observation", "observer")
            for part in ("train", "val", "test")
        ),
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
    order="kind (photo, observation, class, taxon, observer), then name or id ascending",
    meaning="What `--exclude` named: no photo of these is in any part. Only where something was kept out.",
    columns=(
        Column(
            "kind",
            "string",
            "photo, observation, class or taxon; observer: every photo that this person took of this class, "
            "where one of both splits is grouped by observer and species.",
        ),
        Column("id", "int64", "Number of the photo, observation or observer; null for the others.", True),
        Column(
            "name",
            "string",
            "class_key of a species or of an observer's class, or term of a taxon; null for the others.",
            True,
        ),
    ),
)

JOINED = Table(
    name="groups of a split that belong together",
    path="<split>/joined.parquet",
    order="by, photo_id, other_id, other_group, ascending; nulls last",
    meaning="Pairs of photos that show the same, and the groups that are kept in one part because of them. "
    "Only where there are any.",
    columns=(
        Column(
            "by",
            "string",
            "What the two share: `photo` (one photo of two observations), `address`, `sha256` (the bytes in "
            "the image store) or `near-duplicate` (what the pixels show).",
        ),
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column("other_id", "int64", "Number of the other photo; null where one photo is meant.", True),
        Column("class_key", "string", "Class of the photo; null where one photo is meant.", True),
        Column("other_class_key", "string", "Class of the other photo.", True),
        Column(
            "group",
            "int64",
            "What the photo is grouped by: number of its observation, of its observer, or its own.",
        ),
        Column("alone", "bool", "Whether the group is that photo alone, as it lacks what is grouped by."),
        Column("other_group", "int64", "The same of the other photo, or the other observation."),
        Column("other_alone", "bool", "The same of the other photo."),
        Column(
            "left_out",
            "bool",
            "Whether both photos are in no part, as they stand in two classes; else their groups are joined.",
        ),
    ),
)

NEAR_DUPLICATES = Table(
    name="near-duplicates of a split",
    path="<split>/near_duplicates.parquet",
    order="photo_id, other_id ascending",
    meaning="All pairs of photos that show nearly the same, as `arboretum audit-split --images` found them. "
    "Not part of the split, and no hash covers it.",
    columns=(
        Column("photo_id", "int64", "Number of the one photo, the smaller one."),
        Column("other_id", "int64", "Number of the other photo."),
        Column("similarity", "float64", "Mean agreement of small crops, once aligned: 0.92 to 1."),
        Column("mirrored", "bool", "Whether one is the mirror image of the other."),
        Column("part", "string", "Part of the one photo."),
        Column("other_part", "string", "Part of the other photo; another one is a leak."),
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

EPISODES = Table(
    name="few-shot episodes",
    path="<name>.parquet",
    order="episode, way, role (support, then query), photo_id ascending",
    meaning="Lists of `arboretum episodes`. The split, its split_sha256, the part, ways, shots, queries, "
    "episodes, seed and a SHA-256 over the rows are in the file's schema metadata under the key `arboretum`.",
    columns=(
        Column("episode", "int32", "Number of the episode, 0 = first."),
        Column("way", "int32", "Place of the class in its episode, 0 to ways - 1: its label there."),
        Column("label", "int32", "Label of the class in the split."),
        Column("role", "string", "support or query."),
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
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
