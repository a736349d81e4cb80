"""One writer a task in object storage, where nothing can be locked: a lease object that its holder renews.

    .lock/0-of-1.json            of who writes alone, or
    .lock/3-of-8.json            of one of eight tasks, each with a lease of its own
    .lock/now                    what asks the server for the time

A lease is made where none is and changed only by who knows its version, so that of two only one can. Who
finds one that was not renewed for as long as it lasts takes it over; that is measured by the server's clock
alone, so that no other need be right. Who was taken over notices when it renews, which it does before every
index that it writes: nothing is published by a writer that has lost its lease.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Self

from arboretum_tools.errors import StoreError
from arboretum_tools.store.storage.lock import LOCK, Task, refused
from arboretum_tools.store.storage.objects import Found, Objects, Version

#: Seconds after which a lease that was not renewed may be taken over, and after which its holder renews it.
LASTS_S, RENEW_S = 60, 10.0

# How often a lease that may be a dead writer's is looked at, and the longest that one may last.
_LOOK_S, _LONGEST_S = 1.0, 3600

_NAME = re.compile(r"([0-9]{1,9})-of-([1-9][0-9]{0,8})\.json")


@dataclass(frozen=True, slots=True)
class Holder:
    """What a lease says.

    Attributes:
        host: the machine of its holder.
        pid: the process.
        since: when it was taken, by that machine's clock; for people.
        scratch: of the folder of its machine where shards of the store are filled.
        token: that no other lease has.
        next_shard: no shard of a higher number than this has been begun.
        renewals: how often it was renewed, so that each renewal is another object.
        lasts_s: after so many seconds without a renewal it may be taken over.
        format_version: of this file.
    """

    host: str
    pid: int
    since: str
    scratch: str
    token: str
    next_shard: int = -1
    renewals: int = 0
    lasts_s: int = LASTS_S
    format_version: int = 1

    @classmethod
    def read(cls, data: bytes) -> Holder:
        """What a lease object says; of one that is no lease, nothing that anybody would match."""
        try:
            payload = json.loads(data)
            found = cls(**payload)
            if isinstance(found.lasts_s, int) and isinstance(found.next_shard, int):
                return replace(found, lasts_s=max(1, min(found.lasts_s, _LONGEST_S)))
        except (ValueError, TypeError):
            pass
        return cls("an unknown machine", 0, "an unknown time", "", "")

    def to_bytes(self) -> bytes:
        """The object."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Lease:
    """A lease that is held; a context manager that renews it and, on leaving, gives it back."""

    def __init__(self, objects: Objects, task: Task, scratch: str, dead: Callable[[str], bool]) -> None:
        """Asks for nothing yet.

        Args:
            objects: of the store.
            task: which of several writers this is.
            scratch: identifies the folder of this machine where shards of the store are filled.
            dead: whether no process fills shards in a part of it, `3-of-8`.
        """
        self._objects = objects
        self._task = task
        self._name = _name(task)
        self._holder = Holder(
            socket.gethostname(),
            os.getpid(),
            datetime.now(UTC).isoformat(),
            scratch,
            secrets.token_hex(8),
            lasts_s=LASTS_S,
        )
        self._dead = dead
        self._version: Version | None = None
        self._renewed = 0.0
        self._lost = False
        # No shard of a writer that was taken over has a number above this; it may still be alive.
        self._floor = -1
        self._renewing = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="arboretum-lease", daemon=True)

    def take(self, tell: Callable[[str], object]) -> Self:
        """Takes the lease, or takes it over once it has run out.

        Args:
            tell: is told what is waited for.

        Raises:
            StoreError: another process holds it, or writes into the store as a task of another set; or the
                server does not refuse to make an object twice.
        """
        while self._version is None:
            asked = _elapsed()
            self._version = self._objects.create(self._name, self._holder.to_bytes())
            if self._version is None and (found := self._found(self._name)) is not None:
                self._free(self._name, found, tell)
                self._version = self._objects.replace(self._name, self._holder.to_bytes(), found.version)
            self._renewed = asked
        try:
            self._check_server()
            for name, found in self._others():
                self._free(name, found, tell)
                # Its holder, should it wake up, finds no lease to renew.
                self._objects.remove(name)
        except BaseException:
            self._objects.remove(self._name)
            raise
        self._thread.start()
        return self

    def _check_server(self) -> None:
        if self._objects.create(self._name, self._holder.to_bytes()) is not None:
            raise StoreError(
                f"the server of {self._objects.location} replaces an object where it was told to make a new "
                "one (If-None-Match), so two writers could not be kept apart; nothing was changed",
                hint="Write to a server that has conditional writes, or into a folder that is copied then.",
            )

    def _others(self) -> Iterator[tuple[str, Found]]:
        """The leases that cannot be held beside this one."""
        for path in self._objects.listed(LOCK)[0]:
            match = _NAME.fullmatch(path.rpartition("/")[2])
            if match is not None and int(match[2]) != self._task.of:
                name = f"{LOCK}/{match[0]}"
                if (found := self._found(name)) is not None:
                    yield name, found

    def _found(self, name: str) -> Found | None:
        try:
            return self._objects.read(name)
        except FileNotFoundError:
            return None

    def _free(self, name: str, found: Found, tell: Callable[[str], object]) -> None:
        """Returns when a lease is nobody's.

        Raises:
            StoreError: its holder renews it.
        """
        holder = Holder.read(found.data)
        self._floor = max(self._floor, holder.next_shard)
        if holder.scratch == self._holder.scratch and self._dead(
            name.removeprefix(f"{LOCK}/").removesuffix(".json")
        ):
            return
        now = f"{LOCK}/now"
        self._objects.overwrite(now, secrets.token_bytes(8))
        age = (self._objects.read(now).modified - found.modified).total_seconds()
        left = min(holder.lasts_s - age, holder.lasts_s)
        if left > 0:
            tell(f"{self._objects.location} may be written by {holder}: waiting at most {left:.0f} s to see")
        give_up = _elapsed() + left
        while _elapsed() < give_up:
            time.sleep(min(_LOOK_S, max(0.0, give_up - _elapsed())))
            again = self._found(name)
            if again is None:
                return
            if again.version != found.version:
                raise refused(self._objects.location, str(Holder.read(again.data)))

    def reserve(self, number: int, step: int) -> int:
        """The number of the next shard, from `number` in steps, that no earlier writer may have begun.

        Raises:
            StoreError: the lease was lost.
        """
        while number <= self._floor:
            number += step
        with self._renewing:
            self._holder = replace(self._holder, next_shard=number)
        self.renew()
        return number

    def check(self) -> None:
        """Raises where the lease was lost, as far as is known; asks nothing while it lasts.

        Raises:
            StoreError: it was.
        """
        if self._lost:
            raise self._gone()
        if _elapsed() - self._renewed > self._holder.lasts_s - RENEW_S:
            self.renew()

    def renew(self) -> None:
        """Renews the lease, which fails where it is not ours any more.

        Raises:
            StoreError: it was lost, or the server cannot be asked.
        """
        with self._renewing:
            if self._lost:
                raise self._gone()
            assert self._version is not None, "a lease is taken before it is renewed"
            asked = _elapsed()
            holder = replace(self._holder, renewals=self._holder.renewals + 1)
            version = self._objects.replace(self._name, holder.to_bytes(), self._version)
            if version is None:
                # Ours all the same where the answer to an earlier renewal was lost.
                found = self._found(self._name)
                if found is not None and Holder.read(found.data).token == holder.token:
                    version = self._objects.replace(self._name, holder.to_bytes(), found.version)
            if version is None:
                self._lost = True
                raise self._gone()
            self._holder, self._version, self._renewed = holder, version, asked

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_S):
            # Where the server is out of reach, it is asked again; whoever writes finds out by itself.
            with suppress(StoreError):
                self.renew()
            if self._lost:
                return

    def _gone(self) -> StoreError:
        return StoreError(
            f"the lease {self._objects.where(self._name)} was lost, another process has taken it over; what "
            "was not uploaded before is kept on this machine",
            hint="Did this machine sleep, or lose the network for a minute? Run the same command again when "
            "the other one is done.",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        # Where the server is out of reach it runs out by itself.
        with suppress(StoreError):
            self.renew()
            self._objects.remove(self._name)


def _name(task: Task) -> str:
    return f"{LOCK}/{part_of(task)}.json"


def part_of(task: Task) -> str:
    """The name of a task's lease, and of its part of a scratch folder."""
    return f"{task.number}-of-{task.of}"


def _elapsed() -> float:
    """Seconds that go on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
