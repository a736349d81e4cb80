"""Files that a user names, or that came with a folder from anywhere: only regular ones are opened.

To open a named pipe waits until somebody writes into it, which may be never; a device may have no end.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def regular(path: Path) -> Path:
    """The path itself, if a file can be read there without waiting; links are followed.

    A folder is passed, because whoever opens it says more.

    Raises:
        OSError: nothing is there (FileNotFoundError), or it is a named pipe, a device or a socket.

    >>> regular(Path("catalog/photos.parquet")).name
    'photos.parquet'
    >>> regular(Path("/dev/zero"))
    Traceback (most recent call last):
        ...
    OSError: it is a device, and only regular files are read
    """
    mode = path.stat().st_mode
    for is_kind, kind in _KINDS:
        if is_kind(mode):
            raise OSError(f"it is {kind}, and only regular files are read")
    return path


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Opens what is a regular file itself: no link is followed, and nothing is waited for.

    Args:
        path: the file.
        flags: of `os.open`; with O_CREAT it is made with the rights 644.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    # Without O_NONBLOCK a named pipe would be waited for.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "not a regular file", str(path))
    return descriptor
