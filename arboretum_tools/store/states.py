"""The states of the photos of a plan, from the indexes of a store, a band of photo ids at a time.

A plan is sorted by photo_id, and an index says in its footer between which ids its rows lie. What is held at
one time is a band of the plan and the rows of one index, however many photos the two have; an index is read
once for each band that it meets, which is once or twice where photos were fetched in the plan's order.

The state of a photo is its `ok` row, else its row in the highest shard, else `pending`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.vocab import STATUSES
from arboretum_tools.errors import StoreError
from arboretum_tools.store.reader import ImageStore, damaged
from arboretum_tools.store.shards.layout import PENDING, shard_number
from arboretum_tools.store.storage.lock import ALONE, Task
from arboretum_tools.tabular.arrays import from_numpy, to_numpy
from arboretum_tools.tabular.tables import parquet_file
from arboretum_tools.wording import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The states of a photo, by the number that stands for them here.
CODES = (PENDING, *STATUSES)

# Photos of a plan that are looked at together.
_BAND = 50_000

# Addresses that are Python objects at one time.
_BLOCK = 10_000

# Shards in which addresses that were served are looked up.
_NEWEST = 3

_OK = CODES.index("ok")
_INT64 = np.iinfo(np.int64)


def counts(store: ImageStore | None, plan: Path, *, task: Task = ALONE) -> dict[str, int]:
    """Photos of one plan by state, every state there is.

    Args:
        store: the store; None = there is none yet, so that all are pending.
        plan: a saved plan.
        task: only the photos of this one are counted.

    Raises:
        StoreError: an index or the plan is damaged.
    """
    found = np.zeros(len(CODES), np.int64)
    states = States(store)
    for batch in _bands(plan, ("photo_id",)):
        ids = _ids(batch)
        found += np.bincount(states.of(ids)[_of_task(ids, task)], minlength=len(CODES))
    by_state = dict(zip(CODES, found.tolist(), strict=True))
    return {name: by_state[name] for name in (*STATUSES, PENDING)}


def to_fetch(
    store: ImageStore | None,
    plan: Path,
    *,
    retry: Iterable[str],
    task: Task = ALONE,
    last_host: str | None = None,
) -> Iterator[pa.RecordBatch]:
    """The photos of a plan that are pending, then those in a state that is tried again; each in its order.

    What the store holds when the first batch is asked for decides. A batch may be empty.

    Args:
        store: the store; None = there is none yet.
        plan: a saved plan.
        retry: states that are tried again.
        task: only the photos of this one are given.
        last_host: photos whose address names this host come after all others, so that a host that is asked
            slowly holds up none of those; again the pending ones first.

    Raises:
        StoreError: an index or the plan is damaged.
    """
    retried, states = _requested(retry), States(store)
    fresh = _requested(())
    # Photos that failed come last: if they fail again, everything else is there by then.
    turns = [(fresh, False), (retried & ~fresh, False), (fresh, True), (retried & ~fresh, True)]
    due = [True, False, False, False]
    for turn, (asked, later) in enumerate(turns):
        if not due[turn]:
            continue
        for batch in _bands(plan, ("photo_id", "ext", "url")):
            ids = _ids(batch)
            own, now = _of_task(ids, task), states.of(ids)
            slow = np.zeros(len(ids), np.bool_) if last_host is None else _of_host(batch, last_host)
            if not turn:
                # What there is for the other turns; without anything, they need not read the plan again.
                for other, (codes, host) in enumerate(turns):
                    due[other] |= bool((own & codes[now] & (slow == host)).any())
            # Also where it is none of them, so that whoever reads may do something else in between.
            yield batch.filter(from_numpy(own & asked[now] & (slow == later)))


def count_of_host(
    store: ImageStore | None, plan: Path, host: str, *, retry: Iterable[str], task: Task = ALONE
) -> int:
    """How many of the photos that `to_fetch` gives name this host in their address.

    Raises:
        UsageError, StoreError: as `to_fetch`.
    """
    pending, states, photos = _requested(retry), States(store), 0
    for batch in _bands(plan, ("photo_id", "url")):
        asked = _of_host(batch, host)
        if asked.any():
            ids = _ids(batch)
            photos += int((asked & _of_task(ids, task) & pending[states.of(ids)]).sum())
    return photos


def served(store: ImageStore) -> dict[str, str]:
    """The address of a photo that each host has served, by `scheme://host`; looked up in the newest shards.

    Raises:
        StoreError: an index is damaged.
    """
    found: dict[str, str] = {}
    for file in store.index_files()[: -_NEWEST - 1 : -1]:
        try:
            with parquet_file(file) as opened:
                rows = opened.read(["status", "url"], use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise damaged(f"{file} cannot be read: {one_line(error)}") from error
        for status, url in zip(*(rows.column(name).to_pylist() for name in ("status", "url")), strict=True):
            if status == "ok" and url:
                parts = urlsplit(url)
                found.setdefault(f"{parts.scheme}://{parts.netloc}", url)
    return found


def pending(store: ImageStore, plans: Sequence[Path]) -> int:
    """How many photos any of some plans asks for that were not tried yet; each counts once.

    Raises:
        StoreError: an index or a plan is damaged.
    """
    states = States(store)
    return sum(int((states.of(ids) == CODES.index(PENDING)).sum()) for ids in _asked(plans))


def never_asked(plans: Sequence[Path], ids: NDArray[np.int64]) -> int:
    """How many of some photos none of some plans asks for.

    Args:
        plans: saved plans.
        ids: photo ids, ascending, each once.

    Raises:
        StoreError: a plan is damaged.
    """
    asked = np.zeros(len(ids), np.bool_)
    for plan in plans:
        for group in _id_groups(plan):
            asked |= np.isin(ids, group)
    return int((~asked).sum())


class States:
    """What became of photos, by their ids."""

    def __init__(self, store: ImageStore | None) -> None:
        """Reads the footers of all indexes.

        Args:
            store: the store; None = there is none yet, so that every photo is pending.

        Raises:
            StoreError: an index is damaged.
        """
        # By ascending number of the shard: what is written over an earlier state is a later one.
        self._files: Sequence[Path] = store.index_files() if store is not None else ()
        ranges = np.array([_range(file) for file in self._files], np.int64).reshape(-1, 2)
        self._low, self._high = ranges[:, 0], ranges[:, 1]

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The states of some photos as places in `CODES`.

        Args:
            ids: photo ids, ascending, each once.

        Raises:
            StoreError: an index is damaged.
        """
        codes = np.zeros(len(ids), np.uint8)
        for file in self._meeting(ids):
            tried, now = _tried(self._files[file])
            position = _positions(ids, tried)
            # An image is never lost by a later row.
            counts = (ids[position] == tried) & (codes[position] != _OK)
            codes[position[counts]] = now[counts]
        return codes

    def shards_of(self, ids: NDArray[np.int64], codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The highest shards with rows that say these states of some photos; -1 = none.

        Args:
            ids: photo ids, ascending, each once.
            codes: a state of each, as a place in `CODES`.

        Raises:
            StoreError: an index is damaged.
        """
        shards = np.full(len(ids), -1, np.int64)
        for file in self._meeting(ids):
            tried, now = _tried(self._files[file])
            position = _positions(ids, tried)
            says = (ids[position] == tried) & (codes[position] == now)
            shards[position[says]] = shard_number(self._files[file])
        return shards

    def holding(self, ids: NDArray[np.int64]) -> list[int]:
        """The shards, ascending, that have an image of any of some photos; of a sound store one per photo.

        Args:
            ids: photo ids, ascending, each once.

        Raises:
            StoreError: an index is damaged.
        """
        found = []
        for file in self._meeting(ids):
            tried, now = _tried(self._files[file])
            if (now[ids[_positions(ids, tried)] == tried] == _OK).any():
                found.append(shard_number(self._files[file]))
        return found

    def _meeting(self, ids: NDArray[np.int64]) -> list[int]:
        """The indexes, by ascending shard, that may have rows of some photos."""
        if not len(ids):
            return []
        meets = (self._low <= ids[-1]) & (self._high >= ids[0])
        found: list[int] = np.flatnonzero(meets).tolist()
        return found


def _positions(ids: NDArray[np.int64], tried: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where photos would stand among `ids`; 0 for those behind all of them."""
    position: NDArray[np.int64] = np.searchsorted(ids, tried)
    position[position == len(ids)] = 0
    return position


def _bands(plan: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    try:
        with parquet_file(plan) as file:
            yield from file.iter_batches(_BAND, columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged_plan(plan, error) from error


def _asked(plans: Sequence[Path]) -> Iterator[NDArray[np.int64]]:
    """The photo ids of several plans, ascending, each once; a row group of each plan at one time."""
    streams = [_id_groups(plan) for plan in plans]
    heads = [next(stream, None) for stream in streams]
    while known := [head for head in heads if head is not None]:
        # Up to here every plan has told all that it asks for.
        end = min(int(head[-1]) for head in known)
        yield np.unique(np.concatenate([head[: np.searchsorted(head, end, "right")] for head in known]))
        for at, head in enumerate(heads):
            if head is not None:
                rest = head[np.searchsorted(head, end, "right") :]
                heads[at] = rest if len(rest) else next(streams[at], None)


def _id_groups(plan: Path) -> Iterator[NDArray[np.int64]]:
    group, groups = 0, 1
    while group < groups:
        try:
            # Opened anew each time: there may be more plans than files that a process may hold open.
            with parquet_file(plan) as file:
                groups = file.num_row_groups
                rows = file.read_row_group(group, ["photo_id"], use_threads=False) if groups else None
        except (pa.ArrowException, OSError) as error:
            raise _damaged_plan(plan, error) from error
        if rows is not None:
            yield from (to_numpy(chunk) for chunk in rows.column(0).chunks if len(chunk))
        group += 1


def _ids(batch: pa.RecordBatch) -> NDArray[np.int64]:
    return to_numpy(batch.column("photo_id"))


def _requested(retry: Iterable[str]) -> NDArray[np.bool_]:
    """Whether a photo is fetched, by its state."""
    again = {PENDING, *retry}
    return np.array([name in again for name in CODES])


def _of_task(ids: NDArray[np.int64], task: Task) -> NDArray[np.bool_]:
    own: NDArray[np.bool_] = ids % task.of == task.number
    return own


def _of_host(batch: pa.RecordBatch, host: str) -> NDArray[np.bool_]:
    """Which rows have an address of this host."""
    found = np.zeros(batch.num_rows, np.bool_)
    column = batch.column("url")
    if column.null_count < len(column):
        starts = (f"https://{host}/", f"http://{host}/")
        for begin in range(0, len(column), _BLOCK):
            urls = column.slice(begin, _BLOCK).to_pylist()
            found[begin : begin + len(urls)] = [url is not None and url.startswith(starts) for url in urls]
    return found


def _damaged_plan(plan: Path, error: Exception) -> StoreError:
    return StoreError(
        f"the plan {plan} cannot be read: {one_line(error)}",
        hint="Remove it and the .json of the same name, and ask for that selection again: what the store "
        "holds is not fetched twice.",
    )


def _range(file: Path) -> tuple[int, int]:
    """The least and the greatest photo_id of an index, from its footer."""
    try:
        footer = pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        raise damaged(f"{file} cannot be read: {one_line(error)}") from error
    low, high = _INT64.max, _INT64.min
    for group in range(footer.num_row_groups):
        # The first column of an index.
        statistics = footer.row_group(group).column(0).statistics
        if statistics is None or not statistics.has_min_max:
            return _INT64.min, _INT64.max
        low, high = min(low, statistics.min), max(high, statistics.max)
    return low, high


def _tried(file: Path) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The photo ids of an index, and their states."""
    try:
        with parquet_file(file, read_dictionary=["status"]) as opened:
            table = opened.read(["photo_id", "status"], use_threads=False)
        ids = [to_numpy(chunk) for chunk in table.column("photo_id").chunks]
        codes = []
        for chunk in table.column("status").chunks:
            names = np.array([CODES.index(name) for name in chunk.dictionary.to_pylist()], np.uint8)
            codes.append(names[to_numpy(chunk.indices)])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise damaged(f"{file} cannot be read: {one_line(error)}") from error
    if not ids:
        return np.empty(0, np.int64), np.empty(0, np.uint8)
    return np.concatenate(ids), np.concatenate(codes)
