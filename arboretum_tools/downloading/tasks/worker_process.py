"""A process that does one task of a download, for the process that started it.

It is told the task, and tells what happens, over a socket (`processes`). When that is closed without a word,
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

from arboretum_tools.downloading.tasks.processes import LENGTH, TaskEnded, pack
from arboretum_tools.downloading.tasks.task import TaskSpec
from arboretum_tools.downloading.tasks.worker import opened
from arboretum_tools.errors import ArboretumError
from arboretum_tools.system.subprocesses import began

# What happened is told so often, so that it costs next to nothing for each photo.
_TELL_S = 0.2


def main() -> None:
    """Does the task that it is told, until it is done or told to stop."""
    end, _ = began()
    with end, suppress(ConnectionError):
        (length,) = LENGTH.unpack(end.recv(LENGTH.size, socket.MSG_WAITALL))
        spec = pickle.loads(end.recv(length, socket.MSG_WAITALL))  # noqa: S301 - of who started this process
        events: list[Any] = []
        events.append(TaskEnded(_do(spec, end, events)))
        end.sendall(pack(events))


def _do(spec: TaskSpec, end: socket.socket, events: list[Any]) -> ArboretumError | None:
    """Does a task; the error that ended it."""
    try:
        with opened(spec, events.append) as work:
            asyncio.run(_telling(work(), end, events))
    except asyncio.CancelledError:
        pass  # told to stop; the shard is finished
    except ArboretumError as error:
        return error
    return None


async def _telling(work: Coroutine[Any, Any, None], end: socket.socket, events: list[Any]) -> None:
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
