"""Draws the library's events: a bar on a terminal, one line every 30 seconds elsewhere."""

from __future__ import annotations

import time
from typing import ClassVar

from arboretum_cli.printing import output
from arboretum_tools.display.progress import Bars

#: Seconds between two lines where there is no terminal.
LINE_EVERY_S = 30.0


class Progress(Bars):
    """Bars that become lines where there is no terminal, and that mind --quiet and --verbose."""

    _notes: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        super().__init__()
        # Time, units and bytes of the line before.
        self._last = (0.0, 0, 0)

    def _begin(self) -> float | None:
        self._last = self._started, 0, 0
        if output.volume is output.Volume.QUIET:
            return None
        return super()._begin() if output.is_terminal() else LINE_EVERY_S

    def _draw(self) -> None:
        if self._bar is not None:
            super()._draw()
        else:
            output.say(self._line())

    def _line(self) -> str:
        """Where the stage stands; how fast it was since the line before."""
        now, done = time.monotonic(), self._statuses.total()
        then, done_then, bytes_then = self._last
        self._last = now, done, self._bytes
        seconds = max(now - then, 1e-9)
        rate = (done - done_then) / seconds
        stands = self._before + done
        phrases = [
            f"{stands:,}" + (f" of {self._total:,}" if self._total is not None else ""),
            (f"{rate:,.0f}" if rate == 0 or rate >= 10 else f"{rate:.1f}") + f" {self._unit}s/s",
            *self._tail((self._bytes - bytes_then) / seconds),
        ]
        if self._total is not None and done > 0:
            left_s = (self._total - stands) * (now - self._started) / done
            phrases.append(f"{output.duration(left_s)} left")
        return f"{self._stage}: {', '.join(phrases)}"

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
