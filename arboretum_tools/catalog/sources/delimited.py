"""Delimited text as Arrow batches, streamed, every value a text; from files, gzip, and members of archives.

Nothing is ever extracted from an archive: a member is found by its known name and read as a stream, and a
stream that unpacks to implausibly much ends in an error.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pc

from arboretum_tools.errors import CatalogError
from arboretum_tools.tables import one_line

#: A compressed stream may grow this many times; text of this kind grows 3 to 12 times.
LARGEST_RATIO = 200

#: Below this many unpacked bytes the ratio says nothing.
RATIO_FROM_BYTES = 64 * 2**20

_BLOCK_BYTES = 4 * 2**20
_FETCH_AGAIN = "Fetch it again. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written.

    Attributes:
        delimiter: between the fields.
        quoted: whether a field may stand in double quotes; where not, quotes are letters like any other.
    """

    delimiter: str
    quoted: bool


TAB = Dialect("\t", quoted=False)
COMMA = Dialect(",", quoted=True)


@dataclass(frozen=True, slots=True)
class Member:
    """One delimited text: what it is called in messages, and how it is opened.

    Attributes:
        name: path, or path and member of an archive.
        open: opens the unpacked bytes.
    """

    name: str
    open: Callable[[], contextlib.AbstractContextManager[IO[bytes]]]


def file_member(path: Path) -> Member:
    """A file, gzip or plain."""

    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        if path.suffix != ".gz":
            with path.open("rb") as plain:
                yield plain
            return
        with path.open("rb") as packed, gzip.open(packed) as stream:
            yield _Bounded(stream, path.stat().st_size, str(path))  # type: ignore[misc]

    return Member(str(path), opened)


def folder_members(folder: Path, names: Sequence[str]) -> dict[str, Member]:
    """Those of `names` that a folder holds, plain or as .gz."""
    found = {}
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                found[name] = file_member(path)
                break
    return found


def zip_members(path: Path, names: Sequence[str]) -> dict[str, Member]:
    """Those of `names` that a zip archive holds, at its top or in one folder.

    Raises:
        CatalogError: it is damaged, a member leads out of the archive, or one is packed implausibly.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(str(path), error) from error
    found = {}
    for entry in entries:
        _refuse_escape(path, entry.filename)
        name = entry.filename.rsplit("/", 1)[-1]
        if name in names:
            found[name] = Member(f"{path}!{entry.filename}", _zip_opener(path, entry))
    return found


def tar_members(path: Path, names: Sequence[str]) -> dict[str, Member]:
    """Those of `names` that a tar archive holds (plain or .gz, members plain or .gz).

    Raises:
        CatalogError: it is damaged, or a member leads out of the archive.
    """
    found = {}
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                _refuse_escape(path, entry.name)
                name = entry.name.rsplit("/", 1)[-1]
                plain = name.removesuffix(".gz")
                if entry.isfile() and plain in names:
                    found[plain] = Member(f"{path}!{entry.name}", _tar_opener(path, entry.name))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise _damaged(str(path), error) from error
    return found


def header(member: Member, dialect: Dialect) -> list[str]:
    """The column names of the first line.

    Raises:
        CatalogError: there is none.
    """
    with _reading(member), member.open() as stream:
        line = stream.readline(1 << 20)
    text = line.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r\n")
    if not text:
        raise CatalogError(f"{member.name} is empty", hint=_FETCH_AGAIN)
    names = text.split(dialect.delimiter)
    return [name.strip().strip('"') for name in names] if dialect.quoted else names


def batches(member: Member, columns: Sequence[str], dialect: Dialect) -> Iterator[pa.RecordBatch]:
    """Rows of the columns named, as text. An empty field is "", and so is a column that the file lacks.

    Raises:
        CatalogError: the stream is damaged or not UTF-8, or a row (it is named) has another number of fields.
    """
    present = [name for name in header(member, dialect) if name in columns]

    refused: list[CatalogError] = []

    def refuse(row: Any) -> str:
        # What a callback of pyarrow raises is lost; it is kept and raised below.
        refused.append(
            CatalogError(
                f"{member.name}, row {row.number}: {row.actual_columns} fields instead of "
                f"{row.expected_columns}: {row.text[:60]!r}",
                hint=_FETCH_AGAIN,
            )
        )
        return "error"

    with _reading(member, refused), member.open() as stream:
        reader = pc.open_csv(
            stream,
            read_options=pc.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=pc.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char='"' if dialect.quoted else False,
                double_quote=dialect.quoted,
                newlines_in_values=dialect.quoted,
                invalid_row_handler=refuse,
            ),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(present, pa.string()),
                include_columns=present,
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
        for batch in reader:
            empty = pa.array([""] * batch.num_rows, pa.string())
            arrays = [batch.column(name) if name in present else empty for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))


class _Bounded(io.RawIOBase):
    """A stream that ends in an error once it has grown too much."""

    def __init__(self, stream: Any, packed_bytes: int, name: str) -> None:
        self._stream = stream
        self._most = max(RATIO_FROM_BYTES, packed_bytes * LARGEST_RATIO)
        self._read = 0
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._read += len(data)
        if self._read > self._most:
            raise CatalogError(
                f"{self._name} unpacks to more than {LARGEST_RATIO} times its size: not read further",
                hint="This is how an archive that should fill the disk looks. Nothing was changed.",
            )
        buffer[: len(data)] = data
        return len(data)


@contextlib.contextmanager
def _reading(member: Member, refused: Sequence[CatalogError] = ()) -> Iterator[None]:
    try:
        yield
    except CatalogError:
        raise
    except pa.ArrowInvalid as error:
        raise (refused[0] if refused else _damaged(member.name, error)) from error
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise _damaged(member.name, error) from error


def _zip_opener(
    path: Path, entry: zipfile.ZipInfo
) -> Callable[[], contextlib.AbstractContextManager[IO[bytes]]]:
    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
            yield _Bounded(stream, entry.compress_size, f"{path}!{entry.filename}")  # type: ignore[misc]

    return opened


def _tar_opener(path: Path, name: str) -> Callable[[], contextlib.AbstractContextManager[IO[bytes]]]:
    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with tarfile.open(path) as archive:
            stream = archive.extractfile(name)
            if stream is None:
                raise CatalogError(f"{path}!{name} is no file", hint=_FETCH_AGAIN)
            size = path.stat().st_size
            if name.endswith(".gz"):
                with gzip.open(stream) as unpacked:
                    yield _Bounded(unpacked, size, f"{path}!{name}")  # type: ignore[misc]
            else:
                yield _Bounded(stream, size, f"{path}!{name}")  # type: ignore[misc]

    return opened


def _refuse_escape(path: Path, name: str) -> None:
    if name.startswith("/") or ".." in name.split("/") or "\\" in name:
        raise CatalogError(
            f"{path} has a member that leads out of it: {name!r}",
            path=path,
            hint="No export of iNaturalist or GBIF has one. Fetch it again. Nothing was changed.",
        )


def _damaged(name: str, error: BaseException) -> CatalogError:
    return CatalogError(f"{name} is damaged or not whole: {one_line(error)}", hint=_FETCH_AGAIN)
