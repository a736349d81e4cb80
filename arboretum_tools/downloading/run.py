"""The course of a download: write the plan down, look what is there, fetch the rest, report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from arboretum_tools import photo_plan
from arboretum_tools.arrays import memory_of_the_system
from arboretum_tools.downloading.cancel import Stopper
from arboretum_tools.downloading.estimate import DownloadEstimate, check_plan, make_plan
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.pending import PendingLists
from arboretum_tools.downloading.photo_bytes import mean_pixels, typical_pixels
from arboretum_tools.downloading.report import FAILURES, DownloadFailedError, DownloadReport
from arboretum_tools.downloading.urls import STATIC_HOST
from arboretum_tools.events import StageFinished, StageStarted, UnitDone
from arboretum_tools.photo_plan import SavedPlan
from arboretum_tools.store import layout, measured, plans, states
from arboretum_tools.store.lock import Task
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.temporary_folders import TemporaryFolder

if TYPE_CHECKING:
    from arboretum_tools.downloading.executors import Fetched

# The mean of the store's own photos is believed from so many on.
_ENOUGH_TO_MEASURE = 100


def plan_only(job: Job) -> DownloadEstimate:
    """What the job would do; changes nothing.

    Raises:
        StoreError: the store has another size, or is damaged.
        TargetExistsError: the folder holds something else.
    """
    with _written_down(job) as plan:
        return _plan(job, plan)


def save_plan(job: Job) -> DownloadEstimate:
    """Makes the store, repairs it and keeps the plan in it, for tasks to fetch; fetches nothing.

    Raises:
        ArboretumError: it cannot be done; see `download`.
    """
    with _written_down(job) as unsaved:
        check_plan(_plan(job, unsaved), yes=job.yes)
        with StoreWriter.create(job.images, job.config, on_event=job.on_event):
            plan = plans.keep(unsaved, job.images)
            return _plan(job, plan)


def run(job: Job, stopper: Stopper) -> DownloadReport:
    """Does the job; `stopper` ends it from another thread.

    Raises:
        DownloadFailedError: it is finished, with more failures than allowed.
        ArboretumError: it cannot be done; see `download`.
        asyncio.CancelledError: it was stopped; what came is kept.
    """
    began = time.monotonic()
    with memory_of_the_system(), ExitStack() as scratch:
        unsaved = scratch.enter_context(_written_down(job))
        check_plan(_plan(job, unsaved), yes=job.yes)
        # Of several processes this one is the first task of their set.
        task = Task(0, job.processes) if job.processes > 1 else job.task
        with StoreWriter.create(job.images, job.config, task=task, on_event=job.on_event) as writer:
            plan = plans.keep(unsaved, job.images)
            # Not at the end: that may be days away, and a kill would leave it behind.
            scratch.close()
            done = _fetch(job, plan, writer, stopper)
        by_status = states.counts(ImageStore.open(job.images), plan.path, task=job.task)
    report = DownloadReport(
        store=job.images,
        size=job.size,
        plan_id=plan.id,
        requested=sum(by_status.values()),
        by_status=by_status,
        tried=done.tried if done else 0,
        fetched=done.images if done else 0,
        size_bytes=done.size_bytes if done else 0,
        shards=done.shards if done else 0,
        seconds=time.monotonic() - began,
    )
    if report.failure_rate > job.options.max_failure_rate:
        raise DownloadFailedError(report, job.options.max_failure_rate, _most_frequent(job.images))
    return report


def _most_frequent(images: Path) -> str:
    """Why most of a store's failures are some."""
    # Not before it is needed: it costs the import of DuckDB.
    from arboretum_tools.store import inventory

    return next(
        (reason.error for reason in inventory.status(images).reasons if reason.status in FAILURES), ""
    )


def _fetch(job: Job, plan: SavedPlan, writer: StoreWriter, stopper: Stopper) -> Fetched | None:
    """Fetches what the store lacks of a plan; None where it lacks nothing."""
    # Listed under the lock: a run that was cut short may just have been repaired.
    store = ImageStore.open(job.images)

    def to_fetch(task: Task) -> Iterator[pa.RecordBatch]:
        return states.to_fetch(store, plan.path, retry=job.options.retry, task=task, last_host=STATIC_HOST)

    done = None
    with PendingLists(writer.storage.scratch, to_fetch) as lists:
        pending = lists.write(job.task)
        job.on_event(StageStarted("download", pending.photos))
        if pending.photos:
            # Not before there is something to fetch: it costs the import of asyncio and TLS.
            from arboretum_tools.downloading import executors

            if job.processes > 1:
                done = executors.side_by_side(job, pending, lists, writer, stopper)
            else:
                done = executors.alone(job, pending, writer, stopper)
    job.on_event(StageFinished("download"))
    return done


@contextmanager
def _written_down(job: Job) -> Iterator[SavedPlan]:
    """The plan as a file outside of the store, so that a refused download leaves nothing in it."""
    asked = job.photos.plan()

    def told() -> Iterator[pa.RecordBatch]:
        for batch in asked.batches():
            yield batch
            job.on_event(UnitDone(batch.num_rows))

    # Of a whole catalogue it takes minutes.
    job.on_event(StageStarted("plan", None))
    with TemporaryFolder("plan") as folder:
        plan = photo_plan.write(replace(asked, batches=told), folder)
        job.on_event(StageFinished("plan"))
        yield plan


def _plan(job: Job, plan: SavedPlan) -> DownloadEstimate:
    layout.check_place(job.images)
    store = None
    if layout.is_store(job.images):
        layout.check_config(job.images, job.config)
        store = ImageStore.open(job.images)
    budget = job.options.budget()
    slow = 0
    if budget is not None:
        slow = states.count_of_host(store, plan.path, STATIC_HOST, retry=job.options.retry, task=job.task)
    photo_bytes, kept_bytes = _photo_bytes(job, store)
    return make_plan(
        store=job.images,
        size=job.size,
        english=str(plan.source.get("english", "")),
        plan_id=plan.id,
        by_status=states.counts(store, plan.path, task=job.task),
        retry=job.options.retry,
        photo_bytes=photo_bytes,
        kept_bytes=kept_bytes,
        free_bytes=_free_bytes(job.images),
        connections=job.options.connections,
        budgeted=slow,
        # Where nothing is asked of that host, its file is not even looked for.
        budget_left=budget.left() if budget is not None and slow else None,
        allowance=job.options.allowance,
        measured_bytes_s=measured.bytes_per_second(store) if store is not None else None,
        open_bytes=_open_bytes(store) if store is not None else 0,
    )


def _open_bytes(store: ImageStore) -> int:
    """Bytes of the shards that the next writer finishes in place."""
    storage = store.storage
    return sum(
        storage.size(f"{layout.shard_name(number)}.tar.part")
        for number, files in layout.shard_files(storage).items()
        if files >= {"tar.part", "journal"}
    )


def _photo_bytes(job: Job, store: ImageStore | None) -> tuple[int, int]:
    """Bytes of a photo on average, as it comes and as it is kept.

    Those of the store's own where there are enough, else what its pixels let expect.
    """
    if store is not None:
        images, source_bytes, size_bytes = measured.images(store)
        if images >= _ENOUGH_TO_MEASURE:
            return round(source_bytes / images), round(size_bytes / images)
    side = job.resize.shorter_side if job.resize is not None else None
    pixels = mean_pixels(job.photos, job.size, side) or typical_pixels(job.size, side)
    return pixels.came_bytes, pixels.kept_bytes


def _free_bytes(folder: Path) -> int:
    """What the disk has left on which `folder` lies, or will lie."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
