"""The files of a folder that are to be imported, as rows; nothing is opened, and no link is followed.

Without a split the folder has a folder per class, and every file in these or below is a row. An imported
split names the files itself. What cannot be a photo of a class is a row as well, with the reason.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store.shards import layout

# What file managers leave in a folder.
_NOT_LISTED = frozenset({".DS_Store", "Thumbs.db"})


@dataclass(frozen=True, slots=True)
class File:
    """A file that is to be imported, or something in its place that cannot be.

    Attributes:
        photo_id: its number in the store.
        path: below the folder, with `/` between.
        label: name of the folder of its class; None with a split, which knows its classes.
        size_bytes: its length; None where it is no regular file.
        status: what becomes of it if it is not to be read: `invalid` or `failed`.
        reason: why it is not to be read.
    """

    photo_id: int
    path: str
    label: str | None = None
    size_bytes: int | None = None
    status: str | None = None
    reason: str | None = None

    @property
    def url(self) -> str:
        """Its address in the index of the store: `file:` and the path, percent-encoded."""
        return address(self.path)


def address(path: str) -> str:
    """The address of a file by its path below the folder.

    >>> address("Vulpes vulpes/1.jpg")
    'file:Vulpes%20vulpes/1.jpg'
    """
    return f"file:{quote(path)}"


def path_id(path: str) -> int:
    """The photo id of a file: the first 53 bits of the SHA-256 of its path.

    The path is that below the folder, in NFC, with `/` between, as UTF-8. JavaScript, and much
    that reads JSON, holds whole numbers of 53 bits and no longer ones.

    >>> path_id("Vulpes vulpes/1.jpg")
    970356745191437
    """
    digest = hashlib.sha256(unicodedata.normalize("NFC", path).encode()).digest()
    return int.from_bytes(digest[:7], "big") >> 3 or 1


def files_of_classes(folder: Path) -> Iterator[File]:
    """Every file of a tree with a folder per class, in the order of paths; class by class."""
    for entry in _entries(folder):
        if isinstance(entry, File):
            yield entry
        elif not entry.is_dir(follow_symlinks=False):
            reason = _odd(entry) or "in no folder of a class"
            yield _refused(entry.name, reason)
        elif entry.name.startswith("."):
            yield _refused(entry.name, "a hidden folder, whose files are not looked at")
        else:
            yield from _below(Path(entry.path), entry.name, entry.name)


def _below(folder: Path, path: str, label: str) -> Iterator[File]:
    for entry in _entries(folder, path):
        if isinstance(entry, File):
            yield entry
            continue
        inside = f"{path}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), inside, label)
        elif reason := _odd(entry):
            yield _refused(inside, reason)
        else:
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError as error:
                yield _refused(inside, f"cannot be read: {error.strerror}", status="failed")
                continue
            yield _sized(path_id(_text(inside)), inside, found, label)


def _entries(folder: Path, path: str = ".") -> Iterator[os.DirEntry[str] | File]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield _refused(path, f"cannot be read: {error.strerror}", status="failed")
        return
    for entry in entries:
        if entry.name not in _NOT_LISTED and not entry.name.startswith("._"):
            yield entry


def _odd(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "a symbolic link"
    return "" if entry.is_file(follow_symlinks=False) else "not a regular file"


def _text(path: str) -> str:
    r"""A path as text: bytes that are no UTF-8 are written as `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _refused(path: str, reason: str, status: str = "invalid") -> File:
    text = _text(path)
    return File(path_id(text), text, status=status, reason=reason)


def _sized(photo_id: int, path: str, found: os.stat_result, label: str | None) -> File:
    text, reason = _text(path), None
    if text != path:
        reason = "its name is not UTF-8"
    elif found.st_size > layout.MAX_IMAGE_BYTES:
        reason = layout.TOO_LARGE
    return File(photo_id, text, label and _text(label), found.st_size, "invalid" if reason else None, reason)


def files_of_split(folder: Path, split: Split) -> Iterator[File]:
    """The files that an imported split names, by photo id."""
    assert split.files is not None
    links = functools.lru_cache(1_024)(functools.partial(_through_a_link, folder))
    for batch in split.files.to_batches(max_chunksize=10_000):
        for photo_id, path in zip(*(batch[name].to_pylist() for name in ("photo_id", "path")), strict=True):
            yield _named(folder, photo_id, path, links)


def _named(folder: Path, photo_id: int, path: str, links: functools._lru_cache_wrapper[bool]) -> File:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\0" in path:
        return File(photo_id, path, None, None, "invalid", "its path leads out of the folder")
    try:
        found = (folder / parts).lstat()
        if stat.S_ISLNK(found.st_mode) or links(parts.parent):
            return File(photo_id, path, None, None, "invalid", "a symbolic link")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = "not in the folder" if missing else f"cannot be read: {error.strerror}"
        return File(photo_id, path, None, None, "failed", reason)
    if not stat.S_ISREG(found.st_mode):
        return File(photo_id, path, None, None, "invalid", "not a regular file")
    return _sized(photo_id, path, found, None)


def _through_a_link(folder: Path, below: PurePosixPath) -> bool:
    """Whether one of the folders on a path is a link."""
    return any((folder / part).is_symlink() for part in (below, *below.parents) if part.parts)
