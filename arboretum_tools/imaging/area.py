"""Shrinking rows of pixels by the mean of the area that each new one covers.

Pillow's BOX filter takes a pixel as covered or not by its middle, so that from 500 to 341 rows some new ones
are one old row and some the mean of two; this takes the covered share of each, as OpenCV's INTER_AREA does.
Shares are whole 256ths, so that the sums fit into 16 bits; what that rounds away is below one grey level.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

_ONE = 256


def shrink_rows(rows: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Fewer rows that show the same.

    Args:
        rows: two axes, one row of samples after the other.
        count: of rows to make, 1 to the number there is.
    """
    positions, shares = _taps(len(rows), count)
    # Half of one: what is shifted out below is rounded, not cut off.
    sums = np.full((count, rows.shape[1]), _ONE // 2, np.uint16)
    for position, share in zip(positions, shares, strict=True):
        covered = rows[position].astype(np.uint16)
        covered *= share
        sums += covered
    sums >>= 8
    return sums.astype(np.uint8)


# Photos of one size have few shapes.
@functools.lru_cache(maxsize=256)
def _taps(before: int, after: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint16]]:
    """Old rows that make up each new one, and their shares: both (taps, `after`[, 1])."""
    # In whole numbers, one old row being `after` long and one new row `before`.
    starts = np.arange(after, dtype=np.int64) * before
    first = starts // after
    taps = int((-(-(starts + before) // after) - first).max())
    olds = first + np.arange(taps)[:, None]
    covered = np.minimum(starts + before, (olds + 1) * after) - np.maximum(starts, olds * after)
    exact = np.maximum(covered, 0) * _ONE
    shares = exact // before
    # What rounding left goes to the largest remainders, so that white stays white.
    order = np.argsort(-(exact % before), axis=0, kind="stable")
    missing = _ONE - shares.sum(axis=0)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(taps)[:, None], axis=0)
    shares += ranks < missing
    return np.minimum(olds, before - 1).astype(np.intp), shares.astype(np.uint16)[:, :, None]
