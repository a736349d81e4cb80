"""A catalogue, opened: what is in it, what its names mean, and selections of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from arboretum_tools import taxonomy
from arboretum_tools.catalog import built, names, raw
from arboretum_tools.catalog.files import RawFiles, default_path, find_files
from arboretum_tools.catalog.layout import BuiltFiles, find_built, is_built
from arboretum_tools.catalog.select import Selection
from arboretum_tools.errors import CatalogError, SelectionError, UnknownTaxonError
from arboretum_tools.events import Note, OnEvent, ignore
from arboretum_tools.photo_ids import PhotoIds, read_photo_ids
from arboretum_tools.query import (
    Connection,
    Error,
    OwnError,
    arrow_batches,
    arrow_table,
    connect,
    identifier,
    plain_errors,
    rows,
)
from arboretum_tools.selection import Box, Criteria
from arboretum_tools.stable import key, key_sql, text_id
from arboretum_tools.tables import one_line
from arboretum_tools.taxonomy import Candidate, Taxon

_Asked = TypeVar("_Asked")

_BRING = {
    "life_stage": "GBIF's export of iNaturalist",
    "iucn": "GBIF's export of iNaturalist",
    "license": "iNaturalist Open Data",
    "observed_on": "iNaturalist Open Data",
    "latitude": "iNaturalist Open Data",
    "longitude": "iNaturalist Open Data",
    "observation_id": "iNaturalist Open Data",
    "observer_id": "iNaturalist Open Data",
}


class Catalog:
    """Photos and their taxa. Opened with `open_catalog`; safe to ask from one thread at a time.

    Attributes:
        path: the folder or file.
        layout: `raw`, the columns as published, or `built`, by `arboretum catalog build`. Both give the
            same answers.
    """

    def __init__(
        self, files: RawFiles | BuiltFiles, *, threads: int | None = None, on_event: OnEvent = ignore
    ) -> None:
        self.path = files.root
        self.layout = "built" if isinstance(files, BuiltFiles) else "raw"
        self._files = files
        self._connection = connect(threads=threads)
        self._on_event = on_event
        self._lock = threading.RLock()

    # -- what is in it

    @cached_property
    def defects(self) -> raw.Defects:
        """What was found wrong with the rows.

        The first question to a raw catalogue counts it; of a built one the build has said it.
        """
        with self._reading() as connection:
            if isinstance(self._files, BuiltFiles):
                return built.prepare(connection, self._files)
            found = raw.prepare(connection, self._files)
        if found.sentences:
            lines = [f"catalogue {self.path}: {found.rows:,} rows, {found.photos:,} photos; of the rows"]
            self._on_event(Note("\n  ".join([*lines, *found.sentences])))
        return found

    def __len__(self) -> int:
        """Photos of the de-duplicated catalogue."""
        return self.defects.photos

    def has(self, column: str) -> bool:
        """Whether the catalogue has an optional column."""
        return self._files.has(column)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits: equal for equal sets of (photo_id, class), whatever the layout, order and files.

        The sum, mod 2^64, over all photos of key(photo_id) * (key(first 8 bytes of the SHA-256 of class_key)
        | 1), both keys at role `fingerprint`, seed 0; a photo in no class has the empty class_key. It is a
        product, because under a sum of the two keys two photos could change places unnoticed.
        """
        if isinstance(self._files, BuiltFiles):
            return str(self._files.meta["fingerprint"])
        return self.count_fingerprint()

    def count_fingerprint(self) -> str:
        """The fingerprint, counted over all photos even where a build has stored it."""
        sums = self.rows(
            f"SELECT coalesce(class_key, ''), sum({key_sql('photo_id', 'fingerprint', 0)}) "
            "FROM photos GROUP BY 1"
        )
        return fingerprint_of((str(name), int(str(photos))) for name, photos in sums)

    @property
    def meta(self) -> Mapping[str, Any]:
        """What a build says of itself (sources, coverage); empty for a raw catalogue."""
        return self._files.meta if isinstance(self._files, BuiltFiles) else {}

    @property
    def counted(self) -> bool:
        """Whether there is the relation `counts`, which answers counts without a look at the photos."""
        return self.layout == "built"

    @cached_property
    def num_classes(self) -> int:
        """Species classes of the catalogue."""
        return int(str(self.rows("SELECT count(*) FROM classes")[0][0]))

    # -- asking

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Rows of a query over `photos`, `classes` and `lineages` that returns few."""
        with self._asking() as connection:
            return rows(connection, sql, parameters)

    def table(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The result of a query over `photos`, `classes` and `lineages` as an Arrow table."""
        with self._asking() as connection:
            return arrow_table(connection, sql, parameters)

    def batches(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[pa.RecordBatch]:
        """The result of a query as Arrow batches, streamed in bounded memory."""
        with self._asking() as connection:
            yield from arrow_batches(connection, sql, parameters)

    def register(self, name: str, table: pa.Table) -> None:
        """Copies an Arrow table into the connection under `name`, replacing what was there."""
        with self._asking() as connection:
            connection.register("arriving", table)
            connection.execute(f"CREATE OR REPLACE TABLE {identifier(name)} AS SELECT * FROM arriving")
            connection.unregister("arriving")

    def run(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """A statement that makes or drops a table of the connection."""
        with self._asking() as connection:
            connection.execute(sql, list(parameters))

    def register_ids(self, ids: PhotoIds) -> str:
        """A table with these photo ids; the same ids again give the same table."""
        name = f"ids_{ids.sha256[:16]}"
        if not self._has_table(name):
            self.register(name, pa.table({"photo_id": ids.array}))
        return name

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Connection]:
        with self._lock:
            _ = self.defects  # the first question makes the relations
            with self._reading() as connection:
                yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._lock, plain_errors(f"asking the catalogue {self.path}"):
            try:
                yield self._connection
            except OwnError:
                raise
            except Error as error:
                # The footers were read before; what remains is a page of a file that does not decode.
                raise CatalogError(
                    f"the catalogue {self.path} cannot be read: {one_line(error)}",
                    path=self.path,
                    hint="A file of it is damaged: fetch it again. Nothing was changed.",
                ) from error

    def _has_table(self, name: str) -> bool:
        found = self.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name])
        return bool(found)

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
        try:
            return taxonomy.decide(term, candidates, self._names() if not candidates else ())
        except UnknownTaxonError as error:
            known = self._elsewhere(group.name if group else term.name) if not candidates else ""
            if not known:
                raise
            raise UnknownTaxonError(term.text, hint=known) from error

    def _candidates(self, name: str) -> list[Candidate]:
        with self._asking() as connection:
            return names.candidates(connection, name)

    def _elsewhere(self, name: str) -> str:
        with self._asking() as connection:
            return names.known_to_inaturalist(connection, name)

    def _names(self) -> list[str]:
        with self._asking() as connection:
            return names.all_names(connection)

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

        Args: as `arboretum_tools.selection.Criteria`; texts are parsed, one value may stand for several.

        Raises:
            TaxonError: a name that does not lead to exactly one taxon.
            SelectionError: a column that this catalogue lacks, or a value outside its vocabulary.
            UsageError: a value that is no value of its kind.
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
            taxa=_each(taxa, self.taxon),
            exclude_taxa=_each(exclude_taxa, self.taxon),
            rarity=_each(rarity, str),
            min_photos=min_photos,
            max_photos=max_photos,
            life_stage=_each(life_stage, str),
            life_stage_unknown=life_stage_unknown,
            license=_each(license, str),
            iucn=_each(iucn, str.upper),
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

    def require(self, column: str) -> None:
        """Raises SelectionError, with the join that brings it, if the catalogue lacks the column."""
        if not self.has(column):
            raise SelectionError(
                f"the catalogue {self.path} has no column {column}",
                hint="The published metadata do not carry it; `arboretum catalog build` joins it by photo_id "
                f"from {_BRING.get(column, 'another source')}.",
            )

    def clade(self, taxon: Taxon) -> tuple[str, tuple[Any, ...]]:
        """How a row of `photos` says that it belongs to a taxon: SQL, never NULL, and parameters."""
        parameters: tuple[str, ...] = (taxon.name,)
        sql = f"{identifier(taxon.rank)} = ?"
        if taxon.rank == "species":
            genus, _, epithet = taxon.name.partition(" ")
            sql, parameters = "genus = ? AND species = ?", (genus, epithet)
        if taxon.kingdom:
            sql, parameters = f"{sql} AND kingdom = ?", (*parameters, taxon.kingdom)
        if not self.counted:
            # A rank that a row lacks is NULL: neither inside nor, by SQL's logic, outside. It is outside.
            return f"coalesce({sql}, false)", parameters
        with self._asking() as connection:
            return built.ranges_sql(connection, sql, parameters)

    def of_classes(self, condition: str) -> str:
        """How a row of `photos` says that its class meets a condition on `n_catalog`."""
        if self.counted:
            return f"tax IN (SELECT tax FROM taxa WHERE {condition})"
        return f"class_key IN (SELECT class_key FROM classes WHERE {condition})"


def fingerprint_of(sums: Iterable[tuple[str, int]]) -> str:
    """The fingerprint from the sums of the photos' keys by class_key ("" = in no class)."""
    total = sum((key(text_id(name), "fingerprint", 0) | 1) * photos for name, photos in sums)
    return f"{total % 2**64:016x}"


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
    root = default_path() if path is None else Path(path)
    files = find_built(root) if is_built(root) else find_files(root)
    return Catalog(files, threads=threads, on_event=on_event)


def _each(values: str | Iterable[str], make: Callable[[str], _Asked]) -> tuple[_Asked, ...]:
    """One value or several, each possibly a list with commas, in the order given, each once."""
    given = [values] if isinstance(values, str) else list(values)
    parts = [part.strip() for value in given for part in value.split(",")]
    return tuple(dict.fromkeys(make(part) for part in parts if part))


def _day(value: dt.date | str | None) -> dt.date | None:
    if not isinstance(value, str):
        return value
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise SelectionError(f"{value!r} is no day", hint="Write it as 2023-06-30.") from None
