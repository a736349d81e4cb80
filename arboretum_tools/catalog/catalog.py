"""A catalogue, opened: what is in it, what its names mean, and selections of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from arboretum_tools.catalog import inactive, names
from arboretum_tools.catalog.inactive import InactiveName
from arboretum_tools.catalog.layouts.files import default_path
from arboretum_tools.catalog.layouts.layout import open_layout
from arboretum_tools.catalog.layouts.relations import Relations
from arboretum_tools.catalog.selection import Selection
from arboretum_tools.display import notebook_views
from arboretum_tools.errors import SeveralTaxaError, TaxonError, UnknownTaxonError
from arboretum_tools.events import Note, OnEvent, ignore
from arboretum_tools.options import takes
from arboretum_tools.options.select import SelectionOptions
from arboretum_tools.photos.criteria import Criteria
from arboretum_tools.photos.photo_ids import OBSERVATIONS, PHOTOS, PhotoIds, read_ids
from arboretum_tools.taxa import taxonomy
from arboretum_tools.taxa.taxonomy import Candidate, Known, Taxon


class Catalog(Relations):
    """Photos and their taxa. Opened with `open_catalog`; safe to ask from one thread at a time.

    It goes through pickle as its path, and is opened again on the other side.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return (open_catalog, (self.path,))

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [("layout", self.layout)]
        if self.counted:
            # A raw one would have to be read for it.
            rows.append(("photos", len(self)))
        return notebook_views.card(f"Catalogue {self.path}", notebook_views.table(("", ""), rows))

    # -- names

    def taxon(self, text: str) -> Taxon:
        """The one taxon that a name or term means; `arboretum_tools.taxa.taxonomy` says what may be written.

        Raises:
            UnknownTaxonError: none, with suggestions.
            AmbiguousTaxonError: several, with a term for each.
            UsageError: the term is malformed.

        >>> import arboretum_tools as at
        >>> catalog = at.open_catalog("catalog")
        >>> catalog.taxon("birds").english
        'class Aves'
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
        """What the catalogue knows of a taxon whose name iNaturalist no longer uses; None of any other.

        >>> import arboretum_tools as at
        >>> catalog = at.open_catalog("catalog")
        >>> catalog.inactive(catalog.taxon("Aves")) is None
        True
        """
        with self._asking() as connection:
            return inactive.of_taxon(connection, taxon.rank, taxon.name, taxon.kingdom)

    def unknown_to_inaturalist(self, species: str, photos: int) -> InactiveName | None:
        """What iNaturalist's whole taxonomy (extra `taxonomy`) tells of a species that it lacks."""
        with self._asking() as connection:
            return inactive.by_whole_taxonomy(connection, species, photos)

    def former_names(self, taxon: Taxon) -> tuple[str, ...]:
        """Names of a taxon that iNaturalist no longer uses, as far as the catalogue knows them.

        >>> import arboretum_tools as at
        >>> catalog = at.open_catalog("catalog")
        >>> catalog.former_names(catalog.taxon("Aves"))
        ()
        """
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

    def _taxa(self, names: Iterable[str]) -> tuple[Taxon, ...]:
        """The taxa of several names; all that fail are told of in one error."""
        found, failed = [], []
        for text in names:
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

    @takes(SelectionOptions)
    def select(self, options: SelectionOptions) -> Selection:
        """The photos that pass every criterion; lazy: nothing is counted yet but names are looked up.

        Args:
            options: {options}

        Raises:
            TaxonError: a name that does not lead to exactly one taxon.
            SelectionError: a column that this catalogue lacks.
            UsageError: a value that an option does not take.

        >>> import arboretum_tools as at
        >>> catalog = at.open_catalog("catalog")
        >>> larvae = catalog.select("Insecta", life_stage="larva", license="open")
        >>> larvae.english
        'class Insecta; life stage larva; licence open; research grade'
        >>> larvae.count()
        13
        """
        values = {f.name: getattr(options, f.name) for f in fields(SelectionOptions)}
        values |= {name: self._taxa(values[name]) for name in ("taxa", "exclude_taxa")}
        for name, listed in (("photo_ids", PHOTOS), ("observation_ids", OBSERVATIONS)):
            ids = getattr(options, name)
            if isinstance(ids, str | Path):
                values[name] = read_ids(ids, listed)
            elif ids is not None and not isinstance(ids, PhotoIds):
                values[name] = PhotoIds.of(ids)
        return self.selection(Criteria(**values))

    def selection(self, *criteria: Criteria) -> Selection:
        """The photos that pass any of these criteria.

        Raises:
            SelectionError: a column that this catalogue lacks.

        >>> import arboretum_tools as at
        >>> from arboretum_tools.photos.criteria import Criteria
        >>> catalog = at.open_catalog("catalog")
        >>> catalog.selection(Criteria(rarity=("rare",)), Criteria(min_photos=100)).count()
        2336
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

    >>> import arboretum_tools as at
    >>> catalog = at.open_catalog("catalog")
    >>> len(catalog)
    4008
    """
    layout = open_layout(default_path() if path is None else Path(path))
    return Catalog(layout, threads=threads, on_event=on_event)
