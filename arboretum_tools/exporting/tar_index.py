"""An index over the tars of a store, for loaders that take one: no image is copied.

    train.json       the shards that hold photos of train, and how many photos each has
    train.parquet    which of those photos are of train, with their labels

`train.json` is what `ShardListDataset` of the package `wids` takes. It counts every photo of every shard that
it lists, and a store knows no parts: a loader that took all of them would train on photos of test. So the
table says at which positions the photos of the part stand, for `torch.utils.data.Subset`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import TAR_INDEX
from arboretum_tools.errors import ExportError, StoreError
from arboretum_tools.events import PhotoDone
from arboretum_tools.exporting.base import Source
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.samples import read_index
from arboretum_tools.store.shards import tar
from arboretum_tools.store.shards.layout import tar_name
from arboretum_tools.system.atomic_files import canonical_json, write_json
from arboretum_tools.tabular.tables import write_table
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TarIndex:
    """The index of one part.

    Attributes:
        shards: one entry per shard that holds a photo of the part: `url`, `nsamples`, `filesize`.
        order: the samples of the part in the order in which they stand in these shards.
        positions: where each of them stands among all photos of these shards.
    """

    shards: list[dict[str, Any]]
    order: NDArray[np.int64]
    positions: NDArray[np.int64]


def write_tar_indexes(source: Source, work: Staging) -> Mapping[str, Any]:
    """Writes the index and the table of each part; says how many shards and other photos each has."""
    said: dict[str, Any] = {}
    for part in source.parts:

        def write(part: str = part) -> Mapping[str, int]:
            found, samples = _tar_index(source, part, work.folder), source.parts[part]
            # The keys that wids asks for, and the kind that its own tool writes.
            payload = {
                "__kind__": "wids-shard-index-v1",
                "wids_version": 1,
                "name": f"{source.split.name}-{part}",
                "shardlist": found.shards,
            }
            write_json(work.path(f"{part}.json"), payload)
            photo_ids = samples.photo_ids[found.order]
            labels = samples.labels[found.order]
            table = pa.table({"position": found.positions, "label": labels, "photo_id": photo_ids})
            provenance = {"split_sha256": source.split.sha256}
            write_table(work.path(f"{part}.parquet"), table, TAR_INDEX, provenance)
            for photo_id in photo_ids.tolist():
                source.on_event(PhotoDone(photo_id, "written", 0))
            held = sum(shard["nsamples"] for shard in found.shards)
            return {"shards": len(found.shards), "others": held - len(samples)}

        said[part] = work.step(f"{part}.json", write)
    return {"indexed": said}


def indexed_sha256(source: Source, to: Path) -> str:
    """A hash over what the indexes in the folder `to` would say: another one where the store changed."""
    digest = hashlib.sha256()
    for part in source.parts:
        found = _tar_index(source, part, to)
        digest.update(canonical_json([part, found.shards]).encode())
        digest.update(found.positions.tobytes())
    return digest.hexdigest()


def _tar_index(source: Source, part: str, folder: Path) -> TarIndex:
    samples = source.parts[part]
    order = samples.locations.in_file_order()
    shard_of, offsets = samples.locations.shard[order], samples.locations.offset[order]
    positions = np.empty(len(order), np.int64)
    shards: list[dict[str, Any]] = []
    before = start = 0
    while start < len(order):
        shard = shard_of.item(start)
        end = int(np.searchsorted(shard_of, shard, side="right"))
        (path,) = source.store.index_files([shard])
        index = read_index(path, ("offset", "size_bytes"))
        index = index.filter(pc.is_valid(index["offset"])).sort_by("offset")
        held, name = index["offset"].to_numpy(), tar_name(shard)
        ranks = np.searchsorted(held, offsets[start:end])
        if ranks[-1] >= len(held) or not np.array_equal(held[ranks], offsets[start:end]):
            raise StoreError(
                f"{path} changed while it was read; nothing was written", hint="Run the same command again."
            )
        size_bytes = _size_of(source, name, index["size_bytes"].to_numpy())
        shards.append({"url": _url(source, name, folder), "nsamples": len(held), "filesize": size_bytes})
        positions[start:end] = before + ranks
        before += len(held)
        start = end
    return TarIndex(shards, order, positions)


def _size_of(source: Source, name: str, sizes: NDArray[np.int64]) -> int:
    """The length of a tar, in which nothing lies but the images of these sizes.

    A loader counts what is in the tar, so one entry that the index does not know would shift all labels.
    """
    where = source.store.storage.where(name)
    try:
        found = source.store.storage.size(name)
    except OSError as error:
        raise StoreError(
            f"{where} cannot be read: {error.strerror or error}; nothing was written",
            hint="Bring it back, or remove its .parquet: its photos are then downloaded again.",
        ) from error
    expected = sum(map(tar.entry_bytes, sizes.tolist())) + len(tar.END)
    if found != expected:
        raise StoreError(
            f"{where} has {counted(found, 'byte')}, and {expected:,} by its index: a loader would count "
            "other photos than the index; nothing was written",
            hint="`arboretum verify` says what is wrong. An export without --index-only copies the photos.",
        )
    return found


def _url(source: Source, name: str, folder: Path) -> str:
    """Where wids looks for a tar: an address, or a path from the folder of the index."""
    storage = source.store.storage
    if storage.remote:
        return f"{storage.absolute().rstrip('/')}/{name}"
    path, folder = Path(storage.absolute(), name), folder.absolute()
    for one in (path, folder):
        if urlparse(str(one)).path != str(one):
            raise ExportError(
                f"the reader of the index would cut the path {one} at # or ?; nothing was written",
                hint="Give the folder another name.",
            )
    return Path(os.path.relpath(path, folder)).as_posix()
