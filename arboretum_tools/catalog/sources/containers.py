"""Where texts of a source lie: files, gzip, folders, and members of zip and tar archives.

What a file is, its first bytes say, not its name. Nothing is ever extracted from an archive: a member is read
as a stream, and a stream that unpacks to implausibly much ends in an error.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from arboretum_tools.errors import CatalogError
from arboretum_tools.system.regular_files import regular
from arboretum_tools.wording import one_line

#: A compressed stream may grow this many times; text of this kind grows 3 to 12 times.
LARGEST_RATIO = 200

#: Below this many unpacked bytes the ratio says nothing.
RATIO_FROM_BYTES = 64 * 2**20

FETCH_AGAIN = "Fetch it again. Nothing was changed."

_GZIP = b"\x1f\x8b"

_Opener = Callable[[], contextlib.AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True)
class Member:
    """One text: what it is called in messages, and how it is opened.

    Attributes:
        name: path, or path and member of an archive.
        label: the same without the folders above what the user named, as it is listed in a catalogue.
        open: opens the unpacked bytes.
    """

    name: str
    label: str
    open: _Opener


def file_member(path: Path, label: str = "") -> Member:
    """A file, gzip or plain."""

    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with regular(path).open("rb") as stream:
            if first_bytes(path, 2) != _GZIP:
                yield stream
                return
            with gzip.open(stream) as unpacked:
                yield _Bounded(unpacked, path.stat().st_size, str(path))  # type: ignore[misc]

    return Member(str(path), label or path.name, opened)


def first_bytes(path: Path, count: int) -> bytes:
    """How a file begins; empty where it cannot be read."""
    try:
        with regular(path).open("rb") as stream:
            return stream.read(count)
    except OSError:
        return b""


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip archive does."""
    return first_bytes(path, 4) in (b"PK\x03\x04", b"PK\x05\x06")


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, plain or packed."""
    if first_bytes(path, 512)[257:262] == b"ustar":
        return True
    try:
        return first_bytes(path, 2) == _GZIP and tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error):
        return False


def members(path: Path) -> dict[str, Member]:
    """The files of a folder (none of those below it) or an archive, by name without folders and `.gz`.

    Where two have one name, the first in the order of their full names stands; hidden ones are passed over. A
    file that is no archive has no members.

    Raises:
        CatalogError: an archive is damaged, or a member leads out of it.
    """
    found: dict[str, Member] = {}
    for name, label, opened in sorted(_listed(path), key=lambda each: each[0]):
        plain = name.rsplit("/", 1)[-1].removesuffix(".gz")
        if not plain.startswith("."):
            found.setdefault(plain, Member(label, f"{path.name}{label[len(str(path)) :]}", opened))
    return found


def texts(path: Path) -> list[Member]:
    """A file, or the members of a zip archive; none of a folder or tar."""
    if path.is_dir() or is_tar(path):
        return []
    return list(members(path).values()) if is_zip(path) else [file_member(path)]


def _listed(path: Path) -> Iterable[tuple[str, str, _Opener]]:
    if path.is_dir():
        return [(file.name, str(file), file_member(file).open) for file in path.iterdir() if file.is_file()]
    found = path.stat()
    return _entries(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _entries(path: Path, _size: int, _mtime_ns: int) -> tuple[tuple[str, str, _Opener], ...]:
    """The entries of an archive; a packed tar is read to its end for them, which is done once."""
    if is_zip(path):
        return tuple(_zip_entries(path))
    return tuple(_tar_entries(path)) if is_tar(path) else ()


def _zip_entries(path: Path) -> Iterator[tuple[str, str, _Opener]]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise damaged(str(path), error) from error
    for entry in entries:
        _refuse_escape(path, entry.filename)
        if not entry.is_dir() and not entry.filename.startswith("__MACOSX/"):
            yield entry.filename, f"{path}!{entry.filename}", _zip_opener(path, entry)


def _tar_entries(path: Path) -> Iterator[tuple[str, str, _Opener]]:
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                _refuse_escape(path, entry.name)
                if entry.isfile():
                    yield entry.name, f"{path}!{entry.name}", _tar_opener(path, entry.name)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise damaged(str(path), error) from error


class _Bounded(io.RawIOBase):
    """A stream that ends in an error once it has grown too much."""

    def __init__(self, stream: Any, packed_bytes: int, name: str) -> None:
        self._stream = stream
        self._most = max(RATIO_FROM_BYTES, packed_bytes * LARGEST_RATIO)
        self._read = 0
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._read += len(data)
        if self._read > self._most:
            raise CatalogError(
                f"{self._name} unpacks to more than {LARGEST_RATIO} times its size: not read further",
                hint="This is how an archive that should fill the disk looks. Nothing was changed.",
            )
        buffer[: len(data)] = data
        return len(data)


@contextlib.contextmanager
def whole(name: str) -> Iterator[None]:
    """Makes a CatalogError of what is raised where a stream is damaged or ends early."""
    try:
        yield
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise damaged(name, error) from error


def damaged(name: str, error: BaseException) -> CatalogError:
    """The error of a file that is not what its first bytes promise."""
    return CatalogError(f"{name} is damaged or not whole: {one_line(error)}", hint=FETCH_AGAIN)


def _zip_opener(path: Path, entry: zipfile.ZipInfo) -> _Opener:
    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
            yield _Bounded(stream, entry.compress_size, f"{path}!{entry.filename}")  # type: ignore[misc]

    return opened


def _tar_opener(path: Path, name: str) -> _Opener:
    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with tarfile.open(path) as archive:
            stream = archive.extractfile(name)
            if stream is None:
                raise CatalogError(f"{path}!{name} is not a regular file", hint=FETCH_AGAIN)
            size = path.stat().st_size
            if name.endswith(".gz"):
                with gzip.open(stream) as unpacked:
                    yield _Bounded(unpacked, size, f"{path}!{name}")  # type: ignore[misc]
            else:
                yield _Bounded(stream, size, f"{path}!{name}")  # type: ignore[misc]

    return opened


def _refuse_escape(path: Path, name: str) -> None:
    if name.startswith("/") or ".." in name.split("/") or "\\" in name:
        raise CatalogError(
            f"{path} has a member that leads out of it: {name!r}",
            path=path,
            hint="No export of iNaturalist or GBIF has one. Fetch it again. Nothing was changed.",
        )
