"""What an export says of each photo beside its image, kept on disk until the photo's turn comes.

The index of the store has a photo's hash, format and size, the split has its licence, observer and life
stage; each stands in an order of its own, and the export's is a third. Joined in memory they would take
hundreds of bytes per photo. So they are joined once into a temporary file of records of one length, in the
order of the samples, and one of texts, and read from there by position: one small read each, memory the same
for any number of photos. The files have no name and are gone with the process, however it ends.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_tools.errors import SplitError, StoreError
from arboretum_tools.samples import Samples, lacks_places, read_index
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.system.atomic_files import PARTIAL

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

#: Formats of images in a store, by the number that a record has.
_FORMATS = ("jpeg", "png", "gif", "webp")

# The texts of a photo stand one after the other at `text_at`; a length of -1 is a text that is not known.
_TEXTS = ("license", "observer_name", "life_stage")

# Numbers of a photo: how they lie in a record, what stands there where one is not known, their Arrow type.
# Ids are 0 or more, days are counted from 1970-01-01, and degrees are at most 180.
_NUMBERS: dict[str, tuple[str, int, pa.DataType]] = {
    "observation_id": ("<i8", -1, pa.int64()),
    "observer_id": ("<i8", -1, pa.int64()),
    "observed_on": ("<i4", -(2**31), pa.date32()),
    "latitude": ("<f8", 1_000, pa.float64()),
    "longitude": ("<f8", 1_000, pa.float64()),
}
_RECORD = np.dtype(
    [
        ("sha256", "V32"),
        ("width", "<i4"),
        ("height", "<i4"),
        ("format", "u1"),
        ("text_at", "<i8"),
        *((name, "<i4") for name in _TEXTS),
        *((name, kind) for name, (kind, _, _) in _NUMBERS.items()),
    ]
)
_SIZE = _RECORD.itemsize
_FROM_INDEX = ("photo_id", "offset", "sha256", "format", "width", "height")


class PhotoInfo(NamedTuple):
    """What is said of some photos: lists of one length.

    Attributes:
        sha256: of the image in the store, 32 bytes.
        format: jpeg, png, gif or webp.
        width: of the image, in pixels.
        height: of the image, in pixels.
        license: name of the licence; None where it is not known.
        observer_name: who took it; None where it is not known.
        life_stage: None where it is not known.
    """

    sha256: list[bytes]
    format: list[str]
    width: list[int]
    height: list[int]
    license: list[str | None]
    observer_name: list[str | None]
    life_stage: list[str | None]


class PhotoRecords:
    """What is said of the photos of one part, by their position in its `Samples`; a context manager.

    Attributes:
        content_sha256: over lines `photo_id<TAB>label<TAB>sha256 of the image<TAB>licence<TAB>observer<TAB>
            life stage` and the numbers of the photos, in the order of the samples.
        formats: images by format.
        licenses: photos by licence; None counts those without a known one.
    """

    def __init__(self, samples: Samples, split: Split, store: ImageStore, folder: Path) -> None:
        """Joins what is said of some samples.

        Args:
            samples: the photos.
            split: the split that they are of.
            store: the store that they were found in.
            folder: where the temporary files lie, some 130 bytes per photo.

        Raises:
            StoreError: an index cannot be read, or is not the one that the samples were found in.
            SplitError: the part cannot be read, or is not the one that the samples were found for.
        """
        self._records = tempfile.TemporaryFile(dir=folder, prefix=PARTIAL, buffering=0)  # noqa: SIM115 - `close` does
        self._texts = tempfile.TemporaryFile(dir=folder, prefix=PARTIAL, buffering=0)  # noqa: SIM115
        self.formats: Counter[str] = Counter()
        self.licenses: Counter[str | None] = Counter()
        try:
            self._take_in_indexes(samples, store)
            self.content_sha256 = self._take_in_part(samples, split)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the temporary files up."""
        self._records.close()
        self._texts.close()

    def about(self, positions: NDArray[np.int64]) -> PhotoInfo:
        """What is said of the photos at some positions, in their order."""
        records = self._records_at(positions)
        lengths = np.stack([records[name] for name in _TEXTS])
        file = self._texts.fileno()
        sizes = np.maximum(lengths, 0).sum(axis=0).tolist()
        texts: tuple[list[str | None], ...] = ([], [], [])
        for size, at, *each in zip(sizes, records["text_at"].tolist(), *lengths.tolist(), strict=True):
            text = os.pread(file, size, at) if size else b""
            start = 0
            for column, length in zip(texts, each, strict=True):
                if length < 0:
                    column.append(None)
                else:
                    column.append(text[start : start + length].decode())
                    start += length
        return PhotoInfo(
            [bytes(value) for value in records["sha256"]],
            [_FORMATS[number] for number in records["format"].tolist()],
            records["width"].tolist(),
            records["height"].tolist(),
            *texts,
        )

    def numbers(self, positions: NDArray[np.int64]) -> dict[str, pa.Array]:
        """Observation, observer, day and position of the photos at some positions; null where not known."""
        records = self._records_at(positions)
        found = {}
        for name, (_, unknown, kind) in _NUMBERS.items():
            values = np.ascontiguousarray(records[name])
            found[name] = pa.array(values, mask=values == unknown).cast(kind)
        return found

    def _records_at(self, positions: NDArray[np.int64]) -> NDArray[np.void]:
        if not len(positions):
            return np.zeros(0, _RECORD)
        file = self._records.fileno()
        if np.all(np.diff(positions) == 1):
            data = os.pread(file, _SIZE * len(positions), _SIZE * int(positions[0]))
        else:
            data = b"".join([os.pread(file, _SIZE, at) for at in (positions * _SIZE).tolist()])
        return np.frombuffer(data, _RECORD)

    def _take_in_indexes(self, samples: Samples, store: ImageStore) -> None:
        """Writes what the indexes say, record by record; the texts are filled in afterwards."""
        order = samples.locations.in_file_order()
        bounds = np.flatnonzero(np.diff(samples.locations.shard[order])) + 1
        for positions in np.split(order, bounds) if len(order) else ():
            (path,) = store.index_files([int(samples.locations.shard[positions[0]])])
            index = read_index(path, _FROM_INDEX)
            index = index.filter(pc.is_in(index["offset"], pa.array(samples.locations.offset[positions])))
            index = index.sort_by("offset")
            if not np.array_equal(index["photo_id"].to_numpy(), samples.photo_ids[positions]):
                raise StoreError(
                    f"{path} changed while it was read; nothing was written",
                    hint="Run the same command again.",
                )
            formats = pc.index_in(index["format"], pa.array(_FORMATS))
            if formats.null_count or any(index[name].null_count for name in _FROM_INDEX):
                raise lacks_places(path)
            records = np.zeros(len(positions), _RECORD)
            try:
                hashes = b"".join(map(bytes.fromhex, index["sha256"].to_pylist()))
                records["sha256"] = np.frombuffer(hashes, "V32")
            except ValueError:
                raise lacks_places(path) from None
            records["format"] = formats.to_numpy()
            for name in ("width", "height"):
                records[name] = index[name].to_numpy()
            data = memoryview(records.tobytes())
            for number, position in enumerate(positions.tolist()):
                _write(self._records.fileno(), data[number * _SIZE : (number + 1) * _SIZE], position * _SIZE)
            counts = np.bincount(records["format"], minlength=len(_FORMATS)).tolist()
            self.formats.update({_FORMATS[number]: count for number, count in enumerate(counts) if count})

    def _take_in_part(self, samples: Samples, split: Split) -> str:
        """Fills in the texts, in the order of the samples; returns the hash over everything."""
        digest = hashlib.sha256()
        text_at = 0
        for start, ids, numbers, *columns in _rows(samples, split):
            end = start + len(ids)
            if not np.array_equal(ids, samples.photo_ids[start:end]):
                raise SplitError(
                    f"{split.path or split.name} changed while it was read; nothing was written",
                    hint="Run the same command again.",
                )
            data = os.pread(self._records.fileno(), _SIZE * len(ids), _SIZE * start)
            records = np.frombuffer(data, _RECORD).copy()
            encoded = [[None if text is None else text.encode() for text in column] for column in columns]
            for name, column in zip(_TEXTS, encoded, strict=True):
                records[name] = [-1 if text is None else len(text) for text in column]
            for name, values in numbers.items():
                records[name] = values
            sizes = sum(np.maximum(records[name], 0).astype(np.int64) for name in _TEXTS)
            ends = text_at + np.cumsum(sizes)
            records["text_at"] = ends - sizes
            joined = b"".join(text or b"" for row in zip(*encoded, strict=True) for text in row)
            _write(self._texts.fileno(), memoryview(joined), text_at)
            _write(self._records.fileno(), memoryview(records.tobytes()), _SIZE * start)
            text_at += len(joined)
            self.licenses.update(columns[0])
            hashes = [bytes(value).hex() for value in records["sha256"]]
            rows = zip(ids.tolist(), samples.labels[start:end].tolist(), hashes, *columns, strict=True)
            lines = "".join("\t".join("" if v is None else str(v) for v in row) + "\n" for row in rows)
            digest.update(lines.encode())
            for values in numbers.values():
                digest.update(values.tobytes())
        return digest.hexdigest()


def _rows(
    samples: Samples, split: Split
) -> Iterator[
    tuple[
        int,
        NDArray[np.int64],
        dict[str, NDArray[Any]],
        list[str | None],
        list[str | None],
        list[str | None],
    ]
]:
    """What the part says of the samples: (position of the first, ids, numbers by name, one list a text)."""
    in_part = position = 0
    for batch in split.batches(samples.part, ("photo_id", *_TEXTS, *_NUMBERS)):
        rows = batch.num_rows
        if samples.positions is not None:
            end = int(np.searchsorted(samples.positions, in_part + rows))
            batch = batch.take(pa.array(samples.positions[position:end] - in_part))
        if batch.num_rows:
            license_name, observer, life_stage = (batch[name].to_pylist() for name in _TEXTS)
            ids = batch["photo_id"].to_numpy()
            yield position, ids, _numbers(batch), license_name, observer, life_stage
        position += batch.num_rows
        in_part += rows


def _numbers(batch: pa.RecordBatch) -> dict[str, NDArray[Any]]:
    found = {}
    for name, (kind, unknown, arrow) in _NUMBERS.items():
        values = batch[name].cast(pa.int32()) if arrow == pa.date32() else batch[name]
        found[name] = pc.fill_null(values, unknown).to_numpy(zero_copy_only=False).astype(kind)
    return found


def in_order(samples: Samples, details: PhotoRecords, rows: int) -> Iterator[tuple[slice, PhotoInfo]]:
    """Everything that is said of a part, from its first photo to its last, so many photos at a time."""
    for start in range(0, len(samples), rows):
        end = min(start + rows, len(samples))
        yield slice(start, end), details.about(np.arange(start, end))


def _write(descriptor: int, data: memoryview, at: int) -> None:
    while data:
        # A nearly full disk takes a part of it; writing the rest says why.
        written = os.pwrite(descriptor, data, at)
        data, at = data[written:], at + written
