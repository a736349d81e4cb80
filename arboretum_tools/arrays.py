"""Columns of Arrow as numpy has them, and back; where Arrow takes its memory from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray


@contextmanager
def memory_of_the_system() -> Iterator[None]:
    """Within, Arrow takes its memory from the system's allocator, in all threads.

    Its own keeps some 20 MB of what writing a plan or an index took, for which a process that runs for days
    and mostly waits has no use. Functions of `pyarrow.compute` must be told so one by one.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def to_numpy(column: pa.Array, *, null: int = 0) -> NDArray[Any]:
    """A column of whole numbers as numpy has it; copied only where it has nulls.

    `Array.to_numpy` imports pandas wherever that is installed, which takes 0.3 s and 46 MB.

    Args:
        column: of a type of whole numbers.
        null: what stands for a null.
    """
    known, data = column.buffers()
    dtype, start, end = np.dtype(str(column.type)), column.offset, column.offset + len(column)
    if data is None:
        return np.full(len(column), null, dtype)
    values = np.frombuffer(data, dtype)[start:end]
    if known is None or not column.null_count:
        return values
    return np.where(np.unpackbits(np.frombuffer(known, np.uint8), bitorder="little")[start:end], values, null)


def from_numpy(values: NDArray[Any]) -> pa.Array:
    """Whole numbers or truth values as Arrow has them, without a null; `pa.array` imports pandas as well."""
    if values.dtype == np.bool_:
        data = np.packbits(values, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(data)])
    data = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(data)])
