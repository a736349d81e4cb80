"""Delimited text to typed Parquet, through DuckDB, in one pass and bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from arboretum_tools.catalog.building.losses import Losses
from arboretum_tools.catalog.sources.delimited import Text, batches
from arboretum_tools.errors import ArboretumError
from arboretum_tools.tabular.query import Connection, identifier, literal


def spool(
    connection: Connection, text: Text, columns: Mapping[str, str], to: Path, losses: Losses | None = None
) -> None:
    """Writes columns of a delimited text as Parquet.

    Args:
        connection: converts.
        text: is read once, as a stream.
        columns: SQL expression by the name of the column in Parquet; `@x` stands for column x of the text,
            with empty text as NULL.
        to: the file.
        losses: takes malformed rows, which are an error without it.
    """
    names = sorted({name for expression in columns.values() for name in named(expression)})
    schema = pa.schema([(name, pa.string()) for name in names])
    spool_batches(connection, batches(text, names, losses), schema, columns, to)


def spool_batches(
    connection: Connection,
    rows: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    columns: Mapping[str, str],
    to: Path,
) -> None:
    """Writes expressions over Arrow batches as Parquet; as `spool`.

    Raises:
        ArboretumError: what the batches raise.
    """
    failures: list[ArboretumError] = []

    def read() -> Iterator[pa.RecordBatch]:
        try:
            yield from rows
        except ArboretumError as error:
            # DuckDB would make a text of it.
            failures.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(schema, read())
    selected = ", ".join(f"{_expand(sql)} AS {identifier(name)}" for name, sql in columns.items())
    connection.register("arriving", reader)
    try:
        connection.execute(f"COPY (SELECT {selected} FROM arriving) TO {literal(str(to))} (FORMAT parquet)")
    except Exception:
        if failures:
            raise failures[0] from None
        raise
    finally:
        connection.unregister("arriving")


def uuid_sql(column: str) -> str:
    """The number of a UUID: its first 8 bytes, big-endian, top bit cleared; NULL for anything else."""
    return (
        f"(TRY_CAST('0x' || substr(replace(lower({column}), '-', ''), 1, 16) AS UBIGINT) "
        "& 9223372036854775807::UBIGINT)::BIGINT"
    )


def marked_sql(name: str, hybrid: str) -> str:
    """A name with the mark by which the catalogue knows a hybrid, where the rank alone says that it is one.

    Args:
        name: SQL of the scientific name.
        hybrid: SQL of whether the rank says so.
    """
    return (
        f"CASE WHEN {hybrid} AND contains({name}, ' ') AND NOT contains({name}, '×') "
        f"AND NOT contains(lower({name}), ' x ') "
        f"THEN split_part({name}, ' ', 1) || ' × ' || substr({name}, strpos({name}, ' ') + 1) ELSE {name} END"
    )


def named(expression: str) -> list[str]:
    """The columns of the text that an expression names."""
    return re.findall(r"@(\w+)", expression)


def _expand(expression: str) -> str:
    return re.sub(r"@(\w+)", r"""nullif(trim("\1"), '')""", expression)
