"""One writer a store at a time, or one set of tasks.

`flock` is released by the kernel when its process ends, however it ends, so a lock is never stale. The file
says who holds it, for the error of whoever comes second; it stays behind, empty, when the lock is released
(removing it would let a third process lock a new file of the same name).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from arboretum_tools.errors import StoreError, UsageError
from arboretum_tools.locking import holder, sign
from arboretum_tools.store import layout

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
def writer_lock(store: Path, task: Task = ALONE) -> Iterator[Callable[[], None] | None]:
    """Holds the right to write into the folder `store`, which must exist.

    Tasks of one set hold the store's lock together, and each a lock of its own besides.

    Args:
        store: the folder.
        task: which of several writers this is.

    Yields:
        A callable that lets the other tasks of the set in; None where they are in already. Until it is
        called every open shard is one of a dead run.

    Raises:
        StoreError: another process holds it, or tasks of another set do; the message names it. Or the
            file is a symbolic link.
    """
    descriptor = layout.open_own(store / layout.LOCK, os.O_RDWR | os.O_CREAT)
    own = -1
    try:
        alone = _try(descriptor, fcntl.LOCK_EX)
        if task.of > 1:
            own = layout.open_own(store / f"{layout.LOCK}-{task.number}", os.O_RDWR | os.O_CREAT)
            if not _try(own, fcntl.LOCK_EX):
                raise _refused(store, own)
            if not alone:
                _join(store, descriptor, task)
            sign(own, tasks=task.of)
        elif not alone:
            raise _refused(store, descriptor)
        if alone:
            sign(descriptor, tasks=task.of)
        yield (lambda: _join(store, descriptor, task)) if alone else None
        if alone and task.of == 1:
            os.ftruncate(descriptor, 0)
    finally:
        for each in (own, descriptor):
            if each >= 0:
                os.close(each)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _join(store: Path, descriptor: int, task: Task) -> None:
    """Shares the lock with the other tasks of the set, when the one that repairs the store is done."""
    # Changing a lock gives it up for a moment (flock(2)), so whoever holds it alone is waited for here too.
    give_up = time.monotonic() + _REPAIR_S
    unsigned = time.monotonic() + _SIGN_S
    while not _try(descriptor, fcntl.LOCK_SH):
        holders = _of(descriptor)
        now = time.monotonic()
        if holders not in (None, task.of) or now > give_up or (holders is None and now > unsigned):
            raise _refused(store, descriptor)
        time.sleep(0.05)
    if _of(descriptor) != task.of:
        raise _refused(store, descriptor)


def _refused(store: Path, descriptor: int) -> StoreError:
    return StoreError(
        f"another download writes into {store}: {holder(descriptor)}; nothing was changed",
        hint="Wait for it to end, stop it, or download into another folder with --images.",
    )


def _of(descriptor: int) -> int | None:
    """How many tasks the holders of the lock are."""
    try:
        return int(json.loads(os.pread(descriptor, 4096, 0))["tasks"])
    except (ValueError, KeyError, TypeError):
        return None
