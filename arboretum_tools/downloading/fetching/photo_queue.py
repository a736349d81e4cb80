"""The photos of a run as they are asked for: those that are due again first, then new ones."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from arboretum_metadata.schema import REQUEST
from arboretum_tools.downloading.fetching.verify import Answer, Verdict

if TYPE_CHECKING:
    import pyarrow as pa

# Rows of the plan that are Python objects at one time.
_OBJECTS = 1_024

# Photos that wait, for each connection, and at least so many.
_FOR_EACH, _AT_LEAST = 4, 256


@dataclass(slots=True)
class Fetch:
    """A photo that is being fetched, between two requests for it.

    Attributes:
        photo_id: the photo.
        ext: extension in its address.
        url: its address in the metadata, if they have one.
        left_s: seconds that requests for it may still take; waits between them are not counted.
        due_at: the loop's time at which it is to be asked for again.
        attempts: requests so far, those that failed for the host's sake not counted.
        asked: the address that it is asked for at; "" before the first request.
        here: of the attempts, those at this address.
        current_url: where the request leads to now: `asked`, or what that redirects to.
        redirects: that were followed from `asked` to `current_url`.
        first: what came of the address in the metadata, while others are asked.
        others: where else it may lie, still to be asked.
        failed_after: photos that its host had served when it failed last; None = it did not fail yet.
        timeouts: requests for it that were given up because they took too long.
        put_off_s: seconds that its host asked to wait, when it failed last.
    """

    photo_id: int
    ext: str
    url: str | None
    left_s: float
    due_at: float = 0.0
    attempts: int = 0
    asked: str = ""
    here: int = 0
    current_url: str = ""
    redirects: int = 0
    first: tuple[Answer | None, Verdict] | None = None
    others: list[str] = field(default_factory=list)
    failed_after: int | None = None
    timeouts: int = 0
    put_off_s: float | None = None

    def turn_to(self, address: str) -> None:
        """Asks for it at another address from now on."""
        self.asked = self.current_url = address
        self.here = self.redirects = 0


class PhotoQueue:
    """Hands photos to workers, and takes back those that are to be asked for again later.

    So many wait at most, however many photos fail, that memory stays bounded. While a host is left alone it
    fills with photos that were not asked for yet, so that bad photos at the beginning of a list do not hide
    the good ones behind them.
    """

    def __init__(
        self,
        to_fetch: Iterator[pa.RecordBatch],
        begin: Callable[[int, str, str | None], Fetch],
        connections: int,
    ) -> None:
        """Reads nothing yet.

        Args:
            to_fetch: the photos, each once, as rows with the columns of `schema.REQUEST`.
            begin: makes one of them a fetch.
            connections: workers that take from it.
        """
        self._to_fetch: Iterator[pa.RecordBatch] | None = to_fetch
        self._rows: Iterator[tuple[int, str, str | None]] = iter(())
        self._reading = asyncio.Lock()
        self._begin = begin
        self._most = max(_FOR_EACH * connections, _AT_LEAST)
        self._waiting: list[tuple[float, int, Fetch]] = []
        self._number = count()
        # Photos that workers hold.
        self._out = 0
        self._changed = asyncio.Event()

    async def take(self) -> Fetch | None:
        """The photo to ask for next, waiting until one is due; None when every photo has come to its end."""
        loop = asyncio.get_running_loop()
        while True:
            due_at = self._waiting[0][0] if self._waiting else None
            if due_at is not None and due_at <= loop.time():
                photo = heapq.heappop(self._waiting)[2]
            elif len(self._waiting) < self._most and (row := next(self._rows, None)) is not None:
                photo = self._begin(*row)
            elif self._to_fetch is not None and len(self._waiting) < self._most:
                await self._read(self._to_fetch)
                continue
            elif due_at is None and not self._out:
                return None
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due_at):
                        await self._changed.wait()
                continue
            self._out += 1
            return photo

    async def _read(self, to_fetch: Iterator[pa.RecordBatch]) -> None:
        """Reads on in the plan, which may have long parts of which the store lacks nothing: in a thread."""
        if self._reading.locked():
            async with self._reading:
                return
        async with self._reading:
            batch = await asyncio.to_thread(next, to_fetch, None)
            if batch is None:
                self._to_fetch = None
            else:
                self._rows = _rows(batch)

    def again(self, photo: Fetch) -> None:
        """Takes a photo back that is to be asked for again at its `due_at`."""
        heapq.heappush(self._waiting, (photo.due_at, next(self._number), photo))
        self.done()

    def done(self) -> None:
        """A photo has come to its end."""
        self._out -= 1
        # Whoever waits looks anew.
        self._changed.set()
        self._changed.clear()


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[int, str, str | None]]:
    for start in range(0, batch.num_rows, _OBJECTS):
        part = batch.slice(start, _OBJECTS)
        yield from zip(*(part.column(name).to_pylist() for name in REQUEST.names), strict=True)
