"""A download into a store that may only be read: done where nothing is left to do, else refused."""

from __future__ import annotations

import os
from pathlib import Path

from arboretum_tools.downloading.estimate import DownloadEstimate
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.report import DownloadFailedError, DownloadReport, Tally
from arboretum_tools.errors import StoreError
from arboretum_tools.events import Note
from arboretum_tools.store.shards import layout
from arboretum_tools.store.storage import is_address
from arboretum_tools.wording import counted


def is_read_only(images: str | Path) -> bool:
    """Whether a folder is a store in which this process may not write, by its rights or its disk's."""
    return not is_address(images) and layout.is_store(images) and not os.access(images, os.W_OK | os.X_OK)


def report(job: Job, plan: DownloadEstimate) -> DownloadReport:
    """The report of a download that has nothing to fetch.

    Args:
        job: what was asked for.
        plan: what it would do.

    Raises:
        StoreError: something is left to fetch.
        DownloadFailedError: more photos failed, in earlier runs, than allowed.
    """
    if plan.to_fetch:
        raise StoreError(
            f"{job.images} may only be read, and {counted(plan.to_fetch, 'photo')} of what was asked for "
            f"{'is' if plan.to_fetch == 1 else 'are'} not in it; nothing was downloaded",
            hint="Ask for the right to write there, or choose another folder with --images.",
        )
    job.on_event(Note(f"{job.images} may only be read; nothing is left to fetch"))
    found = Tally().report(
        job.images, size=job.size, plan_id=plan.plan_id, by_status=plan.by_status, seconds=0.0
    )
    if found.failure_rate > job.options.max_failure_rate:
        raise DownloadFailedError(found, job.options.max_failure_rate)
    return found
