"""Hugging Face Parquet: `datasets.load_dataset(DIR)` reads the folder, streaming too, and so does the hub.

    data/train-00000-of-00003.parquet ...    image, label, and what is known of the photo
    README.md                                the dataset card, with the features and splits as YAML

The images are the bytes of the store, in whatever format they came. `image` is `struct<bytes, path>` and
`label` an integer; that they are an Image and a ClassLabel stands in the Parquet files' schema metadata
under `huggingface` and in the card's `dataset_info`, either of which `datasets` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.vocab import RANKS
from arboretum_tools.events import PhotoDone, ShardFinished
from arboretum_tools.exporting.base import SPLIT_NAMES, Source, even_pieces, pieces_of_at_most
from arboretum_tools.exporting.documents.card import SplitSize, write_card
from arboretum_tools.exporting.photo_records import PhotoInfo
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.options import check
from arboretum_tools.options.export import HuggingFaceOptions
from arboretum_tools.photos.credit import credit_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The hub's viewer refuses large row groups, and a random read decodes a whole one.
_ROW_GROUP = 100

# Of thumbnails, half a gigabyte would be thousands of row groups, and the writer remembers each until the end
# of the file, some 20 kB.
_FILE_ROWS = 25_000

# Of originals, a hundred would be more than a buffer of Arrow holds, and far more than it need hold.
_GROUP_BYTES = 100_000_000

# Rows between looks at the length of a page: a page of images is closed at about 1 MB, so that it is written
# from the processor's cache.
_PAGE_ROWS = 8

# Classes are known by label; these columns repeat them so that the table can be read by itself.
_OF_CLASS = ("class_key", "scientific_name", "common_name", *RANKS)
_OF_PHOTO = ("license", "observer_name", "life_stage", "width", "height", "sha256")
_CREDIT = "credit"
_PLACE = ("latitude", "longitude")
# What leaks and biases are found by.
_NUMBERS = {
    "observation_id": pa.int64(),
    "observer_id": pa.int64(),
    "observed_on": pa.date32(),
    **dict.fromkeys(_PLACE, pa.float64()),
}
_TYPES = {"width": pa.int32(), "height": pa.int32(), **_NUMBERS}

_SCHEMA = pa.schema(
    [
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("label", pa.int64()),
        pa.field("photo_id", pa.int64()),
        *(
            pa.field(name, _TYPES.get(name, pa.string()))
            for name in (*_OF_CLASS, *_OF_PHOTO, _CREDIT, *_NUMBERS)
        ),
    ]
)
# Names of `datasets` for types that Arrow calls otherwise.
_DTYPES = {pa.float64(): "float64", pa.date32(): "date32"}

# A stream is read by at most as many workers as there are files; very small files would buy nothing.
_WANTED_FILES = 20
_SMALLEST_FILE = 200

# Images do not compress, do not repeat, and have no smallest or largest.
_TEXTS = [*_OF_CLASS, "license", "observer_name", "life_stage", _CREDIT]
_COMPRESSION = {
    path: "NONE" if path == "image.bytes" else "ZSTD"
    for path in ("image.bytes", "image.path", *(name for name in _SCHEMA.names if name != "image"))
}


# Part and positions of the photos of one file.
_Photos = tuple[str, "NDArray[np.int64]"]


@dataclass(frozen=True, kw_only=True)
class HuggingFace(HuggingFaceOptions):
    """The format with its options."""

    format: ClassVar[str] = "hf"
    needs_every_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check(self)

    def options(self) -> Mapping[str, Any]:
        """The options in force."""
        return {"shard_bytes": self.shard_bytes, "place": self.place}

    def write(self, source: Source, work: Staging) -> Mapping[str, Any]:
        """Writes the Parquet files and the card."""
        classes = source.classes()
        schema = pa.schema([field for field in _SCHEMA if self.place or field.name not in _PLACE])
        schema = schema.with_metadata({"huggingface": _features(schema, [row["name"] for row in classes])})
        splits: list[SplitSize] = []
        for part, samples in source.parts.items():
            order = samples.shuffled(source.seed)
            total = int(np.sum(samples.locations.size_bytes, dtype=np.int64))
            pieces = max(
                pieces_of_at_most(total, self.shard_bytes),
                pieces_of_at_most(len(samples), _FILE_ROWS),
                min(_WANTED_FILES, len(samples) // _SMALLEST_FILE),
            )
            pieces = min(len(samples), pieces)
            sizes = even_pieces(len(samples), pieces)
            num_bytes = 0
            for number, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True)):
                name = f"{SPLIT_NAMES[part]}-{number:05d}-of-{pieces:05d}.parquet"
                photos = (part, order[end - size : end])

                def write(name: str = name, photos: _Photos = photos) -> Mapping[str, Any]:
                    path = work.path(f"data/{name}")
                    size_bytes = _write_file(path, source, photos, schema)
                    source.on_event(ShardFinished(name, len(photos[1]), path.stat().st_size))
                    return {"num_bytes": size_bytes}

                num_bytes += work.step(name, write)["num_bytes"]
            splits.append(SplitSize(SPLIT_NAMES[part], len(samples), num_bytes))
        features = _card_features(schema, [row["name"] for row in classes])
        write_card(work.folder, source, features, splits)
        return {}


def _write_file(path: Path, source: Source, photos: _Photos, schema: pa.Schema) -> int:
    """Writes one Parquet file, one row group at a time; returns its size in Arrow, in bytes."""
    part, order = photos
    samples = source.parts[part]
    # A class has the same texts in all its rows.
    of_class = [source.split.classes[name].combine_chunks() for name in _OF_CLASS]
    num_bytes = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression=_COMPRESSION,
        use_dictionary=_TEXTS,
        write_statistics=[name for name in schema.names if name != "image"],
        write_batch_size=_PAGE_ROWS,
    ) as writer:
        for group in _row_groups(samples.locations.size_bytes[order]):
            positions = order[group]
            images, about = source.images(part, positions)
            labels, ids = pa.array(samples.labels[positions]), samples.photo_ids[positions].tolist()
            numbers = source.details[part].numbers(positions)
            batch = _batch(
                images, about, labels, ids, [column.take(labels) for column in of_class], numbers, schema
            )
            num_bytes += batch.nbytes
            writer.write_batch(batch, row_group_size=_ROW_GROUP)
            for photo_id, size_bytes in zip(
                ids, samples.locations.size_bytes[positions].tolist(), strict=True
            ):
                source.on_event(PhotoDone(photo_id, "written", size_bytes))
    return num_bytes


def _row_groups(sizes: NDArray[np.int32]) -> Iterator[slice]:
    """The rows of each row group: at most _ROW_GROUP, and not much more than _GROUP_BYTES of images."""
    start = held = 0
    for row, size_bytes in enumerate(sizes.tolist()):
        if row > start and (row - start == _ROW_GROUP or held + size_bytes > _GROUP_BYTES):
            yield slice(start, row)
            start, held = row, 0
        held += size_bytes
    if len(sizes):
        yield slice(start, len(sizes))


def _batch(
    images: pa.Array,
    about: PhotoInfo,
    labels: pa.Array,
    photo_ids: list[int],
    of_class: list[pa.Array],
    numbers: dict[str, pa.Array],
    schema: pa.Schema,
) -> pa.RecordBatch:
    suffixes = ("jpg" if name == "jpeg" else name for name in about.format)
    paths = [f"{photo_id}.{suffix}" for photo_id, suffix in zip(photo_ids, suffixes, strict=True)]
    image = schema.field("image").type
    lines = [credit_line(*row) for row in zip(about.observer_name, about.license, strict=True)]
    of_photo = {**about._asdict(), "sha256": [value.hex() for value in about.sha256], _CREDIT: lines}
    columns = [
        pa.StructArray.from_arrays([images, pa.array(paths, pa.string())], fields=list(image)),
        labels.cast(pa.int64()),
        pa.array(photo_ids, pa.int64()),
        *of_class,
        *(pa.array(of_photo[name], schema.field(name).type) for name in (*_OF_PHOTO, _CREDIT)),
        *(values for name, values in numbers.items() if name in schema.names),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _features(schema: pa.Schema, class_names: list[str]) -> str:
    """What `datasets` reads from a Parquet file's schema metadata."""
    features: dict[str, Any] = {
        field.name: {"dtype": _dtype(field.type), "_type": "Value"} for field in schema
    }
    features["image"] = {"_type": "Image"}
    features["label"] = {"names": class_names, "_type": "ClassLabel"}
    return json.dumps({"info": {"features": features}}, ensure_ascii=False)


def _dtype(kind: pa.DataType) -> str:
    return _DTYPES.get(kind, str(kind))


def _card_features(schema: pa.Schema, class_names: list[str]) -> list[dict[str, Any]]:
    """The same in the form of a dataset card's YAML."""
    kinds: dict[str, Any] = {
        "image": "image",
        "label": {"class_label": {"names": {str(label): name for label, name in enumerate(class_names)}}},
    }
    return [{"name": field.name, "dtype": kinds.get(field.name, _dtype(field.type))} for field in schema]
