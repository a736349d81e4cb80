"""What a store holds and lacks, and why, from the indexes and the saved plans alone; no tar is read.

Everything is a DuckDB query over the index files, so that a store of any size is asked in bounded memory.
What a download asks, of one plan, is in `states`, which takes no DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from arboretum_metadata.schema import INDEX
from arboretum_metadata.vocab import STATUSES
from arboretum_tools.store.reader import ImageStore, damaged
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.layout import PENDING
from arboretum_tools.store.shards.record import PhotoRecord, from_arrow
from arboretum_tools.store.states import pending
from arboretum_tools.store.storage import Storage
from arboretum_tools.tabular import query
from arboretum_tools.wording import one_line

#: An error without the numbers that differ from photo to photo; that of an HTTP status tells something.
REASON = r"regexp_replace(coalesce(error, ''), '(after|of|byte) [0-9]+( |$)', '\1 N\2', 'g')"

# The host of an address; "" where there is none.
_HOST = r"regexp_extract(coalesce(url, ''), '^https?://([^/:?#]+)', 1)"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some photos are not there.

    Attributes:
        status: one of `vocab.STATUSES`, not `ok`.
        error: as the index says it, without counts of bytes, so that alike ones fall together.
        photos: how many.
    """

    status: str
    error: str
    photos: int


@dataclass(frozen=True, slots=True)
class HostPhotos:
    """What became of the photos that were asked of one host.

    Attributes:
        host: that was asked last, before any origin override; "" where the address was refused.
        photos: photos by state, only those states that it has.
        size_bytes: bytes of its stored images.
    """

    host: str
    photos: Mapping[str, int]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What a store holds and lacks.

    Attributes:
        path: the store, as it was named.
        size: the photo size that it holds.
        resize: how images were scaled after they came, {shorter_side, filter, quality}; None = as they came.
        photos: photos by state, every state there is, 0 where there are none.
        size_bytes: bytes of the stored images (the tars are a little larger).
        shards: finished shards.
        open_shards: shards of a run that is going on or was killed.
        open_photos: photos in them, which count here as what they were before: as pending, mostly.
        plans: saved plans.
        reasons: why photos are not there, most frequent first, at most 20.
        hosts: what became of the photos by host, most photos first, at most 20.
    """

    path: str
    size: str
    resize: Mapping[str, Any] | None
    photos: Mapping[str, int]
    size_bytes: int
    shards: int
    open_shards: int
    open_photos: int
    plans: int
    reasons: tuple[Reason, ...]
    hosts: tuple[HostPhotos, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self) | {"photos": dict(self.photos)}


@dataclass(frozen=True, slots=True)
class PhotoStory:
    """Everything that a store knows about one photo.

    Attributes:
        photo_id: the photo.
        state: one of `vocab.STATUSES`, `pending`, or `unknown` where no plan ever asked for it.
        rows: what became of it, oldest first: (shard, record).
        plans: ids of the plans that asked for it.
    """

    photo_id: int
    state: str
    rows: tuple[tuple[int, PhotoRecord], ...]
    plans: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        rows = [
            {"shard": shard} | asdict(record) | {"fetched_at": record.fetched_at.isoformat()}
            for shard, record in self.rows
        ]
        return {"photo_id": self.photo_id, "state": self.state, "rows": rows, "plans": list(self.plans)}


def status(path: str | Path | Storage) -> StoreStatus:
    """Counts what the store at `path` holds and lacks.

    Raises:
        StoreError: there is no store, or an index is damaged.
    """
    store = ImageStore.open(path)
    plans = layout.plan_files(store.storage)
    index = index_source(store.index_files())
    with _asking(store) as connection:
        # One row per host for the images, one per photo for what is none: few, and the one full pass.
        _rows(
            connection,
            f"CREATE TABLE seen AS SELECT status, {_HOST} AS host, "
            "CASE WHEN status <> 'ok' THEN photo_id END AS photo_id, "
            "CASE WHEN status <> 'ok' THEN shard END AS shard, "
            f"CASE WHEN status <> 'ok' THEN {REASON} END AS reason, "
            f"count(*) AS photos, coalesce(sum(size_bytes), 0) AS size FROM {index} GROUP BY ALL",
        )
        _rows(
            connection,
            "CREATE TABLE now AS SELECT status, host, NULL AS reason, photos, size FROM seen "
            "WHERE status = 'ok' UNION ALL "
            "SELECT last.status, last.host, last.reason, count(*), 0 FROM ("
            "SELECT max_by(struct_pack(status := status, host := host, reason := reason), shard) AS last "
            "FROM seen AS s WHERE status <> 'ok' AND NOT EXISTS (SELECT 1 FROM "
            f"(SELECT photo_id FROM {index} AS i SEMI JOIN seen ON seen.photo_id = i.photo_id "
            "WHERE i.status = 'ok') AS later WHERE later.photo_id = s.photo_id) GROUP BY photo_id) "
            "GROUP BY ALL",
        )
        held = {
            str(state): (int(photos), int(size))
            for state, photos, size in _rows(
                connection, "SELECT status, sum(photos), sum(size) FROM now GROUP BY status"
            )
        }
        reasons = _rows(
            connection,
            "SELECT status, reason, sum(photos) AS n FROM now WHERE status <> 'ok' "
            "GROUP BY status, reason ORDER BY n DESC, status, reason LIMIT 20",
        )
        hosts = _rows(
            connection,
            "SELECT host, map_from_entries(list((status, n) ORDER BY status)), sum(size) "
            "FROM (SELECT host, status, sum(photos)::BIGINT AS n, sum(size) AS size FROM now "
            "GROUP BY host, status) GROUP BY host ORDER BY sum(n) DESC, host LIMIT 20",
        )
    files = layout.shard_files(store.storage)
    unfinished = [number for number, names in files.items() if "parquet" not in names]
    return StoreStatus(
        path=store.location,
        size=store.config.size,
        resize=store.config.resize,
        photos={name: held.get(name, (0, 0))[0] for name in STATUSES} | {PENDING: pending(store, plans)},
        size_bytes=sum(size for _, size in held.values()),
        shards=len(files) - len(unfinished),
        open_shards=len(unfinished),
        open_photos=sum(_lines(store, number) for number in unfinished),
        plans=len(plans),
        reasons=tuple(Reason(str(state), str(error), int(n)) for state, error, n in reasons),
        hosts=tuple(HostPhotos(str(host), dict(photos), int(size)) for host, photos, size in hosts),
    )


def _lines(store: ImageStore, number: int) -> int:
    """How many lines a journal has; none if it has just become an index."""
    try:
        return store.storage.read(layout.journal_name(number)).count(b"\n")
    except FileNotFoundError:
        return 0


def story(path: str | Path | Storage, photo_id: int) -> PhotoStory:
    """Everything that the store at `path` knows about one photo; reads indexes and plans, never a tar.

    Raises:
        StoreError: there is no store, or an index is damaged.
    """
    store = ImageStore.open(path)
    plans = layout.plan_files(store.storage)
    with _asking(store) as connection:
        rows = query.arrow_table(
            connection,
            f"SELECT * FROM {index_source(store.index_files())} WHERE photo_id = ? ORDER BY shard",
            [photo_id],
        )
        asked = []
        if plans:
            source = query.parquet_source(plans, filename=True, alike=True)
            asked = _rows(
                connection, f"SELECT DISTINCT filename FROM {source} WHERE photo_id = ?", [photo_id]
            )
    found = tuple(zip(rows.column("shard").to_pylist(), from_arrow(rows), strict=True))
    names = tuple(sorted(Path(str(name)).stem for (name,) in asked))
    ok = any(record.status == "ok" for _, record in found)
    state = "ok" if ok else found[-1][1].status if found else PENDING if names else "unknown"
    return PhotoStory(photo_id, state, found, names)


def stored_twice(store: ImageStore, connection: query.Connection) -> list[tuple[int, list[int]]]:
    """Photos that have more than one image, and the shards of these, ascending; of a sound store none."""
    found = _rows(
        connection,
        f"SELECT photo_id, list(shard ORDER BY shard) FROM {index_source(store.index_files())} "
        "WHERE status = 'ok' GROUP BY photo_id HAVING count(*) > 1 ORDER BY photo_id",
    )
    return [(int(photo_id), [int(shard) for shard in shards]) for photo_id, shards in found]


def contents(store: ImageStore) -> pa.Table:
    """What makes two stores equal: (photo_id, status, ext, sha256) of every photo, sorted by photo_id."""
    with _asking(store) as connection:
        return query.arrow_table(
            connection,
            "SELECT photo_id, best.status AS status, split_part(best.member, '.', 2) AS ext, "
            "best.sha256 AS sha256 FROM (SELECT photo_id, "
            "max_by(struct_pack(status := status, member := member, sha256 := sha256), "
            # Any ok row before all others, then the highest shard. Shard numbers are far below 2^48.
            "(status = 'ok')::BIGINT * 281474976710656 + shard) AS best "
            f"FROM {index_source(store.index_files())} GROUP BY photo_id) ORDER BY photo_id",
        )


def index_source(files: Sequence[Path]) -> str:
    """A table expression over indexes of shards: the columns of `schema.INDEX`, and `shard`."""
    if not files:
        # Types of DuckDB, in its own words for those of Arrow.
        types = {
            "int32": "INTEGER",
            "int64": "BIGINT",
            "string": "VARCHAR",
            "timestamp[us, UTC]": "TIMESTAMPTZ",
        }
        nulls = ", ".join(f"NULL::{types[c.type]} AS {query.identifier(c.name)}" for c in INDEX.columns)
        return f"(SELECT {nulls}, NULL::BIGINT AS shard WHERE false)"
    shard = r"regexp_extract(filename, 'shard-(\d+)\.parquet$', 1)::BIGINT AS shard"
    return f"(SELECT *, {shard} FROM {query.parquet_source(files, filename=True, alike=True)})"


@contextmanager
def _asking(store: ImageStore) -> Iterator[query.Connection]:
    """A connection for questions to one store; a damaged index becomes a StoreError."""
    with closing(query.connect()) as connection:
        try:
            yield connection
        except query.Error as error:
            raise damaged(f"an index or a plan of {store.location} is damaged: {one_line(error)}") from error


def _rows(connection: query.Connection, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    return query.rows(connection, sql, parameters)
