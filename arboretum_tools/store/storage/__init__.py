"""What a store needs of the place where its files lie: the protocol, and which storage a location means.

Another kind of place is a class with these methods, in a file of its own, and a line in `storage_at`.
Everything that reads or writes a store goes through it: nobody else joins a path of a store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from arboretum_tools.store.storage.lock import Task

#: An image in a file: its first byte and its length. What a tar says of it stands right before.
Place = tuple[int, int]


class StoredFile(Protocol):
    """A file of a store, to be read in pieces; safe from several threads at once."""

    def read(self, offset: int, *sizes: int) -> Sequence[bytes]:
        """Pieces that lie one behind the other; fewer bytes where the file ends before.

        Args:
            offset: first byte of the first piece.
            *sizes: bytes of each piece.
        """

    def read_many(self, places: Sequence[Place], before: int) -> Iterator[tuple[bytes, bytes]]:
        """What lies at some places, in their order, each after the bytes right before it.

        Args:
            places: by ascending offset; a storage may fetch several at a time.
            before: how many bytes are read before each place; no place begins earlier.
        """

    def read_into(
        self, places: Sequence[Place], before: bytearray, into: Sequence[memoryview]
    ) -> Iterator[int]:
        """The same, without a copy: fills `before` and one piece of memory after the other.

        Yields:
            How many bytes were read for a place, those before it included.
        """


class Storage(Protocol):
    """A place with files by name: `shard-000000.tar`, `requests/0123456789ab.json`.

    A file is whole or not there. What has its name never changes, but for `store.json`, which is made once,
    and a shard out of which photos are pruned.

    Only the storage that `lock` gives is written to.
    """

    @property
    def location(self) -> str:
        """The place as it was named, for messages and to open it again."""

    @property
    def parallel(self) -> int:
        """How many files are best read at the same time."""

    @property
    def remote(self) -> bool:
        """Whether what is put here leaves this machine, so that `scratch` is another place."""

    @property
    def scratch(self) -> Path:
        """The folder on this machine where a writer fills its shards before they are put here."""

    def check_new(self) -> None:
        """Refuses a place where no store can be made.

        Raises:
            StoreError: no file can lie here, whoever writes it.
        """

    def fresh(self) -> Storage:
        """The same place, of which nothing is read from any cache."""

    def absolute(self) -> str:
        """A location that means the same place in any process of this machine."""

    def where(self, name: str) -> str:
        """A file as messages name it."""

    def names(self, pattern: re.Pattern[str], under: str = "") -> list[str]:
        """The files whose names match, without what is before them, in no order; none where nothing is.

        Args:
            pattern: of the whole name.
            under: the folder below this place.

        Raises:
            StoreError: what has such a name is no file.
        """

    def exists(self) -> bool:
        """Whether there is such a place, with anything in it or not."""

    def holds_anything(self, but: tuple[str, ...] = ()) -> bool:
        """Whether anything lies here whose name does not begin with one of `but`."""

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def read(self, name: str) -> bytes:
        """A small file.

        Raises:
            OSError: it is not there (FileNotFoundError), or cannot be read.
        """

    def size(self, name: str) -> int:
        """Bytes of a file.

        Raises:
            OSError: it is not there (FileNotFoundError), or cannot be asked.
        """

    def version(self, name: str) -> str:
        """What is another text once a file was replaced; asked of it without reading it.

        Raises:
            OSError: it is not there (FileNotFoundError), or cannot be asked.
        """

    def open(self, name: str) -> StoredFile:
        """A file that is read in pieces; closed when nobody holds it any more.

        Raises:
            OSError: it is not there (FileNotFoundError), or cannot be read.
        """

    def local(self, names: Sequence[str]) -> list[Path]:
        """Files as files of this machine, which keep their names; for what reads Parquet by its path.

        Raises:
            OSError: one is not there (FileNotFoundError), or cannot be read.
        """

    def put(self, file: Path, name: str, *, replace: bool = False) -> None:
        """Gives a whole file of this machine, synced already, a name at this place; it may be moved there.

        Args:
            file: lies in the scratch folder.
            name: what it is called from then on.
            replace: whether what has this name, and no index, may be another file. A folder does not look.

        Raises:
            OSError, StoreError: it cannot be written, or may not.
        """

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""

    def reserve(self, number: int, step: int) -> int:
        """The number of the next shard: the first from `number` in steps that no other writer may have begun.

        Raises:
            StoreError: the right to write was lost.
        """

    def left_behind(self) -> Iterator[tuple[Storage, Task]]:
        """Places where dead writers of other sets of tasks left open shards on this machine, and their tasks.

        Each is held until the next one is asked for.
        """

    def lock(
        self, task: Task, tell: Callable[[str], object]
    ) -> AbstractContextManager[tuple[Storage, Callable[[], None] | None]]:
        """Holds the right to write here.

        Args:
            task: which of several writers this is.
            tell: is told what is waited for.

        Yields:
            This place as it may be written, its scratch folder made; and what lets the other tasks of a set
            in, see `lock.writer_lock`.

        Raises:
            StoreError: another process holds it; the message names it.
        """


# What `pathlib` makes of an address has one slash.
_ADDRESS = re.compile(r"(s3|gs|az):/{1,2}(.*)", re.DOTALL)


def is_address(location: str | Path) -> bool:
    """Whether a location is one of object storage, and not a folder."""
    return _ADDRESS.fullmatch(str(location)) is not None


def as_named(location: str | Path) -> str | Path:
    """A location as its user means it: the path of a folder, or the address of a bucket as text."""
    address = _ADDRESS.fullmatch(str(location))
    return f"{address[1]}://{address[2]}" if address else Path(location)


def storage_at(location: str | Path | Storage) -> Storage:
    """The storage that a location means: a folder, or a prefix in object storage (`s3://`, `gs://`, `az://`).

    Raises:
        BadInputError: it is in object storage, and the extra `cloud` is not installed.
    """
    if not isinstance(location, str | Path):
        return location
    named = as_named(location)
    if isinstance(named, str):
        from arboretum_tools.store.storage.bucket import Bucket

        return Bucket(named)
    from arboretum_tools.store.storage.folder import Folder

    return Folder(named)
