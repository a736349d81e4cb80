"""The files of a catalogue folder, listed by us, and whether each is what it should be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from arboretum_metadata.schema import CATALOG, CATALOG_REQUIRED, Column
from arboretum_tools.errors import CatalogError
from arboretum_tools.tabular.tables import repeated
from arboretum_tools.wording import one_line

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Columns that count as absent where no row has a value: a saved selection always has all of them.
_OPTIONAL = frozenset(c.name for c in CATALOG.columns) - {*CATALOG_REQUIRED, "photo_url", "ext"}

#: Where a catalogue is looked for when none is named, after this environment variable.
DEFAULT_FOLDER = "catalog"
ENVIRONMENT = "ARBORETUM_CATALOG"


# How a pointer file begins: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class RawFiles:
    """The Parquet files of a raw catalogue.

    Attributes:
        root: the folder, or the one file.
        files: sorted by their path.
        columns: for each column of the schema that any file has, the spellings found and their types.
        rows: rows of all files, from their footers.
        origins: of files that were made from something else, what to call that in errors, and whether it has
            the same rows in the same order.
        empty: optional columns that are null in every row of every file, by name: they count as absent.
    """

    root: Path
    files: tuple[Path, ...]
    columns: dict[str, dict[str, pa.DataType]]
    rows: int
    origins: Mapping[Path, tuple[str, bool]] = field(default_factory=dict)
    empty: tuple[str, ...] = ()

    def has(self, column: str) -> bool:
        """Whether any file has the column."""
        return column in self.columns


def default_path() -> Path:
    """`$ARBORETUM_CATALOG`, else `./catalog`."""
    return Path(os.environ.get(ENVIRONMENT) or DEFAULT_FOLDER)


def find_files(root: Path) -> RawFiles:
    """Lists and checks the Parquet files of a raw catalogue: only their footers are read.

    Raises:
        CatalogError: nothing is there, a file is not Parquet or no regular file, or one lacks columns or
            has them in a type that cannot be read. The message names the file and the columns.
    """
    if not root.exists():
        raise CatalogError(
            f"there is no catalogue at {root}",
            path=root,
            hint="Name one with --catalog or $ARBORETUM_CATALOG: a Parquet file, or a folder of "
            "Parquet files with the Arboretum columns. `arboretum demo` shows one that works.",
        )
    if root.is_dir():
        files = tuple(_parquet_files(root))
    else:
        _check_regular(root)
        files = (root,)
    if not files:
        raise CatalogError(
            f"the catalogue at {root} is empty: there is no .parquet file in it or below it",
            path=root,
            hint="Put the published Parquet metadata there, or name another folder with --catalog.",
        )
    return _described(root, files)


def find_many(paths: Sequence[Path]) -> RawFiles:
    """The Parquet files of several files and folders, at least one, as one raw catalogue.

    Raises:
        CatalogError: as `find_files`.
    """
    files: dict[Path, None] = {}
    for path in paths:
        files.update(dict.fromkeys(find_files(path).files))
    return _described(paths[0], tuple(files))


def holds_parquet(path: Path) -> bool:
    """Whether a path is a file, or a folder with Parquet files in it or below it."""
    return path.is_file() or next(_parquet_files(path), None) is not None


def _described(root: Path, files: tuple[Path, ...]) -> RawFiles:
    columns: dict[str, dict[str, pa.DataType]] = {}
    named: set[str] = set()
    rows = 0
    for file in files:
        schema, count, unknown = _footer(file)
        if twice := repeated(schema.names):
            raise CatalogError(
                f"{file} has more than one column {', '.join(twice)}",
                path=file,
                hint="Write it again with each column once. Nothing was changed.",
            )
        for column in _check(file, schema):
            named.add(column.name)
            for spelling in (column.name, *column.also):
                if spelling in schema.names and not (column.name in _OPTIONAL and spelling in unknown):
                    columns.setdefault(column.name, {})[spelling] = schema.field(spelling).type
        rows += count
    if rows == 0:
        raise CatalogError(f"the catalogue at {root} is empty: its files have no rows", path=root)
    return RawFiles(root, files, columns, rows, empty=tuple(sorted(named - columns.keys())))


def _parquet_files(root: Path) -> Iterator[Path]:
    found = []
    for folder, folders, names in os.walk(root):
        # A folder is no file of that name, but a link to one is nothing that is walked into.
        links = [name for name in folders if Path(folder, name).is_symlink()]
        found += [Path(folder, name) for name in (*names, *links) if name.endswith(".parquet")]
    for file in sorted(found):
        # What macOS leaves beside each file on disks that are not its own.
        if not file.name.startswith("._"):
            _check_regular(file)
            yield file


def _check_regular(file: Path) -> None:
    """Refuses what would be waited for without an end (a named pipe, a device), and links that lead nowhere.

    Links to files are followed, wherever these lie: the Hugging Face hub's cache consists of them.
    """
    if file.is_file():
        return
    kind = "a link that leads to no file" if file.is_symlink() else "not a regular file"
    raise CatalogError(
        f"{file} is {kind}",
        path=file,
        hint="Take it out of the catalogue, or bring the file that it stands for. Nothing was changed.",
    )


def refuse_pointer(file: Path) -> None:
    """Raises CatalogError if a file is a pointer that git-lfs left in the place of the file itself."""
    try:
        with file.open("rb") as stream:
            begin = stream.read(len(_POINTER))
    except OSError:
        return
    if begin == _POINTER:
        raise CatalogError(
            f"{file} is a pointer of git-lfs, not the file that it stands for",
            path=file,
            hint="Fetch it with `git lfs pull` in that repository, or download it from its web page. "
            "Nothing was changed.",
        )


def _footer(file: Path) -> tuple[pa.Schema, int, frozenset[str]]:
    """Schema, rows, and the columns of which the statistics say that every value is null."""
    # Loaded here, as a built catalogue is opened without it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            found = parquet.metadata
            return parquet.schema_arrow, found.num_rows, frozenset(_all_null(found))
    except (pa.ArrowInvalid, OSError) as error:
        refuse_pointer(file)
        raise CatalogError(
            f"{file} is not a whole Parquet file: {one_line(error)}",
            path=file,
            hint="Fetch it again, or take it out of the catalogue. Nothing was changed.",
        ) from error


def _all_null(found: pq.FileMetaData) -> Iterator[str]:
    for position in range(found.num_columns):
        columns = (found.row_group(group).column(position) for group in range(found.num_row_groups))
        # Ends at the first group with a value, which nearly always is the first group.
        if all(c.statistics is not None and c.statistics.null_count == c.num_values for c in columns):
            yield found.schema.column(position).path


def _check(file: Path, schema: pa.Schema) -> list[Column]:
    present = [c for c in CATALOG.columns if {c.name, *c.also} & set(schema.names)]
    names = {column.name for column in present}
    missing = [" or ".join((n, *CATALOG[n].also)) for n in CATALOG_REQUIRED if n not in names]
    if not names & {"photo_url", "ext"}:
        missing.append("photo_url or ext")
    if missing:
        raise CatalogError(
            f"{file} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
            path=file,
            hint="A catalogue has the columns of the published Arboretum metadata; the data dictionary lists "
            "them. Nothing was changed.",
        )
    for column in present:
        for spelling in {column.name, *column.also} & set(schema.names):
            found = schema.field(spelling).type
            if not _readable(column, found):
                raise CatalogError(
                    f"{file}: column {spelling} is {found}, expected {column.type}",
                    path=file,
                    hint="Write the file again with that type. Nothing was changed.",
                )
    return present


def _readable(column: Column, found: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(found):
        found = found.value_type
    text = pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    if pa.types.is_null(found):
        return column.nullable
    if column.type == "string":
        return bool(text)
    if column.type in ("int64", "int32"):
        # pandas turns whole numbers with gaps into floats; observation ids may be UUIDs as text.
        number = pa.types.is_integer(found) or pa.types.is_floating(found)
        return bool(number or (column.name == "observation_id" and text))
    if column.type == "float64":
        return bool(pa.types.is_floating(found) or pa.types.is_integer(found) or pa.types.is_decimal(found))
    return bool(text or pa.types.is_date(found) or pa.types.is_timestamp(found))
