"""The one writer of an image store: takes the lock, repairs what a killed run left, rolls the shards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from arboretum_tools.errors import ArboretumError, OutOfSpaceError, StoreError
from arboretum_tools.events import Note, OnEvent, ShardFinished, ignore
from arboretum_tools.imaging import image_format
from arboretum_tools.options.store import SHARD_BYTES, SHARD_PHOTOS
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.shards.record import PhotoRecord
from arboretum_tools.store.shards.recovery import recover
from arboretum_tools.store.shards.shard import OpenShard, ShardSummary
from arboretum_tools.store.storage import Storage, storage_at
from arboretum_tools.store.storage.lock import ALONE, Task
from arboretum_tools.system.atomic_files import out_of_space


class StoreWriter:
    """Adds photos to a store; a context manager that holds the store's lock.

    On leaving, the open shard is finished, after an exception too, so that what came can be read at once.
    Only a full disk may leave it open; the next writer finishes it.

    Attributes:
        storage: where the store's files go.
        config: what it holds.
        summaries: the shards that this writer finished, in order.
    """

    def __init__(
        self,
        storage: Storage,
        config: StoreConfig,
        *,
        shard_photos: int = SHARD_PHOTOS,
        shard_bytes: int = SHARD_BYTES,
        task: Task = ALONE,
        on_event: OnEvent = ignore,
    ) -> None:
        self.storage = storage
        self.config = config
        self.summaries: list[ShardSummary] = []
        self._shard_photos = shard_photos
        self._shard_bytes = shard_bytes
        self._task = task
        self._on_event = on_event
        self._stack = ExitStack()
        self._shard: OpenShard | None = None
        self._next_number = 0
        # A shard may be finished by another thread, which a second Ctrl-C does not wait for.
        self._rolling = threading.Lock()

    @classmethod
    def create(
        cls,
        location: str | Path | Storage,
        config: StoreConfig | None = None,
        *,
        shard_photos: int = SHARD_PHOTOS,
        shard_bytes: int = SHARD_BYTES,
        task: Task = ALONE,
        on_event: OnEvent = ignore,
    ) -> StoreWriter:
        """A writer into the store at a place, which is made on entering where it is not there.

        Args:
            location: the folder.
            config: what the store holds; size medium where None.
            shard_photos: photos at which a shard is finished.
            shard_bytes: bytes of a tar at which a shard is finished.
            task: which of several writers that fill the store side by side this is.
            on_event: called for each shard that is finished.

        Raises:
            TargetExistsError: the folder holds something else.
            StoreError: the store has another size or resize.
        """
        storage, config = storage_at(location), config or StoreConfig()
        layout.check_place(storage)
        if layout.is_store(storage):
            layout.check_config(storage, config)
        return cls(
            storage, config, shard_photos=shard_photos, shard_bytes=shard_bytes, task=task, on_event=on_event
        )

    def __enter__(self) -> Self:
        """Takes the lock, makes the store if need be, and repairs it.

        Raises:
            StoreError: another process writes into the store, or the folder cannot be written.
            OutOfSpaceError: the disk is full.
        """
        storage = self.storage
        with _writable(storage), ExitStack() as stack:
            storage.scratch.mkdir(parents=True, exist_ok=True)
            let_in = stack.enter_context(storage.lock(self._task))
            # Again, now that nobody else can make it at the same time.
            layout.check_place(storage)
            if layout.is_store(storage):
                layout.check_config(storage, self.config)
            else:
                layout.write_config(storage, self.config)
            salvaged = recover(storage, self._task if let_in is None else ALONE)
            if salvaged:
                photos = sum(summary.images for summary in salvaged)
                self._on_event(Note(f"kept {photos} photos of a run that was cut short"))
            # Above all that is there, because the state of a photo is that of its highest shard.
            after = max(layout.shard_files(storage), default=-1) + 1
            self._next_number = after + (self._task.number - after) % self._task.of
            if self._next_number > layout.MAX_SHARD:
                raise StoreError(
                    f"{storage.location} has a shard of number {after - 1}, and none is left above it; "
                    "nothing was changed",
                    hint="Move what is not a shard of this store out of it, or download into another folder "
                    "with --images.",
                )
            if let_in is not None and self._task.of > 1:
                let_in()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if error is None:
                self.roll()
                return
            # A signal comes between any two steps, so now the files are believed, and not the memory.
            self.abandon()
            # Where the disk is full or gone, the next writer does it, and says what is wrong.
            with self._rolling, suppress(OutOfSpaceError, StoreError), _still_there(self.storage):
                self.summaries += recover(self.storage, self._task)

    @property
    def full(self) -> bool:
        """Whether the open shard is due to be finished; `add` does it, or the caller by `roll`."""
        shard = self._shard
        return shard is not None and (
            shard.index.rows >= self._shard_photos or shard.tar_bytes >= self._shard_bytes
        )

    def add(self, record: PhotoRecord, data: bytes | None = None) -> None:
        """Adds one photo.

        Args:
            record: what became of the photo.
            data: the image where `record.status` is `ok`, else None.

        Raises:
            OutOfSpaceError: the disk is full; what was added before is kept.
            StoreError: the folder can no longer be written.
        """
        assert (data is not None) == (record.status == "ok"), (
            "bytes are stored for ok photos, and for no other"
        )
        shard = self._shard
        if shard is None or self.full:
            shard = self._next_shard()
        try:
            shard.add(record, data)
        except ArboretumError:
            raise
        except OSError as error:
            raise _no_longer(self.storage, error) from error

    def _next_shard(self) -> OpenShard:
        self.roll()
        with _still_there(self.storage):
            self._shard = OpenShard(self.storage, self._next_number)
        self._next_number += self._task.of
        return self._shard

    def add_image(self, photo_id: int, data: bytes, *, url: str = "") -> None:
        """Adds the bytes of a whole image as an `ok` photo.

        Raises:
            ValueError: `data` is no whole JPEG, PNG, GIF or WebP.
        """
        self.add(PhotoRecord.of_image(photo_id, data, image_format.inspect(data), url=url), data)

    def roll(self) -> ShardSummary | None:
        """Finishes the open shard, if there is one; may take seconds, for the bytes go to the disk.

        Raises:
            OutOfSpaceError: the disk is full; the shard stays open on disk.
            StoreError: the folder can no longer be written.
        """
        with self._rolling, _still_there(self.storage):
            shard, self._shard = self._shard, None
            summary = shard.finish() if shard is not None else None
        if summary is not None:
            self.summaries.append(summary)
            name = layout.tar_name(summary.number)
            self._on_event(ShardFinished(name, summary.images, summary.size_bytes))
        return summary

    def abandon(self) -> None:
        """Leaves the open shard as a killed process would: on disk, for the next writer to finish."""
        shard, self._shard = self._shard, None
        if shard is not None:
            shard.close()


@contextmanager
def _writable(storage: Storage) -> Iterator[None]:
    """Turns what the system says against a folder into one of our errors."""
    try:
        with out_of_space(storage.scratch):
            yield
    except ArboretumError:
        raise
    except OSError as error:
        raise StoreError(
            f"no store can be written at {storage.location}: {error.strerror or error}",
            hint="Choose another folder with --images, or ask for the right to write there.",
        ) from error


@contextmanager
def _still_there(storage: Storage) -> Iterator[None]:
    """The same for a store that could be written before."""
    try:
        yield
    except ArboretumError:
        raise
    except OSError as error:
        raise _no_longer(storage, error) from error


def _no_longer(storage: Storage, error: OSError) -> StoreError:
    return StoreError(
        f"{storage.location} can no longer be written: {error.strerror or error}; what is finished in it is "
        "left as it is",
        hint="Was it moved or removed, its disk taken away, or may too few files be open (`ulimit -n`)? "
        "Run the same command again when that is mended: it goes on where it stopped.",
    )
