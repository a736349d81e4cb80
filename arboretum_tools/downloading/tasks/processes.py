"""Processes that do the tasks of a download side by side, looked after by the one that started them.

Each is told its task and tells what happens: pickled events, each message behind its length. Pickle is safe
here: both ends of the socket are ours, and no byte of a photo or of the metadata is in it but texts. A
process that dies is replaced by another one with the same task, which does what is left. When several die and
no photo comes to an end in between, the run ends. Nobody is waited for without bound.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from arboretum_tools.downloading.tasks.task import TaskSpec
from arboretum_tools.errors import ArboretumError, ProcessDiedError
from arboretum_tools.events import Event, Note, OnEvent, PhotoDone
from arboretum_tools.system.subprocesses import Child

#: Length of a message.
LENGTH = struct.Struct(">I")

# So many die without a photo in between, and the run ends.
_MOST_DEATHS = 3

# Seconds in which those that are told to stop have to finish their shards.
_GRACE_S = 120.0

# As `tables.memory_of_the_system` for the whole of a process.
_ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system"}


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task is done or was stopped; the last event of its process.

    Attributes:
        error: what ended it; None where nothing did.
    """

    error: ArboretumError | None


def pack(message: Any) -> bytes:
    """A message as it goes over the socket."""
    body = pickle.dumps(message)
    return LENGTH.pack(len(body)) + body


class _Link(asyncio.Protocol):
    """The socket to one process: what it tells, and its last word.

    Attributes:
        ended: its last word; None if it died without one.
    """

    def __init__(self, take: Callable[[Event], None]) -> None:
        self.ended: asyncio.Future[TaskEnded | None] = asyncio.get_running_loop().create_future()
        self._take = take
        self._transport: asyncio.WriteTransport | None = None
        self._came = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        came, start = self._came, LENGTH.size
        came += data
        while len(came) >= start:
            (length,) = LENGTH.unpack_from(came)
            if len(came) < start + length:
                return
            message = pickle.loads(came[start : start + length])  # noqa: S301 - of a process of ours
            del came[: start + length]
            for event in message:
                if isinstance(event, TaskEnded):
                    self.ended.set_result(event)
                else:
                    self._take(event)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - named by asyncio
        """Called by the loop when the process has ended."""
        if not self.ended.done():
            self.ended.set_result(None)

    def tell(self, spec: TaskSpec) -> None:
        """Gives the process its task."""
        assert self._transport is not None
        self._transport.write(pack(spec))

    def stop(self) -> None:
        """Lets the process finish its shard and end."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"s")

    def close(self) -> None:
        """Closes the socket, at which a process that still runs ends at once."""
        if self._transport is not None:
            self._transport.close()


class Processes:
    """The other processes of a download; a context manager that starts and ends them."""

    def __init__(self, specs: Sequence[TaskSpec], on_event: OnEvent) -> None:
        """Starts nothing yet.

        Args:
            specs: the task of each.
            on_event: gets their events, each in the order of its process.
        """
        self._specs = specs
        self._on_event = on_event
        self._children: list[Child] = []
        self._links: dict[int, _Link] = {}
        self._deaths = 0
        # What the callback raised.
        self._error: BaseException | None = None
        self._broke = asyncio.Event()

    def __enter__(self) -> Self:
        try:
            for _ in self._specs:
                self._children.append(_start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        while self._children:
            self._children.pop().end()

    async def beside(self, own: Coroutine[Any, Any, None]) -> None:
        """Does the work of this process, and looks after the others until they are done too.

        Whatever ends one of them ends all, each with its shard finished; so does being cancelled.

        Raises:
            ProcessDiedError: process after process dies.
            ArboretumError: what ended one of them.
        """
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(own)]
        tasks += [asyncio.create_task(self._look_after(*numbered)) for numbered in enumerate(self._specs)]
        broken = asyncio.create_task(self._broke.wait())
        left = set(tasks)
        try:
            while left:
                done, left = await asyncio.wait({broken, *left}, return_when=asyncio.FIRST_COMPLETED)
                if self._error is not None:
                    raise self._error
                for task in done:
                    task.result()
                left.discard(broken)
        finally:
            for task in (broken, *tasks):
                task.cancel()
            links = list(self._links.values())
            for link in links:
                if not link.ended.done():
                    link.stop()
            # These are no tasks: a signal that cancels every task leaves them to finish their shards.
            if links:
                await asyncio.wait([link.ended for link in links], timeout=_GRACE_S)
            await asyncio.gather(broken, *tasks, return_exceptions=True)
            for link in links:
                link.close()

    async def _look_after(self, position: int, spec: TaskSpec) -> None:
        while (end := await self._hear_out(position, spec)) is None:
            child = self._children[position]
            how = child.how_it_ended()
            self._deaths += 1
            if self._deaths >= _MOST_DEATHS:
                raise ProcessDiedError(
                    f"{_MOST_DEATHS} processes of the download died one after the other; the last one {how}; "
                    "what came is kept",
                    hint="If it was SIGKILL, the machine may be short of memory: take fewer --processes. The "
                    "same command goes on where it stopped.",
                )
            self._on_event(Note(f"process {child.process.pid} of the download {how}; another one takes over"))
            child.end()
            self._children[position] = _start()
        if end.error is not None:
            raise end.error

    async def _hear_out(self, position: int, spec: TaskSpec) -> TaskEnded | None:
        """Gives a process its task, and waits for its last word; None if it died without one."""
        loop, socket = asyncio.get_running_loop(), self._children[position].socket
        _, link = await loop.create_connection(lambda: _Link(self._take), sock=socket)
        self._links[position] = link
        link.tell(spec)
        return await asyncio.shield(link.ended)

    def _take(self, event: Event) -> None:
        if isinstance(event, PhotoDone):
            self._deaths = 0
        if self._error is None:
            try:
                self._on_event(event)
            except BaseException as error:  # noqa: BLE001 - raised again by `beside`
                # This process is heard out all the same, so that it finishes its shard.
                self._error = error
                self._broke.set()


def _start() -> Child:
    return Child("arboretum_tools.downloading.tasks.worker_process", {}, _ENVIRONMENT)
