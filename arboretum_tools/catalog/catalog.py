"""A catalogue, opened: what is in it, what its names mean, and selections of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from arboretum_tools import taxonomy
from arboretum_tools.catalog import inactive, names
from arboretum_tools.catalog.files import default_path
from arboretum_tools.catalog.inactive import InactiveName
from arboretum_tools.catalog.layout import open_layout
from arboretum_tools.catalog.relations import Relations
from arboretum_tools.catalog.selection import Selection
from arboretum_tools.criteria import Box, Criteria
from arboretum_tools.errors import SeveralTaxaError, TaxonError, UnknownTaxonError, UsageError
from arboretum_tools.events import Note, OnEvent, ignore
from arboretum_tools.photo_ids import PhotoIds, read_photo_ids
from arboretum_tools.taxonomy import Candidate, Known, Taxon

_Asked = TypeVar("_Asked")


class Catalog(Relations):
    """Photos and their taxa. Opened with `open_catalog`; safe to ask from one thread at a time."""

    # -- names

    def taxon(self, text: str) -> Taxon:
        """The one taxon that a name or term means; see `arboretum_tools.taxonomy` for what may be written.

        Raises:
            UnknownTaxonError: none, with suggestions.
            AmbiguousTaxonError: several, with a term for each.
            UsageError: the term is malformed.
        """
        term = taxonomy.parse_term(text)
        candidates = self._candidates(term.name)
        group = taxonomy.group_of(term.name)
        if not candidates and group:
            candidates = [c for c in self._candidates(group.name) if c.rank == group.rank]
        if not candidates:
            self._refuse_renamed(term)
            # Before any name is suggested, which means reading all of them.
            if known := self._elsewhere(group.name if group else term.name):
                raise UnknownTaxonError(term.text, hint=known)
        found = taxonomy.decide(term, candidates, () if candidates else self._names(term.parent))
        if old := self.inactive(found):
            self._on_event(Note(f"{old.sentence}."))
        return found

    def inactive(self, taxon: Taxon) -> InactiveName | None:
        """What the catalogue knows of a taxon whose name iNaturalist no longer uses; None of any other."""
        with self._asking() as connection:
            return inactive.of_taxon(connection, taxon.rank, taxon.name, taxon.kingdom)

    def unknown_to_inaturalist(self, species: str, photos: int) -> InactiveName | None:
        """What iNaturalist's whole taxonomy (extra `taxonomy`) tells of a species that it lacks."""
        with self._asking() as connection:
            return inactive.by_whole_taxonomy(connection, species, photos)

    def former_names(self, taxon: Taxon) -> tuple[str, ...]:
        """Names of a taxon that iNaturalist no longer uses, as far as the catalogue knows them."""
        with self._asking() as connection:
            return inactive.former_names(connection, taxon.rank, taxon.name)

    def _refuse_renamed(self, term: taxonomy.Term) -> None:
        """Raises UnknownTaxonError for a name under whose other name, old or active, there are photos."""
        with self._asking() as connection:
            old = inactive.find(connection, term.name)
            held = inactive.held_as(connection, term.name)
        if old:
            there = old.active_name and self._candidates(old.active_name)
            near = [old.active_name] if there and old.active_name else []
            raise UnknownTaxonError(term.text, suggestions=near, hint=f"{old.sentence}.")
        if held:
            former = list(dict.fromkeys(known.name for known in held))
            raise UnknownTaxonError(
                term.text,
                suggestions=former,
                hint=f"The catalogue has its photos under an old name: {held[0].sentence}.",
            )

    def _candidates(self, name: str) -> list[Candidate]:
        with self._asking() as connection:
            return names.candidates(connection, name)

    def _elsewhere(self, name: str) -> str:
        with self._asking() as connection:
            return names.known_to_inaturalist(connection, name)

    def _names(self, parent: str | None) -> list[Known]:
        with self._asking() as connection:
            return names.all_names(connection, parent)

    def _taxa(self, values: str | Iterable[str], name: str) -> tuple[Taxon, ...]:
        """The taxa of several names; all that fail are told of in one error."""
        found, failed = [], []
        for text in _each(values, str, name):
            try:
                found.append(self.taxon(text))
            except TaxonError as error:
                failed.append(error)
        if len(failed) > 1:
            raise SeveralTaxaError(failed)
        if failed:
            raise failed[0]
        return tuple(dict.fromkeys(found))

    # -- selecting

    def select(
        self,
        taxa: str | Iterable[str] = (),
        *,
        exclude_taxa: str | Iterable[str] = (),
        rarity: str | Iterable[str] = (),
        min_photos: int | None = None,
        max_photos: int | None = None,
        life_stage: str | Iterable[str] = (),
        life_stage_unknown: str | None = None,
        license: str | Iterable[str] = (),  # noqa: A002 - the field's word
        iucn: str | Iterable[str] = (),
        quality_grade: str = "research",
        bbox: Box | str | Sequence[float] | None = None,
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        photos_per_observation: int | None = None,
        photo_ids: PhotoIds | Iterable[int] | str | Path | None = None,
        limit: int | None = None,
    ) -> Selection:
        """The photos that pass every criterion; lazy: nothing is counted yet but names are looked up.

        Args: as `arboretum_tools.criteria.Criteria`; texts are parsed, one value may stand for several.

        Raises:
            TaxonError: a name that does not lead to exactly one taxon.
            SelectionError: a column that this catalogue lacks.
            UsageError: a value outside its vocabulary, or otherwise not of its kind.
        """
        if isinstance(photo_ids, str | Path):
            photo_ids = read_photo_ids(photo_ids)
        elif photo_ids is not None and not isinstance(photo_ids, PhotoIds):
            photo_ids = PhotoIds.of(photo_ids)
        if isinstance(bbox, str):
            bbox = Box.parse(bbox)
        elif bbox is not None and not isinstance(bbox, Box):
            bbox = Box(*bbox)
        criteria = Criteria(
            taxa=self._taxa(taxa, "taxa"),
            exclude_taxa=self._taxa(exclude_taxa, "exclude-taxa"),
            rarity=_each(rarity, str, "rarity"),
            min_photos=min_photos,
            max_photos=max_photos,
            life_stage=_each(life_stage, str, "life-stage"),
            life_stage_unknown=life_stage_unknown,
            license=_each(license, str, "license"),
            iucn=_each(iucn, str.upper, "iucn"),
            quality_grade=quality_grade,
            bbox=bbox,
            since=_day(since),
            until=_day(until),
            photos_per_observation=photos_per_observation,
            photo_ids=photo_ids,
            limit=limit,
        )
        return self.selection(criteria)

    def selection(self, *criteria: Criteria) -> Selection:
        """The photos that pass any of these criteria.

        Raises:
            SelectionError: a column that this catalogue lacks.
        """
        for one in criteria:
            for column in one.columns:
                self.require(column)
        return Selection(self, criteria or (Criteria(),))


def open_catalog(
    path: str | Path | None = None, *, threads: int | None = None, on_event: OnEvent = ignore
) -> Catalog:
    """Opens a catalogue: one that was built, or Parquet files with the Arboretum columns.

    Only the files' footers are read now; the first question to a raw catalogue reads its rows.

    Args:
        path: default `$ARBORETUM_CATALOG`, else `./catalog`.
        threads: for queries; default all cores. Never changes a result.
        on_event: gets a Note that says which rows were left out and why.

    Raises:
        CatalogError: it is not there, empty, or not a catalogue; the file and columns are named.
    """
    layout = open_layout(default_path() if path is None else Path(path))
    return Catalog(layout, threads=threads, on_event=on_event)


def _each(values: str | Iterable[str], make: Callable[[str], _Asked], name: str) -> tuple[_Asked, ...]:
    """One value or several, each possibly a list with commas, in the order given, each once.

    Raises:
        UsageError: what was given is blank. A variable that a script forgot to set must not mean everything.
    """
    given = [values] if isinstance(values, str) else list(values)
    parts = [part.strip() for value in given for part in value.split(",")]
    if given and not any(parts):
        raise UsageError(f"{name} is given without a value", hint="Leave it out to take all.")
    return tuple(dict.fromkeys(make(part) for part in parts if part))


def _day(value: dt.date | str | None) -> dt.date | None:
    if not isinstance(value, str):
        return value
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise UsageError(f"{value!r} is no day", hint="Write it as 2023-06-30.") from None
