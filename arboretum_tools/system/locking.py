"""One writer at a time: locks that the kernel releases when their process ends, however it ends.

The only module that calls `flock`. A lock is never stale. The file says who holds it, for the error of
whoever comes second; it stays behind, empty, when the lock is released (removing it would let a third process
lock a new file of the same name).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arboretum_tools.errors import ArboretumError


@contextmanager
def exclusive(path: Path, refuse: Callable[[str], ArboretumError]) -> Iterator[None]:
    """Holds the lock file `path`, whose folder must exist.

    Args:
        path: the lock file; made where it is not there.
        refuse: makes the error to raise from a phrase that names the process which holds it.
    """
    with _opened(path) as descriptor:
        if not try_lock(descriptor):
            raise refuse(holder(descriptor))
        sign(descriptor)
        yield
        release(descriptor)


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Holds the lock file `path`, whose folder must exist, once whoever holds it now is done."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Takes the lock of an open file, or makes the one that is held of this kind; whether that went at once.

    Changing a lock gives it up for a moment (flock(2)).
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def release(descriptor: int) -> None:
    """Takes the name of this process out of a lock file; the lock itself goes when it is closed."""
    os.ftruncate(descriptor, 0)


def sign(descriptor: int, **more: int) -> None:
    """Writes into a lock file who holds it, and what else its readers should know."""
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(owner | more).encode(), 0)


def signed(descriptor: int) -> dict[str, Any]:
    """What `sign` wrote; empty where it has not yet."""
    try:
        return dict(json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return {}


def holder(descriptor: int) -> str:
    """A phrase that names the process which holds a lock file."""
    try:
        return "process {pid} on {host}, since {since}".format(**signed(descriptor))
    except KeyError:
        # It has locked the file and not written its name yet.
        return "its process has just started"
