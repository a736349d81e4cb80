"""A subset as a Hugging Face dataset: an Arrow file that is written once and mapped into memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from arboretum_tools.system.atomic_files import whole_file

if TYPE_CHECKING:
    import datasets
    from numpy.typing import NDArray

    from arboretum_tools.store.locations import Locations
    from arboretum_tools.store.reader import ImageStore

# Images per batch on the way into the file: bounds memory.
_BATCH = 100

_ABOUT = ("label", "photo_id", "scientific_name", "common_name")


class Described(Protocol):
    """What this module needs of a Subset."""

    store: ImageStore
    locations: Locations
    photo_ids: NDArray[np.int64]
    labels: NDArray[np.int32]

    @property
    def classes(self) -> pa.Table:
        """The class table."""

    @property
    def class_names(self) -> list[str]:
        """Unique names for people, index = label."""

    def __len__(self) -> int:
        """Number of photos."""

    def to_arrow(self) -> pa.Table:
        """Columns of each photo and of its class."""


def to_hugging_face(subset: Described, cache_dir: str | Path | None) -> datasets.Dataset:
    """What `Subset.to_hf` does."""
    import datasets

    folder = Path(cache_dir or Path(datasets.config.HF_DATASETS_CACHE) / "arboretum_tools")
    path = folder / f"{_content_sha256(subset)[:24]}.arrow"
    if not path.exists():
        features = datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.ClassLabel(names=subset.class_names),
                "photo_id": datasets.Value("int64"),
                "scientific_name": datasets.Value("string"),
                "common_name": datasets.Value("string"),
            }
        )
        with whole_file(path) as temporary:
            _write_arrow(subset, temporary, features.arrow_schema)
    return datasets.Dataset.from_file(str(path))


def _write_arrow(subset: Described, path: Path, schema: pa.Schema) -> None:
    about = subset.to_arrow().select(list(_ABOUT))
    about = about.set_column(0, "label", about["label"].cast(pa.int64()))
    image_fields = list(schema.field("image").type)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for start in range(0, len(subset), _BATCH):
            rows = about.slice(start, _BATCH)
            positions = slice(start, start + rows.num_rows)
            ids = subset.photo_ids[positions]
            # Read into the memory that is written from, with no copy between.
            data = subset.store.read_array(subset.locations[positions], ids)
            images = pa.StructArray.from_arrays([data, pa.array(ids).cast(pa.string())], fields=image_fields)
            columns = [images, *(rows[name] for name in rows.column_names)]
            writer.write_table(pa.table(columns, schema=schema))


def _content_sha256(subset: Described) -> str:
    """What decides the Arrow file: photos, their place in this store, and the names of the classes."""
    names = subset.classes.select(["name", "scientific_name", "common_name"]).to_pylist()
    digest = hashlib.sha256(repr((subset.store.storage.absolute(), names)).encode())
    locations = subset.locations
    for array in (subset.photo_ids, subset.labels, locations.shard, locations.offset, locations.size_bytes):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
