"""The layouts that a catalogue may have on disk, behind one protocol: what everything else asks is the same.

A layout makes the relations `photos`, `classes`, `lineages`, `shared_photos`, `rejected` and
`inactive_names`, and says how clades and classes are best asked of them. Another one is a class with these
methods and a line in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, Self

from arboretum_tools.catalog import inactive
from arboretum_tools.catalog.building import rejected
from arboretum_tools.catalog.layouts import built, raw
from arboretum_tools.catalog.layouts.built_files import BuiltFiles, find_built, is_built
from arboretum_tools.catalog.layouts.files import RawFiles, find_files
from arboretum_tools.tabular.query import Connection, identifier
from arboretum_tools.taxa.taxonomy import Taxon

#: Gives the connection of a catalogue, with its relations made.
Ask = Callable[[], AbstractContextManager[Connection]]

#: SQL that is true or false of a row, never NULL, and the values of its `?`.
Condition = tuple[str, tuple[Any, ...]]


class Layout(Protocol):
    """A catalogue's files, and what they are as relations."""

    @property
    def name(self) -> str:
        """What `Catalog.layout` says, and split.json records."""

    @property
    def root(self) -> Path:
        """The folder or file."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the files say about themselves; empty where they say nothing."""

    @property
    def fingerprint(self) -> str | None:
        """The catalogue's fingerprint, where the files say it."""

    @property
    def counted(self) -> bool:
        """Whether there are the relations `counts` and `taxa`, and rows of `photos` have `tax`."""

    @property
    def photos_alone(self) -> str:
        """The relation of photos without what their taxon says."""

    @classmethod
    def open(cls, root: Path) -> Self | None:
        """The catalogue at `root`; None where it has another layout. Only footers are read.

        Raises:
            CatalogError: it has this layout, and a file of it is damaged.
        """

    def has(self, column: str) -> bool:
        """Whether the catalogue has an optional column."""

    def prepare(self, connection: Connection) -> raw.Defects:
        """Makes the relations, and says what was found wrong with the rows."""

    def clade(self, ask: Ask, taxon: Taxon, /) -> Condition:
        """How a row of `photos` says that it belongs to a taxon."""

    def narrowed(self, ask: Ask, relation: str, taxa: Iterable[Taxon], /) -> str:
        """`relation`, over those files alone that may hold photos of some taxa."""

    def classes_of(self, condition: str) -> str:
        """A table expression of class_key and n_catalog: the classes of some rows of `lineages`."""

    def of_classes(self, condition: str) -> str:
        """How a row of `photos` says that its class meets a condition on `n_catalog`."""


class RawLayout:
    """Parquet files with the columns as published."""

    name = "raw"
    counted = False
    photos_alone = "photos"
    fingerprint = None

    def __init__(self, files: RawFiles) -> None:
        self._files = files
        self.root = files.root
        self.meta: Mapping[str, Any] = {}

    @classmethod
    def open(cls, root: Path) -> Self:
        """Any files that are there; see `files.find_files` for what is refused."""
        return cls(find_files(root))

    def has(self, column: str) -> bool:
        """Whether any file has the column."""
        return self._files.has(column)

    def prepare(self, connection: Connection) -> raw.Defects:
        """Reads all rows once."""
        inactive.prepare(connection, self.root)
        found = raw.prepare(connection, self._files)
        rejected.of_rows(connection)
        return found

    def clade(self, _ask: Ask, taxon: Taxon, /) -> Condition:
        """By its names. A rank that a row lacks is NULL: neither inside nor, by SQL's logic, outside."""
        sql, parameters = _named(taxon)
        return f"coalesce({sql}, false)", parameters

    def narrowed(self, _ask: Ask, relation: str, _taxa: Iterable[Taxon], /) -> str:
        """All files: any may hold any taxon."""
        return relation

    def classes_of(self, condition: str) -> str:
        """By the names in the rows."""
        return f"(FROM classes WHERE class_key IN (SELECT class_key FROM lineages WHERE {condition}))"

    def of_classes(self, condition: str) -> str:
        """By the class_key of the row."""
        return f"class_key IN (SELECT class_key FROM classes WHERE {condition})"


class BuiltLayout:
    """What `arboretum catalog build` makes: a clade is a range of `tax`, and counts stand in a table."""

    name = "built"
    counted = True
    photos_alone = "photos_alone"

    def __init__(self, files: BuiltFiles) -> None:
        self._files = files
        self.root = files.root
        self.meta = files.meta
        self.fingerprint = str(files.meta["fingerprint"])
        self._known: dict[Taxon, list[tuple[int, int]]] = {}
        self._narrowed: set[str] = set()

    @classmethod
    def open(cls, root: Path) -> Self | None:
        """A folder that has a catalog.json."""
        return cls(find_built(root)) if is_built(root) else None

    def has(self, column: str) -> bool:
        """Whether the build had the column from any source."""
        return self._files.has(column)

    def prepare(self, connection: Connection) -> raw.Defects:
        """Makes views, so that nothing is read yet; the build has said what was wrong."""
        inactive.prepare(connection, self.root)
        rejected.of_catalogue(connection, self.root)
        return built.prepare(connection, self._files)

    def clade(self, ask: Ask, taxon: Taxon, /) -> Condition:
        """By ranges of `tax`, or by names where these would be many."""
        return built.ranges_sql(self._ranges(ask, taxon), *_named(taxon))

    def narrowed(self, ask: Ask, relation: str, taxa: Iterable[Taxon], /) -> str:
        """The parts between the first and the last that may hold them.

        A part that holds none is found out by its footer, which takes a millisecond: for the 70 parts of all
        Arboretum more than the answer.
        """
        parts = self._files.parts
        held = self._files.holding([bounds for taxon in taxa for bounds in self._ranges(ask, taxon)])
        if held == parts:
            return relation
        suffix = f"_{parts.index(held[0])}_{len(held)}"
        if suffix not in self._narrowed:
            with ask() as connection:
                built.view_photos(connection, self._files, held, suffix)
            self._narrowed.add(suffix)
        return relation + suffix

    def classes_of(self, condition: str) -> str:
        """By the table of taxa."""
        taxa = f"FROM taxa WHERE class_key IS NOT NULL AND ({condition})"
        return f"(SELECT DISTINCT class_key, n_catalog {taxa})"

    def of_classes(self, condition: str) -> str:
        """By the `tax` of the row."""
        return f"tax IN (SELECT tax FROM taxa WHERE {condition})"

    def _ranges(self, ask: Ask, taxon: Taxon) -> list[tuple[int, int]]:
        if taxon not in self._known:
            with ask() as connection:
                self._known[taxon] = built.ranges(connection, *_named(taxon))
        return self._known[taxon]


#: The layouts there are; the first that takes a folder is its layout. The last one takes any.
LAYOUTS: tuple[type[Layout], ...] = (BuiltLayout, RawLayout)


def open_layout(root: Path) -> Layout:
    """The catalogue at `root`, whatever its layout.

    Raises:
        CatalogError: it is not there, empty, damaged, or not a catalogue.
    """
    return next(found for kind in LAYOUTS if (found := kind.open(root)) is not None)


def _named(taxon: Taxon) -> Condition:
    """How the names of a row say that it belongs to a taxon; NULL where the row lacks one of them."""
    parameters: tuple[str, ...] = (taxon.name,)
    sql = f"{identifier(taxon.rank)} = ?"
    if taxon.rank == "species":
        genus, _, epithet = taxon.name.partition(" ")
        sql, parameters = "genus = ? AND species = ?", (genus, epithet)
    for rank, name in (("kingdom", taxon.kingdom), ("family", taxon.family)):
        if name:
            sql, parameters = f"{sql} AND {rank} = ?", (*parameters, name)
    return sql, parameters
