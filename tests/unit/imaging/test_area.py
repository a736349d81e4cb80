"""The mean of areas, against the definition computed in floating point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from arboretum_tools.imaging.area import shrink_rows


def exact(rows, count):
    """Each new row as the integral over the old ones, which are constant over their height."""
    step = len(rows) / count
    sums = np.vstack([np.zeros(rows.shape[1]), np.cumsum(rows, axis=0, dtype=np.float64)])
    edges = np.arange(count + 1) * step
    columns = [np.interp(edges, np.arange(len(rows) + 1), sums[:, c]) for c in range(rows.shape[1])]
    return np.diff(np.stack(columns, axis=1), axis=0) / step


@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 5))), st.floats(0.01, 1), st.data()
)
def test_every_row_is_the_mean_of_what_it_covers(rows, share, data):
    count = max(1, round(len(rows) * share))
    small = shrink_rows(rows, count)
    assert small.shape == (count, rows.shape[1])
    assert small.dtype == np.uint8
    # A share is off by less than one 256th, and there are as many as old rows under a new one.
    taps = -(-len(rows) // count) + 1
    assert np.abs(small - exact(rows.astype(np.float64), count)).max() <= 0.5 + taps * 255 / 256 / 2


@pytest.mark.parametrize(("before", "after"), [(375, 256), (500, 341), (2048, 341), (7, 7), (3, 1)])
@pytest.mark.parametrize("grey", [0, 1, 128, 255])
def test_what_is_of_one_colour_stays_so(before, after, grey):
    assert (shrink_rows(np.full((before, 4), grey, np.uint8), after) == grey).all()


def test_whole_factors_are_plain_means():
    rows = np.array([[0], [10], [20], [40], [255], [255]], np.uint8)
    assert shrink_rows(rows, 3).tolist() == [[5], [30], [255]]
