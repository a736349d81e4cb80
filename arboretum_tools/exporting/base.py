"""What every format has in common: where samples come from, in which order, and what a format must do.

Order of samples in a format that is read as a stream: by (key_shuffle, photo_id) under the seed. It depends
on nothing but the photo ids, so neither the way in which the store was filled nor the number of shards shows
in it, and the first n samples of a part are always a sample of it. Folders and lists, which loaders shuffle
themselves, stand in the order of the split, (label, photo_id).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from arboretum_tools.errors import VerificationError
from arboretum_tools.events import OnEvent
from arboretum_tools.exporting.photo_records import PhotoInfo, PhotoRecords
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.imaging.image_format import jpeg_turn
from arboretum_tools.publication.origin import Origin
from arboretum_tools.samples import Samples
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import tar_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What the consumers call the parts: Hugging Face and timm both look for `validation`.
SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}

# Rows that are turned into Python values at a time: bounds memory, shows in no output.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo on its way into an export.

    Attributes:
        photo_id: iNaturalist's number of the photo.
        label: its class.
        data: the image as it lies in the store, verified against `sha256`.
        sha256: of `data`, hex.
        format: jpeg, png, gif or webp.
        width: of the image, in pixels.
        height: of the image, in pixels.
        license: name of the licence; None where it is not known.
        observer_name: who took it; None where it is not known.
        life_stage: None where it is not known.
    """

    photo_id: int
    label: int
    data: bytes
    sha256: str
    format: str
    width: int
    height: int
    license: str | None
    observer_name: str | None
    life_stage: str | None


@dataclass(frozen=True, slots=True)
class Evened:
    """What makes the shards of a part equal.

    Attributes:
        sizes: samples of each shard.
        dropped: positions among all samples of the part that are left out; never the last of a class.
        repeated: positions of samples that are written again, in their order; one may be there several times.
    """

    sizes: list[int]
    dropped: NDArray[np.int64]
    repeated: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported.

    Attributes:
        split: gives the classes.
        store: gives the bytes.
        parts: the parts to export, in their order, none of them empty.
        details: what is said of their photos, by part.
        seed: of the order of the samples.
        on_event: is told of every finished shard and photo.
        evened: what was done to parts so that their shards are equal.
    """

    split: Split
    store: ImageStore
    parts: Mapping[str, Samples]
    details: Mapping[str, PhotoRecords]
    seed: int
    on_event: OnEvent
    evened: Mapping[str, Evened] = field(default_factory=dict)

    def classes(self) -> list[dict[str, Any]]:
        """The classes, index = label."""
        rows: list[dict[str, Any]] = self.split.classes.to_pylist()
        return rows

    @property
    def origin(self) -> Origin:
        """Where its photos are from."""
        return Origin.of_store(self.store, (samples.photo_ids for samples in self.parts.values()))

    def samples(self, part: str, order: NDArray[np.int64]) -> Iterator[Sample]:
        """The samples at these positions of a part, read one at a time.

        Raises:
            VerificationError: stored bytes do not match their hash.
        """
        samples, details = self.parts[part], self.details[part]
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            position, about = samples.locations[chosen], details.about(chosen)
            photo_ids = samples.photo_ids[chosen]
            rows = zip(
                photo_ids.tolist(),
                samples.labels[chosen].tolist(),
                position.shard.tolist(),
                self.store.read_each(position, photo_ids),
                *about,
                strict=True,
            )
            for photo_id, label, shard, data, sha256, *texts in rows:
                if hashlib.sha256(data).digest() != sha256:
                    raise self._damaged(photo_id, shard)
                yield Sample(photo_id, label, data, sha256.hex(), *texts)

    def images(self, part: str, positions: NDArray[np.int64]) -> tuple[pa.Array, PhotoInfo]:
        """The images at these positions of a part as one array of binaries, and what is said of them.

        Args:
            part: name of the part.
            positions: of photos that have less than 2 GiB together.

        Raises:
            VerificationError: stored bytes do not match their hash.
        """
        samples = self.parts[part]
        position, photo_ids = samples.locations[positions], samples.photo_ids[positions]
        about = self.details[part].about(positions)

        def check(number: int, data: memoryview) -> None:
            if hashlib.sha256(data).digest() != about.sha256[number]:
                raise self._damaged(photo_ids.item(number), position.shard.item(number))

        return self.store.read_array(position, photo_ids, check), about

    def _damaged(self, photo_id: int, shard: int) -> VerificationError:
        return VerificationError(
            f"photo {photo_id} in {self.store.storage.where(tar_name(shard))} is damaged: its bytes do "
            "not match their SHA-256; no export was published",
            hint="The other shards are unharmed. Move this one's .tar and .parquet away and run "
            "`arboretum download` again: only its photos are fetched. Then export again.",
        )


class Exporter(Protocol):
    """One training format. An implementation is a frozen dataclass whose fields are its options."""

    @property
    def format(self) -> str:
        """Name of the format, as it is given to `--format`."""
        ...

    def options(self) -> Mapping[str, Any]:
        """The options in force, JSON-able, for export.json."""
        ...

    @property
    def needs_every_class(self) -> bool:
        """Whether its readers fail, or number the classes anew, where a class has no photo in a part."""
        ...

    def write(self, source: Source, work: Staging) -> Mapping[str, Any]:
        """Writes the format's own files, in steps; what it returns goes into export.json."""
        ...


@runtime_checkable
class Evening(Protocol):
    """A format that may leave out or repeat samples so that its shards are equal."""

    def evened(self, part: str, samples: Samples, seed: int) -> Evened | None:
        """What it does to a part; None where it writes each sample once.

        Raises:
            ExportError: a part cannot be evened.
        """
        ...


@runtime_checkable
class Pointing(Protocol):
    """A format whose files may point to others that lie outside of the export."""

    def outside(self, source: Source, to: Path) -> Mapping[str, Any]:
        """What these add to what decides an export in the folder `to`, JSON-able; nothing where it copies."""
        ...


def encoded(sample: Sample, resize: int | None, *, keep_format: bool = False) -> tuple[Sample, str | None]:
    """The sample as a format writes it, upright, and what was done to it.

    None where nothing was; else `png to jpeg`, `resized`, or `turned upright`: readers of these formats take
    a JPEG as its rows lie, whatever its EXIF tag says of them.

    Args:
        sample: as it lies in the store.
        resize: shrink images whose shorter side is longer than this many pixels; None = leave them.
        keep_format: leave images that are no JPEG as they are; else they become JPEGs.

    Raises:
        UndecodableImageError: an image that has to be made anew cannot be decoded.
    """
    shrink = resize is not None and min(sample.width, sample.height) > resize
    convert = sample.format != "jpeg" and not keep_format
    turn = sample.format == "jpeg" and jpeg_turn(sample.data) != 1
    if not (shrink or convert or turn):
        return sample, None
    # Pillow is loaded where an image has to be made anew, and not before.
    from arboretum_tools.imaging.images import UndecodableImageError, to_jpeg

    try:
        data, width, height = to_jpeg(
            sample.data, name=f"photo {sample.photo_id}", shorter_side=resize if shrink else None
        )
    except UndecodableImageError as error:
        raise UndecodableImageError(
            error.message,
            hint="The other photos are unharmed. Leave out what cannot be decoded by --skip-bad.",
        ) from error
    anew = replace(
        sample,
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        format="jpeg",
        width=width,
        height=height,
    )
    if sample.format != "jpeg":
        return anew, f"{sample.format} to jpeg"
    return anew, "resized" if shrink else "turned upright"


def undecodable(source: Source, part: str, exporter: Exporter) -> NDArray[np.int64]:
    """Positions of the samples of a part that a format would have to make anew and cannot decode.

    Reads every image of the part, and decodes those that are made anew.
    """
    if not hasattr(exporter, "resize"):
        return np.zeros(0, np.int64)  # it keeps every image as it is
    from arboretum_tools.imaging.images import UndecodableImageError

    keep_format = bool(getattr(exporter, "keep_formats", False))
    bad: list[int] = []
    for position, sample in enumerate(source.samples(part, np.arange(len(source.parts[part])))):
        try:
            encoded(sample, exporter.resize, keep_format=keep_format)
        except UndecodableImageError:
            bad.append(position)
    return np.array(bad, np.int64)


def even_pieces(total: int, pieces: int) -> list[int]:
    """`total` as `pieces` sizes that differ by at most one, the larger ones first.

    Raises:
        ValueError: there would be an empty piece.
    """
    if not 1 <= pieces <= total:
        raise ValueError(f"{total} cannot be cut into {pieces} pieces")
    size, more = divmod(total, pieces)
    return [size + 1] * more + [size] * (pieces - more)


def pieces_of_at_most(total: int, most: int) -> int:
    """The fewest pieces of at most `most` each, at least one."""
    return max(1, math.ceil(total / most))
