"""How a host is treated: when to try again, how long to wait, and slowing down as a whole.

Waits after a fault are drawn at random between zero and a bound that doubles ("full jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that many workers do not come
back at the same moment. A host that names a time (`Retry-After`, RFC 9110, 10.2.3, seconds or a date) is left
alone by all workers until then, and so is one that serves nothing any more.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from arboretum_tools.downloading.network.budget import ByteBudget

# Requests to a host that has not answered yet; many enough that a healthy one is soon at full speed.
_FIRST_WINDOW = 8

# The budget is looked at again after so long at most.
_BUDGET_WAIT_S = 60.0

#: So many different photos fail, none is served in between, and it may be the host.
IN_A_ROW = 8

#: So many photos show, one after the other, whether a host that is in doubt is well, before it is left alone.
PROBES = 4

# So many waits in a row that concerned one photo only, and a photo's `Retry-After` is taken as its own.
_FALSE_ALARMS = 4

# An answer is given up after so many times what answers take, but not before so many seconds.
_PATIENCE = 10.0
_LEAST_PATIENCE_S = 3.0
# A request that takes so many times what answers take, and at least so many seconds, is stuck.
_STUCK = 4.0
_LEAST_STUCK_S = 1.0

# Means are of about so many answers.
_RECENT = 32

# So large a share of answers that say that the host is too busy is more than a few bad photos.
_TOO_BUSY = 0.1


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait.

    Attributes:
        base_s: bound of the first wait after a fault, in seconds; it doubles with each further one.
        cap_s: the largest bound, in seconds.
        most_retry_after_s: a `Retry-After` above this is taken as this, so that no answer stops a run.
    """

    base_s: float = 0.5
    cap_s: float = 60.0
    most_retry_after_s: float = 300.0

    def backoff(self, faults: int) -> float:
        """Seconds to wait after so many faults in a row, 1 or more; random."""
        return random.uniform(0, self._bound(faults))  # noqa: S311 - spreads load, guards nothing

    def _bound(self, faults: int) -> float:
        return float(min(self.cap_s, self.base_s * 2 ** min(faults - 1, 32)))

    def pause(self, throttles: int, retry_after_s: float | None) -> float:
        """Seconds to leave a host alone that has throttled so many times in a row, 1 or more."""
        asked = min(retry_after_s, self.most_retry_after_s) if retry_after_s is not None else 0.0
        return max(asked, self._bound(throttles) / 2 + self.backoff(throttles) / 2)


class HostLimiter:
    """The pace of one host, shared by all workers of one event loop, and whether the host is well.

    At most `window` requests are under way at one time, not counting those that take far longer than answers
    do: they are no load, but stuck. It begins small, grows by one with each answer until the host first
    complains, from then on by one with each window of answers, and is halved when more than a few of the
    answers are 429 or 503, or pauses come close together (additive increase, multiplicative decrease, as TCP
    does it, RFC 5681).

    A photo that fails tells nothing about its host as long as others are served. When `IN_A_ROW` different
    photos fail and none is served in between, the host is in doubt: one question at a time is asked of it
    until it serves something.

    Attributes:
        window: requests that may be under way at one time, 1 to `connections`.
        unwell_s: seconds of all pauses since it last served anything.
        in_doubt: whether it may be the host that fails, and not the photos.
        answers: photos that it has served.
        pauses: for which it was left alone since it last served anything.
    """

    def __init__(
        self,
        retry_policy: RetryPolicy,
        connections: int,
        *,
        budget: ByteBudget | None = None,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        """A pace that has not asked anything yet.

        Args:
            retry_policy: how long to wait.
            connections: requests that may ever be under way at one time.
            budget: of the bytes of this host; None = as many as come.
            on_wait: called when the budget is used up, with the seconds until it is not.
        """
        self.window = float(min(_FIRST_WINDOW, connections))
        self.unwell_s = 0.0
        self.in_doubt = False
        self.answers = 0
        self.pauses = 0
        self._retry_policy = retry_policy
        self._connections = connections
        self._budget = budget
        self._on_wait = on_wait
        self._open_at = 0.0
        self._complained = False
        # The share of recent answers that said that the host is too busy, 0 to 1.
        self._busy = 0.0
        # Answers since the last pause.
        self._since_pause = 0
        # Photos that failed since it last served one.
        self._failing: set[int] = set()
        # Photos that were to show whether it is well, and failed, since the last pause.
        self._probes: set[int] = set()
        # Waits that were asked for and, as it turned out, concerned one photo only.
        self._false_alarms = 0
        self._typical_s: float | None = None
        # When the requests that are under way began, the oldest first.
        self._active: dict[int, float] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, photo_id: int) -> float:
        """Takes one place of the window, waiting for it if need be; `leave` gives it back.

        Args:
            photo_id: the photo to ask for, of which no other request is under way.

        Returns:
            0 if the host may be asked now. Else no place was taken, and the host is to be left alone for so
            many seconds.
        """
        while True:
            wait = self.pause_s
            if self._budget is not None and wait <= 0:
                wait = self._ask_budget(self._budget)
            if wait > 0:
                return wait
            if self._free > 0:
                self._active[photo_id] = time.monotonic()
                return 0.0
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    def leave(self, photo_id: int) -> None:
        """Gives the place of a photo back."""
        del self._active[photo_id]
        self._wake()

    def answered(self, size_bytes: int = 0, seconds: float | None = None, *, waited: bool = False) -> None:
        """The host served a photo: it is well.

        Args:
            size_bytes: of its body.
            seconds: that it took; None = not to be counted.
            waited: whether it had been asked before, and was put off with a `Retry-After`.
        """
        self.pauses = 0
        self.answers += 1
        self.unwell_s = 0.0
        self.in_doubt = False
        self._failing.clear()
        self._probes.clear()
        self._since_pause += 1
        self._busy -= self._busy / _RECENT
        if waited:
            self._false_alarms = 0
        if seconds is not None:
            known = seconds if self._typical_s is None else self._typical_s
            self._typical_s = known + (seconds - known) / _RECENT
        if self._budget is not None:
            self._budget.spend(size_bytes)
        if self.window < self._connections:
            grown = self.window + (1 / self.window if self._complained else 1)
            self.window = min(grown, float(self._connections))
        self._wake()

    def failed(self, photo_id: int, retry_after_s: float | None, *, throttling: bool) -> bool:
        """A photo failed that may be a sign of its host: no other was served since it last failed, if it did.

        Args:
            photo_id: the photo.
            retry_after_s: what the host asks to wait; None = nothing.
            throttling: whether it says that it is too busy.

        Returns:
            Whether the host is left alone because of it.
        """
        self._failing.add(photo_id)
        if len(self._failing) >= IN_A_ROW:
            self.in_doubt = True
        if retry_after_s is not None and self._false_alarms < _FALSE_ALARMS:
            self.throttled(retry_after_s)
            return True
        if throttling:
            self._busy += (1 - self._busy) / _RECENT
            if self._busy > _TOO_BUSY:
                self._halve()
        return False

    def probed(self, photo_id: int, retry_after_s: float | None) -> bool:
        """A photo failed that was to show whether the host is well.

        Args:
            photo_id: the photo; several may be bad for themselves, so others are tried first.
            retry_after_s: what the host asks to wait; None = nothing.

        Returns:
            Whether the host is left alone because of it.
        """
        again = photo_id in self._probes
        self._probes.add(photo_id)
        if retry_after_s is None and not again and len(self._probes) < PROBES:
            return False
        self.throttled(retry_after_s)
        return True

    def failed_alone(self, retry_after_s: float | None) -> None:
        """A photo failed again although others were served in between: its own trouble."""
        if retry_after_s is not None:
            self._false_alarms += 1

    @property
    def pause_s(self) -> float:
        """Seconds for which the host is still left alone; 0 or less where it is not."""
        return self._open_at - time.monotonic()

    def patience_s(self, timeouts: int) -> float:
        """Seconds after which an answer is given up that takes far longer than those of this host do.

        Args:
            timeouts: how often it was given up before; the time doubles with each.
        """
        if self._typical_s is None:
            return float("inf")
        return float(max(_LEAST_PATIENCE_S, _PATIENCE * self._typical_s) * 2**timeouts)

    def unreached(self) -> bool:
        """No connection to the host could be made: where it had answered before, everyone waits.

        Returns:
            Whether it had.
        """
        if self.answers:
            self.in_doubt = True
            self.throttled(None)
        return self.answers > 0

    def throttled(self, retry_after_s: float | None) -> float:
        """The host is to be left alone by everyone; how long from now, in seconds."""
        now = time.monotonic()
        if now >= self._open_at:
            # Answers to requests that were under way when the pause began tell nothing new.
            self.pauses += 1
            if self._since_pause < 2 * self.window:
                self._halve()
            self._since_pause = 0
            self._probes.clear()
            pause_s = self._retry_policy.pause(self.pauses, retry_after_s)
            self._open_at = now + pause_s
            self.unwell_s += pause_s
            # Whoever waits for a place may do something else meanwhile.
            self._wake(everyone=True)
        elif retry_after_s is not None:
            asked = min(retry_after_s, self._retry_policy.most_retry_after_s)
            self._open_at = max(self._open_at, now + asked)
        return self._open_at - now

    @property
    def _free(self) -> int:
        """Places of the window that nobody has."""
        places = 1 if self.in_doubt else int(self.window)
        stuck = 0
        if len(self._active) >= places and self._typical_s is not None:
            since = time.monotonic() - max(_LEAST_STUCK_S, _STUCK * self._typical_s)
            for began in self._active.values():
                if began > since:
                    break
                stuck += 1
        return places - len(self._active) + stuck

    def _halve(self) -> None:
        self._complained = True
        self.window = max(1.0, self.window / 2)
        self._busy = 0.0

    def _wake(self, *, everyone: bool = False) -> None:
        if not self._waiting:
            return
        free = len(self._waiting) if everyone else self._free
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    def _ask_budget(self, budget: ByteBudget) -> float:
        wait = budget.wait_s()
        if wait > 0 and self._on_wait is not None:
            self._on_wait(wait)
        # Another machine's clock or a file that was removed may end it sooner.
        return min(wait, _BUDGET_WAIT_S)


def parse_retry_after(value: str | None, *, now: float | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for, 0 or more; None where it says nothing usable.

    Args:
        value: the header, seconds or an HTTP date.
        now: Unix time; default the clock's.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        then = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, then - (time.time() if now is None else now))
