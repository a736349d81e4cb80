"""The selection flags that several commands share, said once.

A command takes one parameter `flags: SelectionFlags`; `takes_selection` puts the flags themselves into the
signature that Typer reads.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from arboretum_tools.catalog import Catalog, Selection
    from arboretum_tools.events import OnEvent

_PANEL = "Selection"


def _option(help_text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar, rich_help_panel=_PANEL, show_default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionFlags:
    """What the user said about which photos to take; field names are the flags."""

    taxa: Annotated[
        list[str] | None,
        _option(
            "Taxon to take, by scientific name of any rank, common name or group name; may be repeated or "
            "joined by commas; rank:name or parent>name where a name is ambiguous.",
            metavar="NAME",
        ),
    ] = None
    exclude_taxa: Annotated[list[str] | None, _option("Taxon to leave out; as --taxa.", metavar="NAME")] = (
        None
    )
    rarity: Annotated[
        list[str] | None,
        _option(
            "By photos per species in the whole catalogue: rare (under 30), few (under 20), medium (20 to "
            "100), many (over 100).",
            metavar="BAND",
        ),
    ] = None
    min_photos: Annotated[
        int | None, _option("Least photos per species in the whole catalogue.", metavar="N")
    ] = None
    max_photos: Annotated[
        int | None, _option("Most photos per species in the whole catalogue.", metavar="N")
    ] = None
    life_stage: Annotated[
        list[str] | None,
        _option("egg, larva, nymph, pupa, juvenile, subimago, teneral or adult.", metavar="STAGE"),
    ] = None
    life_stage_unknown: Annotated[
        str | None,
        _option(
            "What becomes of photos whose life stage is unknown: exclude, include or only. Not said: "
            "excluded where a life stage is asked for, else taken.",
            metavar="HOW",
        ),
    ] = None
    license: Annotated[
        list[str] | None,
        _option(
            "A licence such as CC-BY, or a set: open (CC0, PD, CC-BY, CC-BY-SA), non-commercial-ok (open and "
            "CC-BY-NC, CC-BY-NC-SA). Unknown never passes.",
            metavar="LICENCE",
        ),
    ] = None
    iucn: Annotated[
        list[str] | None,
        _option(
            "IUCN Red List category: LC, NT, VU, EN, CR, EW, EX, DD or NE (--rarity counts photos instead).",
            metavar="CATEGORY",
        ),
    ] = None
    quality_grade: Annotated[
        str, _option("research (the default), needs_id, casual or any.", metavar="GRADE")
    ] = "research"
    bbox: Annotated[
        str | None, _option("Only photos in this box, in degrees.", metavar="WEST,SOUTH,EAST,NORTH")
    ] = None
    since: Annotated[
        str | None, _option("Observed on this day or later, such as 2020-01-31.", metavar="DAY")
    ] = None
    until: Annotated[str | None, _option("Observed on this day or earlier.", metavar="DAY")] = None
    photos_per_observation: Annotated[
        int | None, _option("At most so many photos of one observation.", metavar="N")
    ] = None
    photo_ids: Annotated[
        Path | None,
        _option(
            "Only the photos listed in this file: one id, page or address a line, or Parquet or CSV with a "
            "column photo_id or image_url.",
            metavar="FILE",
        ),
    ] = None
    limit: Annotated[
        int | None,
        _option(
            "At most so many photos: a sample that is the same everywhere, not the head of a file.",
            metavar="N",
        ),
    ] = None
    catalog: Annotated[
        Path | None,
        _option(
            "The catalogue: a folder that `arboretum catalog build` made, or published Parquet. [default: "
            "$ARBORETUM_CATALOG, else ./catalog]",
            metavar="PATH",
        ),
    ] = None

    @property
    def given(self) -> bool:
        """Whether any flag says what to select (the catalogue's place does not)."""
        return any(
            getattr(self, field.name) != field.default
            for field in dataclasses.fields(self)
            if field.name != "catalog"
        )

    def open(self, on_event: OnEvent) -> Catalog:
        """The catalogue."""
        from arboretum_tools.catalog import open_catalog

        return open_catalog(self.catalog, on_event=on_event)

    def select(self, catalog: Catalog) -> Selection:
        """The selection of `catalog` that the flags say."""
        return catalog.select(
            taxa=self.taxa or (),
            exclude_taxa=self.exclude_taxa or (),
            rarity=self.rarity or (),
            min_photos=self.min_photos,
            max_photos=self.max_photos,
            life_stage=self.life_stage or (),
            life_stage_unknown=self.life_stage_unknown,
            license=self.license or (),
            iucn=self.iucn or (),
            quality_grade=self.quality_grade,
            bbox=self.bbox,
            since=self.since,
            until=self.until,
            photos_per_observation=self.photos_per_observation,
            photo_ids=self.photo_ids,
            limit=self.limit,
        )


def takes_selection(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces the parameter `flags: SelectionFlags` of a command by the flags, at the end of its options."""
    hints = get_type_hints(SelectionFlags, include_extras=True)
    names = [field.name for field in dataclasses.fields(SelectionFlags)]

    def called(**values: Any) -> None:
        flags = SelectionFlags(**{name: values.pop(name) for name in names})
        command(flags=flags, **values)

    own_hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own_hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "flags"
    ]
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(SelectionFlags)
    ]
    called.__name__ = command.__name__
    called.__doc__ = command.__doc__
    called.__module__ = command.__module__
    called.__annotations__ = {p.name: p.annotation for p in (*own, *shared)}
    called.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return called
