"""Temporary folders for as long as they are needed; what a killed process left goes when the next one comes.

They lie in $TMPDIR or, where what is made in them is to be moved into place, on the file system of that
place.

Each folder is locked by the process that made it. The kernel releases the lock when the process ends, however
it ends, so a folder whose lock can be had is nobody's.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from pathlib import Path
from types import TracebackType

from arboretum_tools.system.locking import try_lock

#: How the names of those begin that do not lie in $TMPDIR.
HIDDEN = ".arboretum-"

_OURS = re.compile(r"\.?arboretum-(browse|changes|import|plan|spill|split)-\w+")


class TemporaryFolder:
    """A folder that goes with this object, at the latest with its process.

    A context manager that gives its path and removes it; or it goes when nobody holds the object.

    Attributes:
        path: the folder.
    """

    def __init__(self, purpose: str, where: Path | None = None) -> None:
        """Makes the folder, and removes those that killed processes of this user left.

        Args:
            purpose: part of its name: browse, changes, import, plan, spill or split.
            where: the folder that it lies in; default $TMPDIR.
        """
        remove_abandoned()
        if where is not None:
            remove_abandoned(where)
        # Nobody looks at it under this name, so that it has its lock before anyone could ask for it.
        made = Path(tempfile.mkdtemp(prefix=HIDDEN, dir=where))
        descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.path = made
        try:
            if try_lock(descriptor):
                begin = HIDDEN.removeprefix(".") if where is None else HIDDEN
                name = f"{begin}{purpose}-{made.name.removeprefix(HIDDEN)}"
                self.path = made.rename(made.with_name(name))
        except OSError:
            # A file system without locks: the folder keeps the name under which nobody removes it.
            pass
        self._remove = weakref.finalize(self, _removed, self.path, descriptor, os.getpid())

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._remove()


def remove_abandoned(where: Path | None = None) -> None:
    """Removes the folders of processes of this user that ended without doing so, from `where` or $TMPDIR."""
    with os.scandir(where or tempfile.gettempdir()) as entries:
        found = [entry.path for entry in entries if _OURS.fullmatch(entry.name)]
    for path in found:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            # Another user's, no folder, or gone.
            continue
        try:
            if os.fstat(descriptor).st_uid == os.getuid() and try_lock(descriptor):
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(descriptor)


def _removed(path: Path, descriptor: int, owner: int) -> None:
    # A process that was forked from the owner holds a copy of the object.
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)
    os.close(descriptor)
