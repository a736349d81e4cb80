"""How a host is treated: when to try again, how long to wait, and slowing down as a whole.

Waits after a fault are drawn at random between zero and a bound that doubles ("full jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that many workers do not come
back at the same moment. A host that says 429 or 503 is left alone by all workers until the wait is over;
`Retry-After` (RFC 9110, 10.2.3, seconds or a date) is obeyed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from arboretum_tools.downloading.budget import ByteBudget

# Requests to a host that has not answered yet; many enough that a healthy one is soon at full speed.
_FIRST_WINDOW = 8

# The budget is looked at again after so long at most.
_BUDGET_WAIT_S = 60.0


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
    """The pace of one host, shared by all workers of one event loop.

    At most `window` requests are under way at one time. It begins small, grows by one with each answer until
    the host first complains, from then on by one with each window of answers, and is halved when the host
    says 429 or 503 (additive increase, multiplicative decrease, as TCP does it, RFC 5681).

    Attributes:
        window: requests that may be under way at one time, 1 to `connections`.
        unwell_s: seconds of all pauses since it last served anything.
    """

    def __init__(
        self,
        manners: RetryPolicy,
        connections: int,
        *,
        budget: ByteBudget | None = None,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        """A pace that has not asked anything yet.

        Args:
            manners: how long to wait.
            connections: requests that may ever be under way at one time.
            budget: of the bytes of this host; None = as many as come.
            on_wait: called when the budget is used up, with the seconds until it is not.
        """
        self.window = float(min(_FIRST_WINDOW, connections))
        self.unwell_s = 0.0
        self._manners = manners
        self._connections = connections
        self._budget = budget
        self._on_wait = on_wait
        self._open_at = 0.0
        self._answered = False
        self._throttles = 0
        self._complained = False
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Waits until the host may be asked, and takes one place of the window; `leave` gives it back."""
        while True:
            wait = self._open_at - time.monotonic()
            if self._budget is not None and wait <= 0:
                wait = self._ask_budget(self._budget)
            if wait > 0:
                # A tenth more at random, so that the workers do not all come back at once. Asked again
                # after each wait, because the pause may have grown meanwhile.
                await asyncio.sleep(wait * random.uniform(1.0, 1.1))  # noqa: S311
            elif self._active < int(self.window):
                self._active += 1
                return
            else:
                turn = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                await turn

    def leave(self) -> None:
        """Gives the place back."""
        self._active -= 1
        self._wake()

    def answered(self, size_bytes: int = 0) -> None:
        """The host served a photo of so many bytes: it is well."""
        self._throttles = 0
        self._answered = True
        self.unwell_s = 0.0
        if self._budget is not None:
            self._budget.spend(size_bytes)
        if self.window < self._connections:
            grown = self.window + (1 / self.window if self._complained else 1)
            self.window = min(grown, float(self._connections))
            self._wake()

    @property
    def pause_s(self) -> float:
        """Seconds for which the host is still left alone; 0 or less where it is not."""
        return self._open_at - time.monotonic()

    def unreached(self) -> bool:
        """No connection to the host could be made: where it had answered before, everyone waits.

        Returns:
            Whether it had.
        """
        if self._answered:
            self.throttled(None)
        return self._answered

    def throttled(self, retry_after_s: float | None) -> float:
        """The host said 429 or 503: everyone waits; how long from now, in seconds."""
        now = time.monotonic()
        if now >= self._open_at:
            # Answers to requests that were under way when the pause began tell nothing new.
            self._throttles += 1
            self._complained = True
            self.window = max(1.0, self.window / 2)
            pause_s = self._manners.pause(self._throttles, retry_after_s)
            self._open_at = now + pause_s
            self.unwell_s += pause_s
        elif retry_after_s is not None:
            asked = min(retry_after_s, self._manners.most_retry_after_s)
            self._open_at = max(self._open_at, now + asked)
        return self._open_at - now

    def _wake(self) -> None:
        free = int(self.window) - self._active
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
