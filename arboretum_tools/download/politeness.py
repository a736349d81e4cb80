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
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Manners:
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


class HostPace:
    """The pace of one host, shared by all workers of one event loop."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._open_at = 0.0
        self._throttles = 0

    async def ready(self) -> None:
        """Waits until the host may be asked again."""
        # Again after each wait, because the pause may have grown meanwhile.
        while (wait := self._open_at - time.monotonic()) > 0:  # noqa: ASYNC110 - time ends it, not an event
            # A tenth more at random, so that the workers do not all come back at once.
            await asyncio.sleep(wait * random.uniform(1.0, 1.1))  # noqa: S311

    def answered(self) -> None:
        """The host served a photo: it is well."""
        self._throttles = 0

    def throttled(self, retry_after_s: float | None) -> float:
        """The host said 429 or 503: everyone waits; how long from now, in seconds."""
        now = time.monotonic()
        if now >= self._open_at:
            # Answers to requests that were under way when the pause began tell nothing new.
            self._throttles += 1
            self._open_at = now + self._manners.pause(self._throttles, retry_after_s)
        elif retry_after_s is not None:
            asked = min(retry_after_s, self._manners.most_retry_after_s)
            self._open_at = max(self._open_at, now + asked)
        return self._open_at - now


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
