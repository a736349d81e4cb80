"""Reading a store: its finished shards, their indexes, and the bytes of a photo by offset."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import INDEX
from arboretum_tools.display import notebook_views
from arboretum_tools.errors import MissingPhotosError, StoreError, VerificationError
from arboretum_tools.store.locations import Locations
from arboretum_tools.store.shards import layout, tar
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.shards.record import PhotoRecord, from_arrow
from arboretum_tools.store.storage import Place, Storage, StoredFile, storage_at
from arboretum_tools.tabular.tables import read_table
from arboretum_tools.wording import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Tar files that are kept open: below the usual limit of 1,024 descriptors, with many workers too.
_OPEN_FILES = 64

# Images that are read ahead where many are read at the same time: 6 MB of medium ones.
_AHEAD = 64


def open_store(path: str | Path) -> ImageStore:
    """The image store at `path`, to be read.

    Args:
        path: its folder.

    Raises:
        StoreError: there is none, or not one that this toolkit reads.

    >>> import arboretum_tools as at
    >>> at.open_store("images")
    ImageStore('images', size='medium')
    """
    return ImageStore.open(path)


class ImageStore:
    """An image store that is read; picklable, safe after a fork and from several threads.

    Attributes:
        storage: where its files lie.
        config: what it holds.
    """

    def __init__(self, storage: Storage, config: StoreConfig) -> None:
        self.storage = storage
        self.config = config
        self._files: OrderedDict[int, StoredFile] = OrderedDict()

    @classmethod
    def open(cls, location: str | Path | Storage) -> ImageStore:
        """The store at a place.

        Raises:
            StoreError: there is none, or not one that this toolkit reads.
        """
        storage = storage_at(location)
        return cls(storage, layout.read_config(storage))

    def __getstate__(self) -> dict[str, Any]:
        return {"storage": self.storage, "config": self.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"ImageStore({self.location!r}, size={self.config.size!r})"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [("size", self.config.size), ("shards", len(self.shards()))]
        return notebook_views.card(f"Image store {self.location}", notebook_views.table(("", ""), rows))

    @property
    def location(self) -> str:
        """The place of the store, as it was named."""
        return self.storage.location

    @property
    def path(self) -> Path:
        """The folder of a store that lies in one.

        Raises:
            StoreError: it lies in object storage.
        """
        if self.storage.remote:
            raise StoreError(
                f"{self.location} is object storage, and has no folder", hint="Ask `location` where it is."
            )
        return self.storage.scratch

    def shards(self) -> list[int]:
        """Numbers of the finished shards, ascending.

        >>> import arboretum_tools as at
        >>> store = at.open_store("images")
        >>> store.shards()
        [0]
        """
        return [number for number, files in layout.shard_files(self.storage).items() if "parquet" in files]

    def index_files(self, shards: Sequence[int] | None = None) -> list[Path]:
        """Indexes of finished shards as files of this machine; `layout.shard_number` tells whose each is.

        Args:
            shards: whose, in their order; None = all, by ascending number.

        Raises:
            StoreError: one cannot be had.
        """
        names = map(layout.index_name, self.shards() if shards is None else shards)
        return self.storage.local(list(names))

    def index(self, shard: int) -> pa.Table:
        """The rows of one shard, sorted by photo_id, with the columns of `schema.INDEX`.

        Raises:
            StoreError: the index is damaged.

        >>> import arboretum_tools as at
        >>> store = at.open_store("images")
        >>> store.index(0).num_rows
        1436
        """
        (path,) = self.index_files([shard])
        return read_table(path, INDEX, damaged)

    def rows_of(self, photo_id: int) -> Iterator[tuple[int, PhotoRecord]]:
        """Everything that became of one photo: (shard, record), by ascending shard."""
        for path in self.index_files():
            try:
                rows = pq.read_table(path, filters=[("photo_id", "=", photo_id)])
            except (pa.ArrowInvalid, OSError) as error:
                raise damaged(f"{path} cannot be read: {one_line(error)}") from error
            for record in from_arrow(rows):
                yield layout.shard_number(path), record

    def bytes_of(self, photo_id: int) -> bytes:
        r"""The image of one photo. Looks through the indexes; for many photos join them and use `read_bytes`.

        Raises:
            MissingPhotosError: the store has no image of it.
            VerificationError: tar and index do not agree.

        >>> import arboretum_tools as at
        >>> store = at.open_store("images")
        >>> photo_id = store.index(0)["photo_id"][0].as_py()
        >>> store.bytes_of(photo_id)[:2]
        b'\xff\xd8'
        """
        status = layout.PENDING
        for shard, record in self.rows_of(photo_id):
            status = record.status
            if record.offset is not None and record.size_bytes is not None:
                return self.read_bytes(shard, record.offset, record.size_bytes, photo_id)
        raise MissingPhotosError(
            f"{self.location} has no image of photo {photo_id}: it is {status}", by_status={status: 1}
        )

    def read_bytes(self, shard: int, offset: int, size: int, photo_id: int) -> bytes:
        """The image that an index says lies in a shard; its hash is not computed.

        Args:
            shard: number of the shard.
            offset: first byte of the image in the tar.
            size: its length in bytes.
            photo_id: the photo that it should be.

        Raises:
            StoreError: the tar is not there.
            VerificationError: the tar header before `offset` has another name or size, or the tar is cut off.
        """
        if offset < tar.BLOCK or offset % tar.BLOCK or not 0 <= size <= layout.MAX_IMAGE_BYTES:
            raise self._disagrees(shard, photo_id, f"an impossible place ({size} bytes at {offset})")
        header, data = self._file(shard).read(offset - tar.BLOCK, tar.BLOCK, size)
        if len(data) == size and tar.agrees(header, b"%d." % photo_id, size):
            return data
        try:
            name, length = tar.parse(header)
        except ValueError as error:
            raise self._disagrees(shard, photo_id, f"{error} at {offset - tar.BLOCK}") from None
        if length != size or name.partition(".")[0] != str(photo_id):
            raise self._disagrees(shard, photo_id, f"{name} of {length} bytes at {offset}, not {size} bytes")
        if len(data) != size:
            raise self._disagrees(shard, photo_id, f"a file that ends after {offset + len(data)} bytes")
        return data

    def read_many(self, locations: Locations, photo_ids: NDArray[np.int64]) -> list[bytes]:
        """The images at some places, in the order of the places; each tar is read from front to back.

        Raises:
            StoreError: a tar is not there.
            VerificationError: a tar header has another name or size than the index, or a tar is cut off.
        """
        self._check_places(locations, photo_ids)
        found = [b""] * len(locations)
        # A name of this function's own: a third of what the checks cost is looking names up.
        agrees = tar.agrees

        def read(shard: int, slots: list[int], places: list[Place], ids: list[int]) -> None:
            pieces = self._file(shard).read_many(places, tar.BLOCK)
            for slot, (offset, size), photo_id, (header, data) in zip(
                slots, places, ids, pieces, strict=True
            ):
                if len(data) != size or not agrees(header, b"%d." % photo_id, size):
                    data = self.read_bytes(shard, offset, size, photo_id)  # says what is wrong
                found[slot] = data

        jobs = self._in_file_order(locations, photo_ids)
        if self.storage.parallel == 1:
            for job in jobs:
                read(*job)
        else:
            with ThreadPoolExecutor(self.storage.parallel, "arboretum-read") as pool:
                for done in [pool.submit(read, *job) for job in jobs]:
                    done.result()
        return found

    def read_each(self, locations: Locations, photo_ids: NDArray[np.int64]) -> Iterator[bytes]:
        """The images at some places, one after the other in the order of the places.

        Of a storage that is best read in parallel, some are read ahead.

        Raises:
            StoreError: a tar is not there.
            VerificationError: a tar header has another name or size than the index, or a tar is cut off.
        """
        ahead = 1 if self.storage.parallel == 1 else _AHEAD
        for start in range(0, len(locations), ahead):
            here = slice(start, start + ahead)
            if ahead > 1:
                yield from self.read_many(locations[here], photo_ids[here])
            else:
                yield self.read_bytes(
                    locations.shard.item(start),
                    locations.offset.item(start),
                    locations.size_bytes.item(start),
                    photo_ids.item(start),
                )

    def read_array(
        self,
        locations: Locations,
        photo_ids: NDArray[np.int64],
        check: Callable[[int, memoryview], None] | None = None,
    ) -> pa.Array:
        """The same as one Arrow array of binaries: the images are read into its memory, with no other copy.

        Args:
            locations: where the images lie.
            photo_ids: of which photos they are.
            check: is called with the position and the bytes of each image as it is read, which is when they
                are in the processor's cache; what it raises passes.

        Raises:
            ValueError: the images are 2 GiB or more together, which is more than such an array holds.
            StoreError: a tar is not there.
            VerificationError: a tar header has another name or size than the index, or a tar is cut off.
        """
        self._check_places(locations, photo_ids)
        ends = np.concatenate([[0], np.cumsum(locations.size_bytes, dtype=np.int64)])
        if ends[-1] >= 2**31:
            raise ValueError(f"{ends[-1]:,} bytes of images do not fit into one array")
        starts: list[int] = ends.tolist()
        data = pa.allocate_buffer(starts[-1])
        into = memoryview(data).cast("B")
        header = bytearray(tar.BLOCK)
        for shard, slots, places, ids in self._in_file_order(locations, photo_ids):
            bodies = [into[starts[slot] : starts[slot + 1]] for slot in slots]
            reads = self._file(shard).read_into(places, header, bodies)
            for slot, (offset, size), photo_id, body, read in zip(
                slots, places, ids, bodies, reads, strict=True
            ):
                if read != tar.BLOCK + size or not tar.agrees(header, b"%d." % photo_id, size):
                    body[:] = self.read_bytes(shard, offset, size, photo_id)  # says what is wrong
                if check is not None:
                    check(slot, body)
        return pa.Array.from_buffers(
            pa.binary(), len(locations), [None, pa.py_buffer(ends.astype(np.int32)), data]
        )

    def _in_file_order(
        self, locations: Locations, photo_ids: NDArray[np.int64]
    ) -> Iterator[tuple[int, list[int], list[Place], list[int]]]:
        """Shard after shard: its number, and the slots, places and photo ids of its images by offset."""
        order = locations.in_file_order()
        bounds = np.flatnonzero(np.diff(locations.shard[order])) + 1
        for slots in np.split(order, bounds) if len(order) else ():
            places = zip(locations.offset[slots].tolist(), locations.size_bytes[slots].tolist(), strict=True)
            yield locations.shard.item(slots[0]), slots.tolist(), list(places), photo_ids[slots].tolist()

    def _check_places(self, locations: Locations, photo_ids: NDArray[np.int64]) -> None:
        """Raises VerificationError for the first place that cannot be one."""
        offset, size = locations.offset, locations.size_bytes
        wrong = (
            (offset < tar.BLOCK) | (offset % tar.BLOCK != 0) | (size < 0) | (size > layout.MAX_IMAGE_BYTES)
        )
        for slot in np.flatnonzero(wrong).tolist():
            self.read_bytes(
                locations.shard.item(slot), offset.item(slot), size.item(slot), photo_ids.item(slot)
            )

    def _file(self, shard: int) -> StoredFile:
        found = self._files.get(shard)
        if found is None:
            name = layout.tar_name(shard)
            try:
                found = self.storage.open(name)
            except FileNotFoundError:
                raise StoreError(
                    f"{self.storage.where(name)} is not there, though the store has its index",
                    hint="Bring it back, or remove its .parquet: its photos are then downloaded again.",
                ) from None
            self._files[shard] = found
            if len(self._files) > _OPEN_FILES:
                # Closed when the last reader lets go of it, so that another thread may be in it now.
                self._files.popitem(last=False)
        return found

    def _disagrees(self, shard: int, photo_id: int, what: str) -> VerificationError:
        tar_file = self.storage.where(layout.tar_name(shard))
        return VerificationError(
            f"{tar_file} and its index do not agree about photo {photo_id}: {what}",
            hint=f"`arboretum verify --images {self.location}` lists what is damaged.",
        )


def damaged(what: str) -> StoreError:
    """The error of a store of which an index or a plan cannot be read, with what to do about it."""
    return StoreError(
        what,
        hint="Bring the file back from a backup. Or remove it: a shard (.tar and .parquet), whose photos are "
        "then downloaded again, or a plan, which the same download saves anew.",
    )
