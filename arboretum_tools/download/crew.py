"""Carrying out what a job has decided: one process or several, resized or not."""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from arboretum_metadata.schema import REQUEST
from arboretum_tools.download import engine
from arboretum_tools.download.cancel import Stopper
from arboretum_tools.download.engine import Tally
from arboretum_tools.download.messages import Share
from arboretum_tools.download.processes import Processes
from arboretum_tools.download.share import fetching, rows_of
from arboretum_tools.publish import PARTIAL
from arboretum_tools.store.lock import Task, writer_lock
from arboretum_tools.store.recovery import recover
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.tables import write_table

if TYPE_CHECKING:
    from arboretum_tools.download.job import Job

#: The photos that a task has to fetch, in no order, as the store is now.
ToFetch = Callable[[Task], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was done.

    Attributes:
        tried: photos that came to an end.
        images: of these, that were stored.
        size_bytes: bytes of these images.
        shards: that were finished.
    """

    tried: int = 0
    images: int = 0
    size_bytes: int = 0
    shards: int = 0


def alone(job: Job, to_fetch: ToFetch, writer: StoreWriter, stopper: Stopper) -> Fetched:
    """Fetches in this process."""
    wanted = engine.rows(to_fetch(job.task))
    # The first row is waited for here, where the wait for the query keeps no socket waiting.
    wanted = itertools.chain(tuple(itertools.islice(wanted, 1)), wanted)
    tally = Tally()
    with fetching(job.options, job.resize) as fetch:
        stopper.run(fetch(wanted, writer, tally, job.on_event))
    writer.roll()
    return _fetched(len(writer.summaries), tally)


def side_by_side(job: Job, to_fetch: ToFetch, writer: StoreWriter, stopper: Stopper) -> Fetched:
    """Fetches in `job.processes` processes, of which this is the first.

    Raises:
        ProcessDiedError: process after process dies.
    """
    tasks = [Task(number, job.processes) for number in range(job.processes)]
    resizers = max(1, len(os.sched_getaffinity(0)) // job.processes)
    lists: list[Path] = []

    def write_list(task: Task) -> Path:
        # Under a name that the next writer of the store clears away, should this one be killed.
        path = job.images.absolute() / f".wanted{PARTIAL}{secrets.token_hex(4)}"
        lists.append(path)
        write_table(path, to_fetch(task), REQUEST, {})
        return path

    one_by_one = threading.Lock()

    def rest_of(task: Task) -> Path:
        # Two may die at once, and a DuckDB connection answers one at a time.
        with one_by_one:
            # Its process is dead, so its lock is free.
            with writer_lock(job.images, task):
                recover(job.images, task)
            return write_list(task)

    wanted = write_list(job.task)
    shares = [
        Share(
            images=job.images.absolute(),
            config=job.config,
            task=task,
            wanted=wanted,
            options=job.options.shared(task.number, task.of),
            resizers=resizers,
        )
        for task in tasks[1:]
    ]
    tally = Tally()
    own = job.options.shared(0, job.processes)
    try:
        with (
            Processes(shares, rest_of, job.on_event) as others,
            fetching(own, job.resize, processes=resizers) as fetch,
        ):
            work = fetch(rows_of(wanted, tasks[0]), writer, tally, job.on_event)
            stopper.run(others.beside(work))
    finally:
        for path in lists:
            path.unlink(missing_ok=True)
    writer.roll()
    return _fetched(others.shards + len(writer.summaries), tally, others.tally)


def _fetched(shards: int, *tallies: Tally) -> Fetched:
    return Fetched(
        tried=sum(tally.by_status.total() for tally in tallies),
        images=sum(tally.by_status["ok"] for tally in tallies),
        size_bytes=sum(tally.size_bytes for tally in tallies),
        shards=shards,
    )
