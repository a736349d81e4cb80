"""What every question is asked of: `photos`, `classes` and `lineages` of an opened catalogue."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from arboretum_tools.catalog.layouts.layout import Layout
from arboretum_tools.catalog.layouts.raw import Defects
from arboretum_tools.errors import CatalogError, SelectionError
from arboretum_tools.events import Note, OnEvent, ignore
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.stable_key import key, key_sql, text_id
from arboretum_tools.tabular.query import (
    BATCH_ROWS,
    Connection,
    Error,
    OwnError,
    arrow_batches,
    arrow_table,
    connect,
    identifier,
    out_of_room,
    plain_errors,
    rows,
)
from arboretum_tools.taxa.identity import homonyms_sql
from arboretum_tools.taxa.taxonomy import Taxon
from arboretum_tools.wording import counted, one_line

if TYPE_CHECKING:
    import pyarrow as pa

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


class Relations:
    """The relations of a catalogue, the same over both layouts; safe to ask from one thread at a time.

    Attributes:
        path: the folder or file.
        layout: `raw`, the columns as published, or `built`, by `arboretum catalog build`. Both give the
            same answers.
    """

    def __init__(self, layout: Layout, *, threads: int | None = None, on_event: OnEvent = ignore) -> None:
        self.path = layout.root
        self.layout = layout.name
        self._layout = layout
        self._connection = connect(threads=threads)
        self._on_event = on_event
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, layout={self.layout!r})"

    # -- what is in it

    @cached_property
    def defects(self) -> Defects:
        """What was found wrong with the rows.

        The first question to a raw catalogue counts it; of a built one the build has said it.
        """
        with self._reading() as connection:
            found = self._layout.prepare(connection)
            connection.execute(f"CREATE VIEW homonyms AS {homonyms_sql()}")
        # What a build left out it has told.
        if found.sentences and not self._layout.meta:
            rows, photos = counted(found.rows, "row"), counted(found.photos, "photo")
            self._on_event(
                Note(
                    f"the catalogue at {self.path}: {rows}, {photos}; {found.summary} "
                    "(`arboretum catalog check` lists them)"
                )
            )
        return found

    def note(self, text: str) -> None:
        """Tells whoever opened the catalogue something that a question to it turned up."""
        self._on_event(Note(text))

    def __len__(self) -> int:
        """Photos of the de-duplicated catalogue."""
        return self.defects.photos

    def has(self, column: str) -> bool:
        """Whether the catalogue has an optional column."""
        return self._layout.has(column)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits: equal for equal sets of (photo_id, class), whatever the layout, order and files.

        The sum, mod 2^64, over all photos of key(photo_id) * (key(first 8 bytes of the SHA-256 of class_key)
        | 1), both keys at role `fingerprint`, seed 0; a photo in no class has the empty class_key. It is a
        product, because under a sum of the two keys two photos could change places unnoticed.
        """
        return self._layout.fingerprint or self.count_fingerprint()

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
        return self._layout.meta

    @property
    def counted(self) -> bool:
        """Whether there is the relation `counts`, which answers counts without a look at the photos."""
        return self._layout.counted

    @property
    def photos_alone(self) -> str:
        """The relation of photos without what their taxon says; a built one has `tax` instead of names."""
        return self._layout.photos_alone

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

    def batches(
        self, sql: str, parameters: Sequence[object] = (), *, size: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """The result of a query as Arrow batches of up to `size` rows, streamed in bounded memory."""
        with self._asking() as connection:
            yield from arrow_batches(connection, sql, parameters, size=size)

    def register(
        self, name: str, table: pa.Table | pa.RecordBatchReader, sql: str = "SELECT * FROM arriving"
    ) -> None:
        """Copies an Arrow table, or batches as they come, into the connection, replacing what was there.

        Args:
            name: of the table that is made.
            table: what arrives.
            sql: a query over it, `arriving`, and tables of the connection: what is kept.
        """
        with self._asking() as connection:
            connection.register("arriving", table)
            try:
                connection.execute(f"CREATE OR REPLACE TABLE {identifier(name)} AS {sql}")
            finally:
                connection.unregister("arriving")

    def run(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """A statement that makes or drops a table of the connection."""
        with self._asking() as connection:
            connection.execute(sql, list(parameters))

    def register_ids(self, ids: PhotoIds) -> str:
        """A table with these ids as its one column; the same ids again give the same table."""
        import pyarrow as pa

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
        with self._lock, plain_errors(f"asking the catalogue at {self.path}"):
            try:
                yield self._connection
            except OwnError:
                raise
            except Error as error:
                if out_of_room(error):
                    raise
                # The footers were read before; what remains is a page of a file that does not decode.
                raise CatalogError(
                    f"the catalogue at {self.path} cannot be read: {one_line(error)}",
                    path=self.path,
                    hint="A file of it is damaged: fetch it again. Nothing was changed.",
                ) from error

    def _has_table(self, name: str) -> bool:
        found = self.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name])
        return bool(found)

    # -- conditions

    def require(self, column: str) -> None:
        """Raises SelectionError, with the join that brings it, if the catalogue lacks the column."""
        if not self.has(column):
            raise SelectionError(
                f"the catalogue at {self.path} has no column {column}",
                hint="The published metadata do not carry it; `arboretum catalog build` joins it by photo_id "
                f"from {_BRING.get(column, 'another source')}.",
            )

    def clade(self, taxon: Taxon) -> tuple[str, tuple[Any, ...]]:
        """How a row of `photos` says that it belongs to a taxon: SQL, never NULL, and parameters."""
        return self._layout.clade(self._asking, taxon)

    def narrowed(self, relation: str, taxa: Iterable[Taxon]) -> str:
        """The relation `photos` or `photos_alone` over those files alone that may hold photos of some taxa.

        For queries that ask for no others.
        """
        return self._layout.narrowed(self._asking, relation, taxa)

    def classes_of(self, condition: str) -> str:
        """A table expression of class_key and n_catalog: one row per species class among `lineages`.

        Args:
            condition: on a row of `lineages`, as `clade` gives it, or `true`.
        """
        return "classes" if condition == "true" else self._layout.classes_of(condition)

    def of_classes(self, condition: str) -> str:
        """How a row of `photos` says that its class meets a condition on `n_catalog`."""
        return self._layout.of_classes(condition)


def fingerprint_of(sums: Iterable[tuple[str, int]]) -> str:
    """The fingerprint from the sums of the photos' keys by class_key ("" = in no class)."""
    total = sum((key(text_id(name), "fingerprint", 0) | 1) * photos for name, photos in sums)
    return f"{total % 2**64:016x}"
