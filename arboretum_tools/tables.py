"""Arrow tables in the shape that `arboretum_metadata.schema` defines: schemas, reading, writing.

Every Parquet file that the toolkit writes carries, in its schema metadata under the key `arboretum`, a
JSON object with the toolkit's version and what the caller adds (recipe, hash of the input).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import Table
from arboretum_tools.errors import ArboretumError
from arboretum_tools.publish import canonical_json, whole_file
from arboretum_tools.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Key of our JSON object in a Parquet file's schema metadata.
METADATA_KEY = b"arboretum"

_TYPES: dict[str, pa.DataType] = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date32": pa.date32(),
    "string": pa.string(),
    "timestamp[us, UTC]": pa.timestamp("us", tz="UTC"),
}


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a table of the data dictionary, columns in its order."""
    return pa.schema([pa.field(c.name, _TYPES[c.type], nullable=c.nullable) for c in table.columns])


def write_table(
    path: Path,
    batches: pa.Table | Iterable[pa.RecordBatch],
    table: Table,
    provenance: Mapping[str, Any],
    *,
    dictionary: bool = True,
) -> int:
    """Writes rows as Parquet, whole or not at all, and returns how many.

    Args:
        path: the file; replaced if it is there.
        batches: rows with at least the columns of `table`; the caller has them in the right order.
        table: gives names, types and order of the columns.
        provenance: what the file says about how it was made, JSON-able, no times or paths.
        dictionary: whether values that repeat are written once a row group. Where few do, or batches are
            small, that makes a file larger and takes half a megabyte of memory a column.
    """
    said = canonical_json({"toolkit_version": __version__, "table": table.name, **provenance})
    schema = arrow_schema(table).with_metadata({METADATA_KEY: said.encode()})
    rows = 0
    with (
        whole_file(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=dictionary,
        ) as writer,
    ):
        for batch in batches.to_batches() if isinstance(batches, pa.Table) else batches:
            columns = [batch.column(field.name).cast(field.type) for field in schema]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            rows += batch.num_rows
    return rows


def read_table(path: Path, table: Table, refuse: Callable[[str], ArboretumError]) -> pa.Table:
    """Reads a Parquet file that should have the columns of `table`; extra columns are dropped.

    Args:
        path: the file.
        table: gives names, types and order of the columns.
        refuse: makes the error to raise from a sentence that says what is wrong.
    """
    try:
        found = pq.read_table(path)
    except FileNotFoundError:
        raise refuse(f"{path} is not there") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise refuse(f"{path} cannot be read as Parquet: {one_line(error)}") from error
    missing = [name for name in table.names if name not in found.column_names]
    if missing:
        raise refuse(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
    wanted = arrow_schema(table)
    try:
        columns = [found.column(field.name).cast(field.type) for field in wanted]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise refuse(f"{path} has a column of another type: {one_line(error)}") from error
    return pa.Table.from_arrays(columns, schema=wanted)


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


def provenance_of(path: Path) -> dict[str, Any]:
    """What a Parquet file written by `write_table` says about how it was made."""
    said = (pq.read_schema(path).metadata or {}).get(METADATA_KEY)
    return dict(json.loads(said)) if said else {}


def one_line(error: BaseException) -> str:
    """The first line of an error's text, for use inside a sentence."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")
