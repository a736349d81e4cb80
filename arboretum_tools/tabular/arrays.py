"""Columns of Arrow as numpy has them, and back; where Arrow takes its memory from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def to_numpy(column: pa.Array | pa.ChunkedArray, *, null: int = 0) -> NDArray[Any]:
    """A column of whole numbers as numpy has it; copied only where it has nulls or several chunks.

    `Array.to_numpy` imports pandas wherever that is installed, which takes 0.3 s and 46 MB.

    Args:
        column: of a type of whole numbers.
        null: what stands for a null.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
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


def texts(values: Sequence[str]) -> pa.Array:
    """Texts as Arrow has them; `pa.array` imports pandas as well. At most 2 GiB of UTF-8."""
    encoded = [value.encode() for value in values]
    ends = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(one) for one in encoded], out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{ends[-1]:,} bytes of text do not fit into one array")
    data = [pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), [None, *data])


def rows_to_table(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table of texts, whole numbers and truth values, None for null; without pandas."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.Table.from_arrays(
        [_column(values, field) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def _column(values: Sequence[Any], field: pa.Field) -> pa.Array:
    if pa.types.is_string(field.type):
        column = texts([value or "" for value in values])
    else:
        kind = np.bool_ if pa.types.is_boolean(field.type) else field.type.to_pandas_dtype()
        column = from_numpy(np.array([value or 0 for value in values], kind))
    known = np.array([value is not None for value in values], np.bool_)
    if known.all():
        return column
    valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(column.type, len(column), [valid, *column.buffers()[1:]])


def text(value: str) -> pa.Scalar:
    """A text for the functions of `pyarrow.compute`; given as Python has it, it imports pandas as well."""
    return texts([value])[0]
