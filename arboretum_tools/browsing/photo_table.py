"""The photos that are shown, beside the states of the store: a DuckDB file in the temporary folder.

It is filled once, when the page is opened, from the files of the split or the rows of the selection and from
the indexes of the store; no image is read. It lies on disk, so that memory does not grow with the photos.
Every question is a query of its own cursor, and may come from any thread.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arboretum_tools.browsing.columns import LINEAGE, MOST_ROWS, NO_LABEL, PHOTO
from arboretum_tools.browsing.filters import BAND, FACETS, Filter
from arboretum_tools.browsing.sources import Source, split_files
from arboretum_tools.errors import BadInputError, StoreError
from arboretum_tools.photos.credit import credit_line
from arboretum_tools.store.inventory import index_source
from arboretum_tools.store.shards.layout import PENDING, index_name, shard_number
from arboretum_tools.system.temporary_folders import TemporaryFolder
from arboretum_tools.tabular.query import (
    BATCH_ROWS,
    Connection,
    Error,
    OwnError,
    connect,
    literal,
    parquet_source,
    plain_errors,
)
from arboretum_tools.wording import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What DuckDB holds of it at a time; the rest lies in the temporary folder.
_MEMORY = "256MB"

# Lists of rows that are kept, one per filter: files of 4 bytes per photo.
_KEPT_LISTS = 6

# Values of a facet that are shown; the rest is summed up.
_SHOWN = 40

_FROM_INDEX = ("status", "error", "shard", "offset", "size_bytes", "width", "height", "format")

# Positions are shown no finer than this, in degrees: a place, not a garden.
_PLACE_DIGITS = 1


@dataclass(frozen=True, slots=True)
class StoredImage:
    """Where the image of a photo lies."""

    photo_id: int
    shard: int
    offset: int
    size_bytes: int


class PhotoTable:
    """The tables `photos`, `classes` and `marks` of what is shown.

    Attributes:
        source: what is shown.
        seconds: how long filling them took.
    """

    def __init__(self, source: Source) -> None:
        """Fills the tables.

        Raises:
            StoreError: an index of the store cannot be read.
            BadInputError: the files of what is shown cannot be read.
        """
        started = time.monotonic()
        self.source = source
        self._folder = TemporaryFolder("browse")
        self._lists: OrderedDict[tuple[str, str], NDArray[np.int32]] = OrderedDict()
        self._lock = threading.Lock()
        self._connection = connect(memory_limit=os.environ.get("ARBORETUM_MEMORY_LIMIT") or _MEMORY)
        file = literal(str(self._folder.path / "photos.duckdb"))
        self._connection.execute(f"ATTACH {file} AS shown")
        try:
            with plain_errors("reading what is to be shown"):
                self._fill()
        except OwnError:
            raise
        except Error as error:
            kind = StoreError if "shard-" in str(error) else BadInputError
            raise kind(f"{source.name} cannot be shown: {one_line(error)}") from error
        self.seconds = time.monotonic() - started

    def close(self) -> None:
        """Removes the tables."""
        self._connection.close()
        with self._folder:
            pass

    def _fill(self) -> None:
        run = self._connection.execute
        run("USE shown")
        run("SET preserve_insertion_order = true")
        self._connection.register("arriving", self.source.classes)
        run(
            "CREATE TABLE classes AS SELECT *, "
            "(row_number() OVER (ORDER BY n DESC, label) - 1)::INTEGER AS place FROM arriving"
        )
        self._connection.unregister("arriving")
        run("CREATE TABLE marks (photo_id BIGINT PRIMARY KEY, reason VARCHAR)")
        store = self.source.store
        files = store.index_files() if store is not None else []
        # Asked before they are read: what is replaced meanwhile is taken for changed, and not for current.
        self._versions = {shard: self._version(shard) for shard in map(shard_number, files)}
        found = ", ".join(f'"{name}"' for name in _FROM_INDEX)
        run(f"CREATE TEMP VIEW tried AS SELECT photo_id, {found} FROM {index_source(files)}")
        # A photo that was tried in several runs has several rows; mostly there are none.
        run(
            "CREATE TEMP TABLE again AS SELECT photo_id, "
            "arg_max(shard, (status = 'ok', CASE WHEN status = 'ok' THEN -shard ELSE shard END)) AS shard "
            "FROM tried GROUP BY photo_id HAVING count(*) > 1"
        )
        run(
            "CREATE TEMP VIEW states AS SELECT t.* FROM tried AS t LEFT JOIN again AS a USING (photo_id) "
            "WHERE a.shard IS NULL OR a.shard = t.shard"
        )
        own = ", ".join(f'p."{name}"' for name in PHOTO if name not in ("photo_id", "label"))
        how = "FULL" if self.source.whole_store else "LEFT"
        others = ", ".join(f's."{name}"' for name in _FROM_INDEX[1:])
        run(
            # Sorted once, and numbered as they come: a window with an order would sort all of them again.
            "CREATE TABLE photos AS SELECT (row_number() OVER () - 1)::INTEGER AS row, "
            "* EXCLUDE (place) FROM (SELECT "
            f"coalesce(p.photo_id, s.photo_id) AS photo_id, coalesce(p.label, {NO_LABEL}) AS label, {own}, "
            f"coalesce(s.status, '{PENDING}') AS status, {others}, c.place FROM "
            f"{self.source.photos(self._folder.path)} AS p {how} JOIN states AS s "
            "ON p.photo_id = s.photo_id LEFT JOIN classes AS c ON p.label = c.label "
            "ORDER BY coalesce(place, 2147483647), "
            "CASE part WHEN 'train' THEN 0 WHEN 'val' THEN 1 ELSE 2 END, photo_id)"
        )

    # -- asking

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Connection]:
        with self._connection.cursor() as cursor:
            cursor.execute("USE shown")
            yield cursor

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query that has few."""
        with self._asking() as cursor:
            return cursor.execute(sql, list(values)).fetchall()

    def records(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """The same, each row by the names of its columns."""
        with self._asking() as cursor:
            cursor.execute(sql, list(values))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    # -- what is shown

    def overview(self, asked: Filter) -> dict[str, Any]:
        """Photos of a filter: how many, by class, and by the values of each facet without what it asks."""
        condition, values = asked.sql()
        ((photos, size, shown),) = self.rows(
            "SELECT count(*), coalesce(sum(size_bytes), 0)::BIGINT, count(*) FILTER (status = 'ok') "
            f"FROM photos WHERE {condition}",
            values,
        )
        by_class = self.rows(
            f"SELECT place, count(*) FROM photos JOIN classes USING (label) WHERE {condition} "
            "GROUP BY place ORDER BY place",
            values,
        )
        return {
            "photos": photos,
            "stored": shown,
            "size_bytes": size,
            "classes": len(by_class),
            "by_place": [[place, count] for place, count in by_class],
            "facets": {name: self._facet(name, asked) for name in FACETS if name not in ("year", "mark")},
            "bands": self._bands(asked.without("band")),
        }

    def _facet(self, name: str, asked: Filter) -> list[list[Any]]:
        condition, values = asked.without(name).sql()
        where = f"{condition} AND error IS NOT NULL" if name == "error" else condition
        return [
            [value, count]
            for value, count in self.rows(
                f"SELECT {FACETS[name]}, count(*) AS n FROM photos WHERE {where} "
                f"GROUP BY 1 ORDER BY n DESC, 1 LIMIT {_SHOWN}",
                values,
            )
        ]

    def _bands(self, asked: Filter) -> list[list[Any]]:
        """Of each band: photos, those of them in train, and classes."""
        condition, values = asked.sql()
        sql = (
            f"SELECT {BAND}, sum(photos)::BIGINT, sum(train)::BIGINT, count(*) FROM "
            "(SELECT label, count(*) AS photos, count(*) FILTER (part = 'train') AS train FROM photos "
            f"WHERE {condition} GROUP BY label) "
            "JOIN classes USING (label) GROUP BY 1"
        )
        return [list(row) for row in self.rows(sql, values)]

    def taxa(self, parent: Sequence[str], asked: Filter) -> list[dict[str, Any]]:
        """The children of a taxon with their photos and classes, most photos first.

        Args:
            parent: its names from the kingdom down; none = of the kingdoms.
            asked: only photos of this filter count; what it asks of a lineage does not.
        """
        condition, values = asked.without("lineage").sql()
        within = "".join(
            f" AND coalesce(\"{rank}\", '') = ?" for rank, _ in zip(LINEAGE, parent, strict=False)
        )
        counted = (
            "WITH counted AS (SELECT label, count(*) AS photos, min(row) FILTER (status = 'ok') AS first "
            f"FROM photos WHERE {condition} GROUP BY label) "
        )
        if len(parent) >= len(LINEAGE) - 1:
            return self.records(
                f"{counted} SELECT label, scientific_name AS name, common_name, photos, 1 AS classes, n, "
                f"place, first AS row FROM counted JOIN classes USING (label) WHERE true{within} "
                "ORDER BY photos DESC, scientific_name LIMIT 2000",
                [*values, *parent],
            )
        rank = LINEAGE[len(parent)]
        return self.records(
            f"{counted} SELECT coalesce(\"{rank}\", '') AS name, sum(photos)::BIGINT AS photos, "
            "count(*) AS classes, arg_max(first, photos) AS row FROM counted JOIN classes USING (label) "
            f"WHERE true{within} GROUP BY 1 ORDER BY photos DESC, name LIMIT 2000",
            [*values, *parent],
        )

    def search(self, text: str, most: int = 12) -> list[dict[str, Any]]:
        """Taxa whose name, scientific or common, has a word that begins with a text; whole names first."""
        needle = " ".join(text.split())
        if not needle:
            return []
        plain = "lower(strip_accents({}))"
        names = [(rank, f'"{rank}"', "NULL") for rank in LINEAGE[:-1]]
        parts = [
            f"SELECT {literal(rank)} AS rank, {column} AS name, NULL AS common_name, NULL::INTEGER AS label, "
            f"count(*) AS classes, sum(n)::BIGINT AS n, any_value([{lineage}]) AS lineage FROM classes "
            f"WHERE {column} IS NOT NULL GROUP BY {column}"
            for position, (rank, column, _) in enumerate(names)
            for lineage in [", ".join(f"coalesce(\"{r}\", '')" for r in LINEAGE[: position + 1])]
        ]
        own = ", ".join(f"coalesce(\"{rank}\", '')" for rank in LINEAGE)
        parts.append(
            f"SELECT 'class' AS rank, scientific_name AS name, common_name, label, 1 AS classes, n, [{own}] "
            "AS lineage FROM classes"
        )
        name, common, asked = (
            plain.format("name"),
            plain.format("coalesce(common_name, '')"),
            plain.format("?"),
        )
        return self.records(
            f"WITH taxa AS ({' UNION ALL '.join(parts)}), asked AS (SELECT {asked} AS text) "
            f"SELECT taxa.* FROM taxa, asked WHERE starts_with({name}, text) OR starts_with({common}, text) "
            f"OR contains({name}, ' ' || text) OR contains({common}, ' ' || text) "
            f"OR contains({common}, '-' || text) "
            f"ORDER BY ({name} = text OR {common} = text) DESC, starts_with({name}, text) DESC, "
            "starts_with({c}, text) DESC, n DESC, name LIMIT ?".replace("{c}", common),
            [needle, most],
        )

    def observers(self, text: str, most: int = 6) -> list[dict[str, Any]]:
        """Observers whose name has a word that begins with a text, those of most photos first."""
        needle = " ".join(text.split())
        if not needle:
            return []
        name = "lower(strip_accents(observer_name))"
        return self.records(
            "SELECT 'observer' AS rank, observer_name AS name, NULL AS common_name, NULL::INTEGER AS label, "
            "count(DISTINCT label) AS classes, count(*) AS n FROM photos, "
            "(SELECT lower(strip_accents(?)) AS text) "
            f"WHERE starts_with({name}, text) OR contains({name}, ' ' || text) "
            "GROUP BY observer_name ORDER BY n DESC, name LIMIT ?",
            [needle, most],
        )

    def page(self, asked: Filter, order: str, start: int, count: int) -> dict[str, Any]:
        """Some of the photos of a filter in an order: how many there are, and those from `start`.

        Args:
            asked: the filter.
            order: `class`, head to tail; or `mixed`, which looks random and is always the same.
            start: position of the first.
            count: at most so many, up to `MOST_ROWS`.
        """
        rows = self._rows_of(asked, order)
        wanted = rows[start : start + min(count, MOST_ROWS)]
        photos = self._photos(wanted)
        return {"total": len(rows), "start": start, "photos": photos, "classes": self.class_names(photos)}

    def _rows_of(self, asked: Filter, order: str) -> NDArray[np.int32]:
        condition, values = asked.sql()
        key = (order, repr((condition, values)))
        with self._lock:
            if key in self._lists and "mark" not in asked.facets:
                self._lists.move_to_end(key)
                return self._lists[key]
        by = "hash(photo_id), row" if order == "mixed" else "row"
        sql = f"SELECT row FROM photos WHERE {condition} ORDER BY {by}"
        # Never in memory as a whole; a file without a name is gone with the last who reads it.
        with tempfile.TemporaryFile(dir=self._folder.path) as file, self._asking() as cursor:
            for batch in cursor.sql(sql, params=values).to_arrow_reader(BATCH_ROWS):
                file.write(batch["row"].to_numpy())
            file.flush()
            found: NDArray[np.int32] = (
                np.memmap(file, np.int32, "r") if file.tell() else np.array([], np.int32)
            )
        with self._lock:
            self._lists[key] = found
            while len(self._lists) > _KEPT_LISTS:
                self._lists.popitem(last=False)
        return found

    def _photos(self, rows: NDArray[np.int32]) -> list[dict[str, Any]]:
        if not len(rows):
            return []
        asked = rows.tolist()
        found = self.records(
            "SELECT row, photo_id, label, part, status, width, height, life_stage, license, observer_name, "
            "(SELECT reason FROM marks WHERE marks.photo_id = photos.photo_id) AS mark FROM photos "
            f"WHERE row BETWEEN ? AND ? AND row IN ({', '.join('?' * len(asked))})",
            [min(asked), max(asked), *asked],
        )
        by_row = {photo["row"]: photo for photo in found}
        return [by_row[row] for row in asked]

    def photos_at(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The photos at some rows, in their order."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(rows), MOST_ROWS):
            found += self._photos(np.array(rows[start : start + MOST_ROWS], np.int32))
        return found

    def class_names(self, photos: Sequence[Mapping[str, Any]]) -> dict[int, list[Any]]:
        """Scientific and common name of the classes of some photos, and `n`, by the number of the class."""
        numbers = sorted({photo["label"] for photo in photos})
        if not numbers:
            return {}
        found = self.rows(
            "SELECT label, scientific_name, common_name, n, place FROM classes "
            f"WHERE label IN ({', '.join('?' * len(numbers))})",
            numbers,
        )
        return {number: list(names) for number, *names in found}

    def photo(self, photo_id: int) -> dict[str, Any] | None:
        """Everything that is known of a photo; None where it is not shown."""
        found = self.records(
            "SELECT *, (SELECT reason FROM marks WHERE marks.photo_id = photos.photo_id) AS mark "
            "FROM photos WHERE photo_id = ?",
            [photo_id],
        )
        if not found:
            return None
        photo = found[0]
        for name in ("latitude", "longitude"):
            if photo[name] is not None:
                photo[name] = round(photo[name], _PLACE_DIGITS)
        if photo["observed_on"] is not None:
            photo["observed_on"] = photo["observed_on"].isoformat()
        photo["credit"] = credit_line(photo["observer_name"], photo["license"])
        photo["splits"] = self._splits_with(photo_id)
        of_class = self.records("SELECT * FROM classes WHERE label = ?", [photo["label"]])
        photo["taxon"] = of_class[0] if of_class else None
        same = np.array([], np.int32)
        if photo["observation_id"] is not None:
            others = self.rows(
                "SELECT row FROM photos WHERE observation_id = ? AND photo_id <> ? ORDER BY row LIMIT 24",
                [photo["observation_id"], photo_id],
            )
            same = np.array([row for (row,) in others], np.int32)
        photo["same_observation"] = self._photos(same)
        return photo

    def _splits_with(self, photo_id: int) -> list[list[str]]:
        """Name and part of each split that a photo is in: the one that is shown and those beside it."""
        found = []
        for name, part, file in split_files(self.source):
            # What cannot be read says nothing of this photo, and is no reason to show nothing of it.
            with contextlib.suppress(Error):
                sql = f"SELECT 1 FROM {parquet_source([file])} WHERE photo_id = ? LIMIT 1"
                if self.rows(sql, [photo_id]):
                    found.append([name, part])
        return found

    def some_of(self, label: int, most: int, *, parts: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Stored photos of a class, evenly spread over it."""
        rows = self._rows_of(
            Filter({"status": ("ok",), **({"part": tuple(parts)} if parts else {})}, labels=(label,)),
            "class",
        )
        picked = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))
        return self._photos(rows[picked] if len(rows) else rows)

    def places(self, asked: Filter, degrees: int) -> dict[str, Any]:
        """Photos of a filter by cells of the map, and by year and month.

        Args:
            asked: the filter; its cell does not count for the map.
            degrees: size of a cell.
        """
        condition, values = asked.sql()
        cells = self.rows(
            f"SELECT (floor(latitude / {degrees}) * {degrees})::INTEGER, "
            f"(floor(longitude / {degrees}) * {degrees})::INTEGER, count(*) FROM photos "
            f"WHERE {condition} AND latitude IS NOT NULL AND longitude IS NOT NULL "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            values,
        )
        days = self.rows(
            f"SELECT year(observed_on), month(observed_on), count(*) FROM photos WHERE {condition} "
            "AND observed_on IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
            values,
        )
        return {
            "degrees": degrees,
            "cells": [list(cell) for cell in cells],
            "months": [list(d) for d in days],
        }

    def stored_image(self, row: int) -> StoredImage | None:
        """Where the image of a row lies; None where there is none."""
        found = self.rows(
            "SELECT photo_id, shard, \"offset\", size_bytes FROM photos WHERE row = ? AND status = 'ok'",
            [row],
        )
        return StoredImage(*found[0]) if found else None

    def is_current(self, shard: int) -> bool:
        """Whether the index of a shard is still the file that the table was filled from.

        `store prune` writes a shard anew; what lay in it may have been withdrawn.
        """
        version = self._versions.get(shard)
        return version is not None and version == self._version(shard)

    def _version(self, shard: int) -> str | None:
        if self.source.store is None:
            return None
        try:
            return self.source.store.storage.version(index_name(shard))
        except OSError:
            return None

    def rows_by_id(self, photo_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """The photos with some ids, by id; those that are not shown are left out."""
        if not photo_ids:
            return {}
        found = self.rows(
            f"SELECT row FROM photos WHERE photo_id IN ({', '.join('?' * len(photo_ids))})", list(photo_ids)
        )
        photos = self._photos(np.array([row for (row,) in found], np.int32))
        return {photo["photo_id"]: photo for photo in photos}

    def set_marks(self, marks: Mapping[int, str]) -> None:
        """Makes these the marks."""
        with self._lock, self._asking() as cursor:
            cursor.execute("DELETE FROM marks")
            if marks:
                cursor.executemany("INSERT INTO marks VALUES (?, ?)", [list(mark) for mark in marks.items()])
