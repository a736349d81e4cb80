"""Files that are either whole or not there: temporary name, fsync, rename; and where they came from.

A reader never sees half a file under its final name, whatever kills the writer: the bytes are written
beside it under a unique name, flushed to the disk, and renamed, which POSIX makes atomic within one
file system.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from arboretum_tools.errors import NotWritableError, OutOfSpaceError, TargetExistsError, UsageError
from arboretum_tools.system.regular_files import regular

#: The marker of everything that is not finished; what carries it may be deleted at any time.
PARTIAL = ".partial-"


@contextlib.contextmanager
def out_of_space(path: Path) -> Iterator[None]:
    """Turns a full disk, a quota or a file size limit met while writing `path` into OutOfSpaceError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OutOfSpaceError(
                f"no room left to write {path}: {error.strerror}",
                hint="Nothing that was finished is lost. Free some space, or choose another folder, and run "
                "the same command again: it goes on where it stopped.",
            ) from error
        raise


@contextlib.contextmanager
def placed(path: Path) -> Iterator[None]:
    """Turns what keeps `path`, or a folder above it, from being made into NotWritableError.

    So it does for the hidden files and folders in which `path` is made. An OSError about any other file is
    passed on as it is.
    """
    try:
        yield
    except (OutOfSpaceError, TargetExistsError):
        raise
    except OSError as error:
        named = Path(os.fsdecode(error.filename)) if error.filename else None
        if named is None:
            ours = PARTIAL in str(error)  # pyarrow names a file in its text alone
        else:
            hidden = named.parent == path.parent and named.name.startswith(f".{path.name}.")
            ours = named in (path, *path.parents) or hidden or any(PARTIAL in one for one in named.parts)
        if not ours:
            raise
        raise NotWritableError(
            f"{path} cannot be written: {os.strerror(error.errno) if error.errno else error}"
            + (f" ({named})" if named in path.parents else "")
            + "; nothing was changed",
            hint="Choose a folder that may be written to.",
        ) from error


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; on success it is synced and renamed to it.

    An existing file is replaced in one step. On an exception the temporary file is removed and `path` is
    as it was.

    Raises:
        NotWritableError: it cannot be made.
    """
    with placed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    # Unique, so that two processes on one folder never write into each other's file.
    temporary = path.with_name(f".{path.name}{PARTIAL}{secrets.token_hex(4)}")
    try:
        with placed(path), out_of_space(path):
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder beside `path`; on success every file in it is synced and it takes the name.

    Raises:
        TargetExistsError: `path` exists and is not an empty folder. Nothing is written then.
        NotWritableError: it cannot be made.
    """
    with placed(path):
        refuse_existing(path)
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{PARTIAL}{secrets.token_hex(4)}")
    try:
        with placed(path), out_of_space(path):
            temporary.mkdir()
            yield temporary
            for folder, _, names in os.walk(temporary):
                for name in names:
                    sync(Path(folder, name))
                sync(Path(folder))
            if path.is_dir():
                path.rmdir()  # only ever an empty one
            temporary.rename(path)
            sync(path.parent)
    finally:
        # Only ever our own temporary folder: the user's folders are never removed.
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(path: Path, what: str = "something else") -> None:
    """Raises TargetExistsError if `path` is a file or a folder that holds anything: `what` it holds."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise TargetExistsError(
            f"{path} already holds {what}; nothing was written",
            hint="Choose another folder (on the command line --out or --name), or move that one away.",
        )


def refuse_inside(path: Path, inputs: Iterable[Path]) -> None:
    """Refuses to write over or into what is being read.

    Raises:
        TargetExistsError: `path` is one of the inputs, or lies in one.
    """
    real = path.resolve()
    for source in inputs:
        if real == source.resolve() or source.resolve() in real.parents:
            raise TargetExistsError(
                f"{path} lies in {source}, which is being read; nothing was written",
                hint="Choose a place outside of it.",
            )


def check_suffix(path: Path, suffixes: Sequence[str]) -> None:
    """Refuses a file whose suffix names none of the formats that can be written.

    Raises:
        UsageError: it ends in something else.
    """
    if path.suffix not in suffixes:
        alone = len(suffixes) == 1
        ends = f"does not end in {suffixes[0]}" if alone else f"ends in neither {' nor '.join(suffixes)}"
        raise UsageError(f"{path} {ends}", hint="The suffix decides the format.")


def check_output(path: Path, *, overwrite: bool = False, inputs: Iterable[Path] = ()) -> None:
    """Refuses to put a file where something is that the caller did not name as replaceable.

    Args:
        path: the file that is to be written.
        overwrite: whether a file that is there may be replaced.
        inputs: files and folders that are being read; nothing is ever written over or into one of them.

    Raises:
        TargetExistsError: `path` lies in an input, is a folder, or is there and may not be replaced.
    """
    refuse_inside(path, inputs)
    if path.is_dir():
        raise TargetExistsError(f"{path} is a folder; nothing was written", hint="Name a file in it.")
    if (path.exists() or path.is_symlink()) and not overwrite:
        raise TargetExistsError(
            f"{path} is there already; nothing was written",
            hint="Choose another file, or allow it to be replaced with --overwrite.",
        )


def sync(path: Path | int) -> None:
    """Flushes a file or folder, or an open file, to the disk."""
    if isinstance(path, int):
        os.fsync(path)
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes `value` as JSON with sorted keys, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(canonical_json(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The JSON of a file that may have come from anywhere.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON; holds NaN or a number too large for a double, neither of which JSON has or
            we write; or is nested too deeply to be read.
    """
    return parse_json(regular(path).read_bytes())


def parse_json(data: bytes) -> Any:
    """The same of bytes.

    Raises:
        ValueError: as `read_json`.
    """
    try:
        return json.loads(data.decode(), parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a number")
    return number


def canonical_json(value: Any, *, indent: int | None = None) -> str:
    """One text for one value: sorted keys, no NaN, Unicode as it is."""
    separators = (",", ": ") if indent else (",", ":")
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators
    )


def sha256_of_file(path: Path) -> str:
    """SHA-256, hex, of the bytes of a file, which is read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_json(value: Any) -> str:
    """SHA-256, hex, of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
