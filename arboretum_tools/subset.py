"""Subset: one part of a split, photo by photo, straight from the image store; no export needed.

A photo costs 28 bytes of index in memory (16 for its place in the store, its id, its label) beside its row of
metadata; images are read by offset when they are asked for. A Subset is plain data: it goes through pickle,
so it works under `fork` and `spawn` alike, and every process opens its own files.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, TypedDict, overload

import numpy as np
import pyarrow as pa

from arboretum_tools.publish import whole_file
from arboretum_tools.samples import STORED, join, require
from arboretum_tools.split.manifest import Split, load_split
from arboretum_tools.store.reader import ImageStore

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

# Images a batch on the way into a Hugging Face dataset: bounds memory.
_BATCH = 100


class Item(TypedDict):
    """What `subset[i]` gives."""

    image: Image.Image
    label: int
    photo_id: int
    class_name: str
    scientific_name: str
    common_name: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where images lie, arrays of one length: 16 bytes a photo."""

    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size_bytes: NDArray[np.int32]

    def __getitem__(self, index: Any) -> _Place:
        return _Place(self.shard[index], self.offset[index], self.size_bytes[index])


class Subset(Sequence[Item]):
    """The photos of one part that an image store holds, in the order (label, photo_id).

    Attributes:
        split_name: name of the split.
        part: name of the part.
        store: where the images are read.
        photo_ids: int64, one a photo.
        labels: int32, one a photo: the row of `classes`.
        classes: the classes of the split as an Arrow table, row = label, columns as classes.parquet.
    """

    def __init__(
        self, *, split_name: str, part: str, store: ImageStore, classes: pa.Table, rows: pa.Table
    ) -> None:
        self.split_name = split_name
        self.part = part
        self.store = store
        self.classes = classes
        stored = {column.name for column in STORED}
        self._rows = rows.select([name for name in rows.column_names if name not in stored])
        self._place = _Place(
            rows["shard"].to_numpy(),
            rows["offset"].to_numpy(),
            rows["size_bytes"].to_numpy().astype(np.int32),
        )
        self.photo_ids: NDArray[np.int64] = rows["photo_id"].to_numpy()
        self.labels: NDArray[np.int32] = rows["label"].to_numpy()
        self._names = [
            (row["name"], row["scientific_name"], row["common_name"])
            for row in classes.select(["name", "scientific_name", "common_name"]).to_pylist()
        ]

    def __len__(self) -> int:
        return len(self.photo_ids)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Subset: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Item | Subset:
        """One photo as a dictionary, or a part of this subset; negative indices count from the end.

        The image is a Pillow image whose pixels are decoded when they are first used.

        Raises:
            IndexError: there is no such photo.
            UndecodableImageError: the bytes are no image that Pillow reads.
        """
        if isinstance(index, slice):
            return self._taken(index)
        from arboretum_tools.images import open_image

        position = self._position(index)
        label = int(self.labels[position])
        photo_id = int(self.photo_ids[position])
        name, scientific_name, common_name = self._names[label]
        return {
            "image": open_image(self.read_bytes(position), name=f"photo {photo_id}"),
            "label": label,
            "photo_id": photo_id,
            "class_name": name,
            "scientific_name": scientific_name,
            "common_name": common_name,
        }

    def __iter__(self) -> Iterator[Item]:
        return (self[position] for position in range(len(self)))

    def __repr__(self) -> str:
        return (
            f"Subset({self.split_name!r}, part={self.part!r}: {len(self):,} photos, "
            f"{self.classes.num_rows:,} classes)"
        )

    @property
    def class_names(self) -> list[str]:
        """Unique names for people, index = label."""
        return [name for name, _, _ in self._names]

    @property
    def class_counts(self) -> list[int]:
        """Photos a class in this subset, index = label: what long-tailed losses call `cls_num_list`."""
        counts: list[int] = np.bincount(self.labels, minlength=self.classes.num_rows).tolist()
        return counts

    def read_bytes(self, index: SupportsIndex) -> bytes:
        """The image as it lies in the store, not decoded.

        Raises:
            IndexError: there is no such photo.
            VerificationError: the store's index and its tar do not agree.
        """
        position = self._position(index)
        place = self._place
        return self.store.read_bytes(
            int(place.shard[position]),
            int(place.offset[position]),
            int(place.size_bytes[position]),
            int(self.photo_ids[position]),
        )

    def to_arrow(self) -> pa.Table:
        """The columns of the part and, from its class, name, scientific and common name; no images."""
        of_class = self.classes.take(pa.array(self.labels))
        table = self._rows.append_column("class_name", of_class["name"])
        for name in ("scientific_name", "common_name"):
            table = table.append_column(name, of_class[name])
        return table

    def to_pandas(self) -> pd.DataFrame:
        """`to_arrow` as a data frame."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_torch(self, transform: Callable[[Image.Image], Any] | None = None) -> TorchView:
        """A map-style dataset of (image, label) for `torch.utils.data.DataLoader`.

        Args:
            transform: applied to each image, an RGB Pillow image; None gives the image itself. It must
                survive pickle where the loader's workers are spawned.
        """
        return TorchView(self, transform)

    def to_hf(self, cache_dir: str | Path | None = None) -> datasets.Dataset:
        """The subset as a Hugging Face dataset, `image` an Image and `label` a ClassLabel.

        The images are copied once into an Arrow file that the dataset maps into memory; asking again finds
        the file there. For a folder to keep or to upload, use the export format `hf`.

        Args:
            cache_dir: where that file is kept; default the cache folder of `datasets`.

        Raises:
            OutOfSpaceError: the disk ran full.
        """
        import datasets

        folder = Path(cache_dir or Path(datasets.config.HF_DATASETS_CACHE) / "arboretum_tools")
        path = folder / f"{self._content_sha256()[:24]}.arrow"
        if not path.exists():
            features = datasets.Features(
                {
                    "image": datasets.Image(),
                    "label": datasets.ClassLabel(names=self.class_names),
                    "photo_id": datasets.Value("int64"),
                    "scientific_name": datasets.Value("string"),
                    "common_name": datasets.Value("string"),
                }
            )
            with whole_file(path) as temporary:
                self._write_arrow(temporary, features.arrow_schema)
        return datasets.Dataset.from_file(str(path))

    def _write_arrow(self, path: Path, schema: pa.Schema) -> None:
        about = self.to_arrow().select(["label", "photo_id", "scientific_name", "common_name"])
        about = about.set_column(0, "label", about["label"].cast(pa.int64()))
        image_type = schema.field("image").type
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for start in range(0, len(self), _BATCH):
                rows = about.slice(start, _BATCH)
                images = [
                    {"bytes": self.read_bytes(position), "path": f"{self.photo_ids[position]}"}
                    for position in range(start, start + rows.num_rows)
                ]
                columns = [pa.array(images, image_type), *(rows[name] for name in rows.column_names)]
                writer.write_table(pa.table(columns, schema=schema))

    def _content_sha256(self) -> str:
        """What decides the Arrow file: photos, their place in this store, and the names of the classes."""
        digest = hashlib.sha256(repr((str(self.store.path.resolve()), self._names)).encode())
        place = self._place
        for array in (self.photo_ids, self.labels, place.shard, place.offset, place.size_bytes):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _position(self, index: SupportsIndex) -> int:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"{position} is outside a subset of {len(self)} photos")
        return position % len(self)

    def _taken(self, index: slice) -> Subset:
        taken = object.__new__(Subset)
        taken.__dict__.update(self.__dict__)
        taken._rows = self._rows.take(pa.array(np.arange(len(self))[index]))
        taken._place = self._place[index]
        taken.photo_ids = self.photo_ids[index]
        taken.labels = self.labels[index]
        return taken


@dataclass(frozen=True, slots=True)
class TorchView:
    """(image, label) by position: all that `torch.utils.data.DataLoader` asks of a map-style dataset.

    It does not import torch; torch takes any object with these two methods.

    Attributes:
        subset: the photos.
        transform: applied to each RGB image; None gives the image itself.
    """

    subset: Subset
    transform: Callable[[Image.Image], Any] | None = None

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.subset)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int]:
        """The transformed image and the label of one photo.

        Raises:
            IndexError: there is no such photo.
            UndecodableImageError: the bytes are no image that Pillow reads.
        """
        from arboretum_tools.images import decode_rgb

        position = operator.index(index)
        data = self.subset.read_bytes(position)
        image = decode_rgb(data, name=f"photo {self.subset.photo_ids[position]}")
        label = int(self.subset.labels[position])
        return (image if self.transform is None else self.transform(image)), label


def load_subset(
    split: str | Path | Split,
    *,
    images: str | Path = "images",
    part: str = "train",
    allow_missing: bool = False,
) -> Subset:
    """Opens one part of a split over an image store.

    Args:
        split: the folder of a split, or a split.
        images: the image store.
        part: train, val or test.
        allow_missing: leave out the photos that the store does not hold.

    Raises:
        SplitError: the split cannot be read, or has no such part.
        StoreError: `images` is not an image store.
        MissingPhotosError: the store lacks photos and `allow_missing` is not set.
    """
    opened = split if isinstance(split, Split) else load_split(split)
    store = ImageStore.open(images)
    samples = join(opened, part, store)
    if not allow_missing:
        require([samples], store.path)
    return Subset(split_name=opened.name, part=part, store=store, classes=opened.classes, rows=samples.rows)
