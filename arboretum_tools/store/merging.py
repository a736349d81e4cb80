"""One store out of several: what downloads on several machines, or into several folders, came to.

Nothing is held of the sources but the index of the shard that is being copied, so memory grows neither with
photos nor with stores. What became of a photo in the merged store: withdrawn, if it was withdrawn in any of
them; else its image, of the store named first that has one; else its state in the store named last that tried
it. Every image is proved by its hash on its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arboretum_metadata.vocab import WITHDRAWN
from arboretum_tools.display import notebook_views
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import StoreError, UsageError, VerificationError
from arboretum_tools.events import StageFinished, StageStarted, UnitDone
from arboretum_tools.options import takes
from arboretum_tools.options.store import MergeOptions
from arboretum_tools.store.copying import check_source, copy_plans
from arboretum_tools.store.pruning import whole_image, withdraw
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.record import PhotoRecord, from_arrow
from arboretum_tools.store.states import CODES, States
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.tabular.arrays import to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PENDING, _OK, _WITHDRAWN = (CODES.index(name) for name in (layout.PENDING, "ok", WITHDRAWN))


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge came to.

    Attributes:
        path: the merged store, as it was named.
        images: images that were copied.
        size_bytes: their bytes.
        others: photos without an image whose state was copied: failures, tombstones.
        passed_over: rows of the sources that were left out, as the merged store knew better.
        plans: plans that were copied.
    """

    path: str
    images: int
    size_bytes: int
    others: int
    passed_over: int
    plans: int

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self)


@shows_progress
@takes(MergeOptions)
def merge_stores(sources: Iterable[str | Path], to: str | Path, options: MergeOptions) -> MergeReport:
    """Copies what several image stores hold into one; of a single store, into shards of another size.

    Interrupted, the same call goes on. The sources are only read.

    Args:
        sources: image stores of one size, the first one first where several have an image of a photo.
        to: where the merged store lies, which is made if it does not exist, and else added to.
        options: {options}
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets a UnitDone for each shard of a source that was copied.

    Raises:
        UsageError: no source, or one that is the merged store itself.
        StoreError: a source is not a store, holds another size, has an open shard, or is damaged.
        VerificationError: an image is not as its index says; what was copied before stays.
        TargetExistsError: `to` holds something else.
        OutOfSpaceError: the disk is full; what was copied is kept.

    >>> import arboretum_tools as at
    >>> at.merge_stores(["images"], "repacked", shard_photos=500).images
    1436
    >>> at.open_store("repacked").shards()
    [0, 1, 2]
    """
    stores = [ImageStore.open(source) for source in sources]
    if not stores:
        raise UsageError("there is no store to merge")
    for store in stores:
        layout.check_config(store.storage, stores[0].config)
        check_source(store, to, "merged")
    with StoreWriter.create(
        to, stores[0].config, shard_photos=options.shard_photos, shard_bytes=options.shard_bytes
    ) as writer:
        target = writer.storage
        merge, on_event = _Merge(stores, ImageStore.open(target)), options.on_event
        on_event(StageStarted("merge", sum(len(store.shards()) for store in stores), "shard"))
        for position, store in enumerate(stores):
            for shard in store.shards():
                for record, data in merge.rows(position, shard):
                    writer.add(record, data)
                on_event(UnitDone(1))
        if len(merge.withdrawn):
            writer.roll()
            withdraw(
                writer, np.unique(np.concatenate(merge.withdrawn)), "withdrawn in a store merged into it"
            )
        copied = sum(copy_plans(store.storage, target) for store in stores)
        on_event(StageFinished("merge"))
    return replace(merge.report, path=target.location, plans=copied)


class _Merge:
    """Decides, row by row, what goes into the merged store."""

    def __init__(self, stores: Sequence[ImageStore], target: ImageStore) -> None:
        self._stores = stores
        self._target = States(target)
        self._states = [States(store) for store in stores]
        # Of every index, so that a store that changes meanwhile is told from one that is damaged.
        self._versions = [{shard: _version(store, shard) for shard in store.shards()} for store in stores]
        self.report = MergeReport("", 0, 0, 0, 0, 0)
        # Photos that the target holds and a source has withdrawn: few.
        self.withdrawn: list[NDArray[np.int64]] = []

    def rows(self, position: int, shard: int) -> Iterator[tuple[PhotoRecord, bytes | None]]:
        """What is copied of one shard, in the order in which its images lie."""
        store = self._stores[position]
        index = store.index(shard)
        ids = to_numpy(index["photo_id"].combine_chunks())
        chosen = self._chosen(position, shard, ids)
        images = size_bytes = others = 0
        records = from_arrow(index.take(np.flatnonzero(chosen)))
        for record in sorted(records, key=lambda record: record.offset or 0):
            if record.status == "ok":
                data = self._whole_image(position, shard, record)
                images, size_bytes = images + 1, size_bytes + len(data)
                yield replace(record, offset=None), data
            else:
                others += 1
                yield record, None
        report = self.report
        self.report = replace(
            report,
            images=report.images + images,
            size_bytes=report.size_bytes + size_bytes,
            others=report.others + others,
            passed_over=report.passed_over + len(ids) - images - others,
        )

    def _whole_image(self, position: int, shard: int, record: PhotoRecord) -> bytes:
        store = self._stores[position]
        try:
            return whole_image(store, shard, record)
        except (VerificationError, StoreError):
            if _version(store, shard) == self._versions[position].get(shard):
                raise
        raise StoreError(
            f"{store.location} was changed while it was merged; what was copied is kept",
            hint="Merge again when nothing writes into it: that goes on from there.",
        )

    def _chosen(self, position: int, shard: int, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows of a shard say what the merged store is to say of a photo."""
        there = self._target.of(ids)
        codes = np.stack([states.of(ids) for states in self._states])
        # The store whose word counts: the first with an image or a tombstone, else the last that tried.
        owner = np.full(len(ids), -1)
        for number, of_store in enumerate(codes):
            owner[of_store != _PENDING] = number
        for code in (_OK, _WITHDRAWN):
            has = codes == code
            owner = np.where(has.any(axis=0), has.argmax(axis=0), owner)
        now = codes[owner, np.arange(len(ids))]
        known = (there == now) | (there == _WITHDRAWN) | (there == _OK)
        if (late := (there == _OK) & (now == _WITHDRAWN)).any():
            self.withdrawn.append(ids[late])
        chosen: NDArray[np.bool_] = (owner == position) & ~known
        chosen &= self._states[position].shards_of(ids, now) == shard
        return chosen


def _version(store: ImageStore, shard: int) -> str | None:
    """Which file the index of a shard is; None where it is not there."""
    try:
        return store.storage.version(layout.index_name(shard))
    except OSError:
        return None
