"""One row of a shard's index: what became of one photo."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from arboretum_metadata.schema import INDEX, Column
from arboretum_metadata.vocab import STATUSES
from arboretum_tools.imaging.image_format import ImageInfo
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.wording import is_unicode


# Not frozen, which would double the time that it takes to make one.
@dataclass(slots=True, kw_only=True)
class PhotoRecord:
    """What became of one photo; the columns of `arboretum_metadata.schema.INDEX`, in their order.

    Attributes are documented there. `member`, `offset`, `size_bytes`, `sha256`, `width`, `height` and
    `format` are those of the image in the tar and None unless `status` is `ok`; `offset` is None until the
    record is in a shard.
    """

    photo_id: int
    status: str
    http_status: int | None = None
    error: str | None = None
    attempts: int = 1
    url: str = ""
    member: str | None = None
    offset: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    source_bytes: int | None = None
    source_sha256: str | None = None
    etag: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    fetched_at: datetime

    @classmethod
    def of_image(
        cls,
        photo_id: int,
        data: bytes,
        image: ImageInfo,
        *,
        url: str = "",
        http_status: int | None = None,
        attempts: int = 1,
        etag: str | None = None,
    ) -> PhotoRecord:
        """The record of a whole image that is stored as it came.

        Args:
            photo_id: the photo, 1 or more.
            data: the whole body.
            image: what `image_format.inspect(data)` says.
            url: address that was asked.
            http_status: of the answer.
            attempts: requests made.
            etag: as sent, without quotes.
        """
        digest = hashlib.sha256(data).hexdigest()
        return cls(
            photo_id=photo_id,
            status="ok",
            http_status=http_status,
            attempts=attempts,
            url=url,
            member=f"{photo_id}.{image.ext}",
            size_bytes=len(data),
            sha256=digest,
            source_bytes=len(data),
            source_sha256=digest,
            etag=etag,
            width=image.width,
            height=image.height,
            format=image.format,
            fetched_at=datetime.now(UTC),
        )

    def to_line(self, *, offset: int | None = None) -> bytes:
        """The record as a line of a journal: JSON without nulls, ending in LF.

        Put together by hand, in half the time that json.dumps takes.

        Args:
            offset: where its image came to lie in the tar, if the record does not know it yet.
        """
        text = (
            f'{{"photo_id":{self.photo_id},"status":"{self.status}","attempts":{self.attempts},'
            f'"url":{_quoted(self.url)}'
        )
        if self.http_status is not None:
            text += f',"http_status":{self.http_status}'
        if self.error is not None:
            text += f',"error":{_quoted(self.error)}'
        if self.source_bytes is not None:
            text += f',"source_bytes":{self.source_bytes},"source_sha256":"{self.source_sha256}"'
        if self.etag is not None:
            text += f',"etag":{_quoted(self.etag)}'
        if self.member is not None:
            text += (
                f',"member":{_quoted(self.member)},"offset":{offset if self.offset is None else self.offset},'
                f'"size_bytes":{self.size_bytes},"sha256":"{self.sha256}","width":{self.width},'
                f'"height":{self.height},"format":"{self.format}"'
            )
        return f'{text},"fetched_at":"{self.fetched_at.isoformat()}"}}\n'.encode()

    @classmethod
    def from_line(cls, line: bytes) -> PhotoRecord:
        """The record that a whole line of a journal holds.

        Raises:
            ValueError: the line is torn, or holds something else.
        """
        try:
            payload = json.loads(line)
            at = datetime.fromisoformat(payload["fetched_at"])
            record = cls(**(payload | {"fetched_at": at.astimezone(UTC)}))
        except (KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a line of a journal: {error}") from error
        # Whatever is let through here must fit into an index.
        for name, holds in _HOLDS.items():
            if not holds(getattr(record, name)):
                raise ValueError(f"not a line of a journal: {name} cannot be {getattr(record, name)!r:.40}")
        if at.tzinfo is None or record.photo_id < 1 or record.status not in STATUSES:
            raise ValueError("not a line of a journal: no photo_id, status or time")
        if (record.source_bytes is None) != (record.source_sha256 is None):
            raise ValueError("not a line of a journal: bytes without a hash, or a hash without bytes")
        image = {getattr(record, name) is not None for name in _OF_IMAGE}
        if image != {record.status == "ok"}:
            raise ValueError(
                "not a line of a journal: a photo without its image, or an image without its photo"
            )
        if record.format and record.member != f"{record.photo_id}.{_EXT.get(record.format)}":
            raise ValueError("not a line of a journal: the name of another photo")
        return record


_NAMES = tuple(field.name for field in fields(PhotoRecord))
assert INDEX.names == _NAMES
_SCHEMA = arrow_schema(INDEX)
_quoted = json.encoder.encode_basestring_ascii

# What only a stored image has, and its suffix.
_OF_IMAGE = ("member", "offset", "size_bytes", "sha256", "width", "height", "format")
_EXT = {"jpeg": "jpg", "png": "png", "gif": "gif", "webp": "webp"}


_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _holds(column: Column) -> Callable[[Any], bool]:
    """Whether a value fits into a column of an index."""
    if column.type in ("int32", "int64"):
        end = 2 ** (int(column.type[3:]) - 1)
        # Not True, and not 200.0, which is another number in JSON.
        return lambda value: column.nullable if value is None else type(value) is int and -end <= value < end
    # Hashes are written between quotation marks as they are.
    is_text = _SHA256.fullmatch if column.name.endswith("sha256") else is_unicode
    return lambda value: column.nullable if value is None else isinstance(value, str) and bool(is_text(value))


_HOLDS = {column.name: _holds(column) for column in INDEX.columns if column.name != "fetched_at"}

# Lines leave nulls out, so every field may be absent; the cast to _SCHEMA refuses those that may not be null.
_PARSE = pyarrow.json.ParseOptions(
    explicit_schema=pa.schema([field.with_nullable(True) for field in _SCHEMA]),
    unexpected_field_behavior="error",
)

# Rows of a batch, and so of a row group.
_BATCH = 1_000


class IndexBuilder:
    """The rows of a shard while it grows, made of its journal lines.

    A thousand lines are kept as they are, the others as Arrow. Arrow reads the lines itself, which takes a
    tenth of the memory and time of a list of Python objects for each column.

    Attributes:
        rows: number of records.
        images: of these, the `ok` ones.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.images = 0
        self._lines: list[bytes] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, record: PhotoRecord, line: bytes) -> None:
        """Adds one record, in any order; `line` is its `to_line()`."""
        self.rows += 1
        self.images += record.status == "ok"
        self._lines.append(line)
        if len(self._lines) == _BATCH:
            self._settle()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All records, sorted by photo_id, a thousand at a time.

        Written so, they are small row groups, and one photo is found without reading them all.
        """
        if self._lines:
            self._settle()
        table = pa.Table.from_batches(self._batches, _SCHEMA)
        memory = pa.default_memory_pool()
        order = pc.sort_indices(table, [("photo_id", "ascending")], memory_pool=memory)
        for start in range(0, table.num_rows, _BATCH):
            rows = pc.take(table, order.slice(start, _BATCH), memory_pool=memory)
            yield from rows.combine_chunks().to_batches()

    def _settle(self) -> None:
        text = b"".join(self._lines)
        self._lines = []
        table = pyarrow.json.read_json(
            pa.py_buffer(text),
            # One block, so one batch.
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text)),
            parse_options=_PARSE,
        )
        self._batches.extend(table.cast(_SCHEMA).combine_chunks().to_batches())


def from_arrow(rows: pa.Table) -> list[PhotoRecord]:
    """The records of an index, in its order."""
    found: list[dict[str, Any]] = rows.select(list(_NAMES)).to_pylist()
    return [PhotoRecord(**row) for row in found]
