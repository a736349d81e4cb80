"""What one process fetches with: the engine and, where photos are resized, the processes that do that."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from arboretum_tools.downloading import engine
from arboretum_tools.downloading.engine import Tally
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.pending import PendingPhoto
from arboretum_tools.events import OnEvent
from arboretum_tools.resize import Resize
from arboretum_tools.resize.pool import ResizePool
from arboretum_tools.store.writer import StoreWriter

#: Fetches every photo of an iterator into the store, and adds to the tally.
FetchAll = Callable[[Iterator[PendingPhoto], StoreWriter, Tally, OnEvent], Coroutine[Any, Any, None]]


@contextmanager
def fetching(
    options: DownloadOptions, resize: Resize | None, *, processes: int | None = None
) -> Iterator[FetchAll]:
    """Gives what fetches photos; what resizes them is started before any event loop, and ended after it.

    Args:
        options: how to behave.
        resize: how photos are shrunk; None = they are stored as they came.
        processes: that resize; default one a core.
    """
    if resize is None:
        yield partial(_fetch, options, None)
        return
    with ResizePool(resize, processes) as pool:
        yield partial(_fetch, options, pool)


async def _fetch(
    options: DownloadOptions,
    pool: ResizePool | None,
    pending: Iterator[PendingPhoto],
    writer: StoreWriter,
    tally: Tally,
    on_event: OnEvent,
) -> None:
    if pool is None:
        await engine.run(pending, writer, options, tally, on_event)
        return
    async with pool.connected():
        await engine.run(pending, writer, options, tally, on_event, transform=pool.transform)
