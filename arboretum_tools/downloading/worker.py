"""What one process fetches with: the engine and, where photos are resized, the threads that do that."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from arboretum_tools.downloading import engine
from arboretum_tools.downloading.engine import Tally, Transform
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.pending import PendingPhoto
from arboretum_tools.events import OnEvent
from arboretum_tools.resize import Resize
from arboretum_tools.store import states
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.record import PhotoRecord
from arboretum_tools.store.writer import StoreWriter

#: Fetches every photo of an iterator into the store, and adds to the tally.
FetchAll = Callable[[Iterator[PendingPhoto], StoreWriter, Tally, OnEvent], Coroutine[Any, Any, None]]


@contextmanager
def fetching(
    options: DownloadOptions, resize: Resize | None, *, threads: int | None = None
) -> Iterator[FetchAll]:
    """Gives what fetches photos, with the threads that resize them.

    Args:
        options: how to behave.
        resize: how photos are shrunk; None = they are stored as they came.
        threads: that resize; default one a core that this process may use.
    """
    if resize is None:
        yield partial(_fetch, options, None)
        return
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0)), "arboretum-resize") as pool:

        async def transform(record: PhotoRecord, data: bytes) -> tuple[PhotoRecord, bytes | None]:
            return await asyncio.get_running_loop().run_in_executor(pool, resize.apply, record, data)

        yield partial(_fetch, options, transform)


async def _fetch(
    options: DownloadOptions,
    transform: Transform | None,
    pending: Iterator[PendingPhoto],
    writer: StoreWriter,
    tally: Tally,
    on_event: OnEvent,
) -> None:
    served = partial(states.served, ImageStore(writer.storage, writer.config))
    await engine.run(pending, writer, options, tally, on_event, transform=transform, served=served)
