"""A store in a folder: the only module that joins its paths, and opens, syncs and locks files there.

A store may come from anywhere, and a link in it may lead anywhere: nothing is written through one. Files that
are only read (finished shards, saved plans) may be links, and so may the folder itself.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from arboretum_tools.errors import StoreError
from arboretum_tools.store.storage import Place
from arboretum_tools.store.storage.lock import ALONE, Task, writer_lock
from arboretum_tools.system.atomic_files import sync
from arboretum_tools.system.regular_files import open_regular


@dataclass(frozen=True, slots=True)
class Folder:
    """A storage that is a folder.

    Attributes:
        path: as it was named.
    """

    path: Path

    @property
    def location(self) -> str:
        """The path as it was named."""
        return str(self.path)

    @property
    def remote(self) -> bool:
        """It stays on this machine."""
        return False

    @property
    def parallel(self) -> int:
        """One after the other, which is how a disk reads ahead."""
        return 1

    @property
    def scratch(self) -> Path:
        """The folder itself: a shard that is filled lies where it will be read, under another name."""
        return self.path

    def check_new(self) -> None:
        """Refuses what lies below a file, and file systems that hold no files, such as /proc."""
        above = self.path.absolute()
        while not os.path.lexists(above):
            above = above.parent
        if above.is_dir() and os.statvfs(above).f_blocks:
            return
        # What is there itself is told by `layout.check_place`.
        if above != self.path.absolute() or above.is_symlink():
            raise StoreError(
                f"no store can be made at {self.path}: {above} "
                + ("holds no files of users" if above.is_dir() else "is not a folder")
                + "; nothing was changed",
                hint="Choose another folder with --images.",
            )

    def fresh(self) -> Folder:
        """Itself."""
        return self

    def absolute(self) -> str:
        """The path from the root."""
        return str(self.path.resolve())

    def where(self, name: str) -> str:
        """The path of a file."""
        return str(self.path / name)

    def names(self, pattern: re.Pattern[str], under: str = "") -> list[str]:
        """The files of the folder, or of one in it; see `Storage.names`."""
        found = []
        try:
            with os.scandir(self.path / under) as entries:
                for entry in entries:
                    if pattern.fullmatch(entry.name):
                        if not entry.is_file():
                            check_own(Path(entry.path))
                        found.append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return found

    def exists(self) -> bool:
        """Whether there is anything of this name."""
        return self.path.exists()

    def holds_anything(self, but: tuple[str, ...] = ()) -> bool:
        """Whether the folder has other files than these; true of a file."""
        if not self.path.exists():
            return False
        return not self.path.is_dir() or any(not entry.name.startswith(but) for entry in self.path.iterdir())

    def has(self, name: str) -> bool:
        """Whether there is a file, or a link to one."""
        return (self.path / name).is_file()

    def read(self, name: str) -> bytes:
        """A whole file."""
        path = self.path / name
        if path.exists() and not path.is_file():
            raise OSError("it is not a regular file")  # one that would be waited for without an end
        return path.read_bytes()

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return (self.path / name).stat().st_size

    def version(self, name: str) -> str:
        """Its inode, length and time of change."""
        about = (self.path / name).stat()
        return f"{about.st_ino} {about.st_size} {about.st_mtime_ns}"

    def open(self, name: str) -> LocalFile:
        """A file of the folder."""
        return LocalFile(os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC))

    def local(self, names: Sequence[str]) -> list[Path]:
        """Their paths; that they are there is found out by whoever opens them."""
        return [self.path / name for name in names]

    def put(self, file: Path, name: str, *, replace: bool = False) -> None:  # noqa: ARG002 - renaming does
        """Gives a file of this file system its name, in one step, and syncs the folder."""
        target = self.path / name
        if target.parent != self.path:
            check_own(target.parent, folder=True)
            target.parent.mkdir(exist_ok=True)
        file.replace(target)
        sync(target.parent)

    def reserve(self, number: int, _step: int) -> int:
        """That number: who holds the lock of a folder is its only writer."""
        return number

    def left_behind(self) -> Iterator[tuple[Folder, Task]]:
        """Nothing: all open shards lie in the one folder."""
        return iter(())

    def remove(self, name: str) -> None:
        """Removes a file; a link to one, not what it leads to."""
        (self.path / name).unlink(missing_ok=True)

    def lock_file(self, name: str) -> int:
        """Opens, and makes, a lock file of the folder."""
        return open_own(self.path / name, os.O_RDWR | os.O_CREAT)

    @contextmanager
    def lock(
        self, task: Task = ALONE, _tell: Callable[[str], object] = str
    ) -> Iterator[tuple[Folder, Callable[[], None] | None]]:
        """The lock of the folder, by `flock`."""
        self.path.mkdir(parents=True, exist_ok=True)
        with writer_lock(self.location, self.lock_file, task) as let_in:
            yield self, let_in


class LocalFile:
    """A descriptor that is closed when nobody holds it any more."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)

    def read(self, offset: int, *sizes: int) -> list[bytes]:
        """Pieces one behind the other."""
        # One call a piece: cutting a header off one would copy the image, which costs more than the second.
        pieces = []
        for size in sizes:
            pieces.append(os.pread(self.descriptor, size, offset))
            offset += size
        return pieces

    def read_many(self, places: Sequence[Place], before: int) -> Iterator[tuple[bytes, bytes]]:
        """Places one by one: the system reads ahead."""
        pread, descriptor = os.pread, self.descriptor
        for offset, size in places:
            yield pread(descriptor, before, offset - before), pread(descriptor, size, offset)

    def read_into(
        self, places: Sequence[Place], before: bytearray, into: Sequence[memoryview]
    ) -> Iterator[int]:
        """Places one by one, each in one call."""
        preadv, descriptor, length = os.preadv, self.descriptor, len(before)
        for (offset, _), memory in zip(places, into, strict=True):
            yield preadv(descriptor, [before, memory], offset - length)


def open_own(path: Path, flags: int) -> int:
    """Opens a file that the writer of a store reads or changes, and makes it where `flags` say so.

    Raises:
        StoreError: it is a symbolic link, or no regular file.
    """
    try:
        return open_regular(path, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO):
            check_own(path)
        raise


def check_own(path: Path, *, folder: bool = False) -> None:
    """Refuses what stands where a store has a file (or a folder) of its own; nothing there is fine.

    Raises:
        StoreError: it is a symbolic link, or something else than that.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if (stat.S_ISDIR if folder else stat.S_ISREG)(mode):
        return
    what = f"not a {'folder' if folder else 'regular file'}"
    if stat.S_ISLNK(mode):
        what = "a symbolic link, and a store is never written through one"
    raise StoreError(
        f"{path} is {what}; nothing was changed",
        hint="Move it out of the store and run the same command again.",
    )
