"""The controlled vocabularies: ranks, the seven Arboretum groups, life stages, licences, benchmarks.

Each is a TOML file in `data/` that names its source; this module only reads them into values.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the seven ranks of the published metadata.

    Attributes:
        name: as iNaturalist spells it; also the column name.
        level: iNaturalist's rank_level, higher = broader (kingdom 70, species 10).
    """

    name: str
    level: int


@dataclass(frozen=True, slots=True)
class Group:
    """One of the seven groups that Arboretum is made of.

    Attributes:
        name: scientific name of the taxon that the group is.
        rank: rank of that taxon.
        common_names: English names that mean the group.
    """

    name: str
    rank: str
    common_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LifeStage:
    """A value of iNaturalist's controlled attribute "Life Stage".

    Attributes:
        name: lower-case value as it stands in the `life_stage` column.
        inat_value_id: number of the controlled value in iNaturalist's API.
    """

    name: str
    inat_value_id: int


@dataclass(frozen=True, slots=True)
class License:
    """A licence that iNaturalist photos carry.

    Attributes:
        name: as it stands in the `license` column.
        title: in words.
        attribution: whether the author must be named.
        commercial: whether commercial use is permitted.
        derivatives: whether changed copies may be shared.
        share_alike: whether changed copies must carry the same licence.
        url: the licence text.
    """

    name: str
    title: str
    attribution: bool
    commercial: bool
    derivatives: bool
    share_alike: bool
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark published with Arboretum, as released.

    Attributes:
        photos: of each class.
        classes_per_group: most species of each group; None where groups do not matter.
        species: that it is made of, scientific names; empty where a rule chooses them.
        stages: photos of each life stage, in the order of a life; empty where stages are no classes.
        pairs: look-alikes, scientific names; empty where there are none.
    """

    photos: int
    classes_per_group: int | None = None
    species: tuple[str, ...] = ()
    stages: tuple[tuple[str, int], ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


def _table(name: str) -> Any:
    return tomllib.loads(files("arboretum_metadata").joinpath("data", f"{name}.toml").read_text("utf-8"))


def _licenses() -> tuple[dict[str, License], dict[str, tuple[str, ...]]]:
    table = _table("licenses")
    by_name = {row["name"]: License(**row) for row in table["license"]}
    return by_name, {preset: tuple(names) for preset, names in table["presets"].items()}


def _benchmarks() -> dict[str, Benchmark]:
    found = {}
    for name, row in _table("benchmarks").items():
        pairs = tuple((first, second) for first, second in row.pop("pairs", ()))
        stages = tuple(row.pop("stages", {}).items())
        found[name] = Benchmark(
            **{**row, "species": tuple(row.get("species", ()))}, stages=stages, pairs=pairs
        )
    return found


def _common_names() -> dict[tuple[str, str], tuple[str, ...]]:
    text = files("arboretum_metadata").joinpath("data", "common_names.txt").read_text("utf-8")
    lines = [line.partition(": ") for line in text.splitlines() if not line.startswith("#")]
    return {
        (taxon.partition(" ")[0], taxon.partition(" ")[2]): tuple(names.split("; "))
        for taxon, _, names in lines
    }


#: From the broadest to the narrowest; names are the rank columns of the catalogue.
RANKS: dict[str, Rank] = {row["name"]: Rank(**row) for row in _table("ranks")["rank"]}

#: The seven groups by scientific name.
GROUPS: dict[str, Group] = {
    row["name"]: Group(row["name"], row["rank"], tuple(row["common_names"]))
    for row in _table("groups")["group"]
}

#: Everyday English names of some taxa above species, by (rank, scientific name); the first is shown.
COMMON_NAMES: dict[tuple[str, str], tuple[str, ...]] = _common_names()

#: Rank of a class that is a life stage of a species; its class_key is `<that of the species>|<stage>`.
LIFE_STAGE_RANK = "life stage"

#: In the order of a life.
LIFE_STAGES: dict[str, LifeStage] = {
    row["name"]: LifeStage(**row) for row in _table("life_stages")["life_stage"]
}

#: The published benchmarks by the name that `arboretum make-split --benchmark` gives them.
BENCHMARKS: dict[str, Benchmark] = _benchmarks()

#: From the most open to the least, and the named sets of them.
LICENSES, LICENSE_PRESETS = _licenses()

#: Grades of an observation, best first (https://help.inaturalist.org/en/support/solutions/articles/151000169936).
QUALITY_GRADES: tuple[str, ...] = ("research", "needs_id", "casual")

#: Categories of the IUCN Red List, from least to most threatened, then the two that are none
#: (https://www.iucnredlist.org/resources/categories-and-criteria, version 3.1).
IUCN_CATEGORIES: tuple[str, ...] = ("LC", "NT", "VU", "EN", "CR", "EW", "EX", "DD", "NE")

#: Extensions that iNaturalist photos carry, lower case.
EXTENSIONS: tuple[str, ...] = ("jpg", "jpeg", "png", "gif", "webp")

#: Long edge in pixels of each size that the image hosts serve
#: (https://github.com/inaturalist/inaturalist-open-data, "Available sizes"); `square` is cropped.
PHOTO_SIZES: dict[str, int] = {
    "original": 2048,
    "large": 1024,
    "medium": 500,
    "small": 240,
    "thumb": 100,
    "square": 75,
}

#: State of a photo that was taken out of a store for good, of which only a tombstone is left.
WITHDRAWN = "withdrawn"

#: States of a photo that was tried: whole image; 404 or 410; 403; not a whole image; gave up; taken out.
STATUSES = ("ok", "gone", "forbidden", "invalid", "failed", WITHDRAWN)

#: How photos are shrunk: the mean of the area that each new pixel covers, or Lanczos with 3 lobes.
RESIZE_FILTERS = ("area", "lanczos")

#: The ranks that a class of a split may have.
CLASS_RANKS = ("species", "genus", "family", "order")

#: Arboretum drops species with fewer photos than this (arXiv 2406.17720); `--rarity rare` means these.
RARE_BELOW = 30

#: Shot bands of long-tailed recognition (Liu et al. 2019, OLTR, arXiv 1904.05160):
#: many > 100, medium 20..100, few < 20 train photos.
MANY_ABOVE = 100
FEW_BELOW = 20

#: Columns that hold values of a closed list, and those values.
VOCABULARIES: dict[str, tuple[str, ...]] = {
    "license": tuple(LICENSES),
    "life_stage": tuple(LIFE_STAGES),
    "quality_grade": QUALITY_GRADES,
    "iucn": IUCN_CATEGORIES,
}

#: The value by folded spelling (see `data/spellings.toml`), by column.
SPELLINGS: dict[str, dict[str, str]] = {
    column: {value.lower().replace("_", "-"): value for value in values}
    | {spelling: value for value, known in _table("spellings")[column].items() for spelling in known}
    for column, values in VOCABULARIES.items()
}

_REGION = r"(?:[.-](?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-[0-9])?"

#: How an address in the bucket of iNaturalist Open Data begins, up to the key; a pattern without groups.
#: By name or path, with a region or without, and as tools for S3 write it
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html).
OPEN_DATA_ADDRESS: str = (
    rf"(?:https?://inaturalist-open-data\.s3{_REGION}\.amazonaws\.com"
    rf"|https?://s3{_REGION}\.amazonaws\.com/inaturalist-open-data|s3[an]?://inaturalist-open-data)/"
)

#: Address of a photo on a host of iNaturalist; the group is its id.
INATURALIST_PHOTO: str = rf"^(?:{OPEN_DATA_ADDRESS}|https?://static\.inaturalist\.org/)photos/([0-9]+)/"

#: No image of more pixels is taken: above it, readers that use Pillow refuse it as a decompression bomb.
MAX_PIXELS = 178_956_970

#: What is looked at before a photo is stored.
CHECKS: tuple[str, ...] = ("bytes", "decode")

#: Before the id of a photo: its page at iNaturalist.
PHOTO_PAGE = "https://www.inaturalist.org/photos/"

#: Address of the page of a photo at iNaturalist; the group is its id.
INATURALIST_PAGE: str = r"^https?://(?:[a-z]+\.)?inaturalist\.org/photos/([0-9]+)(?:[/?#]|$)"

#: Address of the page of an observation at iNaturalist; the group is its id.
INATURALIST_OBSERVATION: str = r"^https?://(?:[a-z]+\.)?inaturalist\.org/observations/([0-9]+)(?:[/?#]|$)"
