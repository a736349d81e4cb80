"""Few-shot episodes as positions of photos in a subset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from arboretum_metadata.schema import EPISODES
from arboretum_tools.errors import SplitError
from arboretum_tools.tabular.arrays import to_numpy
from arboretum_tools.tabular.tables import read_table
from arboretum_tools.wording import counted, does


def read_episodes(
    file: Path, photo_ids: NDArray[np.int64], labels: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Positions of the support and of the query photos, episode by episode.

    Args:
        file: as `make_episodes` writes it.
        photo_ids: of the subset.
        labels: of the subset.

    Raises:
        SplitError: it holds no episodes, or photos that the subset has not, or not under that label.
    """

    def refuse(what: str) -> SplitError:
        return SplitError(what, hint="`arboretum episodes` writes such files, for one part of one split.")

    table = read_table(file, EPISODES, refuse)
    wanted, stated = to_numpy(table["photo_id"]), to_numpy(table["label"])
    order = np.argsort(photo_ids, kind="stable")
    places = np.searchsorted(photo_ids, wanted, sorter=order)
    places = order[np.minimum(places, len(order) - 1)] if len(order) else np.zeros_like(places)
    lost = np.ones(len(wanted), dtype=bool)
    if len(order):
        lost = (photo_ids[places] != wanted) | (labels[places] != stated)
    if lost.any():
        n = int(np.count_nonzero(lost))
        raise refuse(
            f"{counted(n, 'photo')} of {file} {does(n, 'are')} not in this part, or of another class here; "
            f"the first is {wanted[lost][0]}"
        )
    support = pc.equal(table["role"], "support").to_numpy()
    numbers = to_numpy(table["episode"])
    starts = np.flatnonzero(np.r_[True, np.diff(numbers) != 0]) if len(numbers) else np.zeros(0, np.int64)
    for own, is_support in zip(np.split(places, starts[1:]), np.split(support, starts[1:]), strict=True):
        if len(own):
            yield own[is_support], own[~is_support]
