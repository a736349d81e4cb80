"""The options of a selection: which photos of a catalogue are taken."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from arboretum_metadata.vocab import (
    FEW_BELOW,
    IUCN_CATEGORIES,
    LICENSE_PRESETS,
    LICENSES,
    LIFE_STAGES,
    MANY_ABOVE,
    QUALITY_GRADES,
    RARE_BELOW,
    SPELLINGS,
)
from arboretum_tools.errors import UsageError
from arboretum_tools.options import Option, check

#: Photos per class of the whole de-duplicated catalogue: (least, most), both inclusive, None = no bound.
RARITIES: dict[str, tuple[int | None, int | None]] = {
    "rare": (None, RARE_BELOW - 1),
    "few": (None, FEW_BELOW - 1),
    "medium": (FEW_BELOW, MANY_ABOVE),
    "many": (MANY_ABOVE + 1, None),
}


@dataclass(frozen=True, slots=True)
class Box:
    """A box of positions, WGS 84 degrees, borders included; west > east crosses the date line."""

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        if not (-90 <= self.south <= self.north <= 90):
            raise UsageError(
                f"box: south {self.south} and north {self.north} must rise from -90 to 90", hint=self._other
            )
        if not (-180 <= self.west <= 180 and -180 <= self.east <= 180):
            raise UsageError(
                f"box: west {self.west} and east {self.east} must lie between -180 and 180", hint=self._other
            )

    @property
    def _other(self) -> str:
        """What to do about a box that is none: it may have latitude first, as many maps say it."""
        text = "A box is west,south,east,north: longitude first."
        west, south, east, north = self.south, self.west, self.north, self.east
        if -90 <= south <= north <= 90 and -180 <= west <= 180 and -180 <= east <= 180:
            text += f" With latitude first it would be {west:g},{south:g},{east:g},{north:g}."
        return text

    @classmethod
    def parse(cls, text: str) -> Box:
        """Reads `west,south,east,north`."""
        try:
            west, south, east, north = (float(part) for part in text.split(","))
        except ValueError:
            raise UsageError(f"box {text!r} is not west,south,east,north in degrees") from None
        return cls(west, south, east, north)


@dataclass(frozen=True)
class SelectionOptions:
    """What `Catalog.select` takes; texts are parsed, and one value may stand for several."""

    taxa: Annotated[
        str | Iterable[str],
        Option(
            "Taxon to select, by scientific name of any rank, common name or group name; may be repeated or "
            "joined by commas; rank:name or parent>name where a name is ambiguous.",
            metavar="NAME",
            many=True,
            taxa=True,
        ),
    ] = ()
    _: KW_ONLY
    exclude_taxa: Annotated[
        str | Iterable[str],
        Option("Taxon to leave out; written as for --taxa.", metavar="NAME", many=True, taxa=True),
    ] = ()
    rarity: Annotated[
        str | Iterable[str],
        Option(
            f"By number of photos per species in the whole catalogue: rare (under {RARE_BELOW}), few (under "
            f"{FEW_BELOW}), medium ({FEW_BELOW} to {MANY_ABOVE}), many (over {MANY_ABOVE}).",
            metavar="BAND",
            many=True,
            choices=tuple(RARITIES),
        ),
    ] = ()
    min_photos: Annotated[
        int | None,
        Option("Minimum number of photos per species in the whole catalogue.", metavar="N", least=1),
    ] = None
    max_photos: Annotated[
        int | None,
        Option("Maximum number of photos per species in the whole catalogue.", metavar="N", least=1),
    ] = None
    life_stage: Annotated[
        str | Iterable[str],
        Option(
            "egg, larva, nymph, pupa, juvenile, subimago, teneral or adult.",
            metavar="STAGE",
            many=True,
            choices=tuple(LIFE_STAGES),
            spellings=SPELLINGS["life_stage"],
        ),
    ] = ()
    life_stage_unknown: Annotated[
        str | None,
        Option(
            "What to do with photos whose life stage is unknown: exclude, include or only. By default they "
            "are excluded when --life-stage is given, and included otherwise.",
            metavar="HOW",
            choices=("exclude", "include", "only"),
            noun="way with unknown life stages",
        ),
    ] = None
    license: Annotated[
        str | Iterable[str],
        Option(
            "A licence such as CC-BY, or a set: open (CC0, PD, CC-BY, CC-BY-SA), non-commercial-ok (open "
            "plus CC-BY-NC, CC-BY-NC-SA). Photos of unknown licence never match.",
            metavar="LICENCE",
            many=True,
            choices=(*LICENSES, *LICENSE_PRESETS),
            spellings=SPELLINGS["license"],
            noun="licence",
        ),
    ] = ()
    iucn: Annotated[
        str | Iterable[str],
        Option(
            "IUCN Red List category: LC, NT, VU, EN, CR, EW, EX, DD or NE (--rarity counts photos instead).",
            metavar="CATEGORY",
            many=True,
            choices=IUCN_CATEGORIES,
            noun="IUCN category",
        ),
    ] = ()
    quality_grade: Annotated[
        str,
        Option(
            "research, needs_id, casual or any.",
            metavar="GRADE",
            choices=(*QUALITY_GRADES, "any"),
            spellings=SPELLINGS["quality_grade"],
        ),
    ] = "research"
    bbox: Annotated[
        Box | str | Sequence[float] | None,
        Option(
            "Only photos inside this box, in degrees; a box with west > east crosses the date line.",
            metavar="WEST,SOUTH,EAST,NORTH",
        ),
    ] = None
    since: Annotated[
        dt.date | str | None,
        Option("Observed on this day or later, such as 2020-01-31.", metavar="DAY"),
    ] = None
    until: Annotated[dt.date | str | None, Option("Observed on this day or earlier.", metavar="DAY")] = None
    photos_per_observation: Annotated[
        int | None, Option("Maximum number of photos per observation.", metavar="N", least=1)
    ] = None
    photo_ids: Annotated[
        Iterable[int] | str | Path | None,
        Option(
            "Only the photos listed in this file: one id, page or address per line, or Parquet or CSV with a "
            "column photo_id or image_url; FILE:COLUMN names another column.",
            metavar="FILE",
            recipe=False,
        ),
    ] = None
    observation_ids: Annotated[
        Iterable[int] | str | Path | None,
        Option(
            "Only photos of the observations listed in this file: one id or page per line, or Parquet or CSV "
            "with a column observation_id or url; FILE:COLUMN names another column.",
            metavar="FILE",
            recipe=False,
        ),
    ] = None
    limit: Annotated[
        int | None,
        Option(
            "Maximum number of photos: a sample that is the same everywhere, not the head of a file.",
            metavar="N",
            least=1,
        ),
    ] = None

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "since", _day(self.since))
        object.__setattr__(self, "until", _day(self.until))
        if isinstance(self.bbox, str):
            object.__setattr__(self, "bbox", Box.parse(self.bbox))
        elif self.bbox is not None and not isinstance(self.bbox, Box):
            object.__setattr__(self, "bbox", Box(*self.bbox))


def _day(value: dt.date | str | None) -> dt.date | None:
    if not isinstance(value, str):
        return value
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise UsageError(f"{value!r} is not a day", hint="Write it as 2023-06-30.") from None
