"""The one join of split and store: which photos of a part the store holds, and where their bytes lie.

Every export and every `Subset` starts here, so all of them agree on what is in a part, in which order, and
on what is missing and why. A photo takes 28 bytes: its id, its label and its place; whatever else is known of
it stays on disk until somebody asks.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.vocab import STATUSES, WITHDRAWN
from arboretum_tools import stable_key
from arboretum_tools.errors import MissingPhotosError, SplitError, StoreError
from arboretum_tools.split.files.content_hashes import ids_of
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store.locations import Locations
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import OF_SPLIT, PENDING, shard_number, whose_in_words
from arboretum_tools.tabular.tables import parquet_file
from arboretum_tools.wording import counted, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLACE = ("offset", "size_bytes")

# States of a photo that is not there, as numbers; what no index speaks of is pending.
_STATES = (PENDING, *STATUSES)


@dataclass(frozen=True, slots=True)
class Samples:
    """The photos of one part that an image store holds, in the order of the part.

    Attributes:
        part: name of the part.
        photo_ids: one per photo.
        labels: one per photo.
        locations: where the images lie.
        positions: rows of the part that these are; None = all of them.
        missing: one row for each photo of the part that the store does not hold, sorted by photo_id:
            `photo_id`, `status` (its state in the store; `pending` = never tried).
    """

    part: str
    photo_ids: NDArray[np.int64]
    labels: NDArray[np.int32]
    locations: Locations
    positions: NDArray[np.int64] | None
    missing: pa.Table

    def __len__(self) -> int:
        """Number of photos that are there."""
        return len(self.photo_ids)

    @property
    def missing_by_status(self) -> dict[str, int]:
        """Number of missing photos by their state in the store, states in alphabetical order."""
        counts = self.missing["status"].value_counts().to_pylist()
        return {row["values"]: row["counts"] for row in sorted(counts, key=lambda row: str(row["values"]))}

    def shuffled(self, seed: int) -> NDArray[np.int64]:
        """Positions of these photos in an order that looks random: by (key_shuffle, photo_id) under `seed`.

        It depends on nothing but the photo ids, so it is the same however the store was filled.
        """
        return np.lexsort((self.photo_ids, stable_key.keys(self.photo_ids, "shuffle", seed)))

    def by_label(self) -> NDArray[np.int64]:
        """Positions of these photos by (label, photo_id), in which they stand unless labels were changed."""
        return np.lexsort((self.photo_ids, self.labels))

    def only(self, keep: NDArray[np.bool_], labels: NDArray[np.int32]) -> Samples:
        """Some of these photos, with labels of their own.

        Args:
            keep: one per photo.
            labels: the new label of each photo that is kept.
        """
        positions = np.flatnonzero(keep) if self.positions is None else self.positions[keep]
        return Samples(self.part, self.photo_ids[keep], labels, self.locations[keep], positions, self.missing)


def join(split: Split, part: str, store: ImageStore) -> Samples:
    """Finds the photos of a part in an image store.

    Memory grows with the part by its fixed-width columns alone: the files of the split and the indexes of the
    store are read piece by piece.

    Raises:
        SplitError: the split has no such part, or has a photo twice in it.
        StoreError: an index of the store cannot be read, or it has other photos under these ids.
    """
    check_ids(split, store)
    ids, labels = _ids_and_labels(split, part)
    by_id = np.argsort(ids, kind="stable")
    ordered = ids[by_id]
    if np.any(ordered[1:] == ordered[:-1]):
        raise SplitError(
            f"part {part} of the split {split.path or split.name} has a photo twice",
            hint="Make it again with `arboretum make-split`; nothing was written.",
        )
    del ordered
    locations = Locations(
        np.full(len(ids), -1, np.int32), np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int32)
    )
    states = np.zeros(len(ids), np.uint8)
    for path in store.index_files():
        _take_in(path, ids, by_id, locations, states)
    here = locations.shard >= 0
    if here.all():
        return Samples(part, ids, labels, locations, None, _missing(ids[:0], states[:0]))
    missing = _missing(ids[~here], states[~here])
    return Samples(part, ids[here], labels[here], locations[here], np.flatnonzero(here), missing)


def check_ids(split: Split, store: ImageStore) -> None:
    """Refuses a store that has other photos under the ids of a split.

    An imported split has numbers of its own, for which `import-images` makes a store.

    Raises:
        StoreError: says what each of them holds.
    """
    own = None if split.files is None else ids_of(split.files)
    held = store.config.photo_ids
    if own == held or (own is None and not held.startswith(OF_SPLIT)):
        return
    name = split.path or split.name
    images = "photos of a catalogue" if own is None else whose_in_words(own)
    raise StoreError(
        f"the image store {store.location} holds {whose_in_words(held)}, and the split {name} has {images}; "
        "under one id they are different photos, and nothing was written",
        hint=f"Make its store: arboretum import-images FOLDER --split {shlex.quote(str(name))} --images "
        "STORE."
        if own
        else "Name the store that the photos of the split were downloaded into with --images.",
    )


def require(samples: Iterable[Samples], split: Split, store: str) -> None:
    """Refuses to go on where photos are missing, other than those that were taken out of the store for good.

    Args:
        samples: what was found.
        split: that it is of; one without a folder is that of a selection.
        store: where it was looked for.

    Raises:
        MissingPhotosError: says how many of each part, and in which states they are.
    """
    samples = list(samples)
    if not any(found.missing_by_status.keys() - {WITHDRAWN} for found in samples):
        return
    parts = "; ".join(
        f"{found.missing.num_rows:,} of the {counted(found.missing.num_rows + len(found), 'photo')} of "
        f"{found.part} "
        f"({', '.join(f'{count:,} {status}' for status, count in found.missing_by_status.items())})"
        for found in samples
        if found.missing.num_rows
    )
    by_status: Counter[str] = Counter()
    for found in samples:
        by_status.update(found.missing_by_status)
    hint = "Go on without them by --allow-missing, or make the split of what is there: make-split --images."
    if by_status["pending"] or by_status["failed"]:
        what = f"--split {shlex.quote(str(split.path))}" if split.path else "with the same selection"
        if split.files is not None:
            what = f"FOLDER {what}"
        verb = "download" if split.files is None else "import-images"
        hint = f"Fetch them: arboretum {verb} {what} --images {shlex.quote(store)}. {hint}"
    raise MissingPhotosError(
        f"the image store {store} does not hold {parts}; nothing was written",
        by_status=dict(sorted(by_status.items())),
        hint=hint,
    )


def missing_of(samples: Iterable[Samples]) -> pa.Table:
    """All missing photos of some parts: `part`, `photo_id`, `status`, part after part, by photo_id."""
    schema = pa.schema([("part", pa.string()), ("photo_id", pa.int64()), ("status", pa.string())])
    tables = [
        found.missing.add_column(0, "part", pa.array([found.part] * found.missing.num_rows, pa.string()))
        for found in samples
    ]
    return pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in tables)])


def _ids_and_labels(split: Split, part: str) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    rows = split.num_photos(part)
    ids, labels = np.empty(rows, np.int64), np.empty(rows, np.int32)
    start = 0
    for batch in split.batches(part, ("photo_id", "label")):
        end = start + batch.num_rows
        if end <= rows:
            ids[start:end], labels[start:end] = batch["photo_id"].to_numpy(), batch["label"].to_numpy()
        start = end
    if start != rows:
        raise SplitError(
            f"part {part} of {split.path or split.name} changed while it was read", hint="Run it again."
        )
    return ids, labels


def _take_in(
    path: Path,
    ids: NDArray[np.int64],
    by_id: NDArray[np.int64],
    locations: Locations,
    states: NDArray[np.uint8],
) -> None:
    """Notes what one index file says of `ids`; files come by ascending shard.

    The first shard that has an image of a photo has its place. Of several rows of a photo that is not there,
    the one in the highest shard has its state.
    """
    index = read_index(path, ("photo_id", "status", *_PLACE))
    asked = index["photo_id"].to_numpy()
    if not len(ids) or not len(asked):
        return
    position = np.minimum(np.searchsorted(ids, asked, sorter=by_id), len(ids) - 1)
    rows = by_id[position]
    ours = ids[rows] == asked
    states_here = pc.index_in(index["status"], pa.array(_STATES)).to_numpy()
    is_ok = ours & (states_here == _STATES.index("ok"))
    if any(index[name].filter(pa.array(is_ok)).null_count for name in _PLACE):
        raise lacks_places(path)
    states[rows[ours]] = states_here[ours]
    new = is_ok & (locations.shard[rows] < 0)
    locations.shard[rows[new]] = shard_number(path)
    locations.offset[rows[new]] = index["offset"].filter(pa.array(new)).to_numpy()
    locations.size_bytes[rows[new]] = index["size_bytes"].filter(pa.array(new)).to_numpy()


def read_index(path: Path, columns: Iterable[str]) -> pa.Table:
    """Some columns of the index of a shard.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        # With no threads of its own: their memory would add up over thousands of small files.
        with parquet_file(path) as file:
            return file.read(list(columns), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"the shard index {path} cannot be read: {one_line(error)}",
            hint="Move that shard's .tar and .parquet away and download again: only its photos are fetched.",
        ) from error


def lacks_places(path: Path) -> StoreError:
    """The error for an index whose photos are `ok` and lack what only such photos have."""
    return StoreError(
        f"the shard index {path} has photos that are ok but have no place, size or hash",
        hint="This toolkit never writes that. Bring the store back from a backup, or download again.",
    )


def _missing(ids: NDArray[np.int64], states: NDArray[np.uint8]) -> pa.Table:
    order = np.argsort(ids)
    statuses = pa.array(_STATES).take(pa.array(states[order]))
    return pa.table({"photo_id": pa.array(ids[order]), "status": statuses})
