"""The photos of one part of a split, by position, read from the image store by offset.

A photo costs 28 bytes of memory (16 for its place in the store, its id, its label); images are read when they
are asked for, and so is whatever else the split says of them. A Subset of a split on disk goes through pickle
as paths, and is opened again on the other side; every process opens its own files, under `fork` and `spawn`
alike.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, TypedDict, overload

import numpy as np
import pyarrow as pa

from arboretum_tools import stable_key
from arboretum_tools.display import notebook_views
from arboretum_tools.errors import ArboretumError, SplitError, UsageError
from arboretum_tools.options.export import OnError
from arboretum_tools.samples import Samples, join, require
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.store.locations import Locations
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.subset import shown
from arboretum_tools.subset.conditions import OF_CLASS, checked, classes_with, is_one_of
from arboretum_tools.subset.episodes import read_episodes
from arboretum_tools.subset.hugging_face import to_hugging_face
from arboretum_tools.subset.rows import Rows
from arboretum_tools.subset.torch_view import TorchView
from arboretum_tools.tabular.tables import to_frame
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image


class Item(TypedDict):
    """What `subset[i]` gives."""

    image: Image.Image
    label: int
    photo_id: int
    class_name: str
    scientific_name: str
    common_name: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """What a subset was opened from, so that another process can open it again.

    Attributes:
        split: folder of the split.
        part: name of the part.
        allow_missing: whether photos may be missing.
        sha256: content hashes of the split.
        photos: how many of the part the store held.
    """

    split: Path
    part: str
    allow_missing: bool
    sha256: dict[str, str]
    photos: int


class Subset(Sequence[Item]):
    """The photos of one part that an image store holds, at first in the order (label, photo_id).

    Attributes:
        split_name: name of the split.
        part: name of the part.
        store: where the images are read.
        photo_ids: int64, one per photo.
        labels: int32, one per photo: the row of `classes`.
        locations: where the images lie.
        classes: the classes of the split as an Arrow table, row = label, columns as classes.parquet.
        on_error: what happens at a photo that cannot be read or decoded. "raise": an error, which names it.
            "skip": iterating leaves it out, `to_torch` gives the next one in its stead, and `skipped` says
            so. `subset[i]`, `read_bytes` and `read_many` raise either way: a position means one photo, and
            what is given back must be as long as what was asked for.
        origin: what it was opened from; None where the split is only in memory.
        skipped: what was wrong with the photos that were skipped, by photo id; a slice counts its own.
    """

    def __init__(
        self,
        *,
        split: Split,
        samples: Samples,
        store: ImageStore,
        on_error: OnError = "raise",
        origin: Origin | None = None,
    ) -> None:
        self.split_name = split.name
        self.part = samples.part
        self.store = store
        self.classes: pa.Table = split.classes
        self.on_error = on_error
        self.skipped: dict[int, str] = {}
        self._rows = Rows(split, samples.part, samples.positions)
        self.locations: Locations = samples.locations
        self.photo_ids: NDArray[np.int64] = samples.photo_ids
        self.labels: NDArray[np.int32] = samples.labels
        self._names = [
            (row["name"], row["scientific_name"], row["common_name"])
            for row in self.classes.select(["name", "scientific_name", "common_name"]).to_pylist()
        ]
        self.origin = origin
        # Which photos of the whole part these are; None = all of them, in order.
        self._taken_from: NDArray[np.int64] | None = None

    @classmethod
    def open(
        cls,
        split: Split,
        store: ImageStore,
        part: str,
        *,
        allow_missing: bool = False,
        on_error: OnError = "raise",
    ) -> Subset:
        """What `load_subset` does once split and store are open."""
        samples = join(split, part, store)
        if not allow_missing:
            require([samples], split, store.location)
        origin = None
        if split.path is not None:
            origin = Origin(split.path.resolve(), part, allow_missing, split.sha256, len(samples))
        return cls(split=split, samples=samples, store=store, on_error=on_error, origin=origin)

    def __len__(self) -> int:
        return len(self.photo_ids)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Item: ...  # type: ignore[overload-overlap]

    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> Subset: ...

    def __getitem__(self, index: SupportsIndex | slice | Sequence[int] | NDArray[Any]) -> Item | Subset:
        """One photo as a dictionary, or some as a subset; negative positions count from the end.

        The image is a Pillow image whose pixels are decoded when they are first used. A subset of a subset
        has its `on_error`; one photo that cannot be read is an error in any case.

        Args:
            index: a position, a slice, a list or array of positions, or a Boolean array.

        Raises:
            IndexError: there is no such photo.
            VerificationError: the store's index and its tar do not agree.
            UndecodableImageError: the bytes are no image that Pillow reads.
        """
        if isinstance(index, slice):
            return self._taken(np.arange(len(self))[index])
        if isinstance(index, list | tuple | np.ndarray) and np.ndim(index) == 1:
            chosen = np.asarray(index)
            # An empty list has no type of its own; any other must be of whole numbers or Booleans.
            return self._taken(np.arange(len(self))[chosen if len(chosen) else chosen.astype(np.int64)])
        position = self._position(index)  # type: ignore[arg-type]
        from arboretum_tools.imaging.images import open_image

        photo_id = int(self.photo_ids[position])
        return self._item(position, open_image(self.read_bytes(position), name=f"photo {photo_id}"))

    def __iter__(self) -> Iterator[Item]:
        """The photos in order; with `on_error="skip"` each is decoded, and the broken ones are counted."""
        for position in range(len(self)):
            if self.on_error == "raise":
                yield self[position]
                continue
            try:
                item = self[position]
                self._decode(item)
            except ArboretumError as error:
                self.skipped[int(self.photo_ids[position])] = error.message
                continue
            yield item

    def __repr__(self) -> str:
        return (
            f"Subset({self.split_name!r}, part={self.part!r}: {counted(len(self), 'photo')}, "
            f"{counted(self.classes.num_rows, 'class')})"
        )

    def _repr_html_(self) -> str:
        return shown.card(self)

    def show(self, n: int = 24, by: str | None = None) -> notebook_views.View:
        """Photos side by side, for notebooks.

        Args:
            n: how many.
            by: `class` deals them out over the classes from head to tail; None spreads them over the subset,
                which shows large classes more often.

        Raises:
            UsageError: `n` is below 1, or there is no such `by`.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> train.show(21, by="class").html.count("<img")
        21
        """
        return shown.photos(self, n, by)

    @property
    def class_names(self) -> list[str]:
        """Unique names for people, index = label."""
        return [name for name, _, _ in self._names]

    @property
    def class_counts(self) -> list[int]:
        """Photos per class in this subset, index = label: what long-tailed losses call `cls_num_list`."""
        counts: list[int] = np.bincount(self.labels, minlength=self.classes.num_rows).tolist()
        return counts

    def read_bytes(self, index: SupportsIndex) -> bytes:
        r"""The image as it lies in the store, not decoded.

        Raises:
            IndexError: there is no such photo.
            VerificationError: the store's index and its tar do not agree.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> train.read_bytes(0)[:2]
        b'\xff\xd8'
        """
        position = self._position(index)
        locations = self.locations
        # `item` gives a Python int at half the cost of int(array[position]).
        return self.store.read_bytes(
            locations.shard.item(position),
            locations.offset.item(position),
            locations.size_bytes.item(position),
            self.photo_ids.item(position),
        )

    def read_many(self, indices: Sequence[int] | NDArray[np.integer[Any]] | range) -> list[bytes]:
        """The images at some positions, in their order, not decoded; the store is read in file order.

        Raises:
            IndexError: there is no such photo.
            VerificationError: the store's index and its tar do not agree.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> len(train.read_many([0, 5]))
        2
        """
        positions = np.arange(len(self))[np.asarray(indices, dtype=np.int64)]
        return self.store.read_many(self.locations[positions], self.photo_ids[positions])

    def read_array(self, indices: Sequence[int] | NDArray[np.integer[Any]] | range) -> pa.Array:
        """The same as one Arrow array of binaries, read into one piece of memory: faster for many images.

        `memoryview(array[n].as_buffer())` is an image without a copy.

        Raises:
            IndexError: there is no such photo.
            ValueError: the images have 2 GiB or more together.
            VerificationError: the store's index and its tar do not agree.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> len(train.read_array(range(3)))
        3
        """
        positions = np.arange(len(self))[np.asarray(indices, dtype=np.int64)]
        return self.store.read_array(self.locations[positions], self.photo_ids[positions])

    def where(self, **conditions: Any) -> Subset:
        """The photos that meet every condition, in their order: `subset.where(family="Apidae")`.

        Args:
            **conditions: a column of the classes (`family`, `class_key`, `shot`, ...) or of the part
                (`license`, `life_stage`, `observer_id`, ...) and the value that it must have; a list = any of
                these; None = not known.

        Raises:
            UsageError: there is no such column, or no class of the split has such a value.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> len(train.where(shot="few"))
        65
        """
        keep = np.ones(len(self), dtype=bool)
        for column, value in conditions.items():
            if column in OF_CLASS:
                keep &= classes_with(self.classes, column, value, self.split_name)[self.labels]
            else:
                keep &= is_one_of(self._rows.table(self.photo_ids, [checked(column)])[column], column, value)
        return self._taken(np.flatnonzero(keep))

    def by_class(self, label: SupportsIndex) -> Subset:
        """The photos of one class.

        Raises:
            IndexError: there is no such label.
            UsageError: `label` is not a whole number.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> len(train.by_class(0)) == train.class_counts[0]
        True
        """
        try:
            requested = operator.index(label)
        except TypeError:
            raise UsageError(
                f"by_class takes a label, a whole number, not {label!r}",
                hint="`where(scientific_name=...)` takes photos by the name of their class.",
            ) from None
        if not 0 <= requested < self.classes.num_rows:
            raise IndexError(f"there is no label {requested}: there are {self.classes.num_rows} classes")
        return self._taken(np.flatnonzero(self.labels == requested))

    def episodes(self, file: str | Path) -> Iterator[tuple[Subset, Subset]]:
        """The few-shot episodes of a file of `make_episodes`: support and query, one after the other.

        Photos stand by (way, photo_id); labels are those of the split.

        Raises:
            SplitError: the file holds no episodes, or photos that are not of this subset.

        >>> import arboretum_tools as at
        >>> test = at.load_subset("splits/aves-lt100", images="images", part="test")
        >>> _ = at.make_episodes("splits/aves-lt100", to="two.parquet", ways=5, shots=1, queries=4)
        >>> support, query = next(test.episodes("two.parquet"))
        >>> len(support), len(query)
        (5, 20)
        """
        for support, query in read_episodes(Path(file), self.photo_ids, self.labels):
            yield self._taken(support), self._taken(query)

    def in_shard_order(self) -> Subset:
        """The same photos as they lie in the store: the fastest order to go through them all.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> sorted(train.in_shard_order().photo_ids.tolist()) == sorted(train.photo_ids.tolist())
        True
        """
        return self._taken(self.locations.in_file_order())

    def shuffled(self, seed: int = 0) -> Subset:
        """The same photos in an order that looks random, by (key_shuffle, photo_id), as exports have it.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> train.shuffled(seed=1).class_counts == train.class_counts
        True
        """
        return self._taken(np.lexsort((self.photo_ids, stable_key.keys(self.photo_ids, "shuffle", seed))))

    def to_arrow(self) -> pa.Table:
        """The columns of the part and, from its class, name, scientific and common name; no images.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> train.to_arrow().num_rows
        956
        """
        of_class = self.classes.take(pa.array(self.labels))
        table = self._rows.table(self.photo_ids).append_column("class_name", of_class["name"])
        for name in ("scientific_name", "common_name"):
            table = table.append_column(name, of_class[name])
        return table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """What polars, DuckDB and others read `to_arrow` by: `polars.DataFrame(subset)`."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> pd.DataFrame:
        """`to_arrow` as a data frame; whole numbers that may be unknown are `Int64` and `Int32`.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> train.to_pandas()["class_name"].nunique()
        21
        """
        return to_frame(self.to_arrow())

    def to_torch(self, transform: Callable[[Image.Image], Any] | None = None) -> TorchView:
        """A map-style dataset of (image, label) for `torch.utils.data.DataLoader`.

        Args:
            transform: applied to each image, an RGB Pillow image; None gives the image itself. It must
                survive pickle where the loader's workers are spawned.

        With `on_error="skip"` the next photo that can be read stands in for one that cannot, as in timm, so
        that a batch stays whole; `skipped` then says so in the process that read it.

        >>> import arboretum_tools as at
        >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
        >>> image, label = train.to_torch()[0]
        >>> image.mode, label
        ('RGB', 0)
        """
        return TorchView(self, transform)

    def to_hf(self, cache_dir: str | Path | None = None) -> datasets.Dataset:
        """The subset as a Hugging Face dataset, `image` an Image and `label` a ClassLabel.

        Arrow wants the images of a column one after the other, which a tar with its headers is not; so they
        are copied once into an Arrow file. From then on nothing is: the dataset maps the file into memory,
        and asking again finds it there. For a folder to keep or to upload, use the export format `hf`.

        Args:
            cache_dir: where that file is kept; default the cache folder of `datasets`.

        Raises:
            OutOfSpaceError: the disk ran full.

        >>> import arboretum_tools as at
        >>> test = at.load_subset("splits/aves-lt100", images="images", part="test")
        >>> test.to_hf(cache_dir="cache").num_rows
        210
        """
        return to_hugging_face(self, cache_dir)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__ | {"skipped": {}}
        if self.origin is None:
            # The split is in memory only, so the arrays are all there is.
            return state
        kept = ("origin", "_taken_from", "on_error")
        return {name: state[name] for name in kept} | {"images": self.store.storage.absolute()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "images" not in state:
            self.__dict__.update(state)
            return
        origin: Origin = state["origin"]
        whole = Subset.open(
            open_split(origin.split, in_memory=False),
            ImageStore.open(state["images"]),
            origin.part,
            allow_missing=origin.allow_missing,
            on_error=state["on_error"],
        )
        if whole.origin != origin:
            raise SplitError(
                f"{origin.split} and {state['images']} do not hold what this subset was opened from: "
                f"{counted(origin.photos, 'photo')} of {origin.part} then, {len(whole):,} now, or another "
                "split"
            )
        taken_from = state["_taken_from"]
        self.__dict__.update((whole if taken_from is None else whole[taken_from]).__dict__)

    def _item(self, position: int, image: Image.Image) -> Item:
        label = self.labels.item(position)
        name, scientific_name, common_name = self._names[label]
        return {
            "image": image,
            "label": label,
            "photo_id": self.photo_ids.item(position),
            "class_name": name,
            "scientific_name": scientific_name,
            "common_name": common_name,
        }

    def _decode(self, item: Item) -> None:
        from arboretum_tools.imaging.images import load_pixels

        load_pixels(item["image"], name=f"photo {item['photo_id']}")

    def _position(self, index: SupportsIndex) -> int:
        position = operator.index(index)
        length = len(self.photo_ids)
        if 0 <= position < length:
            return position
        if not -length <= position < 0:
            raise IndexError(f"{position} is outside a subset of {length} photos")
        return position + length

    def _taken(self, positions: NDArray[np.int64]) -> Subset:
        taken = object.__new__(Subset)
        taken.__dict__.update(self.__dict__)
        taken._rows = self._rows.take(positions)
        taken.locations = self.locations[positions]
        taken.photo_ids = self.photo_ids[positions]
        taken.labels = self.labels[positions]
        taken.skipped = {}
        taken._taken_from = positions if self._taken_from is None else self._taken_from[positions]
        return taken
