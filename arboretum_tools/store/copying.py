"""A store at another place, byte for byte: from a folder into a bucket, back, or from bucket to bucket.

A shard lies in the copy under its number, tar first, then its index, so the copy is a store at every moment.
One shard at a time passes through the scratch folder of the copy.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.display import notebook_views
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import StoreError, UsageError
from arboretum_tools.events import OnEvent, StageFinished, StageStarted, UnitDone, ignore
from arboretum_tools.photos.photo_plan import SavedPlan
from arboretum_tools.store import plans
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards import layout
from arboretum_tools.store.storage import Storage, storage_at
from arboretum_tools.store.storage.folder import open_own
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.system.atomic_files import PARTIAL, out_of_space, sync
from arboretum_tools.system.temporary_folders import TemporaryFolder
from arboretum_tools.wording import counted

_PIECE_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What copying a store came to.

    Attributes:
        path: the copy, as it was named.
        shards: shards that were copied.
        size_bytes: bytes of their tars and indexes.
        there_before: shards that the copy had already.
        plans: plans that were copied.
    """

    path: str
    shards: int
    size_bytes: int
    there_before: int
    plans: int

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self)


@shows_progress
def copy_store(
    source: str | Path,
    to: str | Path,
    *,
    progress: bool = True,  # noqa: ARG001 - of shows_progress
    on_event: OnEvent = ignore,
) -> CopyReport:
    """Copies an image store to another place, shard for shard, byte for byte; the source is only read.

    Interrupted, the same call goes on. What the source got later is copied by the next call.

    Args:
        source: the store: a folder, or an address in object storage.
        to: where the copy lies; made if need be, else added to.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets a UnitDone for each shard.

    Raises:
        UsageError: the copy is the source.
        StoreError: the source is not a store or has an open shard; or the copy holds another size, or another
            shard of the same number.
        TargetExistsError: `to` holds something else.
        OutOfSpaceError: the disk is full; what was copied is kept.

    >>> import arboretum_tools as at
    >>> at.copy_store("images", "images-there").shards
    1
    >>> at.verify_store("images-there").photos
    1436
    """
    store = ImageStore.open(source)
    check_source(store, to, "copied")
    origin = store.storage.fresh()
    shards = store.shards()
    copied = size_bytes = 0
    with StoreWriter.create(to, store.config) as writer:
        target = writer.storage
        there = set(ImageStore.open(target).shards())
        on_event(StageStarted("copy", len(shards), "shard"))
        for shard in shards:
            if shard in there:
                _check_same(origin, target, shard)
            else:
                size_bytes += _copy_shard(origin, target, shard)
                copied += 1
            on_event(UnitDone(1))
        plans_copied = copy_plans(origin, target)
        on_event(StageFinished("copy"))
    return CopyReport(target.location, copied, size_bytes, len(shards) - copied, plans_copied)


def check_source(store: ImageStore, to: str | Path, done: str) -> None:
    """Refuses a store of which something would be left out, before anything is made.

    Args:
        store: what is read.
        to: where it goes.
        done: what is to be done with it, `copied`.

    Raises:
        UsageError: it is the target itself, or the target lies in it.
        StoreError: it has an open shard.
    """
    source, target = store.storage.absolute().rstrip("/"), storage_at(to).absolute().rstrip("/")
    if f"{target}/".startswith(f"{source}/"):
        raise UsageError(
            f"{store.location} cannot be {done} into itself", hint="Name another folder with --out."
        )
    if unfinished := layout.open_shards(store.storage):
        raise StoreError(
            f"{store.location} has {counted(len(unfinished), 'open shard')}, of a run that goes on or was "
            f"cut short; what is in it would be left out, and nothing was {done}",
            hint="Let that run end, or give its command (the download, or store prune) again, which finishes "
            "the shard; then do this.",
        )


def _check_same(source: Storage, target: Storage, shard: int) -> None:
    name = layout.index_name(shard)
    if source.size(name) != target.size(name) or source.read(name) != target.read(name):
        raise StoreError(
            f"{target.where(name)} is another shard than {source.where(name)}; what was copied is kept",
            hint="These stores were filled apart, or photos were pruned from one. Use `arboretum store "
            "merge`, or copy to a new place.",
        )


def _copy_shard(source: Storage, target: Storage, shard: int) -> int:
    """Copies a shard and gives its bytes; what a kill leaves is an open shard without photos to recovery."""
    journal = layout.journal_path(target.scratch, shard)
    os.close(open_own(journal, os.O_WRONLY | os.O_CREAT))
    size_bytes = 0
    for name in (layout.tar_name(shard), layout.index_name(shard)):
        file = target.scratch / f".{name}{PARTIAL}{secrets.token_hex(4)}"
        try:
            with out_of_space(file):
                size_bytes += _fetch(source, name, file)
                target.put(file, name, replace=name == layout.tar_name(shard))
        finally:
            file.unlink(missing_ok=True)
    journal.unlink()
    return size_bytes


def _fetch(source: Storage, name: str, file: Path) -> int:
    size, opened, done = source.size(name), source.open(name), 0
    with file.open("wb") as copy:
        while done < size:
            (piece,) = opened.read(done, min(_PIECE_BYTES, size - done))
            if not piece:
                raise StoreError(
                    f"{source.where(name)} ends after {done} of {size} bytes; what was copied is kept",
                    hint="Was it changed meanwhile? Copy again when nothing writes into the store.",
                )
            copy.write(piece)
            done += len(piece)
        copy.flush()
        sync(copy.fileno())
    return size


def copy_plans(source: Storage, target: Storage) -> int:
    """Copies the plans of a store that another one lacks, whose lock the caller holds; how many."""
    there = {plan.id for plan in plans.saved(target)}
    copied = 0
    for plan in plans.saved(source):
        if plan.id in there:
            continue
        # On the file system of the store, so that they take their names in one step.
        with TemporaryFolder("plan", target.scratch) as folder:
            copy = folder / plan.path.name
            shutil.copyfile(plan.path, copy)
            copy.with_suffix(".json").write_bytes(
                source.read(f"{layout.REQUESTS}/{copy.with_suffix('.json').name}")
            )
            plans.keep(SavedPlan(copy, plan.id, plan.photos, plan.source), target)
        copied += 1
    return copied
