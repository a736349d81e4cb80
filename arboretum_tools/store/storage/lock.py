"""One writer a store at a time, or one set of tasks, by lock files (`arboretum_tools.system.locking`)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from arboretum_tools.errors import StoreError, UsageError
from arboretum_tools.system.locking import holder, release, sign, signed, try_lock

#: The lock file of a store; those of tasks have their number after it.
LOCK = ".lock"

# A task waits so long for another one of its set that repairs the store, and for one to say who it is.
_REPAIR_S = 1800.0
_SIGN_S = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """One of several writers that fill a store side by side, each with photos and shard numbers of its own.

    A photo belongs to the task `photo_id % of`, and so does a shard by its number. So tasks never meet, and
    one that is started again finds its own.

    Attributes:
        number: 0 to `of` - 1.
        of: how many there are, 1 or more.
    """

    number: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if self.of < 1 or not 0 <= self.number < self.of:
            raise UsageError(
                f"there is no task {self.number} among {self.of}",
                hint="Tasks are numbered from 0 to one less than --num-tasks.",
            )

    def owns(self, number: int) -> bool:
        """Whether the photo or the shard of this number is one of this task."""
        return number % self.of == self.number


#: The only writer of its store.
ALONE = Task()


@contextmanager
def writer_lock(
    store: str, lock_file: Callable[[str], int], task: Task = ALONE
) -> Iterator[Callable[[], None] | None]:
    """Holds the right to write into a store.

    Tasks of one set hold the store's lock together, and each a lock of its own besides.

    Args:
        store: its location, for errors.
        lock_file: opens, and makes, a lock file by its name; gives a descriptor, which is closed here.
        task: which of several writers this is.

    Yields:
        A callable that lets the other tasks of the set in; None where they are in already. Until it is
        called every open shard is one of a dead run.

    Raises:
        StoreError: another process holds it, or tasks of another set do; the message names it.
    """
    descriptor = lock_file(LOCK)
    own = -1
    try:
        alone = try_lock(descriptor)
        if task.of > 1:
            own = lock_file(f"{LOCK}-{task.number}")
            if not try_lock(own):
                raise refused(store, holder(own))
            if not alone:
                _join(store, descriptor, task)
            sign(own, tasks=task.of)
        elif not alone:
            raise refused(store, holder(descriptor))
        if alone:
            sign(descriptor, tasks=task.of)
        yield (lambda: _join(store, descriptor, task)) if alone else None
        if alone and task.of == 1:
            release(descriptor)
    finally:
        for each in (own, descriptor):
            if each >= 0:
                os.close(each)


def _join(store: str, descriptor: int, task: Task) -> None:
    """Shares the lock with the other tasks of the set, when the one that repairs the store is done."""
    # Changing a lock gives it up for a moment, so whoever holds it alone is waited for here too.
    give_up = time.monotonic() + _REPAIR_S
    unsigned = time.monotonic() + _SIGN_S
    while not try_lock(descriptor, shared=True):
        holders = _of(descriptor)
        now = time.monotonic()
        if holders not in (None, task.of) or now > give_up or (holders is None and now > unsigned):
            raise refused(store, holder(descriptor))
        time.sleep(0.05)
    if _of(descriptor) != task.of:
        raise refused(store, holder(descriptor))


def refused(store: str, holder: str) -> StoreError:
    """The error of who comes second to a store, with who holds it."""
    return StoreError(
        f"another command writes into {store}: {holder}; nothing was changed",
        hint="Wait for it to end, or stop it; a download can go into another folder with --images.",
    )


def _of(descriptor: int) -> int | None:
    """How many tasks the holders of the lock are."""
    tasks = signed(descriptor).get("tasks")
    return tasks if isinstance(tasks, int) else None
