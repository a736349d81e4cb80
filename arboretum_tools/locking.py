"""One writer at a time: a lock that the kernel releases when its process ends, however it ends.

The file says who holds it, for the error of whoever comes second; it stays behind, empty, when the lock is
released (removing it would let a third process lock a new file of the same name).
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

from arboretum_tools.errors import ArboretumError


@contextmanager
def exclusive(path: Path, refuse: Callable[[str], ArboretumError]) -> Iterator[None]:
    """Holds the lock file `path`, whose folder must exist.

    Args:
        path: the lock file; made where it is not there.
        refuse: makes the error to raise from a phrase that names the process which holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refuse(holder(descriptor)) from None
        sign(descriptor)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def sign(descriptor: int, **more: int) -> None:
    """Writes into a lock file who holds it, and what else its readers should know."""
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(owner | more).encode(), 0)


def holder(descriptor: int) -> str:
    """A phrase that names the process which holds a lock file."""
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        # It has locked the file and not written its name yet.
        return "its process has just started"
