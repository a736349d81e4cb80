"""What a selection writes: rows into a file whose suffix says the form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arboretum_metadata.schema import Table
from arboretum_tools.system.atomic_files import check_output, check_suffix, whole_file
from arboretum_tools.tabular.spreadsheets import plain_batch
from arboretum_tools.tabular.tables import arrow_schema, write_table

if TYPE_CHECKING:
    import pyarrow as pa


def check_file(path: Path, suffixes: tuple[str, ...], catalog: Path, *, overwrite: bool) -> None:
    """Refuses a file that cannot be written.

    Args:
        path: the file.
        suffixes: those that it may end in.
        catalog: what is read, into which nothing is written.
        overwrite: whether a file that is there may be replaced.

    Raises:
        UsageError: it ends in something else.
        TargetExistsError: it is there and may not be replaced, or lies in the catalogue.
    """
    check_suffix(path, suffixes)
    check_output(path, overwrite=overwrite, inputs=[catalog])


def save_rows(
    path: Path, batches: Iterable[pa.RecordBatch], table: Table, provenance: Mapping[str, Any]
) -> int:
    """Writes rows, whole or not at all, and returns how many.

    Args:
        path: ends in `.parquet`, `.csv` (with an apostrophe before text that a spreadsheet would run) or
            `.json` (a list of objects, which is made in memory).
        batches: rows with the columns of `table`.
        table: gives names, types and order of the columns.
        provenance: what a Parquet file says about how it was made.
    """
    if path.suffix == ".parquet":
        return write_table(path, batches, table, provenance)
    if path.suffix == ".json":
        rows = [row for batch in batches for row in batch.to_pylist()]
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return len(rows)
    from pyarrow import csv

    schema, count = arrow_schema(table), 0
    with whole_file(path) as temporary, csv.CSVWriter(temporary, schema) as writer:
        for batch in batches:
            writer.write_batch(plain_batch(batch.cast(schema)))
            count += batch.num_rows
    return count
