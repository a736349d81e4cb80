"""One open shard: a tar file and a journal that grow together, and how they become a finished shard.

Every photo is two appends: its tar entry, then its journal line. A process that is killed between the two
leaves an entry without a line, which recovery cuts off; a line never stands without its entry. Neither file
is flushed to the disk for each photo: when the shard is finished, tar and index are flushed before they take
their names.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass

import pyarrow as pa

from arboretum_metadata.schema import INDEX
from arboretum_tools.store.shards import layout, tar
from arboretum_tools.store.shards.record import IndexBuilder, PhotoRecord
from arboretum_tools.store.storage import Storage
from arboretum_tools.store.storage.folder import open_own
from arboretum_tools.system.atomic_files import PARTIAL, out_of_space, sync
from arboretum_tools.tabular.tables import write_table


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """A finished shard.

    Attributes:
        number: of the shard.
        rows: photos that were tried.
        images: photos that are in the tar.
        size_bytes: length of the tar.
    """

    number: int
    rows: int
    images: int
    size_bytes: int


class OpenShard:
    """A shard that photos are added to; not safe for use from several threads at once."""

    def __init__(self, storage: Storage, number: int) -> None:
        """Makes the files of shard `number`; the caller holds the store's lock."""
        self.storage = storage
        self.number = number
        self.index = IndexBuilder()
        self.tar_bytes = 0
        self._journal_bytes = 0
        self._part = layout.part_path(storage.scratch, number)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        # The journal first: a tar without one would say nothing about its photos.
        self._journal = open_own(layout.journal_path(storage.scratch, number), flags)
        try:
            self._tar = open_own(self._part, flags)
        except BaseException:
            os.close(self._journal)
            raise

    def add(self, record: PhotoRecord, data: bytes | None = None) -> None:
        """Appends one photo.

        On any exception, a full disk or a signal, both files are cut back to what they held before.

        Args:
            record: what became of the photo.
            data: the image where `record.status` is `ok`, else None.

        Raises:
            OutOfSpaceError: the disk is full; what was added before is kept.
        """
        offset = None
        try:
            after = self.tar_bytes
            if data is not None:
                assert record.member is not None, "an image needs a name in the tar"
                size = len(data)
                _write(self._tar, (tar.header(record.member, size), data, tar.padding(size)))
                offset = after + tar.BLOCK
                after += tar.entry_bytes(size)
            line = record.to_line(offset=offset)
            _write(self._journal, (line,))
        except BaseException as error:
            self._cut_back()
            with out_of_space(self._part):
                raise error from None
        self.tar_bytes = after
        self._journal_bytes += len(line)
        self.index.add(record, line)

    def _cut_back(self) -> None:
        for descriptor, length in ((self._tar, self.tar_bytes), (self._journal, self._journal_bytes)):
            os.ftruncate(descriptor, length)
            os.lseek(descriptor, length, os.SEEK_SET)

    def flush(self) -> None:
        """Sees to it that a power cut no longer takes what was added."""
        for descriptor in (self._tar, self._journal):
            sync(descriptor)

    def close(self) -> None:
        """Closes the files and leaves the shard open on disk, for recovery to finish."""
        for descriptor in (self._tar, self._journal):
            if descriptor >= 0:
                os.close(descriptor)
        self._tar = self._journal = -1

    def finish(self, *, replace: bool = False) -> ShardSummary | None:
        """Turns the shard into a finished one; None if nothing was added, and then no file is left.

        Args:
            replace: whether there may be another tar of this number, without an index.

        Raises:
            OutOfSpaceError: the disk is full; the shard stays open on disk.
            StoreError: it cannot be uploaded; likewise.
        """
        self.close()
        return finish(self.storage, self.number, self.index, self.tar_bytes, replace=replace)


def finish(
    storage: Storage, number: int, index: IndexBuilder, tar_bytes: int, *, replace: bool
) -> ShardSummary | None:
    """Publishes an open shard: tar, then index, then the journal goes.

    Args:
        storage: of the store.
        number: of the shard, whose images are in `.tar.part`.
        index: its rows.
        tar_bytes: where its last entry ends; what lies behind is cut off.
        replace: whether there may be another tar of this number, without an index.
    """
    scratch = storage.scratch
    part, journal = layout.part_path(scratch, number), layout.journal_path(scratch, number)
    if not index.rows:
        for path in (part, journal):
            path.unlink(missing_ok=True)
        return None
    with out_of_space(part):
        descriptor = open_own(part, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, tar_bytes)
            os.lseek(descriptor, tar_bytes, os.SEEK_SET)
            _write(descriptor, (tar.END,))
            sync(descriptor)
        finally:
            os.close(descriptor)
        storage.put(part, layout.tar_name(number), replace=replace)
    name = layout.index_name(number)
    rows = scratch / f".{name}{PARTIAL}{secrets.token_hex(4)}"
    write_table(rows, index.batches(), INDEX, {"shard": number}, dictionary=False)
    with out_of_space(rows):
        storage.put(rows, name)
    # Moved files are gone; a tar that was uploaded stays here for as long as its journal, which speaks of it.
    for path in (journal, part, rows):
        path.unlink(missing_ok=True)
    # What sorting and writing took goes back to the system, so that memory does not grow with the shards.
    pa.default_memory_pool().release_unused()
    return ShardSummary(number, index.rows, index.images, tar_bytes + len(tar.END))


def _write(descriptor: int, pieces: tuple[bytes, ...]) -> None:
    expected = sum(map(len, pieces))
    done = os.writev(descriptor, pieces)
    if done == expected:
        return
    # A short write: the disk is nearly full, or a signal came. The next one says which.
    rest = memoryview(b"".join(pieces))[done:]
    while rest:
        rest = rest[os.write(descriptor, rest) :]
