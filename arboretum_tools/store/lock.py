"""One writer a store at a time.

`flock` is released by the kernel when its process ends, however it ends, so a lock is never stale. The file
says who holds it, for the error of whoever comes second; it stays behind, empty, when the lock is released
(removing it would let a third process lock a new file of the same name).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from arboretum_tools.errors import StoreError
from arboretum_tools.store import layout


@contextmanager
def writer_lock(store: Path) -> Iterator[None]:
    """Holds the right to write into the folder `store`, which must exist.

    Raises:
        StoreError: another process holds it; the message names it.
    """
    descriptor = os.open(store / layout.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"another download writes into {store}: {_holder(descriptor)}; nothing was changed",
                hint="Wait for it to end, stop it, or download into another folder with --images.",
            ) from None
        said = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(said).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {said['pid']} on {said['host']}, since {said['since']}"
    except (ValueError, KeyError, TypeError):
        # It has locked the file and not written its name yet.
        return "its process has just started"
