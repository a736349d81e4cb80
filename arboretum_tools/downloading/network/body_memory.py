"""How much memory large bodies take together: those that would take more wait for their turn.

Photos of medium size are far below what is counted. Originals may have 64 MiB each, and a download has up to
256 of them under way: without a bound 16 GiB, read at once because the host sends them at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

#: Bytes that the large bodies of one process may take together.
MOST_BYTES = 512 * 2**20

#: Bodies of up to so many bytes are not counted.
SMALL_BYTES = 2**20


class BodyMemory:
    """The memory for large bodies; an object of one event loop, whose tasks hold one body each at a time.

    Attributes:
        free_bytes: that nobody has reserved.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Nothing is reserved yet.

        Args:
            most_bytes: for all bodies together; no body is larger.
        """
        self.free_bytes = most_bytes
        self._held: dict[asyncio.Task[Any] | None, int] = {}
        # In the order in which they asked: a large one is not overtaken by small ones for ever.
        self._waiting: deque[tuple[asyncio.Task[Any] | None, int, asyncio.Future[None]]] = deque()

    async def reserve(self, size_bytes: int) -> None:
        """Waits until there is room for a body of this task, which holds it until `release`.

        Args:
            size_bytes: that it may come to have; at most what there is in all.
        """
        task = asyncio.current_task()
        assert task not in self._held, "a task holds one body at a time"
        if not self._waiting and size_bytes <= self.free_bytes:
            self._give(task, size_bytes)
            return
        turn = task, size_bytes, asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn[2]
        except BaseException:
            if turn in self._waiting:
                self._waiting.remove(turn)
            # It may have been given to a task that was cancelled before it could go on.
            self.free_bytes += self._held.pop(task, 0)
            self._wake()
            raise

    def release(self) -> None:
        """The body that this task holds, if it does, is no longer needed."""
        held = self._held.pop(asyncio.current_task(), 0)
        if held:
            self.free_bytes += held
            self._wake()

    def _give(self, task: asyncio.Task[Any] | None, size_bytes: int) -> None:
        self._held[task] = size_bytes
        self.free_bytes -= size_bytes

    def _wake(self) -> None:
        while self._waiting:
            task, size_bytes, turn = self._waiting[0]
            # A task that was cancelled takes itself out when it runs next.
            if not turn.done() and size_bytes > self.free_bytes:
                return
            self._waiting.popleft()
            if not turn.done():
                self._give(task, size_bytes)
                turn.set_result(None)
