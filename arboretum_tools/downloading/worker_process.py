"""A process that fetches one share of a download, for the process that started it.

It is told what to do, and tells what it did, over a socket (`messages`). When that is closed without a word,
the process that started it is dead, and it dies as well: the next run finds its open shard as after any kill.
Neither DuckDB nor pandas is imported here, which is what keeps a further process small.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from arboretum_tools.downloading.engine import Tally
from arboretum_tools.downloading.messages import LENGTH, Done, Share, pack
from arboretum_tools.downloading.worker import fetching
from arboretum_tools.errors import ArboretumError
from arboretum_tools.events import Event
from arboretum_tools.resize import Resize
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.subprocesses import began

# What happened is told so often, so that it costs next to nothing for each photo.
_TELL_S = 0.2


def main() -> None:
    """Fetches the share that it is told of, until it is done or told to stop."""
    end, _ = began()
    with end, suppress(ConnectionError):
        (length,) = LENGTH.unpack(end.recv(LENGTH.size, socket.MSG_WAITALL))
        told = pickle.loads(end.recv(length, socket.MSG_WAITALL))  # noqa: S301 - of who started this process
        events: list[Event] = []
        done = _fetch(told, end, events)
        end.sendall(pack(events) + pack(done))


def _fetch(told: Share, end: socket.socket, events: list[Event]) -> Done:
    resize = None if told.config.resize is None else Resize(**told.config.resize)
    writer = StoreWriter.create(told.images, told.config, task=told.task, on_event=events.append)
    try:
        with writer, fetching(told.options, resize, threads=told.resizers) as fetch:
            work = fetch(told.pending.rows(told.task), writer, Tally(), events.append)
            asyncio.run(_telling(work, end, events))
    except asyncio.CancelledError:
        pass  # told to stop; the shard is finished
    except ArboretumError as error:
        return Done(len(writer.summaries), (type(error).__name__, error.message, error.hint))
    return Done(len(writer.summaries))


async def _telling(work: Coroutine[Any, Any, None], end: socket.socket, events: list[Event]) -> None:
    """Does the work, tells what happens, and stops when it is told to."""
    loop = asyncio.get_running_loop()
    working = asyncio.create_task(work)

    def hear() -> None:
        if not end.recv(1):
            # Closed by the kernel: whoever started this is dead, and nobody waits for a finished shard.
            os._exit(1)
        working.cancel()

    async def tell() -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            if events:
                message = pack(events)
                events.clear()
                # Blocks, but is short and soon read.
                end.sendall(message)

    loop.add_reader(end, hear)
    telling = asyncio.create_task(tell())
    try:
        done, _ = await asyncio.wait((working, telling), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        loop.remove_reader(end)
        for task in (working, telling):
            task.cancel()
        await asyncio.gather(working, telling, return_exceptions=True)


if __name__ == "__main__":
    main()
