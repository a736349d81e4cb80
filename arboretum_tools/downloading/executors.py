"""Carrying out what a job has decided: one process or several, resized or not."""

from __future__ import annotations

import os
from dataclasses import dataclass

from arboretum_tools.downloading.cancel import Stopper
from arboretum_tools.downloading.engine import Tally
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.messages import Share
from arboretum_tools.downloading.pending import PendingList, PendingLists
from arboretum_tools.downloading.processes import Processes
from arboretum_tools.downloading.worker import fetching
from arboretum_tools.store.lock import Task
from arboretum_tools.store.recovery import recover
from arboretum_tools.store.storage import storage_at
from arboretum_tools.store.writer import StoreWriter


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


def alone(job: Job, pending: PendingList, writer: StoreWriter, stopper: Stopper) -> Fetched:
    """Fetches in this process."""
    tally = Tally()
    with fetching(job.options, job.resize) as fetch:
        stopper.run(fetch(pending.rows(job.task), writer, tally, job.on_event))
    writer.roll()
    return _fetched(len(writer.summaries), tally)


def side_by_side(
    job: Job, pending: PendingList, lists: PendingLists, writer: StoreWriter, stopper: Stopper
) -> Fetched:
    """Fetches in `job.processes` processes, of which this is the first.

    Raises:
        ProcessDiedError: process after process dies.
    """
    tasks = [Task(number, job.processes) for number in range(job.processes)]
    resizers = max(1, len(os.sched_getaffinity(0)) // job.processes)

    def rest_of(task: Task) -> PendingList:
        # Its process is dead, so its lock is free.
        with storage_at(job.images).lock(task):
            recover(job.images, task)
        return lists.write(task)

    shares = [
        Share(
            images=job.images.absolute(),
            config=job.config,
            task=task,
            pending=pending,
            options=job.options.shared(task.number, task.of),
            resizers=resizers,
        )
        for task in tasks[1:]
    ]
    tally = Tally()
    own = job.options.shared(0, job.processes)
    with (
        Processes(shares, rest_of, job.on_event) as others,
        fetching(own, job.resize, threads=resizers) as fetch,
    ):
        work = fetch(pending.rows(tasks[0]), writer, tally, job.on_event)
        stopper.run(others.beside(work))
    writer.roll()
    return _fetched(others.shards + len(writer.summaries), tally, others.tally)


def _fetched(shards: int, *tallies: Tally) -> Fetched:
    return Fetched(
        tried=sum(tally.by_status.total() for tally in tallies),
        images=sum(tally.by_status["ok"] for tally in tallies),
        size_bytes=sum(tally.size_bytes for tally in tallies),
        shards=shards,
    )
