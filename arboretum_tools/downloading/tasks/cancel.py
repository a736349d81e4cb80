"""Stopping an event loop from outside: from another thread, or by a signal."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stopper:
    """Runs one coroutine in a loop of its own, and can be told to cancel it from another thread.

    In the main thread, Ctrl-C cancels it as well, and so does SIGTERM where somebody handles it. What handles
    the signal is called when the work has ended: most handlers raise KeyboardInterrupt, and raised in the
    middle of the loop it may hit the callback that was to wake whoever waits for the end.
    """

    def __init__(self) -> None:
        # A signal may come while this very thread holds it.
        self._guard = threading.RLock()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` to its end.

        Raises:
            asyncio.CancelledError: `stop` was called, before or meanwhile.
            KeyboardInterrupt: Ctrl-C; the work has been cancelled and has ended.
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

        with self._stopped_by_signals():
            asyncio.run(watched())

    def stop(self) -> None:
        """Cancels the work, or keeps it from starting; may be called at any time and from any thread."""
        with self._guard:
            self._stopped = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """The first signal stops the work, and its handler is called at the end; a second acts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[int, Callable[[int, FrameType | None], Any]] = {
            number: handler
            for number in (signal.SIGINT, signal.SIGTERM)
            if callable(handler := signal.getsignal(number))
        }
        came: list[int] = []

        def stopping(number: int, frame: FrameType | None) -> None:
            came.append(number)
            if len(came) > 1:
                handlers[number](number, frame)
            self.stop()

        for number in handlers:
            signal.signal(number, stopping)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if len(came) == 1:
                handlers[came[0]](came[0], None)
