"""The one writer of an image store: takes the lock, repairs what a killed run left, rolls the shards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from arboretum_metadata.vocab import WITHDRAWN
from arboretum_tools.errors import ArboretumError, OutOfSpaceError, StoreError
from arboretum_tools.events import Note, OnEvent, ShardFinished, ignore
from arboretum_tools.imaging import image_format
from arboretum_tools.options.store import SHARD_BYTES, SHARD_PHOTOS
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.shards.record import PhotoRecord
from arboretum_tools.store.shards.recovery import recover
from arboretum_tools.store.shards.shard import OpenShard, ShardSummary
from arboretum_tools.store.states import CODES, States
from arboretum_tools.store.storage import Storage, storage_at
from arboretum_tools.store.storage.lock import ALONE, Task
from arboretum_tools.system.atomic_files import out_of_space


class StoreWriter:
    """Adds photos to a store; a context manager that holds the store's lock.

    On leaving, the open shard is finished, after an exception too, so that what came can be read at once.
    Only a full disk, or a bucket out of reach, may leave it open; the next writer finishes it.

    Into a bucket a shard is uploaded by a thread of its own, while the next one is filled.

    Attributes:
        storage: where the store's files go; to be written once this is entered.
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
        # Of a store that is somewhere else: the shard that is on its way.
        self._uploader = ThreadPoolExecutor(1, "arboretum-upload")
        self._upload: Future[ShardSummary | None] | None = None

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
        with _writable(self.storage), ExitStack() as stack:
            tell = lambda text: self._on_event(Note(text))  # noqa: E731
            storage, let_in = stack.enter_context(self.storage.lock(self._task, tell))
            self.storage = storage
            # Again, now that nobody else can make it at the same time.
            layout.check_place(storage)
            if layout.is_store(storage):
                layout.check_config(storage, self.config)
            else:
                layout.write_config(storage, self.config)
            salvaged = []
            for behind, task in storage.left_behind():
                salvaged += recover(behind, task, known=self._known)
            salvaged += recover(storage, self._task if let_in is None else ALONE, known=self._known)
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
        with self._stack, self._uploader:
            if error is None:
                self.roll()
                return
            # A signal comes between any two steps, so now the files are believed, and not the memory.
            self.abandon()
            # Where the disk is full or gone, the next writer does it, and says what is wrong.
            with self._rolling, suppress(OutOfSpaceError, StoreError), _still_there(self.storage):
                self.summaries += recover(self.storage, self._task, known=self._known)

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
        self.roll(wait=False)
        with _still_there(self.storage):
            number = self.storage.reserve(self._next_number, self._task.of)
            self._shard = OpenShard(self.storage, number)
        self._next_number = number + self._task.of
        return self._shard

    def _known(self, photo_ids: list[int]) -> set[int]:
        """Of some photos those that the store has an image of, or has withdrawn."""
        ids = np.unique(np.array(photo_ids, np.int64))
        codes = States(ImageStore.open(self.storage)).of(ids)
        return set(ids[(codes == CODES.index("ok")) | (codes == CODES.index(WITHDRAWN))].tolist())

    def add_image(self, photo_id: int, data: bytes, *, url: str = "") -> None:
        """Adds the bytes of a whole image as an `ok` photo.

        Raises:
            ValueError: `data` is no whole JPEG, PNG, GIF or WebP.
        """
        self.add(PhotoRecord.of_image(photo_id, data, image_format.inspect(data), url=url), data)

    def roll(self, *, wait: bool = True) -> None:
        """Finishes the open shard, if there is one; may take seconds, for the bytes go to the disk.

        Args:
            wait: whether it is to be in the store when this returns. Without, it may still be on its way to a
                bucket, and what goes wrong is raised by the next call.

        Raises:
            OutOfSpaceError: the disk is full; the shard stays open on disk.
            StoreError: the folder can no longer be written, or the bucket; likewise.
        """
        with self._rolling, _still_there(self.storage):
            self._arrived()
            shard, self._shard = self._shard, None
            if shard is None:
                return
            if self.storage.remote:
                self._upload = self._uploader.submit(shard.finish)
                if wait:
                    self._arrived()
            else:
                self._finished(shard.finish())

    def _arrived(self) -> None:
        """Waits for the shard that is on its way."""
        upload = self._upload
        if upload is not None:
            try:
                self._finished(upload.result())
            finally:
                # Not where a signal ended the waiting.
                if upload.done():
                    self._upload = None

    def _finished(self, summary: ShardSummary | None) -> None:
        if summary is not None:
            self.summaries.append(summary)
            name = layout.tar_name(summary.number)
            self._on_event(ShardFinished(name, summary.images, summary.size_bytes))

    def abandon(self) -> None:
        """Leaves the open shard as a killed process would: on disk, for the next writer to finish."""
        shard, self._shard = self._shard, None
        if shard is not None:
            shard.close()
        with suppress(ArboretumError, OSError):
            self._arrived()


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
            f"no store can be written at {_place(storage)}: {error.strerror or error}",
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
        f"{_place(storage)} can no longer be written: {error.strerror or error}; what is finished in it is "
        "left as it is",
        hint="Was it moved or removed, its disk taken away, or may too few files be open (`ulimit -n`)? "
        "Run the same command again when that is mended: it goes on where it stopped.",
    )


def _place(storage: Storage) -> str:
    """The store, or the folder by way of which it is written, which is what the system speaks of."""
    return str(storage.scratch) if storage.remote else storage.location
