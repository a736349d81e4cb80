"""How many bytes a host may be asked for in an hour and in a day, kept on disk across runs.

iNaturalist asks that no more than 5 GB an hour or 24 GB a day of media be fetched, and blocks for good who
takes more (https://www.inaturalist.org/pages/api+recommended+practices). What was fetched is therefore
written down for the user, not for a store or a run: bytes by minute, in one small file a host. A process adds
its own every few seconds under a lock, so that several on one machine share one budget.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from arboretum_tools.errors import BadInputError
from arboretum_tools.system.atomic_files import read_json, write_json
from arboretum_tools.system.locking import waiting

#: Names the folder in which budgets are kept.
STATE_VARIABLE = "ARBORETUM_STATE"

_FORMAT = 1
_HOUR, _DAY = 60, 24 * 60
#: Written down after so many bytes or `_SYNC_S` seconds, whichever comes first; a kill loses at most that.
SYNC_BYTES = 10_000_000
_SYNC_S = 5.0
# Minutes by which clocks that share a budget may differ.
_APART = 5


@dataclass(frozen=True, slots=True)
class ByteAllowance:
    """What one host may be asked for.

    Attributes:
        hour_bytes: in any 60 minutes.
        day_bytes: in any 24 hours.
    """

    hour_bytes: int = 5 * 10**9
    day_bytes: int = 24 * 10**9

    def divided(self, parts: int) -> ByteAllowance:
        """The share of one of so many machines that download side by side."""
        return ByteAllowance(self.hour_bytes // parts, self.day_bytes // parts)

    @property
    def reserve_bytes(self) -> int:
        """Held back for bodies under way and for what other processes have not written down yet."""
        return self.hour_bytes // 50


def state_folder() -> Path:
    """Where budgets are kept: `$ARBORETUM_STATE`, else `arboretum-tools` in the user's state folder."""
    named = os.environ.get(STATE_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "arboretum-tools"


class ByteBudget:
    """The bytes that one host may still be asked for; of one event loop, shared on disk with others."""

    def __init__(
        self, path: Path, allowance: ByteAllowance, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Reads nothing yet.

        Args:
            path: the file; its folder is made when something is first written.
            allowance: what may be asked for.
            clock: Unix time in seconds.
        """
        self.path = path
        self.allowance = allowance
        self._clock = clock
        self._minutes: dict[int, int] = {}
        self._unwritten = 0
        self._synced_at = float("-inf")

    def used(self) -> tuple[int, int]:
        """Bytes of the last hour and of the last day, those of other processes included."""
        now = self._clock()
        if self._stale(now):
            self.sync()
        return self._sum(now, _HOUR), self._sum(now, _DAY)

    def left(self) -> tuple[int, int]:
        """Bytes that may still be fetched in this hour and in this day, 0 or more."""
        hour, day = self._excess()
        return max(0, -hour), max(0, -day)

    def wait_s(self) -> float:
        """Seconds until the host may be asked again; 0 where it may be asked now."""
        hour, day = self._excess()
        if self._unwritten and max(hour, day) >= 0:
            # Booked now, or the wait would begin when it is written down.
            self.sync()
        return max(self._until(_HOUR, hour), self._until(_DAY, day))

    def _excess(self) -> tuple[int, int]:
        """Bytes above what hour and day allow; below zero where some are left."""
        hour, day = self.used()
        reserve = self.allowance.reserve_bytes
        return hour + reserve - self.allowance.hour_bytes, day + reserve - self.allowance.day_bytes

    def spend(self, size_bytes: int) -> None:
        """Takes note of a body that came."""
        self._unwritten += size_bytes
        if self._unwritten >= SYNC_BYTES or self._stale(self._clock()):
            self.sync()

    def _stale(self, now: float) -> bool:
        # A clock may be set back, too.
        return abs(now - self._synced_at) >= _SYNC_S

    def sync(self) -> None:
        """Writes down what was spent, and reads what others spent.

        Raises:
            BadInputError: the file cannot be written.
        """
        now = self._clock()
        minute = int(now // 60)
        try:
            with self._locked():
                found = self._read()
                # What a clock that was ahead wrote down counts as of now: it would else block the host until
                # that time comes. Machines that share a file may differ by a minute or two.
                minutes = {m: n for m, n in found.items() if m <= minute + _APART}
                if ahead := sum(found.values()) - sum(minutes.values()):
                    minutes[minute] = minutes.get(minute, 0) + ahead
                if self._unwritten:
                    minutes[minute] = minutes.get(minute, 0) + self._unwritten
                if self._unwritten or ahead:
                    kept = {str(m): n for m, n in minutes.items() if m >= minute - _DAY}
                    write_json(self.path, {"format_version": _FORMAT, "bytes_by_minute": kept})
        except OSError as error:
            raise BadInputError(
                f"the byte budget {self.path} cannot be kept: {error.strerror or error}",
                hint=f"Name a folder that can be written with ${STATE_VARIABLE}.",
            ) from error
        self._minutes, self._unwritten, self._synced_at = minutes, 0, now

    def _sum(self, now: float, window: int) -> int:
        # A minute counts until all of it is out of the window.
        since = int(now // 60) - window
        return self._unwritten + sum(n for minute, n in self._minutes.items() if minute >= since)

    def _until(self, window: int, excess: int) -> float:
        """Seconds until more than `excess` bytes have left the window."""
        if excess < 0:
            return 0.0
        now = self._clock()
        since = int(now // 60) - window
        for minute, spent in sorted(self._minutes.items()):
            if minute >= since:
                excess -= spent
                if excess < 0:
                    return max(0.0, (minute + window + 1) * 60 - now)
        # Only what is not written down yet is left; it counts as of now.
        return float(window * 60 + 60)

    def _read(self) -> dict[int, int]:
        try:
            payload = read_json(self.path)
            return {int(minute): int(spent) for minute, spent in payload["bytes_by_minute"].items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError):
            # Nobody knows what was spent, so all of the hour is taken as spent.
            return {int(self._clock() // 60): self.allowance.hour_bytes}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with waiting(self.path.with_suffix(".lock")):
            yield


def seconds_within(allowance: ByteAllowance, left: tuple[int, int], size_bytes: int) -> float:
    """At least how long it takes to fetch so many bytes within an allowance of which `left` is left."""
    hour = (size_bytes - left[0]) / allowance.hour_bytes * 3600
    day = (size_bytes - left[1]) / allowance.day_bytes * 86400
    return max(0.0, hour, day)
