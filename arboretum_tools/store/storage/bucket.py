"""A store in object storage: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://account/container/prefix`.

It is read by ranges and in parallel; indexes and plans come whole, into a cache on this machine
(`store.storage.cache`), and so do images, for the next time. It is written by way of a local folder:

    $ARBORETUM_SCRATCH/               default $XDG_STATE_HOME/arboretum-tools/scratch
      photos-aves-1a2b3c4d/           one store: bucket and prefix, and a hash of them and of their server
        id                            which a lease names, so that a process of this machine knows its own
        0-of-1/                       one writer's open shards, as in a folder that is a store, and its lock

What is whole is put under its name, where none is; so it is either there or not.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from arboretum_tools.errors import StoreError
from arboretum_tools.store.storage import objects
from arboretum_tools.store.storage.cache import Cache
from arboretum_tools.store.storage.folder import Folder
from arboretum_tools.store.storage.lease import Lease, part_of
from arboretum_tools.store.storage.lock import ALONE, Task, writer_lock
from arboretum_tools.store.storage.objects import Objects, UnansweredError
from arboretum_tools.store.storage.remote_file import RemoteFile

#: Names the folder in which shards are filled.
SCRATCH_VARIABLE = "ARBORETUM_SCRATCH"

# Up to here an object is made in one request, of which the server knows that it is to make a new one.
_SMALL_BYTES = 8 * 2**20

_PIECE_BYTES = 2**20

_PART = re.compile(r"([0-9]{1,9})-of-([1-9][0-9]{0,8})")


class Bucket:
    """A prefix of a bucket; picklable, safe from several threads, and refused after a fork."""

    #: Files that are read at the same time.
    parallel = 16

    #: What is written here leaves this machine.
    remote = True

    def __init__(
        self, location: str, cache: Cache | None = None, scratch: Path | None = None, task: Task = ALONE
    ) -> None:
        """Asks nothing yet.

        Args:
            location: scheme, bucket and prefix.
            cache: keeps what was read; None = that of the user.
            scratch: where shards are filled; None = as the environment says.
            task: of whose shards this is where they are filled.

        Raises:
            BadInputError: obstore is not installed.
        """
        self.location = location.rstrip("/")
        self.cache = cache or Cache.of_user()
        self._task = task
        self._base = scratch or _scratch_of(self.location)
        self._objects = Objects(self.location)
        self._lease: Lease | None = None
        # Size and version of the objects that were met.
        self._known: dict[str, tuple[int, str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Without credentials: another process has its own environment.
        return {"location": self.location, "cache": self.cache, "scratch": self._base, "task": self._task}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def scratch(self) -> Path:
        """Where the writer's shards are filled."""
        return self._base / part_of(self._task)

    def left_behind(self) -> Iterator[tuple[Bucket, Task]]:
        """What writers of other sets, dead by now, have in the scratch folder; for who writes alone."""
        if self._task.of > 1:
            return
        for folder in sorted(self._base.iterdir()):
            match = _PART.fullmatch(folder.name)
            if match is None or folder == self.scratch or int(match[1]) >= int(match[2]):
                continue
            task = Task(int(match[1]), int(match[2]))
            other = Bucket(self.location, self.cache, self._base, task)
            other._lease = self._lease
            try:
                with writer_lock(self.location, Folder(folder).lock_file):
                    yield other, task
            except StoreError:
                continue

    def check_new(self) -> None:
        """Nothing is refused: whether it can be written is found out by making the lease."""

    def fresh(self) -> Bucket:
        """The same, with a cache that keeps no images."""
        return Bucket(self.location, Cache(self.cache.folder, 0), self._base, self._task)

    def absolute(self) -> str:
        """The address, which means the same everywhere."""
        return self.location

    def where(self, name: str) -> str:
        """The address of an object."""
        return self._objects.where(name)

    def names(self, pattern: re.Pattern[str], under: str = "") -> list[str]:
        """The objects right below the prefix, or below a part of it."""
        found, _ = self._objects.listed(under)
        self._known |= found
        return [name for name in (path.rpartition("/")[2] for path in found) if pattern.fullmatch(name)]

    def exists(self) -> bool:
        """Whether anything has the prefix."""
        return self.holds_anything()

    def holds_anything(self, but: tuple[str, ...] = ()) -> bool:
        """Whether anything else has the prefix."""
        found, below = self._objects.listed("")
        return any(not name.startswith(but) for name in (*found, *below))

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        try:
            self._about(name)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes:
        """A whole object, as it is now."""
        return self._objects.read(name).data

    def size(self, name: str) -> int:
        """Bytes of an object."""
        return self._about(name)[0]

    def version(self, name: str) -> str:
        """Its entity tag, as it was when it was first asked for."""
        return self._about(name)[1]

    def open(self, name: str) -> RemoteFile:
        """An object, read by ranges."""
        size, version = self._about(name)
        return RemoteFile(self._objects, self.cache, name, size, f"{self.where(name)} {version}")

    def local(self, names: Sequence[str]) -> list[Path]:
        """Objects as files of the cache, several fetched at a time."""
        if len(names) == 1:
            return [self._cached(names[0])]
        with ThreadPoolExecutor(self.parallel, "arboretum-fetch") as pool:
            return list(pool.map(self._cached, names))

    def _cached(self, name: str) -> Path:
        _, version = self._about(name)

        def fetch(path: Path) -> None:
            with path.open("wb") as file:
                for piece in self._objects.pieces(name):
                    file.write(piece)

        return self.cache.file(f"{self.where(name)} {version}", name.rpartition("/")[2], fetch)

    def _about(self, name: str) -> tuple[int, str]:
        """Size and version of an object."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._objects.about(name)
        return found

    def put(self, file: Path, name: str, *, replace: bool = False) -> None:
        """Makes an object of a file, which stays; one that is there already and is the same is as good.

        What the server answered is not always known: where it may have made the object, it is looked at.
        """
        lease = self._held()
        small = file.stat().st_size <= _SMALL_BYTES
        if small:
            # Whoever was taken over must not publish: an index makes a shard.
            lease.renew()
        elif self._is(name, file):
            return
        elif not replace and self._is_there(name):
            raise self._taken(name)
        self._known.pop(name, None)
        for pause in (*objects.PAUSES_S, None):
            try:
                if not small:
                    self._objects.upload(name, _pieces(file, lease.check))
                elif self._objects.create(name, file.read_bytes()) is None and not self._is(name, file):
                    if not replace:
                        raise self._taken(name)
                    self._objects.overwrite(name, file.read_bytes())
            except UnansweredError as error:
                if self._is(name, file):
                    return
                # What is small was asked for again and again already.
                if pause is None or small:
                    raise error.given_up() from None
                time.sleep(pause)
            else:
                return

    def _is_there(self, name: str) -> bool:
        self._known.pop(name, None)
        return self.has(name)

    def _is(self, name: str, file: Path) -> bool:
        """Whether an object is there and has the bytes of a file."""
        try:
            size, _ = self._objects.about(name)
            if size != file.stat().st_size:
                return False
            with file.open("rb") as own:
                return all(own.read(len(piece)) == piece for piece in self._objects.pieces(name))
        except FileNotFoundError:
            return False

    def _taken(self, name: str) -> StoreError:
        return StoreError(
            f"{self.where(name)} is there already and is another one; nothing was changed",
            hint="Something else has written into the store. Run the same command again: it takes numbers "
            "that are free.",
        )

    def remove(self, name: str) -> None:
        """Removes an object, if it is there."""
        self._held().check()
        self._objects.remove(name)
        self._known.pop(name, None)

    def reserve(self, number: int, step: int) -> int:
        """The number of the next shard; see `Lease.reserve`."""
        return self._held().reserve(number, step)

    @contextmanager
    def lock(self, task: Task, tell: Callable[[str], object]) -> Iterator[tuple[Bucket, None]]:
        """Holds a part of the scratch folder by its lock, and the store by a lease."""
        held = Bucket(self.location, self.cache, self._base, task)
        held.scratch.mkdir(parents=True, exist_ok=True)

        def dead(part: str) -> bool:
            if self._base / part == held.scratch:
                return True
            (self._base / part).mkdir(exist_ok=True)
            try:
                with writer_lock(self.location, Folder(self._base / part).lock_file):
                    return True
            except StoreError:
                return False

        with (
            writer_lock(self.location, Folder(held.scratch).lock_file),
            Lease(self._objects, task, _identity(self._base), dead).take(tell) as lease,
        ):
            held._lease = lease
            try:
                yield held, None
            finally:
                held._lease = None

    def _held(self) -> Lease:
        assert self._lease is not None, "nothing is written without the lease"
        return self._lease


def _pieces(file: Path, check: Callable[[], None]) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            check()
            yield piece


def _scratch_of(location: str) -> Path:
    """The folder of this machine where the shards of a store are filled."""
    named = os.environ.get(SCRATCH_VARIABLE)
    if named:
        root = Path(named)
    else:
        base = os.environ.get("XDG_STATE_HOME")
        root = (Path(base) if base else Path.home() / ".local" / "state") / "arboretum-tools" / "scratch"
    server = os.environ.get("AWS_ENDPOINT_URL", "") if location.startswith("s3://") else ""
    name = re.sub(r"[^A-Za-z0-9]+", "-", location.partition("://")[2])[:40].strip("-")
    return root / f"{name}-{hashlib.sha256(f'{server} {location}'.encode()).hexdigest()[:8]}"


def _identity(base: Path) -> str:
    """What a scratch folder is known by; made by whoever is first."""
    path = base / "id"
    temporary = path.with_name(f".id-{secrets.token_hex(4)}")
    if not path.exists():
        temporary.write_text(secrets.token_hex(16))
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return path.read_text()
