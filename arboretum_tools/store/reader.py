"""Reading a store: its finished shards, their indexes, and the bytes of a photo by offset."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import INDEX
from arboretum_tools.errors import MissingPhotosError, StoreError, VerificationError
from arboretum_tools.store import layout, tar
from arboretum_tools.store.layout import StoreConfig
from arboretum_tools.store.locations import Locations
from arboretum_tools.store.record import PhotoRecord, from_arrow
from arboretum_tools.tables import read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Tar files that are kept open: below the usual limit of 1,024 descriptors, with many workers too.
_OPEN_FILES = 64


def open_store(path: str | Path) -> ImageStore:
    """The image store at `path`, to be read.

    Args:
        path: its folder.

    Raises:
        StoreError: there is none, or not one that this toolkit reads.
    """
    return ImageStore.open(path)


class ImageStore:
    """An image store that is read; picklable, safe after a fork and from several threads.

    Attributes:
        path: the store's folder.
        config: what it holds.
    """

    def __init__(self, path: Path, config: StoreConfig) -> None:
        self.path = path
        self.config = config
        self._files: OrderedDict[int, _File] = OrderedDict()

    @classmethod
    def open(cls, path: str | Path) -> ImageStore:
        """The store at `path`.

        Raises:
            StoreError: there is none, or not one that this toolkit reads.
        """
        return cls(Path(path), layout.read_config(Path(path)))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "config": self.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"ImageStore({str(self.path)!r}, size={self.config.size!r})"

    def shards(self) -> list[int]:
        """Numbers of the finished shards, ascending."""
        return [number for number, files in layout.shard_files(self.path).items() if "parquet" in files]

    def index_files(self) -> list[Path]:
        """The indexes of the finished shards, by ascending number; `layout.shard_number` tells it."""
        return [layout.index_path(self.path, number) for number in self.shards()]

    def index(self, shard: int) -> pa.Table:
        """The rows of one shard, sorted by photo_id, with the columns of `schema.INDEX`.

        Raises:
            StoreError: the index is damaged.
        """
        return read_table(layout.index_path(self.path, shard), INDEX, damaged)

    def rows_of(self, photo_id: int) -> Iterator[tuple[int, PhotoRecord]]:
        """Everything that became of one photo: (shard, record), by ascending shard."""
        for shard in self.shards():
            path = layout.index_path(self.path, shard)
            try:
                rows = pq.read_table(path, filters=[("photo_id", "=", photo_id)])
            except (pa.ArrowInvalid, OSError) as error:
                raise damaged(f"{path} cannot be read: {error}") from error
            for record in from_arrow(rows):
                yield shard, record

    def bytes_of(self, photo_id: int) -> bytes:
        """The image of one photo. Looks through the indexes: for many photos, join them and use `read_bytes`.

        Raises:
            MissingPhotosError: the store has no image of it.
            VerificationError: tar and index do not agree.
        """
        status = layout.PENDING
        for shard, record in self.rows_of(photo_id):
            status = record.status
            if record.offset is not None and record.size_bytes is not None:
                return self.read_bytes(shard, record.offset, record.size_bytes, photo_id)
        raise MissingPhotosError(
            f"{self.path} has no image of photo {photo_id}: it is {status}", by_status={status: 1}
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
        # Held by a name until the bytes are here: another thread may drop it from the open files meanwhile.
        file = self._file(shard)
        # Two reads: cutting the header off one would copy the image, which costs more than the second call.
        header = os.pread(file.descriptor, tar.BLOCK, offset - tar.BLOCK)
        data = os.pread(file.descriptor, size, offset)
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
        # Names of this function's own: a third of what the checks cost is looking names up.
        pread, agrees, block = os.pread, tar.agrees, tar.BLOCK
        for shard, rows in self._in_file_order(locations, photo_ids):
            file = self._file(shard)
            descriptor = file.descriptor
            for slot, offset, size, photo_id in rows:
                header = pread(descriptor, block, offset - block)
                data = pread(descriptor, size, offset)
                if len(data) != size or not agrees(header, b"%d." % photo_id, size):
                    data = self.read_bytes(shard, offset, size, photo_id)  # says what is wrong
                found[slot] = data
        return found

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
        for shard, rows in self._in_file_order(locations, photo_ids):
            file = self._file(shard)
            for slot, offset, size, photo_id in rows:
                body = into[starts[slot] : starts[slot + 1]]
                read = os.preadv(file.descriptor, [header, body], offset - tar.BLOCK)
                if read != tar.BLOCK + size or not tar.agrees(header, b"%d." % photo_id, size):
                    body[:] = self.read_bytes(shard, offset, size, photo_id)  # says what is wrong
                if check is not None:
                    check(slot, body)
        return pa.Array.from_buffers(
            pa.binary(), len(locations), [None, pa.py_buffer(ends.astype(np.int32)), data]
        )

    def _in_file_order(
        self, locations: Locations, photo_ids: NDArray[np.int64]
    ) -> Iterator[tuple[int, Iterator[tuple[int, int, int, int]]]]:
        """Shard after shard: its number, and (slot, offset, size, photo id) of its images by offset."""
        order = locations.in_file_order()
        bounds = np.flatnonzero(np.diff(locations.shard[order])) + 1
        for slots in np.split(order, bounds) if len(order) else ():
            columns = (slots, locations.offset[slots], locations.size_bytes[slots], photo_ids[slots])
            yield locations.shard.item(slots[0]), zip(*(column.tolist() for column in columns), strict=True)

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

    def _file(self, shard: int) -> _File:
        found = self._files.get(shard)
        if found is None:
            found = _File(layout.tar_path(self.path, shard))
            self._files[shard] = found
            if len(self._files) > _OPEN_FILES:
                # Closed when the last reader lets go of it, so that another thread may be in it now.
                self._files.popitem(last=False)
        return found

    def _disagrees(self, shard: int, photo_id: int, what: str) -> VerificationError:
        return VerificationError(
            f"{layout.tar_path(self.path, shard)} and its index do not agree about photo {photo_id}: {what}",
            hint=f"`arboretum verify --images {self.path}` lists what is damaged.",
        )


class _File:
    """A descriptor that is closed when nobody holds it any more."""

    __slots__ = ("descriptor",)

    def __init__(self, path: Path) -> None:
        self.descriptor = -1
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise StoreError(
                f"{path} is not there, though the store has its index",
                hint="Bring it back, or remove its .parquet: its photos are then downloaded again.",
            ) from None

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


def damaged(what: str) -> StoreError:
    """The error of a store of which an index or a plan cannot be read, with what to do about it."""
    return StoreError(
        what,
        hint="Bring the file back from a backup. Or remove it: a shard (.tar and .parquet), whose photos are "
        "then downloaded again, or a plan, which the same download saves anew.",
    )
