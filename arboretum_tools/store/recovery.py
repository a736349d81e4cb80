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
from collections.abc import Iterator
from pathlib import Path

from arboretum_tools.errors import StoreError
from arboretum_tools.store import layout, tar
from arboretum_tools.store.lock import ALONE, Task
from arboretum_tools.store.record import IndexBuilder, PhotoRecord
from arboretum_tools.store.shard import ShardSummary, finish


def recover(store: Path, task: Task = ALONE) -> list[ShardSummary]:
    """Finishes or removes every open shard, and removes temporary files; what was salvaged, by shard.

    Args:
        store: the store's folder.
        task: only the shards of this one are touched, because others may be at work.

    Raises:
        StoreError: there is a tar that has neither index nor journal, which no run leaves behind; or a
            symbolic link where a file is to be written.
        OutOfSpaceError: the disk is full; nothing is lost, and it can be run again.
    """
    layout.check_own(store / layout.REQUESTS, folder=True)
    for path in layout.leftovers(store) if task.of == 1 else ():
        path.unlink(missing_ok=True)
    salvaged = []
    for number, files in layout.shard_files(store).items():
        if not task.owns(number):
            continue
        if "parquet" not in files:
            for path_of in (layout.part_path, layout.journal_path, layout.tar_path):
                layout.check_own(path_of(store, number))
        if "parquet" in files:
            # Killed between the index and the removal of the journal: the shard is finished.
            layout.journal_path(store, number).unlink(missing_ok=True)
        elif "journal" in files:
            summary = _salvage(store, number)
            if summary is not None:
                salvaged.append(summary)
        elif "tar" in files:
            raise StoreError(
                f"{layout.tar_path(store, number)} has no index, so it cannot be told what is in it; "
                "nothing was changed",
                hint="Bring its index back from a backup, or move the file out of the store: its photos are "
                "then downloaded again.",
            )
        else:
            layout.part_path(store, number).unlink()
    return salvaged


def _salvage(store: Path, number: int) -> ShardSummary | None:
    part = layout.part_path(store, number)
    source = part if os.path.lexists(part) else layout.tar_path(store, number)
    descriptor = layout.open_own(source, os.O_RDONLY | os.O_CREAT)
    try:
        kept = IndexBuilder()
        ids: set[int] = set()
        end = 0
        for record, line in _lines(layout.journal_path(store, number)):
            if record.photo_id in ids:
                break
            if record.status == "ok":
                if not _agrees(descriptor, end, record):
                    break
                end += tar.entry_bytes(record.size_bytes or 0)
            ids.add(record.photo_id)
            kept.add(record, line)
    finally:
        os.close(descriptor)
    return finish(store, number, kept, end)


def _lines(journal: Path) -> Iterator[tuple[PhotoRecord, bytes]]:
    with open(layout.open_own(journal, os.O_RDONLY), "rb") as lines:  # noqa: PTH123 - a descriptor
        for line in lines:
            try:
                record = PhotoRecord.from_line(line if line.endswith(b"\n") else b"")
            except ValueError:  # torn by the kill, or damaged
                return
            # Written anew: an index is made of nothing but lines of ours.
            yield record, record.to_line()


def _agrees(descriptor: int, at: int, record: PhotoRecord) -> bool:
    size = record.size_bytes
    if size is None or not 0 <= size <= layout.MAX_IMAGE_BYTES or record.offset != at + tar.BLOCK:
        return False
    expected = tar.entry_bytes(size)
    entry = os.pread(descriptor, expected, at)
    if len(entry) != expected:
        return False
    try:
        parsed = tar.parse(entry[: tar.BLOCK])
    except ValueError:
        return False
    data = memoryview(entry)[tar.BLOCK : tar.BLOCK + size]
    return parsed == (record.member, size) and hashlib.sha256(data).hexdigest() == record.sha256
