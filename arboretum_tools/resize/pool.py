"""Processes that shrink photos for one event loop, which they never hold up.

They are started before the loop, and each is asked for several photos at a time, so that it never waits for
the next. One that dies is replaced, and what it was asked for is asked again. A photo at which two of them
died is given up; when several die and nothing is done in between, it is not the photos, and the run ends.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self, cast

from arboretum_tools.errors import ProcessDiedError
from arboretum_tools.resize import Resize, messages
from arboretum_tools.store.record import PhotoRecord
from arboretum_tools.subprocesses import Child

# So many die without a photo in between, and the run ends.
_MOST_DEATHS = 3
# So many deaths at one photo, and it is given up.
_MOST_OF_A_PHOTO = 2
# For glibc (mallopt(3)), which else gives the memory of each photo back to the system and asks for it again:
# 6 ms of 12 a photo.
_KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(128 * 2**20), "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20)}
# A process that says nothing for so long is killed; the slowest photo takes a second or two.
_DEADLINE_S = 120.0

#: Kind, width, height, SHA-256, and what followed.
_Answer = tuple[int, int, int, bytes, bytes]


class _Died(Exception):  # noqa: N818 - it never leaves this module
    """The process that was asked has died; `guilty` says whether it was at this photo."""

    def __init__(self, *, guilty: bool) -> None:
        self.guilty = guilty


class _Link(asyncio.Protocol):
    """The socket to one process: what was asked, in order, and the answers as they come."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[_Answer]] = deque()
        self.dead = False
        self._transport: asyncio.WriteTransport | None = None
        self._came = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - named by asyncio
        """Called by the loop when the process has ended."""
        self.dead = True
        for position, future in enumerate(self.waiting):
            if not future.done():
                # In turn, so it was at the one that has waited longest.
                future.set_exception(_Died(guilty=position == 0))
        self.waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        came = self._came
        came += data
        start = messages.ANSWER.size
        while len(came) >= start:
            kind, width, height, digest, length = messages.ANSWER.unpack_from(came)
            if len(came) < start + length:
                return
            future = self.waiting.popleft()
            if not future.done():
                future.set_result((kind, width, height, digest, bytes(came[start : start + length])))
            del came[: start + length]

    def ask(self, photo_id: int, data: bytes) -> asyncio.Future[_Answer]:
        """The answer, when it comes."""
        assert self._transport is not None
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        self._transport.writelines((messages.REQUEST.pack(photo_id, len(data)), data))
        return future

    def close(self) -> None:
        """Closes the socket, at which the process ends."""
        if self._transport is not None:
            self._transport.close()


class ResizePool:
    """The processes; a context manager that starts and ends them."""

    def __init__(self, resize: Resize, processes: int | None = None) -> None:
        """Starts nothing yet.

        Args:
            resize: how photos are shrunk.
            processes: how many; default one a core that this process may use.
        """
        self._resize = resize
        self._processes = processes or len(os.sched_getaffinity(0))
        self._children: list[Child] = []
        self._links: list[_Link] = []
        self._deaths = 0
        self._replacing = asyncio.Lock()

    def __enter__(self) -> Self:
        try:
            for _ in range(self._processes):
                self._children.append(self._start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Self]:
        """Ties the processes to the running loop; `transform` works inside."""
        for child in self._children:
            self._links.append(await _connect(child))
        try:
            yield self
        finally:
            for link in self._links:
                link.close()
            # The loop closes them in its next round.
            await asyncio.sleep(0)

    async def transform(self, record: PhotoRecord, data: bytes) -> tuple[PhotoRecord, bytes | None]:
        """A photo as it is to be stored; `invalid` where it cannot be decoded.

        Args:
            record: of a whole image, as it came.
            data: its bytes.

        Raises:
            ProcessDiedError: process after process dies.
        """
        died_at_it = 0
        while died_at_it < _MOST_OF_A_PHOTO:
            position = await self._least_busy()
            link = self._links[position]
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    kind, width, height, digest, body = await link.ask(record.photo_id, data)
            except _Died as died:
                died_at_it += died.guilty
                continue
            except TimeoutError:
                # Whoever waits for it hears of its end.
                self._children[position].process.kill()
                died_at_it += 1
                continue
            self._deaths = 0
            if kind == messages.KEPT:
                return record, data
            if kind == messages.UNDECODABLE:
                return _invalid(record, body.decode()), None
            shrunk = replace(
                record,
                member=f"{record.photo_id}.jpg",
                size_bytes=len(body),
                sha256=digest.hex(),
                width=width,
                height=height,
                format="jpeg",
            )
            return shrunk, body
        return _invalid(record, f"{died_at_it} processes died while they decoded it"), None

    async def _least_busy(self) -> int:
        """The place of a process that lives and has the least to do; replaces those that died."""
        if any(link.dead for link in self._links):
            # One replaces, and the others wait: a link is dead until the new one stands.
            async with self._replacing:
                for position, link in enumerate(self._links):
                    if link.dead:
                        await self._replace(position)
        return min(range(len(self._links)), key=lambda position: len(self._links[position].waiting))

    async def _replace(self, position: int) -> None:
        self._deaths += 1
        how = self._children[position].how_it_ended()
        if self._deaths >= _MOST_DEATHS:
            raise ProcessDiedError(
                f"{self._deaths} processes that resize photos died one after the other; the last one {how}; "
                "what came is kept",
                hint="If it was SIGKILL, the machine may be short of memory. Run the same command again: it "
                "goes on where it stopped.",
            )
        self._children[position].end()
        self._children[position] = self._start()
        self._links[position] = await _connect(self._children[position])

    def _start(self) -> Child:
        return Child("arboretum_tools.resize.worker", self._resize.to_dict(), _KEEP_MEMORY)

    def _end(self) -> None:
        while self._children:
            self._children.pop().end()


async def _connect(child: Child) -> _Link:
    _, link = await asyncio.get_running_loop().create_connection(_Link, sock=child.socket)
    return link


def _invalid(record: PhotoRecord, why: str) -> PhotoRecord:
    return replace(
        record,
        status="invalid",
        error=why,
        member=None,
        size_bytes=None,
        sha256=None,
        width=None,
        height=None,
        format=None,
    )
