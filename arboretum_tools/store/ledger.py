"""What a store holds and lacks: the state of photos, from the indexes and the saved plans alone.

Everything is one DuckDB query over the index files, so that a store of any size is asked in bounded memory
and no tar is read. The state of a photo is its `ok` row, else its row in the highest shard, else `pending`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from arboretum_metadata.schema import INDEX
from arboretum_tools import query
from arboretum_tools.errors import StoreError
from arboretum_tools.store import layout
from arboretum_tools.store.layout import PENDING, STATUSES, check_retry
from arboretum_tools.store.lock import ALONE, Task
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.record import PhotoRecord, from_arrow
from arboretum_tools.tables import one_line

# Ranks the rows of one photo: any ok row before all others, then the highest shard. Shard numbers are far
# below 2^48.
_RANK = "(status = 'ok')::BIGINT * 281474976710656 + shard"


# An error without the numbers that differ from photo to photo; that of an HTTP status tells something.
_REASON = r"regexp_replace(coalesce(error, ''), '(after|of|byte) [0-9]+', '\1 N', 'g')"

# Shards of which the mean of the images is taken.
_SAMPLE = 64

# Shards that may have been filled at the same time, by as many processes.
_BESIDE = 16

# The host of an address; "" where there is none.
_HOST = r"regexp_extract(coalesce(url, ''), '^https?://([^/:?#]+)', 1)"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some photos are not there.

    Attributes:
        status: one of `layout.STATUSES`, not `ok`.
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
        path: the store's folder.
        size: the photo size that it holds.
        resize: how images were scaled after they came, {shorter_side, filter, quality}; None = as they came.
        photos: photos by state, every state there is, 0 where there are none.
        size_bytes: bytes of the stored images (the tars are a little larger).
        shards: finished shards.
        open_shards: shards of a run that is going on or was killed; their photos count as pending here.
        plans: saved plans.
        reasons: why photos are not there, most frequent first, at most 20.
        hosts: what became of the photos by host, most photos first, at most 20.
    """

    path: Path
    size: str
    resize: Mapping[str, Any] | None
    photos: Mapping[str, int]
    size_bytes: int
    shards: int
    open_shards: int
    plans: int
    reasons: tuple[Reason, ...]
    hosts: tuple[HostPhotos, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self) | {"path": str(self.path), "photos": dict(self.photos)}


@dataclass(frozen=True, slots=True)
class PhotoStory:
    """Everything that a store knows about one photo.

    Attributes:
        photo_id: the photo.
        state: one of `layout.STATUSES`, `pending`, or `unknown` where no plan ever asked for it.
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


def status(path: str | Path) -> StoreStatus:
    """Counts what the store at `path` holds and lacks.

    Raises:
        StoreError: there is no store, or an index is damaged.
    """
    store = ImageStore.open(path)
    plans = sorted((store.path / layout.REQUESTS).glob("*.parquet"))
    index = _index_source(store.index_files())
    with _asking(store) as connection:
        # One row a host for the images, one a photo for what is none: few, and the one full pass.
        _rows(
            connection,
            f"CREATE TABLE seen AS SELECT status, {_HOST} AS host, "
            "CASE WHEN status <> 'ok' THEN photo_id END AS photo_id, "
            "CASE WHEN status <> 'ok' THEN shard END AS shard, "
            f"CASE WHEN status <> 'ok' THEN {_REASON} END AS reason, "
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
        pending = 0
        if plans:
            # The photos of one plan are distinct as they are.
            distinct = "" if len(plans) == 1 else "DISTINCT "
            sql = (
                f"SELECT count(*) FROM (SELECT {distinct}photo_id FROM "
                f"{query.parquet_source(plans, alike=True)}) AS r ANTI JOIN {index} AS i USING (photo_id)"
            )
            pending = int(_rows(connection, sql)[0][0])
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
    files = layout.shard_files(store.path).values()
    return StoreStatus(
        path=store.path,
        size=store.config.size,
        resize=store.config.resize,
        photos={name: held.get(name, (0, 0))[0] for name in STATUSES} | {PENDING: pending},
        size_bytes=sum(size for _, size in held.values()),
        shards=sum("parquet" in names for names in files),
        open_shards=sum("parquet" not in names for names in files),
        plans=len(plans),
        reasons=tuple(Reason(str(state), str(error), int(n)) for state, error, n in reasons),
        hosts=tuple(HostPhotos(str(host), dict(photos), int(size)) for host, photos, size in hosts),
    )


def story(path: str | Path, photo_id: int) -> PhotoStory:
    """Everything that the store at `path` knows about one photo; reads indexes and plans, never a tar.

    Raises:
        StoreError: there is no store, or an index is damaged.
    """
    store = ImageStore.open(path)
    plans = sorted((store.path / layout.REQUESTS).glob("*.parquet"))
    with _asking(store) as connection:
        rows = query.arrow_table(
            connection,
            f"SELECT * FROM {_index_source(store.index_files())} WHERE photo_id = ? ORDER BY shard",
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
        f"SELECT photo_id, list(shard ORDER BY shard) FROM {_index_source(store.index_files())} "
        "WHERE status = 'ok' GROUP BY photo_id HAVING count(*) > 1 ORDER BY photo_id",
    )
    return [(int(photo_id), [int(shard) for shard in shards]) for photo_id, shards in found]


def counts(
    store: ImageStore | None,
    plan: Path,
    *,
    task: Task = ALONE,
    connection: query.Connection | None = None,
) -> dict[str, int]:
    """Photos of one plan by state, every state there is.

    Args:
        store: the store; None = there is none yet, so that all are pending.
        plan: a saved plan.
        task: only the photos of this one are counted.
        connection: of `query.connect()`; default one of its own.

    Raises:
        StoreError: an index is damaged.
    """
    with _asking(store, connection) as asked:
        found = dict(
            _rows(
                asked,
                f"SELECT coalesce(s.status, '{PENDING}') AS state, count(*) "
                f"FROM {query.parquet_source([plan])} AS r "
                f"LEFT JOIN {states(store, 'status')} AS s USING (photo_id) "
                "WHERE photo_id % ? = ? GROUP BY state",
                [task.of, task.number],
            )
        )
    return {name: int(found.get(name, 0)) for name in (*STATUSES, PENDING)}


def images(store: ImageStore, *, connection: query.Connection | None = None) -> tuple[int, int, int]:
    """How many images some shards hold, and their bytes together, as they came and as they are.

    Args:
        store: the store, of which at most 64 shards are asked, from the first to the last.
        connection: of `query.connect()`; default one of its own.

    Raises:
        StoreError: an index is damaged.
    """
    files = store.index_files()
    with _asking(store, connection) as asked:
        [(photos, source_bytes, size_bytes)] = _rows(
            asked,
            "SELECT count(*), coalesce(sum(source_bytes), 0), coalesce(sum(size_bytes), 0) "
            f"FROM {_index_source(files[:: -(-len(files) // _SAMPLE) or 1])} WHERE status = 'ok'",
        )
    return int(photos), int(source_bytes), int(size_bytes)


def to_fetch(
    store: ImageStore,
    plan: Path,
    *,
    retry: Iterable[str],
    connection: query.Connection,
    task: Task = ALONE,
    last_host: str | None = None,
) -> Iterator[pa.RecordBatch]:
    """The photos of a plan that are pending, or in a state that is tried again; streamed, in any order.

    Args:
        store: the store.
        plan: a saved plan.
        retry: states that are tried again; `ok` is not among them.
        connection: of `query.connect()`; open until the last batch is taken.
        task: only the photos of this one are given.
        last_host: photos whose address names this host come after all others, so that a host that is asked
            slowly holds up none of those.

    Raises:
        UsageError: `retry` holds something that is no state, or `ok`.
    """
    sql, bound = _wanted(store, plan, retry, task, "photo_id, ext, url")
    if last_host is None or not _of_host(plan, last_host, connection):
        yield from query.arrow_batches(connection, sql, bound)
        return
    for wanted in ("NOT ", ""):
        where = f" AND {wanted}coalesce(starts_with(url, ?) OR starts_with(url, ?), false)"
        hosts = [f"https://{last_host}/", f"http://{last_host}/"]
        yield from query.arrow_batches(connection, sql + where, [*bound, *hosts])


def count_of_host(
    store: ImageStore | None,
    plan: Path,
    host: str,
    *,
    retry: Iterable[str],
    task: Task = ALONE,
    connection: query.Connection,
) -> int:
    """How many of the photos that `to_fetch` gives name this host in their address."""
    if not _of_host(plan, host, connection):
        return 0
    sql, bound = _wanted(store, plan, retry, task, "count(*)")
    where = f"{sql} AND (starts_with(url, ?) OR starts_with(url, ?))"
    with _asking(store, connection) as asked:
        [(photos,)] = _rows(asked, where, [*bound, f"https://{host}/", f"http://{host}/"])
    return int(photos)


def bytes_per_second(store: ImageStore) -> float | None:
    """How fast images came while the last shard was filled; None where it does not tell.

    Raises:
        StoreError: its index, or one of those that were filled beside it, is damaged.
    """
    shards = store.shards()[-_BESIDE:]
    if not shards:
        return None
    times = store.index(shards[-1]).column("fetched_at").to_pylist()
    began, ended = (min(times), max(times)) if times else (None, None)
    if began is None or ended is None or (seconds := (ended - began).total_seconds()) < 1:
        return None  # it is not the line that was measured
    came = 0.0
    for shard in shards:
        rows = store.index(shard).select(["fetched_at", "source_bytes"])
        came += sum(
            size or 0
            for at, size in zip(*(column.to_pylist() for column in rows.columns), strict=True)
            if began <= at <= ended
        )
    return float(came / seconds)


def _of_host(plan: Path, host: str, connection: query.Connection) -> bool:
    """Whether any photo of a plan names this host; without a look at the store."""
    source = query.parquet_source([plan])
    sql = f"SELECT 1 FROM {source} WHERE starts_with(url, ?) OR starts_with(url, ?) LIMIT 1"
    with _asking(None, connection) as asked:
        return bool(_rows(asked, sql, [f"https://{host}/", f"http://{host}/"]))


def _wanted(
    store: ImageStore | None, plan: Path, retry: Iterable[str], task: Task, columns: str
) -> tuple[str, list[object]]:
    again = check_retry(retry)
    marks = ", ".join("?" for _ in again)
    done = f"SELECT photo_id FROM {states(store, 'status')}" + (
        f" WHERE status NOT IN ({marks})" if again else ""
    )
    sql = (
        f"SELECT {columns} FROM {query.parquet_source([plan])} AS r "
        f"WHERE NOT EXISTS (SELECT 1 FROM ({done}) AS d WHERE d.photo_id = r.photo_id) "
        "AND photo_id % ? = ?"
    )
    return sql, [*again, task.of, task.number]


def contents(store: ImageStore) -> pa.Table:
    """What makes two stores equal: (photo_id, status, ext, sha256) of every photo, sorted by photo_id."""
    with _asking(store) as connection:
        return query.arrow_table(
            connection,
            "SELECT photo_id, status, split_part(member, '.', 2) AS ext, sha256 "
            f"FROM {states(store, 'status', 'member', 'sha256')} ORDER BY photo_id",
        )


def states(store: ImageStore | None, *columns: str) -> str:
    """A table expression: one row a photo that was tried, with its state.

    Args:
        store: the store; None = there is none yet.
        columns: of `schema.INDEX`, to stand beside `photo_id`; or `shard`, its number. As few as are needed:
            they are held for every photo of the store.
    """
    source = _index_source(store.index_files() if store else ())
    if columns == ("status",):
        # In one number, which takes a fifth of the memory of a row.
        codes = ", ".join(f"'{name}'" for name in STATUSES)
        best = f"max(({_RANK}) * 8 + list_position([{codes}], status)) % 8"
        return f"(SELECT photo_id, list_extract([{codes}], {best}) AS status FROM {source} GROUP BY photo_id)"
    picked = ", ".join(f"best.{name} AS {name}" for name in columns)
    packed = ", ".join(f"{name} := {name}" for name in columns)
    return (
        f"(SELECT photo_id, {picked} FROM "
        f"(SELECT photo_id, max_by(struct_pack({packed}), {_RANK}) AS best FROM {source} GROUP BY photo_id))"
    )


def _index_source(files: Sequence[Path]) -> str:
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
def _asking(
    store: ImageStore | None, connection: query.Connection | None = None
) -> Iterator[query.Connection]:
    """A connection for questions to one store; a damaged index becomes a StoreError."""
    # Opening one takes longer than most questions, so a caller with several brings his own.
    with closing(query.connect()) if connection is None else nullcontext(connection) as asked:
        try:
            yield asked
        except query.Error as error:
            raise StoreError(
                f"an index or a plan of {store.path if store else 'a store'} is damaged: {one_line(error)}",
                hint="Bring the file back from a backup, or remove the shard (.tar and .parquet): its photos "
                "are then downloaded again.",
            ) from error


def _rows(connection: query.Connection, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    return query.rows(connection, sql, parameters)
