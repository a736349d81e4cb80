"""A folder on this machine that keeps what was read from object storage, up to so many bytes.

    $ARBORETUM_CACHE/            default $XDG_CACHE_HOME/arboretum, else ~/.cache/arboretum
      <16 hex digits>/           one version of one object: a hash of its address and its ETag
        shard-000000.parquet     the whole of it, or
        512-90000                some bytes of it: where they begin, and how many they are

Several processes may share it. What was used longest ago goes first; whole files, which are read by their
path, stay for a day after their last use, whatever the bound.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from arboretum_tools.errors import UsageError
from arboretum_tools.system.atomic_files import PARTIAL

#: Name the folder, and how many bytes it may hold.
FOLDER_VARIABLE, BYTES_VARIABLE = "ARBORETUM_CACHE", "ARBORETUM_CACHE_BYTES"

#: Bytes that a cache holds when nothing else is said.
DEFAULT_BYTES = 10 * 10**9

# A whole file is in use for so long after it was last asked for.
_IN_USE_S = 86_400.0


@dataclass(slots=True)
class Cache:
    """A bounded cache; picklable, and safe from several threads and processes.

    Attributes:
        folder: where it lies; made when the first thing is kept.
        max_bytes: most bytes that it holds, but for whole files in use.
    """

    folder: Path
    max_bytes: int = DEFAULT_BYTES
    _unseen: int = field(default=0, repr=False, compare=False)

    @classmethod
    def of_user(cls) -> Cache:
        """The cache that the environment names.

        Raises:
            UsageError: `$ARBORETUM_CACHE_BYTES` is not a number of bytes.
        """
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(os.environ.get(FOLDER_VARIABLE) or Path(base, "arboretum"))
        text = os.environ.get(BYTES_VARIABLE) or str(DEFAULT_BYTES)
        if not text.isascii() or not text.isdigit():
            raise UsageError(f"${BYTES_VARIABLE} is {text!r}, not a number of bytes")
        return cls(folder, int(text))

    def file(self, version: str, name: str, fetch: Callable[[Path], None]) -> Path:
        """A whole object as a file of its own name.

        Args:
            version: what tells this object from every other, and from what it may be later.
            name: the file's name.
            fetch: writes the object to a path; called where the cache does not have it.
        """
        path = self._folder_of(version) / name
        try:
            os.utime(path)
        except FileNotFoundError:
            self._keep(path, fetch)
        return path

    def piece(self, version: str, offset: int, size: int) -> bytes | None:
        """Bytes of an object that were kept; None where they were not."""
        if not self.max_bytes:
            return None
        path = self._folder_of(version) / f"{offset}-{size}"
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        return data if len(data) == size else None

    def keep_piece(self, version: str, offset: int, data: bytes) -> None:
        """Keeps bytes of an object; a full disk is no error, as they can be read again."""
        if len(data) <= self.max_bytes:
            with contextlib.suppress(OSError):
                self._keep(
                    self._folder_of(version) / f"{offset}-{len(data)}", lambda path: _write(path, data)
                )

    def _folder_of(self, version: str) -> Path:
        return self.folder / hashlib.sha256(version.encode()).hexdigest()[:16]

    def _keep(self, path: Path, fetch: Callable[[Path], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{PARTIAL}{secrets.token_hex(4)}")
        try:
            fetch(temporary)
            self._unseen += temporary.stat().st_size
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        # Looking at every file costs more than writing one, so it is done after a twentieth of the bound.
        if self._unseen > self.max_bytes // 20:
            self._unseen = 0
            self.trim()

    def trim(self) -> None:
        """Removes what was used longest ago, until the cache is within its bound."""
        found: list[tuple[float, int, str]] = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    state = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - many files
                    found.append((state.st_mtime, state.st_size, os.path.join(folder, name)))  # noqa: PTH118
        held = sum(size for _, size, _ in found)
        in_use = time.time() - _IN_USE_S
        for used, size, path in sorted(found):
            if held <= self.max_bytes:
                return
            piece = Path(path).name.replace("-", "").isdigit()
            if piece or used < in_use:
                Path(path).unlink(missing_ok=True)
                held -= size


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
