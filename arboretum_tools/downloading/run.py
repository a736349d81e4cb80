"""A download from its beginning to its end: write the plan down, have its tasks carried out, report."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from arboretum_tools.downloading.estimate import DownloadEstimate, check_plan, make_plan
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.network.urls import STATIC_HOST
from arboretum_tools.downloading.photo_bytes import mean_pixels, typical_pixels
from arboretum_tools.downloading.report import FAILURES, DownloadFailedError, DownloadReport, Tally
from arboretum_tools.downloading.tasks.cancel import Stopper
from arboretum_tools.downloading.tasks.task import TaskSpec
from arboretum_tools.events import Event, OnEvent, StageFinished, StageStarted, UnitDone
from arboretum_tools.options.store import SHARD_BYTES
from arboretum_tools.photos import photo_plan
from arboretum_tools.photos.photo_plan import PhotoSource, SavedPlan
from arboretum_tools.store import measured, plans, states
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.layout import PENDING, StoreConfig
from arboretum_tools.store.storage import as_named, storage_at
from arboretum_tools.store.storage.lock import ALONE
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.system.temporary_folders import TemporaryFolder
from arboretum_tools.tabular.arrays import memory_of_the_system

# The mean of the store's own photos is believed from so many on.
_ENOUGH_TO_MEASURE = 100


def plan_only(job: Job) -> DownloadEstimate:
    """What the job would do; changes nothing.

    Raises:
        StoreError: the store has another size, or is damaged.
        TargetExistsError: the folder holds something else.
    """
    with TemporaryFolder("plan") as folder:
        return _estimate_of(job, _written_down(job, folder))


def save_plan(job: Job) -> DownloadEstimate:
    """Makes the store, repairs it and keeps the plan in it, for tasks to fetch; fetches nothing.

    Raises:
        ArboretumError: it cannot be done; see `download`.
    """
    with _saved(job) as plan:
        return _estimate_of(job, plan)


def run(job: Job, stopper: Stopper) -> DownloadReport:
    """Does the job; `stopper` ends it from another thread.

    Raises:
        DownloadFailedError: it is finished, with more failures than allowed.
        ArboretumError: it cannot be done; see `download`.
        asyncio.CancelledError: it was stopped; what came is kept.
    """
    began = time.monotonic()
    with memory_of_the_system():
        with _saved(job) as plan:
            pass
        return _carry_out(job.tasks(plan.id), plan, job.on_event, stopper, began)


def plan_task(spec: TaskSpec) -> DownloadEstimate:
    """What the task would do; see `downloading.plan_task`."""
    config, plan = layout.read_config(spec.images), plans.find(spec.images, spec.plan_id)
    return _estimate(spec, plan, config, plans.of_saved(spec.images, spec.plan_id))


def run_task(spec: TaskSpec, on_event: OnEvent, stopper: Stopper) -> DownloadReport:
    """Does the task; see `downloading.run_task`."""
    began = time.monotonic()
    with memory_of_the_system():
        # That so much is meant was asked when the plan was saved.
        check_plan(plan_task(spec), yes=True)
        config = layout.read_config(spec.images)
        with StoreWriter.create(spec.images, config, task=spec.writer, on_event=on_event):
            # What a run that was cut short had fetched is counted as there.
            plan = plans.find(spec.images, spec.plan_id)
        return _carry_out([spec], plan, on_event, stopper, began)


def _carry_out(
    specs: Sequence[TaskSpec], plan: SavedPlan, on_event: OnEvent, stopper: Stopper, began: float
) -> DownloadReport:
    """Has tasks of one plan carried out, all of them or one, and reports on their photos."""
    spec, images, tally = specs[0], as_named(specs[0].images), Tally()
    task = spec.writer if len(specs) == 1 else ALONE

    def told(event: Event) -> None:
        tally.add(event)
        on_event(event)

    def count() -> dict[str, int]:
        return states.counts(ImageStore.open(images), plan.path, task=task)

    by_status = count()
    to_fetch = sum(by_status[state] for state in {PENDING, *spec.retry})
    total = sum(by_status.values())
    on_event(StageStarted("download", total, done=total - to_fetch))
    if to_fetch:
        # Not before there is something to fetch: it costs the import of asyncio and TLS.
        from arboretum_tools.downloading.tasks.executors import executor_for

        executor_for(specs)(specs, told, stopper)
        by_status = count()
    on_event(StageFinished("download"))
    report = tally.report(
        images,
        size=layout.read_config(images).size,
        plan_id=plan.id,
        by_status=by_status,
        seconds=time.monotonic() - began,
    )
    if report.failure_rate > spec.max_failure_rate:
        raise DownloadFailedError(report, spec.max_failure_rate, _most_frequent(images))
    return report


def _most_frequent(images: str | Path) -> str:
    """Why most of a store's failures are some."""
    # Not before it is needed: it costs the import of DuckDB.
    from arboretum_tools.store import inventory

    return next(
        (reason.error for reason in inventory.status(images).reasons if reason.status in FAILURES), ""
    )


@contextmanager
def _saved(job: Job) -> Iterator[SavedPlan]:
    """The plan in the store, which is made and repaired, and locked meanwhile.

    Until all has been checked the plan lies in a folder of its own, so that a refused download leaves
    nothing; on the file system of the store, so that its ids are written once.
    """
    layout.check_place(job.images)
    near: Path | None = _nearest(storage_at(job.images).scratch)
    if near is not None and not os.access(near, os.W_OK | os.X_OK):
        near = None  # the writer says so
    with TemporaryFolder("plan", near) as folder:
        unsaved = _written_down(job, folder)
        check_plan(_estimate_of(job, unsaved), yes=job.yes)
        with StoreWriter.create(job.images, job.config, on_event=job.on_event) as writer:
            yield plans.keep(unsaved, writer.storage)


def _written_down(job: Job, folder: Path) -> SavedPlan:
    asked = job.photos.plan()

    def told() -> Iterator[pa.RecordBatch]:
        for batch in asked.batches():
            yield batch
            job.on_event(UnitDone(batch.num_rows))

    # Of a whole catalogue it takes minutes.
    job.on_event(StageStarted("plan", None))
    plan = photo_plan.write(replace(asked, batches=told), folder)
    job.on_event(StageFinished("plan"))
    return plan


def _estimate_of(job: Job, plan: SavedPlan) -> DownloadEstimate:
    whole = replace(job.tasks(plan.id)[0], task_id=0, num_tasks=1)
    return _estimate(whole, plan, job.config, job.photos)


def _estimate(spec: TaskSpec, plan: SavedPlan, config: StoreConfig, photos: PhotoSource) -> DownloadEstimate:
    storage, options, task = storage_at(spec.images), spec.own_options(), spec.writer
    layout.check_place(storage)
    store = None
    if layout.is_store(storage):
        layout.check_config(storage, config)
        store = ImageStore.open(storage)
    budget = options.budget()
    slow = 0
    if budget is not None:
        slow = states.count_of_host(store, plan.path, STATIC_HOST, retry=spec.retry, task=task)
    photo_bytes, kept_bytes = _photo_bytes(photos, config, store)
    return make_plan(
        store=as_named(spec.images),
        size=config.size,
        english=str(plan.source.get("english", "")),
        plan_id=plan.id,
        by_status=states.counts(store, plan.path, task=task),
        retry=spec.retry,
        photo_bytes=photo_bytes,
        kept_bytes=kept_bytes,
        free_bytes=shutil.disk_usage(_nearest(storage.scratch)).free,
        # Of each process one shard that is filled, and one that is on its way.
        most_bytes=2 * SHARD_BYTES * spec.side_by_side if storage.remote else None,
        connections=options.connections,
        budgeted=slow,
        # Where nothing is asked of that host, its file is not even looked for.
        budget_left=budget.left() if budget is not None and slow else None,
        allowance=options.allowance,
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


def _photo_bytes(photos: PhotoSource, config: StoreConfig, store: ImageStore | None) -> tuple[int, int]:
    """Bytes of a photo on average, as it comes and as it is kept.

    Those of the store's own where there are enough, else what its pixels let expect.
    """
    if store is not None:
        images, source_bytes, size_bytes = measured.images(store)
        if images >= _ENOUGH_TO_MEASURE:
            return round(source_bytes / images), round(size_bytes / images)
    side = config.resize["shorter_side"] if config.resize is not None else None
    pixels = mean_pixels(photos, config.size, side) or typical_pixels(config.size, side)
    return pixels.came_bytes, pixels.kept_bytes


def _nearest(folder: Path) -> Path:
    """The folder, or the one that is there in which it will lie."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder
