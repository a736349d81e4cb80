"""Downloading photos into an image store: plan, fetch, verify, resume.

What the store holds is never fetched again, whatever it was downloaded for; what is missing is. Interrupted
and started again, a download goes on where it stopped.

The job, and with it DuckDB, is loaded when it is first needed: a further process of a download has no use for
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from arboretum_tools.display.progress import shows_progress
from arboretum_tools.downloading.composition import composition_of
from arboretum_tools.downloading.estimate import DownloadEstimate
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.report import DownloadFailedError, DownloadReport
from arboretum_tools.downloading.resize import Resize
from arboretum_tools.downloading.tasks.cancel import Stopper
from arboretum_tools.downloading.tasks.task import TaskSpec
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import takes
from arboretum_tools.options.download import DownloadArguments, check_filter
from arboretum_tools.photos import photo_plan
from arboretum_tools.photos.photo_plan import PhotoSource
from arboretum_tools.store.storage import as_named

__all__ = [
    "DownloadArguments",
    "DownloadEstimate",
    "DownloadFailedError",
    "DownloadReport",
    "TaskSpec",
    "download",
    "download_async",
    "estimate_download",
    "plan_task",
    "run_task",
    "save_plan",
]


@shows_progress
@takes(DownloadArguments)
def download(what: PhotoSource | Iterable[int], options: DownloadArguments) -> DownloadReport:
    """Fetches photos into an image store, and returns when each has been tried.

    Works inside a running event loop too (notebooks): the download then has a thread of its own.

    Args:
        what: a Selection, a Split, or PhotoPlan; photo ids where `catalog` is given.
        options: {options}
        catalog: a Catalog, in which the photo ids of `what` are looked up.
        on_event: called with each event of `arboretum_tools.events`, in order, by the thread that works.

    Raises:
        DownloadFailedError: it is finished, with more failures than `max_failure_rate`; what came is kept.
        StoreError: the store has another size or resize, is damaged, or another command writes into it.
        TargetExistsError: `images` holds something else.
        OutOfSpaceError: the disk is too small, or ran full; what came is kept.
        ProcessDiedError: processes of it are killed again and again; what came is kept.
        BadInputError: more than 100 GB without `yes`.
        SelectionError: no photo is selected, and `allow_empty` is False.
        UsageError: a value that an option does not take.
        KeyboardInterrupt: Ctrl-C; what came is kept, and the same call goes on from there.

    >>> import arboretum_tools as at
    >>> owls = at.open_catalog("catalog").select("Strigiformes")
    >>> report = at.download(owls, images="owls", size="small")
    >>> report.by_status["ok"] == report.requested
    True
    """
    job, stopper = _job(what, options), Stopper()
    if not _inside_a_loop():
        return _run(job, stopper)
    with ThreadPoolExecutor(1, "arboretum-download") as pool:
        future = pool.submit(_run, job, stopper)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C in this thread; the other one is waited for on leaving the pool.
            stopper.stop()
            raise


@shows_progress
@takes(DownloadArguments)
async def download_async(what: PhotoSource | Iterable[int], options: DownloadArguments) -> DownloadReport:
    """`download` for event loops: the same arguments, result and errors.

    Works in a thread of its own, so the caller's loop stays free. Cancelling it keeps what came: the open
    shard is finished first.

    >>> import arboretum_tools as at
    >>> import asyncio
    >>> owls = at.open_catalog("catalog").select("Strigiformes")
    >>> report = asyncio.run(at.download_async(owls, images="owls", size="small"))
    >>> report.by_status["ok"] == report.requested
    True
    """
    job, stopper = _job(what, options), Stopper()
    with ThreadPoolExecutor(1, "arboretum-download") as pool:
        future = asyncio.get_running_loop().run_in_executor(pool, _run, job, stopper)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stopper.stop()
            await asyncio.wait([future])
            raise


@shows_progress
@takes(DownloadArguments)
def estimate_download(what: PhotoSource | Iterable[int], options: DownloadArguments) -> DownloadEstimate:
    """What `download` would do with the same arguments (`--dry-run`); changes nothing and asks no host.

    Raises:
        StoreError: the store has another size, or is damaged.
        TargetExistsError: `images` holds something else.
        UsageError: a value that an option does not take.

    >>> import arboretum_tools as at
    >>> birds = at.open_catalog("catalog").select("Aves")
    >>> plan = at.estimate_download(birds, images="images")
    >>> plan.to_fetch
    0
    """
    from arboretum_tools.downloading import run

    job = _job(what, options)
    plan = run.plan_only(job)
    kinds = composition_of(job.photos)
    return plan if kinds is None else replace(plan, classes=kinds[0], licenses=kinds[1])


@shows_progress
@takes(DownloadArguments)
def save_plan(what: PhotoSource | Iterable[int], options: DownloadArguments) -> DownloadEstimate:
    """Makes the store and keeps the plan in it, for `run_task` to fetch (`--plan-only`); fetches nothing.

    Takes the same arguments as `download`. What an earlier run left half-done in the store is repaired.

    Raises:
        StoreError: the store has another size, is damaged, or a download writes into it.
        OutOfSpaceError: the disk is too small.
        BadInputError: more than 100 GB without `yes`.
        UsageError: a value that an option does not take.

    >>> import arboretum_tools as at
    >>> owls = at.open_catalog("catalog").select("Strigiformes")
    >>> plan = at.save_plan(owls, images="planned", size="small")
    >>> plan.plan_id
    'd58ef9c442a0'
    """
    from arboretum_tools.downloading import run

    return run.save_plan(_job(what, options))


@shows_progress
def run_task(
    spec: TaskSpec,
    *,
    progress: bool = True,  # noqa: ARG001 - of shows_progress
    on_event: OnEvent = ignore,
) -> DownloadReport:
    """Does one task of a download; done again, it does what is left.

    Returns:
        The report, whose counts are those of this task's photos.

    Raises:
        StoreError: the store has no such plan, or other downloads than tasks of this set write into it.
        ArboretumError: as of `download`.

    >>> import arboretum_tools as at
    >>> owls = at.open_catalog("catalog").select("Strigiformes")
    >>> plan = at.save_plan(owls, images="planned", size="small")
    >>> reports = [at.run_task(at.TaskSpec("planned", plan.plan_id, task, 2)) for task in range(2)]
    >>> sum(report.requested for report in reports) == plan.requested
    True
    """
    from arboretum_tools.downloading import run

    return run.run_task(spec, on_event, Stopper())


def plan_task(spec: TaskSpec) -> DownloadEstimate:
    """What `run_task` would do with the same spec (`--dry-run`); changes nothing and asks no host.

    Raises:
        StoreError: the store has no such plan, or is damaged.

    >>> import arboretum_tools as at
    >>> owls = at.open_catalog("catalog").select("Strigiformes")
    >>> plan = at.save_plan(owls, images="planned", size="small")
    >>> at.plan_task(at.TaskSpec("planned", plan.plan_id, 0, 1)).requested == plan.requested
    True
    """
    from arboretum_tools.downloading import run

    return run.plan_task(spec)


def _job(what: Any, options: DownloadArguments) -> Job:
    check_filter(options.resize, options.resize_filter)
    if options.catalog is not None:
        what = options.catalog.select(photo_ids=what)
    photos = photo_plan.source_of(what)
    if not options.allow_empty:
        photos = photo_plan.NotEmpty(photos, "nothing was downloaded")
    return Job(
        photos=photos,
        images=as_named(options.images),
        size=options.size,
        resize=None if options.resize is None else Resize(options.resize, options.resize_filter or "area"),
        options=DownloadOptions.of(options),
        yes=options.yes,
        processes=options.processes,
        on_event=options.on_event,
    )


def _run(job: Job, stopper: Stopper) -> DownloadReport:
    from arboretum_tools.downloading import read_only, run

    if read_only.is_read_only(job.images):
        return read_only.report(job, run.plan_only(job))
    return run.run(job, stopper)


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
