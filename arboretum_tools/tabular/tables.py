"""Arrow tables in the shape that `arboretum_metadata.schema` defines: schemas, reading, writing.

Every Parquet file that the toolkit writes carries, in its schema metadata under the key `arboretum`, a
JSON object with the toolkit's version and what the caller adds (recipe, hash of the input).

pyarrow, which takes a quarter of a second and 30 MB, is loaded by what makes or reads a table: many questions
need none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arboretum_metadata.schema import Table
from arboretum_tools.errors import ArboretumError
from arboretum_tools.system.atomic_files import canonical_json, whole_file
from arboretum_tools.system.regular_files import regular
from arboretum_tools.version import __version__
from arboretum_tools.wording import one_line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

#: Key of our JSON object in a Parquet file's schema metadata.
METADATA_KEY = b"arboretum"

#: How columns of photos are written that a dictionary makes larger. Ids that rise; and what the photos of one
#: observation, which mostly stand side by side, repeat as a whole: zstd finds that, where a dictionary or
#: split bytes hide it. Everything else has few values.
PHOTO_ENCODINGS = {
    "photo_id": "DELTA_BINARY_PACKED",
    "observation_id": "PLAIN",
    "observer_id": "PLAIN",
    "latitude": "PLAIN",
    "longitude": "PLAIN",
    "observed_on": "PLAIN",
    "observation_uuid": "DELTA_LENGTH_BYTE_ARRAY",
}


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a table of the data dictionary, columns in its order."""
    import pyarrow as pa

    types = {
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
        "date32": pa.date32(),
        "string": pa.string(),
        "timestamp[us, UTC]": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([pa.field(c.name, types[c.type], nullable=c.nullable) for c in table.columns])


def write_table(
    path: Path,
    batches: pa.Table | Iterable[pa.RecordBatch],
    table: Table,
    provenance: Mapping[str, Any],
    *,
    dictionary: bool = True,
    encodings: Mapping[str, str] | None = None,
) -> int:
    """Writes rows as Parquet, whole or not at all, and returns how many.

    Args:
        path: the file; replaced if it is there.
        batches: rows with at least the columns of `table`; the caller has them in the right order.
        table: gives names, types and order of the columns.
        provenance: what the file says about how it was made, JSON-able, no times or paths.
        dictionary: whether values that repeat are written once a row group. Where few do, or batches are
            small, that makes a file larger and takes half a megabyte of memory a column.
        encodings: columns that are written in another way, and Parquet's name of it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = canonical_json({"toolkit_version": __version__, "table": table.name, **provenance})
    schema = arrow_schema(table).with_metadata({METADATA_KEY: text.encode()})
    coded = {name: coding for name, coding in (encodings or {}).items() if name in schema.names}
    rows = 0
    with (
        whole_file(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=[name for name in schema.names if dictionary and name not in coded],
            column_encoding=coded,
        ) as writer,
    ):
        for batch in batches.to_batches() if isinstance(batches, pa.Table) else batches:
            columns = [batch.column(field.name).cast(field.type) for field in schema]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            rows += batch.num_rows
    return rows


def read_table(path: Path, table: Table, refuse: Callable[[str], ArboretumError]) -> pa.Table:
    """Reads a Parquet file that should have the columns of `table`; extra columns are dropped.

    Columns that are counted from others may be missing; they are null then.

    Args:
        path: the file.
        table: gives names, types and order of the columns.
        refuse: makes the error to raise from a sentence that says what is wrong.
    """
    import pyarrow as pa

    try:
        found = read_columns(path)
    except FileNotFoundError:
        raise refuse(f"{path} is not there") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise refuse(f"{path} cannot be read as Parquet: {one_line(error)}") from error
    missing = [name for name in table.hashed if name not in found.column_names]
    if missing:
        raise refuse(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
    expected = arrow_schema(table)
    try:
        columns = [
            found.column(field.name).cast(field.type)
            if field.name in found.column_names
            else pa.chunked_array([pa.nulls(found.num_rows, field.type)])
            for field in expected
        ]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise refuse(f"{path} has a column of another type: {one_line(error)}") from error
    holed = [
        f.name for f, column in zip(expected, columns, strict=True) if column.null_count and not f.nullable
    ]
    if holed:
        raise refuse(f"{path} has nulls in {', '.join(holed)}")
    return pa.Table.from_arrays(columns, schema=expected)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A table as a data frame in which whole numbers stay whole.

    Columns of whole numbers that may be unknown have pandas's types with a missing value (`Int64`, `Int32`),
    whether a value is missing or not: as 64-bit floats, which pandas makes of them otherwise, ids that come
    from UUIDs would lose their last digits.
    """
    import pandas as pd
    import pyarrow as pa

    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    known = {f.name: str(f.type) for f in table.schema if f.type in nullable and not f.nullable}
    return frame.astype(known)


def repeated(names: Sequence[str]) -> list[str]:
    """Names that stand more than once, sorted: which of such columns is meant, nobody knows."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def parquet_file(path: Path, **how: Any) -> pq.ParquetFile:
    """A Parquet file, opened.

    Args:
        path: of a regular file.
        how: as `pyarrow.parquet.ParquetFile` takes it.

    Raises:
        OSError, pa.ArrowException: it cannot be read, or two columns have one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(regular(path), **how)
    if twice := repeated(file.schema_arrow.names):
        file.close()
        raise pa.ArrowInvalid(f"it has more than one column {', '.join(twice)}")
    return file


def read_columns(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns of a Parquet file, or all; `pq.read_table` loads pyarrow.dataset, and that pandas.

    Raises:
        OSError, pa.ArrowException: as `parquet_file`. A column that is not there is passed over.
    """
    with parquet_file(path) as file:
        return file.read(None if columns is None else list(columns))


def provenance_of(path: Path) -> dict[str, Any]:
    """What a Parquet file written by `write_table` says about how it was made."""
    import pyarrow.parquet as pq

    payload = (pq.read_schema(regular(path)).metadata or {}).get(METADATA_KEY)
    return dict(json.loads(payload)) if payload else {}
