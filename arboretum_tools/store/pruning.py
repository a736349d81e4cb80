"""Taking photos out of a store for good: shards are written anew without them, and tombstones stay.

A tombstone is a row of an index with the status `withdrawn`: id, time and reason, nothing of the image. No
download fetches such a photo again; exports and subsets leave it out.

A shard keeps its number. Its new images and rows are written as those of an open shard beside it and flushed
to the disk; only then does its old index go, which makes it an open shard. So a kill at any moment leaves the
old shard, or one that recovery finishes, and no more room is taken than one shard needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from arboretum_metadata.vocab import WITHDRAWN
from arboretum_tools.display import notebook_views
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import VerificationError
from arboretum_tools.events import OnEvent, StageFinished, StageStarted, UnitDone, ignore
from arboretum_tools.options import takes
from arboretum_tools.options.store import PruneOptions
from arboretum_tools.photos.photo_ids import PhotoIds, read_photo_ids
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.record import PhotoRecord, from_arrow
from arboretum_tools.store.shards.shard import OpenShard
from arboretum_tools.store.states import CODES, States, never_asked
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.tabular.arrays import from_numpy, to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PENDING, _OK, _WITHDRAWN = (CODES.index(name) for name in (layout.PENDING, "ok", WITHDRAWN))


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What pruning a store came to, or would come to.

    Attributes:
        path: the store, as it was named.
        asked: photos that were named.
        removed: of these, photos whose image the store held.
        removed_bytes: bytes of these images.
        not_held: photos that the store did not hold, and now never fetches.
        withdrawn_before: photos that had a tombstone already.
        never_asked: photos that neither the store holds nor any plan of it asks for: of another store, or
            mistyped.
        shards: shards that were written anew.
        open_shards: shards of a run that was cut short, which are finished first and not counted before.
        applied: whether anything was changed.
    """

    path: str
    asked: int
    removed: int
    removed_bytes: int
    not_held: int
    withdrawn_before: int
    never_asked: int
    shards: int
    open_shards: int
    applied: bool

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self)


@shows_progress
@takes(PruneOptions)
def prune_store(
    images: str | Path, photo_ids: Iterable[int] | str | Path, options: PruneOptions
) -> PruneReport:
    """Removes photos from an image store for good, and keeps them from being fetched again.

    Takes one shard more than the store has for as long as it works. Interrupted, the same call goes on.

    Args:
        images: the store's folder.
        photo_ids: the photos, or a file of their ids, pages or addresses, as `--photo-ids` takes it.
        options: {options}
        apply: False only counts.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets a UnitDone for each shard that was written anew.

    Raises:
        StoreError: there is no store, another process writes into it, or an index is damaged.
        VerificationError: an image that would be copied is not as its index says; its shard stays.
        SelectionError: the list of photos cannot be read.
        UsageError: the reason is too long, or not printable.
        OutOfSpaceError: the disk is full; nothing is lost.

    >>> import shutil
    >>> import arboretum_tools as at
    >>> _ = shutil.copytree("images", "images-copy")
    >>> photo_id = at.open_store("images-copy").index(0)["photo_id"][0].as_py()
    >>> at.prune_store("images-copy", [photo_id], reason="asked by the photographer").removed
    1
    """
    ids = read_photo_ids(photo_ids) if isinstance(photo_ids, str | Path) else PhotoIds.of(photo_ids)
    listed = to_numpy(ids.array)
    store = ImageStore.open(images)
    if not options.apply:
        return _counted(store, listed)
    with StoreWriter.create(store.storage, store.config) as writer:
        # Again, under the lock: a run that was cut short has just been repaired.
        report = _counted(ImageStore.open(images), listed)
        withdraw(writer, listed, options.reason, options.on_event)
    return replace(report, applied=True)


def withdraw(
    writer: StoreWriter, photo_ids: NDArray[np.int64], reason: str, on_event: OnEvent = ignore
) -> None:
    """Removes photos from the store of a writer, whose finished shards are written anew where they hold one.

    Args:
        writer: of the store; has finished what it had begun.
        photo_ids: photo ids, ascending, each once.
        reason: for the tombstones.
        on_event: gets a UnitDone for each shard that was written anew.

    Raises:
        VerificationError: an image that would be copied is not as its index says; its shard stays.
        OutOfSpaceError: the disk is full; nothing is lost.
    """
    store = ImageStore.open(writer.storage)
    holding = States(store).holding(photo_ids)
    on_event(StageStarted("prune", len(holding), "shard"))
    for shard in holding:
        _rewrite(store, shard, photo_ids, reason)
        on_event(UnitDone(1))
    rest = photo_ids[States(store).of(photo_ids) != _WITHDRAWN]
    for photo_id in rest.tolist():
        writer.add(_tombstone(photo_id, reason))
    on_event(StageFinished("prune"))


def _counted(store: ImageStore, photo_ids: NDArray[np.int64]) -> PruneReport:
    known = States(store)
    states, holding = known.of(photo_ids), known.holding(photo_ids)
    removed, before = int((states == _OK).sum()), int((states == _WITHDRAWN).sum())
    return PruneReport(
        path=store.location,
        asked=len(photo_ids),
        removed=removed,
        removed_bytes=sum(_held_bytes(store, shard, photo_ids) for shard in holding),
        not_held=len(photo_ids) - removed - before,
        withdrawn_before=before,
        never_asked=never_asked(layout.plan_files(store.storage), photo_ids[states == _PENDING]),
        shards=len(holding),
        open_shards=len(layout.open_shards(store.storage)),
        applied=False,
    )


def _held_bytes(store: ImageStore, shard: int, photo_ids: NDArray[np.int64]) -> int:
    """The bytes of the images of a shard that are to be withdrawn."""
    index = store.index(shard)
    held = np.isin(to_numpy(index["photo_id"].combine_chunks()), photo_ids)
    # Only images have a size.
    return int(pc.sum(index["size_bytes"].filter(from_numpy(held))).as_py() or 0)


def _rewrite(store: ImageStore, number: int, photo_ids: NDArray[np.int64], reason: str) -> None:
    """Replaces a shard by one without the images of some photos; the caller holds the store's lock."""
    withdrawn = set(photo_ids.tolist())
    records = sorted(from_arrow(store.index(number)), key=lambda record: record.offset or 0)
    shard = OpenShard(store.storage, number)
    try:
        for record in records:
            if record.status != "ok":
                shard.add(record)
            elif record.photo_id in withdrawn:
                shard.add(_tombstone(record.photo_id, reason))
            else:
                shard.add(replace(record, offset=None), whole_image(store, number, record))
        shard.flush()
    except BaseException:
        shard.close()
        raise
    store.storage.remove(layout.index_name(number))
    # From here on it is an open shard: whatever comes between, recovery finishes it.
    shard.finish(replace=True)


def whole_image(store: ImageStore, shard: int, record: PhotoRecord) -> bytes:
    """The bytes of an image, proved by its hash.

    Raises:
        VerificationError: they are not as the index says.
    """
    assert record.offset is not None, "an image lies somewhere"
    assert record.size_bytes is not None, "an image has a size"
    data = store.read_bytes(shard, record.offset, record.size_bytes, record.photo_id)
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise VerificationError(
            f"{store.storage.where(layout.tar_name(shard))}: photo {record.photo_id} is not as its index "
            "says, so it was not copied",
            hint=f"`arboretum verify --images {store.location}` lists what is damaged, and what to do then.",
        )
    return data


def _tombstone(photo_id: int, reason: str) -> PhotoRecord:
    return PhotoRecord(
        photo_id=photo_id, status=WITHDRAWN, error=reason, attempts=0, fetched_at=datetime.now(UTC)
    )
