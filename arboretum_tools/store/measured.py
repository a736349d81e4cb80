"""What came into a store so far, and how fast: what an estimate goes by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from arboretum_tools.store.reader import ImageStore, damaged
from arboretum_tools.tabular.arrays import to_numpy
from arboretum_tools.tabular.tables import parquet_file
from arboretum_tools.wording import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Shards of which the mean of the images is taken.
_SAMPLE = 64

# Shards that may have been filled at the same time, by as many processes.
_BESIDE = 16


def images(store: ImageStore) -> tuple[int, int, int]:
    """How many images some shards hold, and their bytes together, as they came and as they are.

    Args:
        store: the store, of which at most 64 shards are asked, from the first to the last.

    Raises:
        StoreError: an index is damaged.
    """
    shards = store.shards()
    photos = source_bytes = size_bytes = 0
    for shard in shards[:: -(-len(shards) // _SAMPLE) or 1]:
        kept, came = _columns(store, shard, ("size_bytes", "source_bytes"))
        # Only an image has a size.
        photos += int((kept >= 0).sum())
        size_bytes += int(kept[kept >= 0].sum())
        source_bytes += int(came[(kept >= 0) & (came >= 0)].sum())
    return photos, source_bytes, size_bytes


def bytes_per_second(store: ImageStore) -> float | None:
    """How fast images came while the last shard was filled; None where it does not tell.

    Raises:
        StoreError: its index, or one of those that were filled beside it, is damaged.
    """
    shards = store.shards()[-_BESIDE:]
    filled = [_columns(store, shard, ("fetched_at", "source_bytes")) for shard in shards]
    if not filled or not len(filled[-1][0]):
        return None
    last, _ = filled[-1]
    began, ended = int(last.min()), int(last.max())
    if ended - began < 1_000_000:
        return None  # it is not the line that was measured
    during = (size[(at >= began) & (at <= ended) & (size >= 0)] for at, size in filled)
    return float(sum(int(size.sum()) for size in during) / (ended - began) * 1e6)


def _columns(store: ImageStore, shard: int, names: Sequence[str]) -> list[NDArray[np.int64]]:
    """Columns of an index, -1 where they are null; times in microseconds."""
    (path,) = store.index_files([shard])
    try:
        with parquet_file(path) as file:
            table = file.read(list(names), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise damaged(f"{path} cannot be read: {one_line(error)}") from error
    return [
        np.concatenate([to_numpy(chunk.view("int64"), null=-1) for chunk in table.column(name).chunks])
        for name in names
    ]
