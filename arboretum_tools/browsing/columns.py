"""The columns of photos and classes that are shown, whatever they come from."""

from arboretum_metadata.vocab import RANKS

#: What is known of a photo; `label` is the number of its class, -1 where it is in none.
PHOTO = (
    "photo_id",
    "label",
    "part",
    "observation_id",
    "observer_id",
    "observer_name",
    "license",
    "life_stage",
    "observed_on",
    "latitude",
    "longitude",
)

#: The ranks of a class, the widest first; `species` is the epithet.
LINEAGE = tuple(RANKS)

#: What is known of a class; `n` is what the long tail is drawn of: train photos of a split, else photos.
CLASS = ("label", "class_key", "scientific_name", "common_name", "taxon_id", *LINEAGE, "n")

#: Label of the photos that are in none.
NO_LABEL = -1

#: Photos that are asked for at one time.
MOST_ROWS = 1_000
