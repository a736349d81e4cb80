"""Draws the library's events: a bar on a terminal, one line every 30 seconds elsewhere.

The clock draws, not the events: where nothing comes for a while, that is what there is to see.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from arboretum_cli.printing import output

if TYPE_CHECKING:
    from arboretum_tools.events import Event

#: Seconds between two lines where there is no terminal.
LINE_EVERY_S = 30.0

# Seconds between two looks at the bar's text and clock.
_BAR_EVERY_S = 1.0


class Progress:
    """A callback for the library's `on_event`; as a context manager it closes its bar on every way out."""

    _notes: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        # Events come from the thread that works, the clock is another one.
        self._guard = threading.RLock()
        # Set when the stage is over; None where there is none.
        self._over: threading.Event | None = None
        self._bar: Any = None
        self._stage = ""
        self._total: int | None = None
        self._unit = "photo"
        self._statuses: Counter[str] = Counter()
        self._bytes = 0
        self._started = 0.0
        # Time, units and bytes of the line before.
        self._last = (0.0, 0, 0)

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
        from arboretum_tools import events

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
            case events.StageStarted(stage=stage, total=total, unit=unit):
                self._start(stage, total, unit)
            case events.StageFinished():
                self._close()
            case events.ShardFinished(size_bytes=size_bytes) if self._unit == "shard":
                self._statuses["ok"] += 1
                self._bytes += size_bytes
                self._advance()
            case events.ShardFinished():
                pass

    def _start(self, stage: str, total: int | None, unit: str) -> None:
        self._close()
        self._stage, self._total, self._unit = stage, total, unit
        self._statuses.clear()
        self._bytes, self._sized, self._measured = 0, True, []
        self._started = time.monotonic()
        self._last = self._started, 0, 0
        every = LINE_EVERY_S
        if output.volume is output.Volume.QUIET:
            return
        if output.is_terminal() and total != 0:
            from tqdm import tqdm

            self._bar = tqdm(
                total=total,
                desc=stage,
                unit=f" {unit}",
                dynamic_ncols=True,
                smoothing=0.05,
                # What had no end to show is gone when it is over.
                leave=total is not None,
            )
            every = _BAR_EVERY_S
        self._over = threading.Event()
        threading.Thread(
            target=self._tick, args=(self._over, every), name="arboretum-progress", daemon=True
        ).start()

    def _tick(self, over: threading.Event, every: float) -> None:
        while not over.wait(every):
            with self._guard:
                if over.is_set():
                    return
                if self._bar is not None:
                    self._bar.set_postfix_str(self._mean(), refresh=True)
                else:
                    output.say(self._line())

    def _advance(self, count: int = 1) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def _line(self) -> str:
        """Where the stage stands; how fast it was since the line before."""
        now, done = time.monotonic(), self._statuses.total()
        then, done_then, bytes_then = self._last
        self._last = now, done, self._bytes
        seconds = max(now - then, 1e-9)
        rate = (done - done_then) / seconds
        phrases = [
            f"{done:,}" + (f" of {self._total:,}" if self._total is not None else ""),
            (f"{rate:,.0f}" if rate == 0 or rate >= 10 else f"{rate:.1f}") + f" {self._unit}s/s",
            *self._tail((self._bytes - bytes_then) / seconds),
        ]
        if self._total is not None and done > 0:
            left_s = (self._total - done) * (now - self._started) / done
            phrases.append(f"{output.duration(left_s)} left")
        return f"{self._stage}: {', '.join(phrases)}"

    def _mean(self) -> str:
        return ", ".join(self._tail(self._bytes / max(time.monotonic() - self._started, 1e-9)))

    def _tail(self, bytes_s: float) -> list[str]:
        troubles = [
            f"{count:,} {name}"
            for name, count in sorted(self._statuses.items())
            if name not in ("ok", "written")
        ]
        return [*([f"{output.size(bytes_s)}/s"] if self._sized else []), *self._measured, *troubles]

    def _note(self, text: str) -> None:
        # A command that opens a catalogue twice, or the demo that runs several, says it once. What is said
        # within a stage is news each time: a host that asks for the same pause again, say.
        is_verbose = output.volume is output.Volume.VERBOSE
        if self._over is None and text in self._notes and not is_verbose:
            return
        self._notes.add(text)
        if self._bar is not None:
            self._bar.clear()
        output.say(text)

    def _close(self) -> None:
        if self._over is not None:
            self._over.set()
            self._over = None
        if self._bar is not None:
            self._bar.set_postfix_str(self._mean(), refresh=True)
            self._bar.close()
            self._bar = None
