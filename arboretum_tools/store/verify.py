"""Reading a store again, every byte against its hash: what has rotted, or is not as its index says.

One shard is looked at by one thread, and nothing of it is held but its index, so memory depends on neither
the number of shards nor that of photos. Nothing is changed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.display import notebook_views
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import ArboretumError, StoreError, VerificationError
from arboretum_tools.events import ShardFinished, StageFinished, StageStarted
from arboretum_tools.imaging import image_format
from arboretum_tools.imaging.image_format import NotWholeError
from arboretum_tools.options import takes
from arboretum_tools.options.store import VerifyOptions
from arboretum_tools.store import inventory
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards import layout, tar
from arboretum_tools.store.shards.record import PhotoRecord, from_arrow
from arboretum_tools.store.storage import Storage, storage_at
from arboretum_tools.tabular import query
from arboretum_tools.wording import one_line

#: So many are told one by one; the others are counted.
MOST_TOLD = 1_000


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in a store that is not as it should be.

    Attributes:
        shard: file name of the shard, `shard-000000.tar`.
        photo_id: the photo; None where it is the shard as a whole.
        what: what is wrong, in words.
    """

    shard: str
    photo_id: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found when a store was read again.

    Attributes:
        path: the store, as it was named.
        shards: finished shards that were read.
        open_shards: shards of a run that is going on or was killed; not read, for the next run checks them.
        photos: images that were read.
        size_bytes: their bytes.
        decoded: whether their pixels were decoded too.
        damages: the first thousand, by shard, then in the order in which they lie in it.
        damaged: how many there are.
        seconds: how long it took.
    """

    path: str
    shards: int
    open_shards: int
    photos: int
    size_bytes: int
    decoded: bool
    damages: tuple[Damage, ...]
    damaged: int
    seconds: float

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self)


class DamagedStoreError(VerificationError):
    """A store that holds something else than its indexes say.

    Attributes:
        verification: what was found.
    """

    def __init__(self, verification: Verification) -> None:
        shards = sorted({damage.shard for damage in verification.damages})
        files = ", ".join(shards[:5]) + (", ..." if len(shards) > 5 else "")
        super().__init__(
            f"{verification.path} is damaged in {verification.damaged:,} "
            f"place{'s' * (verification.damaged > 1)}, in {files}; "
            "nothing was changed",
            hint="Bring these files back from a backup; or move each of them and its .parquet out of the "
            "store and run the download again, which fetches what they held and nothing else.",
        )
        self.verification = verification


@shows_progress
@takes(VerifyOptions)
def verify_store(path: str | Path | Storage, options: VerifyOptions) -> Verification:
    """Reads every image of the store at `path` and compares it with what its index says.

    Checked are: the tar header before each image, its length, its SHA-256, its type and whether it is whole;
    that each tar holds the images of its index, one after the other, and nothing else; that no photo has two
    images.

    Args:
        path: the store's folder.
        options: {options}
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets a ShardFinished for each shard, in order.

    Raises:
        DamagedStoreError: something is not as it should be; carries what was found.
        StoreError: there is no store.

    >>> import arboretum_tools as at
    >>> found = at.verify_store("images")
    >>> (found.photos, found.damaged)
    (1436, 0)
    """
    began, on_event = time.monotonic(), options.on_event
    store = ImageStore.open(storage_at(path).fresh())
    numbers = store.shards()
    open_shards = len(layout.shard_files(store.storage)) - len(numbers)
    damages: list[Damage] = []
    damaged = photos = size_bytes = 0
    on_event(StageStarted("verify", len(numbers), "shard"))
    with ThreadPoolExecutor(max(os.cpu_count() or 1, store.storage.parallel), "arboretum-verify") as pool:
        try:
            checked = pool.map(lambda number: _check_shard(store, number, decode=options.decode), numbers)
            for number, (found, images, read) in zip(numbers, checked, strict=True):
                damages += found[: MOST_TOLD - len(damages)]
                damaged += len(found)
                photos += images
                size_bytes += read
                on_event(ShardFinished(layout.tar_name(number), images, read))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    twice = list(_stored_twice(store)) if not damaged else []
    on_event(StageFinished("verify"))
    verification = Verification(
        path=store.location,
        shards=len(numbers),
        open_shards=open_shards,
        photos=photos,
        size_bytes=size_bytes,
        decoded=options.decode,
        damages=(*damages, *twice[: MOST_TOLD - len(damages)]),
        damaged=damaged + len(twice),
        seconds=time.monotonic() - began,
    )
    if verification.damaged:
        raise DamagedStoreError(verification)
    return verification


def _check_shard(store: ImageStore, number: int, *, decode: bool) -> tuple[list[Damage], int, int]:
    """What is wrong with one shard, the images in it, and their bytes."""
    name = layout.tar_name(number)
    try:
        records = from_arrow(store.index(number))
    except StoreError as error:
        return [Damage(name, None, error.message)], 0, 0
    found = []
    ids = [record.photo_id for record in records]
    if any(one >= other for one, other in itertools.pairwise(ids)):
        found.append(Damage(name, None, "its index is not sorted by photo_id, each photo once"))
    images = sorted(
        (record for record in records if record.status == "ok"), key=lambda record: record.offset or 0
    )
    end = read = 0
    for record in images:
        if record.offset != end + tar.BLOCK:
            found.append(Damage(name, record.photo_id, f"lies at {record.offset}, not at {end + tar.BLOCK}"))
        end = (record.offset or 0) - tar.BLOCK + tar.entry_bytes(record.size_bytes or 0)
        wrong = _check_photo(store, number, record, decode=decode)
        if wrong:
            found.append(Damage(name, record.photo_id, wrong))
        read += record.size_bytes or 0
    try:
        length = store.storage.size(name)
    except OSError:
        return [Damage(name, None, "is not there, though the store has its index")], 0, 0
    if length != end + len(tar.END):
        found.append(Damage(name, None, f"has {length} bytes, not the {end + len(tar.END)} of its index"))
    return found, len(images), read


def _check_photo(store: ImageStore, shard: int, record: PhotoRecord, *, decode: bool) -> str:
    """What is wrong with one image, in words; "" where nothing is."""
    if record.offset is None or record.size_bytes is None or record.sha256 is None:
        return "is ok without a place, a size or a hash"
    try:
        data = store.read_bytes(shard, record.offset, record.size_bytes, record.photo_id)
    except ArboretumError as error:
        return error.message
    if hashlib.sha256(data).hexdigest() != record.sha256:
        return "its bytes do not have the SHA-256 of the index"
    try:
        image = image_format.inspect(data)
    except NotWholeError as error:
        return str(error)
    if record.member != f"{record.photo_id}.{image.ext}":
        return f"is called {record.member}, and is a {image.format}"
    if (record.width, record.height) != (image.width, image.height):
        return f"is {image.width} x {image.height}, not {record.width} x {record.height} as the index says"
    if not decode:
        return ""
    # Not before it is needed: it costs the import of Pillow.
    from arboretum_tools.imaging.pixel_damage import pixel_damage

    return pixel_damage(data)


def _stored_twice(store: ImageStore) -> Iterator[Damage]:
    with closing(query.connect()) as connection:
        try:
            rows = inventory.stored_twice(store, connection)
        except query.Error as error:
            raise StoreError(f"the indexes of {store.location} cannot be read: {one_line(error)}") from error
    for photo_id, shards in rows:
        name = layout.tar_name(shards[-1])
        yield Damage(name, photo_id, f"has an image in {len(shards)} shards: {', '.join(map(str, shards))}")
