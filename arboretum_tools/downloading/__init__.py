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
from pathlib import Path
from typing import Any, TypedDict, Unpack

from arboretum_tools import photo_plan
from arboretum_tools.downloading.cancel import Stopper
from arboretum_tools.downloading.composition import composition_of
from arboretum_tools.downloading.estimate import DownloadEstimate
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.options import DownloadOptions, address_rules
from arboretum_tools.downloading.report import DownloadFailedError, DownloadReport
from arboretum_tools.downloading.task import TaskSpec, plan_task, run_task
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.resize import Resize

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


class DownloadArguments(TypedDict, total=False):
    """What `download_async` and `estimate_download` take by name: the same as `download`."""

    images: str | Path
    size: str
    resize: int | None
    resize_filter: str
    origin: str | None
    catalog: Any
    processes: int
    connections: int
    attempts: int
    deadline_s: float
    retry: Iterable[str]
    max_failure_rate: float
    contact: str | None
    allow_hosts: Iterable[str]
    yes: bool
    on_event: OnEvent


def download(
    what: Any,
    *,
    images: str | Path = "images",
    size: str = "medium",
    resize: int | None = None,
    resize_filter: str = "area",
    origin: str | None = None,
    catalog: Any = None,
    processes: int = 1,
    connections: int = 32,
    attempts: int = 5,
    deadline_s: float = 60.0,
    retry: Iterable[str] = ("failed",),
    max_failure_rate: float = 0.05,
    contact: str | None = None,
    allow_hosts: Iterable[str] = (),
    yes: bool = False,
    on_event: OnEvent = ignore,
) -> DownloadReport:
    """Fetches photos into an image store, and returns when each has been tried.

    Works inside a running event loop too (notebooks): the download then has a thread of its own.

    Args:
        what: a Selection, a Split, or PhotoPlan; photo ids where `catalog` is given.
        images: folder of the store; made where it is not there.
        size: original, large, medium, small, thumb or square. A store holds one size.
        resize: shrink each photo as it comes, so that its shorter side has this many pixels, into a JPEG of
            quality 90; one that is no larger stays as it came. A store holds one resize.
        resize_filter: `area` (the mean of what each pixel covers) or `lanczos` (sharper, slower).
        origin: `scheme://host:port` to ask instead of the real hosts; default `$ARBORETUM_ORIGIN`.
        catalog: a Catalog, in which the photo ids of `what` are looked up.
        processes: that fetch side by side, for machines with more cores than one keeps busy; a script needs
            no guard for them.
        connections: photos that are fetched at the same time, 1 to 256, by all processes together.
        attempts: requests for one photo at most.
        deadline_s: seconds that all requests for one photo may take together.
        retry: states that are tried again besides pending: failed, gone, forbidden, invalid.
        max_failure_rate: share of (forbidden + invalid + failed) that is put up with, 0 to 1.
        contact: address by which the host's operators can reach you; stands in the User-Agent.
        allow_hosts: hosts besides those of iNaturalist that the metadata's addresses may name.
        yes: go on with more than 100 GB.
        on_event: called with each event of `arboretum_tools.events`, in order, by the thread that works.

    Raises:
        DownloadFailedError: it is finished, with more failures than `max_failure_rate`; what came is kept.
        StoreError: the store has another size or resize, is damaged, or another download writes into it.
        TargetExistsError: `images` holds something else.
        OutOfSpaceError: the disk is too small, or ran full; what came is kept.
        ProcessDiedError: processes of it are killed again and again; what came is kept.
        BadInputError: more than 100 GB without `yes`.
        UsageError: a value that is no value of its kind.
        KeyboardInterrupt: Ctrl-C; what came is kept, and the same call goes on from there.
    """
    job = _job(
        what,
        images=images,
        size=size,
        resize=resize,
        resize_filter=resize_filter,
        origin=origin,
        catalog=catalog,
        processes=processes,
        connections=connections,
        attempts=attempts,
        deadline_s=deadline_s,
        retry=retry,
        max_failure_rate=max_failure_rate,
        contact=contact,
        allow_hosts=allow_hosts,
        yes=yes,
        on_event=on_event,
    )
    from arboretum_tools.downloading import run

    stopper = Stopper()
    if not _inside_a_loop():
        return run.run(job, stopper)
    with ThreadPoolExecutor(1, "arboretum-download") as pool:
        future = pool.submit(run.run, job, stopper)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C in this thread; the other one is waited for on leaving the pool.
            stopper.stop()
            raise


async def download_async(what: Any, **arguments: Unpack[DownloadArguments]) -> DownloadReport:
    """`download` for event loops: the same arguments, result and errors.

    Works in a thread of its own, so the caller's loop stays free. Cancelling it keeps what came: the open
    shard is finished first.
    """
    from arboretum_tools.downloading import run

    job, stopper = _job(what, **arguments), Stopper()
    with ThreadPoolExecutor(1, "arboretum-download") as pool:
        future = asyncio.get_running_loop().run_in_executor(pool, run.run, job, stopper)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stopper.stop()
            await asyncio.wait([future])
            raise


def estimate_download(what: Any, **arguments: Unpack[DownloadArguments]) -> DownloadEstimate:
    """What `download` would do with the same arguments (`--dry-run`); changes nothing and asks no host.

    Raises:
        StoreError: the store has another size, or is damaged.
        TargetExistsError: `images` holds something else.
        UsageError: a value that is no value of its kind.
    """
    from arboretum_tools.downloading import run

    job = _job(what, **arguments)
    plan = run.plan_only(job)
    kinds = composition_of(job.photos)
    return plan if kinds is None else replace(plan, classes=kinds[0], licenses=kinds[1])


def save_plan(what: Any, **arguments: Unpack[DownloadArguments]) -> DownloadEstimate:
    """Makes the store and keeps the plan in it, for `run_task` to fetch (`--plan-only`); fetches nothing.

    Takes the same arguments as `download`. What an earlier run left half-done in the store is repaired.

    Raises:
        StoreError: the store has another size, is damaged, or a download writes into it.
        OutOfSpaceError: the disk is too small.
        BadInputError: more than 100 GB without `yes`.
        UsageError: a value that is no value of its kind.
    """
    from arboretum_tools.downloading import run

    return run.save_plan(_job(what, **arguments))


def _job(
    what: Any,
    *,
    images: str | Path = "images",
    size: str = "medium",
    resize: int | None = None,
    resize_filter: str = "area",
    origin: str | None = None,
    catalog: Any = None,
    processes: int = 1,
    retry: Iterable[str] = ("failed",),
    allow_hosts: Iterable[str] = (),
    yes: bool = False,
    on_event: OnEvent = ignore,
    **options: Any,
) -> Job:
    if catalog is not None:
        what = catalog.select(photo_ids=what)
    return Job(
        photos=photo_plan.source_of(what),
        images=Path(images),
        size=size,
        resize=None if resize is None else Resize(resize, resize_filter),
        options=DownloadOptions(retry=tuple(retry), rules=address_rules(origin, allow_hosts), **options),
        yes=yes,
        processes=processes,
        on_event=on_event,
    )


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
