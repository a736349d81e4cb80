"""Delimited text to typed Parquet, through DuckDB, in one pass and bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from arboretum_tools.catalog.sources.delimited import TAB, Dialect, Member, batches, header
from arboretum_tools.errors import ArboretumError, CatalogError
from arboretum_tools.query import Connection, identifier, literal


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files of a source that belong together.

    Attributes:
        files: their names.
        columns: by file, the columns to write and the expressions that give them.
        needed: by file, the columns that it must have.
        called: what the bundle is, after "of": `iNaturalist Open Data`.
        whole: what to do where a file is missing, a sentence.
        shape: what a file should be, after "It should be".
    """

    files: tuple[str, ...]
    columns: Mapping[str, Mapping[str, str]]
    needed: Mapping[str, Sequence[str]]
    called: str
    whole: str
    shape: str


def spool_bundle(
    connection: Connection, bundle: Bundle, path: Path, members: Mapping[str, Member], folder: Path
) -> dict[str, Path]:
    """Writes every file of a bundle as Parquet into `folder`; gives the files by name.

    Args:
        connection: does the work.
        bundle: what should be there.
        path: where the bundle lies, for errors.
        members: what was found of it, by name.
        folder: of the Parquet files.

    Raises:
        CatalogError: a file is missing, or one lacks columns or is damaged.
    """
    missing = [name for name in bundle.files if name not in members]
    if missing:
        raise CatalogError(
            f"{path} lacks {', '.join(missing)} of {bundle.called}", path=path, hint=bundle.whole
        )
    written = {}
    for name, member in members.items():
        _check(member, bundle.needed[name], bundle.shape)
        written[name] = folder / f"{name}.parquet"
        spool(connection, member, bundle.columns[name], TAB, written[name])
    return written


def _check(member: Member, needed: Sequence[str], shape: str) -> None:
    found = header(member, TAB)
    missing = [column for column in needed if column not in found]
    if missing:
        raise CatalogError(
            f"{member.name} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
            hint=f"It should be {shape}. Nothing was changed.",
        )


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
