"""What a killed run left behind, made into finished shards.

Called under the store's lock, before anything is written. For each shard without an index, the longest run
of journal lines is kept that are lines of ours and whose bytes stand in the tar: same header, same SHA-256,
one entry after the other, no photo twice. The first line that is not ends it, whatever is in it.
What lies behind it is cut off, and the shard is finished. So a kill costs at most the photos that were in
flight; after a power cut, also those that the system had not written out yet.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from arboretum_tools.errors import StoreError
from arboretum_tools.store.shards import layout, tar
from arboretum_tools.store.shards.record import IndexBuilder, PhotoRecord
from arboretum_tools.store.shards.shard import ShardSummary, finish
from arboretum_tools.store.storage import Storage, storage_at
from arboretum_tools.store.storage.folder import LocalFile, check_own, open_own
from arboretum_tools.store.storage.lock import ALONE, Task

#: Of the photos of some images those that the store has elsewhere by now, or has withdrawn.
Known = Callable[[list[int]], set[int]]


def recover(
    location: str | Path | Storage, task: Task = ALONE, *, known: Known | None = None
) -> list[ShardSummary]:
    """Finishes or removes every open shard, and removes temporary files; what was salvaged, by shard.

    Args:
        location: of the store.
        task: only the shards of this one are touched, because others may be at work.
        known: asked where others may have written since the run was cut short, as into a bucket.

    Raises:
        StoreError: there is a tar that has neither index nor journal, which no run leaves behind; or a
            symbolic link where a file is to be written.
        OutOfSpaceError: the disk is full; nothing is lost, and it can be run again.
    """
    storage = storage_at(location)
    scratch = storage.scratch
    check_own(scratch / layout.REQUESTS, folder=True)
    for path in layout.leftovers(scratch) if task.of == 1 or storage.remote else ():
        path.unlink(missing_ok=True)
    salvaged = []
    for number, files in layout.shard_files(storage, to_write=True).items():
        if not task.owns(number):
            continue
        if "parquet" not in files:
            for path_of in (layout.part_path, layout.journal_path, layout.tar_path):
                check_own(path_of(scratch, number))
        if "parquet" in files:
            # Killed between the index and the removal of the journal: the shard is finished. Or while it was
            # written anew: it stays as it was.
            layout.journal_path(scratch, number).unlink(missing_ok=True)
            layout.part_path(scratch, number).unlink(missing_ok=True)
        elif "journal" in files:
            summary = _salvage(storage, number, known if storage.remote else None)
            if summary is not None:
                salvaged.append(summary)
        elif "tar" in files and storage.remote:
            # Uploaded by a machine that is gone with the journal.
            storage.remove(layout.tar_name(number))
        elif "tar" in files:
            raise StoreError(
                f"{storage.where(layout.tar_name(number))} has no index, so it cannot be told what is in it; "
                "nothing was changed",
                hint="Bring its index back from a backup, or move the file out of the store: its photos are "
                "then downloaded again.",
            )
        else:
            layout.part_path(scratch, number).unlink(missing_ok=True)
    return salvaged


def _salvage(storage: Storage, number: int, known: Known | None) -> ShardSummary | None:
    part, tar_file = layout.part_path(storage.scratch, number), layout.tar_path(storage.scratch, number)
    if not os.path.lexists(part) and os.path.lexists(tar_file):
        # Killed between tar and index: without an index it is an open shard still.
        tar_file.rename(part)
    entries = LocalFile(open_own(part, os.O_RDONLY | os.O_CREAT))
    kept = IndexBuilder()
    journal = layout.journal_path(storage.scratch, number)
    # A photo that the store has by now ends it like one that came before.
    ids = known([one.photo_id for one, _ in _lines(journal) if one.status == "ok"]) if known else set()
    end = 0
    for record, line in _lines(journal):
        if record.photo_id in ids:
            break
        if record.status == "ok":
            if not _agrees(entries, end, record):
                break
            end += tar.entry_bytes(record.size_bytes or 0)
        ids.add(record.photo_id)
        kept.add(record, line)
    return finish(storage, number, kept, end, replace=True)


def _lines(journal: Path) -> Iterator[tuple[PhotoRecord, bytes]]:
    with open(open_own(journal, os.O_RDONLY), "rb") as lines:  # noqa: PTH123 - a descriptor
        for line in lines:
            try:
                record = PhotoRecord.from_line(line if line.endswith(b"\n") else b"")
            except ValueError:  # torn by the kill, or damaged
                return
            # Written anew: an index is made of nothing but lines of ours.
            yield record, record.to_line()


def _agrees(entries: LocalFile, at: int, record: PhotoRecord) -> bool:
    size = record.size_bytes
    if size is None or not 0 <= size <= layout.MAX_IMAGE_BYTES or record.offset != at + tar.BLOCK:
        return False
    expected = tar.entry_bytes(size)
    (entry,) = entries.read(at, expected)
    if len(entry) != expected:
        return False
    try:
        parsed = tar.parse(entry[: tar.BLOCK])
    except ValueError:
        return False
    data = memoryview(entry)[tar.BLOCK : tar.BLOCK + size]
    return parsed == (record.member, size) and hashlib.sha256(data).hexdigest() == record.sha256
