"""Progress as a bar: what `progress=True` of every long function draws, in a terminal and in a notebook.

A long function emits the events of `events`. Whoever wants these takes them by `on_event`; whoever does not
sees a bar, unless `progress` is False, or nobody watches: stderr is no terminal, and no notebook shows it.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

from arboretum_tools import events
from arboretum_tools.wording import size

if TYPE_CHECKING:
    from arboretum_tools.events import Event

_P = ParamSpec("_P")
_Result = TypeVar("_Result")

#: Seconds between two looks at a bar's text and clock.
BAR_EVERY_S = 1.0


def shows_progress(function: Callable[_P, _Result]) -> Callable[_P, _Result]:
    """Gives a function with the arguments `progress` and `on_event` bars where no `on_event` is given.

    The bars are gone, and their thread with them, when the function returns or raises.
    """

    def bars(given: dict[str, Any]) -> Bars | None:
        if given.get("on_event", events.ignore) is not events.ignore or not given.get("progress", True):
            return None
        return Bars() if _is_watched() else None

    if inspect.iscoroutinefunction(inspect.unwrap(function)):

        @functools.wraps(function)
        async def awaited(*args: _P.args, **given: _P.kwargs) -> Any:
            shown = bars(given)
            if shown is None:
                return await cast("Any", function(*args, **given))
            with shown:
                given["on_event"] = shown
                return await cast("Any", function(*args, **given))

        return cast("Callable[_P, _Result]", awaited)

    @functools.wraps(function)
    def called(*args: _P.args, **given: _P.kwargs) -> _Result:
        shown = bars(given)
        if shown is None:
            return function(*args, **given)
        with shown:
            given["on_event"] = shown
            return function(*args, **given)

    return called


def _is_watched() -> bool:
    """Whether somebody sees what is drawn: in a notebook, or on a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and "IPKernelApp" in shell.config:
        return True
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    return os.get_terminal_size(sys.stderr.fileno()).columns > 0


class Bars:
    """A callback for `on_event`: a bar a stage; as a context manager it closes its bar on every way out.

    The clock draws the text beside the bar, not the events: where nothing comes for a while, that is what
    there is to see.
    """

    def __init__(self) -> None:
        # Events come from the thread that works, the clock is another one.
        self._guard = threading.RLock()
        # Set when the stage is over; None where there is none.
        self._over: threading.Event | None = None
        self._bar: Any = None
        self._stage = ""
        self._total: int | None = None
        # Units that an earlier run had done.
        self._before = 0
        self._unit = "photo"
        self._statuses: Counter[str] = Counter()
        self._bytes = 0
        # Whether what is counted has sizes; what was measured of it last.
        self._sized = True
        self._measured: list[str] = []
        self._started = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with self._guard:
            self._close()

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        with self._guard:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case events.PhotoDone(status=status, size_bytes=size_bytes):
                self._statuses[status] += 1
                self._bytes += size_bytes
                self._advance()
            case events.UnitDone(count=count):
                self._statuses["ok"] += count
                self._sized = False
                self._advance(count)
            case events.StepDone(count=count, loss=loss, lr=lr):
                self._statuses["ok"] += count
                self._sized, self._measured = False, [f"loss {loss:.4g}", f"rate {lr:.2g}"]
                self._advance(count)
            case events.Note(text=text):
                self._note(text)
            case events.StageStarted(stage=stage, total=total, unit=unit, done=done):
                self._start(stage, total, unit, done)
            case events.StageFinished():
                self._close()
            case events.ShardFinished(size_bytes=size_bytes) if self._unit == "shard":
                self._statuses["ok"] += 1
                self._bytes += size_bytes
                self._advance()
            case events.ShardFinished():
                pass

    def _start(self, stage: str, total: int | None, unit: str, done: int) -> None:
        self._close()
        self._stage, self._total, self._unit, self._before = stage, total, unit, done
        self._statuses.clear()
        self._bytes, self._sized, self._measured = 0, True, []
        self._started = time.monotonic()
        every = self._begin()
        if every is None:
            return
        self._over = threading.Event()
        threading.Thread(
            target=self._tick, args=(self._over, every), name="arboretum-progress", daemon=True
        ).start()

    def _begin(self) -> float | None:
        """Draws what a stage begins with; gives the seconds between two ticks, None = without any."""
        if self._total is not None and self._total == self._before:
            return None
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=self._total,
            initial=self._before,
            desc=self._stage,
            unit=f" {self._unit}",
            dynamic_ncols=True,
            smoothing=0.05,
            # What had no end to show is gone when it is over.
            leave=self._total is not None,
        )
        return BAR_EVERY_S

    def _tick(self, over: threading.Event, every: float) -> None:
        while not over.wait(every):
            with self._guard:
                if over.is_set():
                    return
                self._draw()

    def _draw(self) -> None:
        self._bar.set_postfix_str(self._mean(), refresh=True)

    def _advance(self, count: int = 1) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def _mean(self) -> str:
        return ", ".join(self._tail(self._bytes / max(time.monotonic() - self._started, 1e-9)))

    def _tail(self, bytes_s: float) -> list[str]:
        troubles = [
            f"{count:,} {name}"
            for name, count in sorted(self._statuses.items())
            if name not in ("ok", "written")
        ]
        return [*([f"{size(bytes_s)}/s"] if self._sized else []), *self._measured, *troubles]

    def _note(self, text: str) -> None:
        from tqdm.auto import tqdm

        tqdm.write(text, file=sys.stderr)

    def _close(self) -> None:
        if self._over is not None:
            self._over.set()
            self._over = None
        if self._bar is not None:
            self._draw()
            self._bar.close()
            self._bar = None
