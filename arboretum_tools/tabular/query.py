"""The only module that imports duckdb: connections, their limits, lists of files, quoting.

Values are always bound as parameters; identifiers come from closed lists; file names are listed by us and
quoted here. Nothing that a user typed ever becomes SQL.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import duckdb

from arboretum_tools.errors import OutOfSpaceError
from arboretum_tools.stable_key import SQL_MACROS
from arboretum_tools.system.temporary_folders import TemporaryFolder

if TYPE_CHECKING:
    import pyarrow as pa

#: A DuckDB connection, by a name that lets other modules annotate without importing duckdb.
Connection: TypeAlias = duckdb.DuckDBPyConnection

#: What DuckDB raises; caught where a better message can be given.
Error = duckdb.Error

#: Of these, what only a defect of our own SQL raises; everything else comes from the data.
OwnError = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)

# How DuckDB says that a disk, a quota or a file size limit is exhausted.
_NO_ROOM = ("No space left", "File too large", "quota exceeded", "failed to offload")

#: Rows per batch when results are streamed as Arrow.
BATCH_ROWS = 100_000

#: DuckDB may use this much before it spills, unless `ARBORETUM_MEMORY_LIMIT` says otherwise.
MEMORY_LIMIT = "2GB"


def connect(
    *, memory_limit: str | None = None, threads: int | None = None, temp_directory: Path | None = None
) -> Connection:
    """A connection of our own, in memory, with the macros of the stable key.

    Args:
        memory_limit: such as "2GB"; default `$ARBORETUM_MEMORY_LIMIT`, else 2 GB.
        threads: number of threads; default all cores. Never changes a result.
        temp_directory: where large sorts spill; default a folder of this process in the
            system's temporary folder.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit or os.environ.get("ARBORETUM_MEMORY_LIMIT") or MEMORY_LIMIT,
        "temp_directory": str(temp_directory or _spill_folder(os.getpid()).path),
        # Every result that is stored has an ORDER BY of its own; keeping insertion order costs memory.
        "preserve_insertion_order": False,
        # The system keeps what was read of a file; a second copy of it would only cost memory.
        "enable_external_file_cache": False,
        # Nothing is ever fetched or loaded behind the user's back.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(":memory:", config=config)
    # Where it finds a notebook or a prompt, DuckDB draws a bar of its own on standard output.
    # Where it cannot, it is off, and must not be set.
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (True,):
        connection.execute("SET enable_progress_bar = false")
    for macro in SQL_MACROS:
        connection.execute(macro)
    return connection


@functools.cache
def _spill_folder(_process: int) -> TemporaryFolder:
    """One for all connections of a process; a process that was forked gets its own."""
    return TemporaryFolder("spill")


@contextlib.contextmanager
def plain_errors(doing: str) -> Iterator[None]:
    """Turns a full disk met by DuckDB into OutOfSpaceError and Ctrl-C into KeyboardInterrupt; else passes.

    Args:
        doing: what was being done, for the message.
    """
    try:
        yield
    except duckdb.Error as error:
        if out_of_room(error):
            text = str(error)
            on_disk = any(phrase in text for phrase in _NO_ROOM)
            raise OutOfSpaceError(
                f"{'no room left' if on_disk else 'out of memory'} while {doing}: {text.splitlines()[0]}",
                hint="Free some space in the temporary folder ($TMPDIR), or raise $ARBORETUM_MEMORY_LIMIT."
                if on_disk
                else "Raise $ARBORETUM_MEMORY_LIMIT (2GB unless it says otherwise).",
            ) from error
        raise
    except RuntimeError as error:
        # How DuckDB passes a Ctrl-C on that came in the middle of a query.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def out_of_room(error: duckdb.Error) -> bool:
    """Whether DuckDB met a full disk, or a limit on what it may spill."""
    text = str(error)
    return isinstance(error, duckdb.OutOfMemoryException) or any(phrase in text for phrase in _NO_ROOM)


def literal(text: str) -> str:
    """A text as an SQL literal, for the few places where a parameter cannot stand."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A column or table name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def whole_sql(text: str, sql_type: str = "BIGINT") -> str:
    """The whole number that a text is, `12345.0` included; NULL for `12345.6` and `1.23457E+08`.

    A cast alone would round both: to the id of another photo.
    """
    whole = f"regexp_full_match(trim({text}), '[+-]?[0-9]+([.]0*)?')"
    return f"CASE WHEN {whole} THEN TRY_CAST(split_part(trim({text}), '.', 1) AS {sql_type}) END"


def parquet_source(
    files: Sequence[Path], *, filename: bool = False, row: bool = False, alike: bool = False
) -> str:
    """A table expression over Parquet files that were listed by us.

    `a=b/` in a path is not read as a column, columns are matched by name, and characters that DuckDB
    would take for a pattern are taken for themselves.

    Args:
        files: at least one.
        filename: whether to add the column `filename`.
        row: whether to add the column `file_row_number`, 0 = first.
        alike: whether all have the columns of the first one. Then they are opened one after the other, and
            not all before the query, which takes half the time and 45 kB of memory less for each.
    """
    listed = ", ".join(literal(_no_pattern(str(file))) for file in files)
    options = f"hive_partitioning=false, union_by_name={str(not alike).lower()}"
    if filename:
        options += ", filename=true"
    if row:
        options += ", file_row_number=true"
    return f"read_parquet([{listed}], {options})"


def _no_pattern(path: str) -> str:
    """Escapes what a glob would read: a class with one character matches just that character."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def arrow_table(connection: Connection, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
    """The whole result as an Arrow table."""
    return connection.sql(sql, params=list(parameters)).to_arrow_table()


def arrow_batches(
    connection: Connection, sql: str, parameters: Sequence[object] = (), *, size: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """The result as Arrow batches of up to `size` rows, streamed, in bounded memory.

    The query runs on a cursor of its own, so that other queries may run on the connection meanwhile; it
    sees the connection's tables (never TEMP ones, which belong to one cursor).
    """
    with connection.cursor() as cursor:
        yield from cursor.sql(sql, params=list(parameters)).to_arrow_reader(size)


def rows(connection: Connection, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
    """All rows of a query that has few."""
    return connection.execute(sql, list(parameters)).fetchall()
