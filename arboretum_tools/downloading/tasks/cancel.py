"""Stopping an event loop of another thread, from outside and once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any


class Stopper:
    """Runs one coroutine in a loop of its own, and can be told to cancel it from another thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` to its end.

        Raises:
            asyncio.CancelledError: `stop` was called, before or meanwhile.
        """

        async def watched() -> None:
            with self._guard:
                self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
                if self._stopped:
                    work.close()
                    raise asyncio.CancelledError
            try:
                await work
            finally:
                with self._guard:
                    self._loop = self._task = None

        asyncio.run(watched())

    def stop(self) -> None:
        """Cancels the work, or keeps it from starting; may be called at any time and from any thread."""
        with self._guard:
            self._stopped = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
