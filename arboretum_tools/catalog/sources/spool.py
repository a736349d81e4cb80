"""Delimited text to typed Parquet, through DuckDB, in one pass and bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from arboretum_tools.catalog.sources.delimited import Dialect, Member, batches
from arboretum_tools.errors import ArboretumError
from arboretum_tools.query import Connection, identifier, literal


def spool(
    connection: Connection, member: Member, columns: Mapping[str, str], dialect: Dialect, to: Path
) -> None:
    """Writes columns of a delimited text as Parquet.

    Args:
        connection: converts.
        member: the text.
        columns: SQL expression by the name of the column in Parquet. Expressions name columns of the text
            in double quotes; `@x` stands for column x with empty text as NULL.
        dialect: of the text.
        to: the file.
    """
    expressions = {name: _expand(expression) for name, expression in columns.items()}
    names = sorted({name for expression in columns.values() for name in _named(expression)})
    schema = pa.schema([(name, pa.string()) for name in names])
    failures: list[ArboretumError] = []

    def read() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches(member, names, dialect)
        except ArboretumError as error:
            # DuckDB would make a text of it.
            failures.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(schema, read())
    selected = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in expressions.items())
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


def _named(expression: str) -> list[str]:
    return re.findall(r"@(\w+)", expression)


def _expand(expression: str) -> str:
    return re.sub(r"@(\w+)", r"""nullif(trim("\1"), '')""", expression)
