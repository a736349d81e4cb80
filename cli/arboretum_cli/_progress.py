"""Draws the library's events: a bar on a terminal, one line every 30 seconds elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from arboretum_cli import _output

if TYPE_CHECKING:
    from arboretum_tools.events import Event

#: Seconds between two lines where there is no terminal.
LINE_EVERY_S = 30.0


class Progress:
    """A callback for the library's `on_event`; as a context manager it closes its bar on every way out."""

    _notes: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._total: int | None = None
        self._unit = "photo"
        self._statuses: Counter[str] = Counter()
        self._bytes = 0
        self._started = self._said = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._close()

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        from arboretum_tools import events

        match event:
            case events.PhotoDone(status=status, size_bytes=size_bytes):
                self._statuses[status] += 1
                self._bytes += size_bytes
                self._advance()
            case events.UnitDone(count=count):
                self._statuses["ok"] += count
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
        self._bytes = 0
        self._started = self._said = time.monotonic()
        if _output.is_terminal() and total != 0:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=stage, unit=f" {unit}", dynamic_ncols=True, smoothing=0.05)

    def _advance(self, count: int = 1) -> None:
        if self._bar is not None:
            self._bar.update(count)
            # tqdm redraws a few times a second; the postfix is text that it takes along.
            if self._bar.n == self._bar.last_print_n:
                self._bar.set_postfix_str(self._tail(), refresh=False)
        elif time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            _output.say(self._line())

    def _line(self) -> str:
        done = self._statuses.total()
        elapsed = max(time.monotonic() - self._started, 1e-9)
        of = f" of {self._total:,}" if self._total is not None else ""
        left = (
            f", {_output.duration((self._total - done) * elapsed / done)} left"
            if self._total is not None and done > 0
            else ""
        )
        return f"{self._stage}: {done:,}{of}, {done / elapsed:,.0f} {self._unit}s/s, {self._tail()}{left}"

    def _tail(self) -> str:
        elapsed = max(time.monotonic() - self._started, 1e-9)
        troubles = [
            f"{count:,} {name}"
            for name, count in sorted(self._statuses.items())
            if name not in ("ok", "written")
        ]
        return ", ".join([f"{_output.size(self._bytes / elapsed)}/s", *troubles])

    def _note(self, text: str) -> None:
        # A command that opens a catalogue twice, or the demo that runs several, says it once.
        if text in self._notes:
            return
        self._notes.add(text)
        if self._bar is not None:
            self._bar.clear()
        _output.say(text)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self._tail(), refresh=True)
            self._bar.close()
            self._bar = None
