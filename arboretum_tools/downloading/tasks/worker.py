"""Doing one task: its store locked and repaired, its photos listed, the engine over them.

Everything that happens is told by events, and what is on disk at the end is all that stays: an executor adds
nothing but where this runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from arboretum_tools.downloading.fetching import engine
from arboretum_tools.downloading.fetching.engine import Transform
from arboretum_tools.downloading.network.urls import STATIC_HOST
from arboretum_tools.downloading.resize import Resize
from arboretum_tools.downloading.tasks.task import TaskSpec
from arboretum_tools.events import OnEvent
from arboretum_tools.store import plans, states
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import read_config
from arboretum_tools.store.shards.record import PhotoRecord
from arboretum_tools.store.storage import storage_at
from arboretum_tools.store.writer import StoreWriter

#: Fetches every photo of a task that is still to be fetched.
Work = Callable[[], Coroutine[Any, Any, None]]


@contextmanager
def opened(spec: TaskSpec, on_event: OnEvent) -> Iterator[Work]:
    """Holds the right to write what a task fetches, and gives the work; its shard is finished on leaving.

    Args:
        spec: the task.
        on_event: gets a PhotoDone for each photo, a ShardFinished for each shard, and notes.

    Raises:
        StoreError: the store has no such plan, is damaged, or others write into it.
        OutOfSpaceError: the disk is full.
    """
    storage = storage_at(spec.images)
    plan, config = plans.find(storage, spec.plan_id), read_config(storage)
    with (
        StoreWriter.create(storage, config, task=spec.writer, on_event=on_event) as writer,
        ExitStack() as stack,
    ):
        transform = None
        if config.resize is not None:
            threads = max(1, len(os.sched_getaffinity(0)) // spec.side_by_side)
            pool = stack.enter_context(ThreadPoolExecutor(threads, "arboretum-resize"))
            transform = _resizing(Resize(**config.resize), pool)
        store = ImageStore.open(storage)
        to_fetch = states.to_fetch(
            store, plan.path, retry=spec.retry, task=spec.writer, last_host=STATIC_HOST
        )
        yield partial(
            engine.run,
            to_fetch,
            writer,
            spec.own_options(),
            on_event,
            transform=transform,
            served=partial(states.served, store),
        )


def _resizing(resize: Resize, pool: ThreadPoolExecutor) -> Transform:
    async def transform(record: PhotoRecord, data: bytes) -> tuple[PhotoRecord, bytes | None]:
        return await asyncio.get_running_loop().run_in_executor(pool, resize.apply, record, data)

    return transform
