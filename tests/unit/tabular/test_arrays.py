"""Columns go to numpy and back as they are, whatever slice of which buffer they are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arboretum_tools.tabular.arrays import from_numpy, memory_of_the_system, text, texts, to_numpy

NUMBERS = st.integers(-(2**31), 2**31 - 1)


@given(
    values=st.lists(st.none() | NUMBERS, max_size=40),
    start=st.integers(0, 40),
    kind=st.sampled_from(["int32", "int64"]),
)
def test_whole_numbers_are_those_of_arrow(values, start, kind):
    column = pa.array(values, kind)
    whole = [-7 if value is None else value for value in values]
    for what, expected in (
        (column.slice(start), whole[start:]),
        (pa.chunked_array([column.slice(start)]), whole[start:]),
        (pa.chunked_array([column.slice(start), column]), whole[start:] + whole),
        (pa.chunked_array([], kind), []),
    ):
        found = to_numpy(what, null=-7)
        assert found.dtype == kind
        assert found.tolist() == expected


@given(values=st.lists(NUMBERS, max_size=40), step=st.sampled_from([1, 2, -1]))
def test_numbers_come_back(values, step):
    array = np.array(values, np.int64)[::step]
    assert from_numpy(array).to_pylist() == array.tolist()
    assert to_numpy(from_numpy(array)).tolist() == array.tolist()


@given(st.lists(st.booleans(), max_size=40))
def test_truth_values_are_those_of_numpy(values):
    found = from_numpy(np.array(values, np.bool_))
    assert (found.type, found.to_pylist()) == (pa.bool_(), values)


@given(st.lists(st.text(), max_size=20))
def test_texts_are_those_of_arrow(values):
    found = texts(values)
    found.validate(full=True)
    assert found.equals(pa.array(values, pa.string()))
    assert [text(value) for value in values] == [pa.scalar(value, pa.string()) for value in values]


def test_the_pool_is_the_one_before_again():
    before = pa.default_memory_pool().backend_name
    with pytest.raises(ZeroDivisionError), memory_of_the_system():
        assert pa.default_memory_pool().backend_name == "system"
        raise ZeroDivisionError
    assert pa.default_memory_pool().backend_name == before
