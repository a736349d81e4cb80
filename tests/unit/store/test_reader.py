"""Bytes come out by offset, from any process and thread, and never when tar and index disagree."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from arboretum_tools.errors import MissingPhotosError, StoreError, VerificationError
from arboretum_tools.store import ImageStore, StoreWriter
from arboretum_tools.store.locations import Locations
from arboretum_tools.store.shards import layout, tar

SHARDS = 80


def filled(path, image, photos: int) -> ImageStore:
    with StoreWriter.create(path, shard_photos=1) as writer:
        for photo_id in range(1, photos + 1):
            writer.add_image(photo_id, image(photo_id))
    return ImageStore.open(path)


@pytest.fixture(scope="module")
def large(tmp_path_factory, image) -> ImageStore:
    """More shards than a reader keeps open; never changed."""
    return filled(tmp_path_factory.mktemp("large"), image, SHARDS)


@pytest.fixture
def store(tmp_path, image) -> ImageStore:
    return filled(tmp_path, image, 2)


def _read_all(store: ImageStore) -> list[bytes]:
    locations = [(shard, store.index(shard).to_pylist()[0]) for shard in store.shards()[:20]]
    return [store.read_bytes(s, row["offset"], row["size_bytes"], row["photo_id"]) for s, row in locations]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(large, method):
    here = _read_all(large)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_read_all, (large,)) == here


def test_a_pickled_store_has_no_open_files(store, image):
    store.bytes_of(1)
    again = pickle.loads(pickle.dumps(store))
    assert again.bytes_of(2) == image(2)
    assert again.config == store.config


def _open_files() -> int:
    here = Path("/proc/self/fd")
    return sum(1 for _ in here.iterdir()) if here.is_dir() else 0


def test_more_shards_than_files_may_be_open(large, image):
    store = ImageStore.open(large.path)
    before = _open_files()
    for shard in range(SHARDS):
        assert store.read_bytes(shard, 512, len(image(shard + 1)), shard + 1) == image(shard + 1)
    assert _open_files() - before <= 64


def test_threads_may_read_while_files_are_closed(large, image):
    images = [image(shard + 1) for shard in range(SHARDS)]

    def wrong(start: int) -> list[int]:
        shards = [(start + n * 7) % SHARDS for n in range(200)]
        return [s for s in shards if large.read_bytes(s, 512, len(images[s]), s + 1) != images[s]]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(wrong, (0, 13, 26, 39))) == [[], [], [], []]


@pytest.mark.parametrize(
    ("offset", "size", "photo_id"),
    [
        (512, 100, 1),
        (1024, 0, 1),
        (0, 10, 1),
        (-512, 10, 1),
        (513, 10, 1),
        (512, -1, 1),
        (512, 2**40, 1),
        (10**9 * 512, 10, 1),
    ],
)
def test_an_index_that_lies_about_the_place_is_found_out(store, offset, size, photo_id):
    ids = np.array([photo_id])
    locations = Locations(np.zeros(1, np.int32), np.array([offset]), np.array([size]))
    for read in (
        lambda: store.read_bytes(0, offset, size, photo_id),
        lambda: store.read_many(locations, ids),
        lambda: store.read_array(locations, ids),
    ):
        with pytest.raises(VerificationError, match="do not agree about photo 1"):
            read()


def test_many_come_as_a_list_or_as_one_array_in_the_order_asked_for(large, image):
    ids = np.array([7, 80, 1, 7, 33, 2])
    sizes = np.array([len(image(photo_id)) for photo_id in ids.tolist()], np.int32)
    locations = Locations((ids - 1).astype(np.int32), np.full(6, 512), sizes)
    requested = [image(photo_id) for photo_id in ids.tolist()]
    assert large.read_many(locations, ids) == requested
    found = large.read_array(locations, ids)
    assert found.to_pylist() == requested
    found.validate(full=True)
    none = np.empty(0, np.int64)
    assert large.read_many(locations[none], ids[none]) == []
    assert large.read_array(locations[none], ids[none]).to_pylist() == []


def test_another_programs_header_is_read_as_well(store, image):
    data = image(1)
    header = bytearray(tar.header("1.jpg", len(data)))
    header[265:269] = b"root"  # the name of the owner
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 8 * 32)
    with layout.tar_path(store.path, 0).open("r+b") as file:
        file.write(header)
    ids = np.array([1])
    locations = Locations(np.zeros(1, np.int32), np.array([512]), np.array([len(data)]))
    assert store.read_many(locations, ids) == store.read_array(locations, ids).to_pylist() == [data]


def test_more_than_an_array_holds_is_refused(store):
    locations = Locations(np.zeros(40, np.int32), np.full(40, 512), np.full(40, 60_000_000, np.int32))
    with pytest.raises(ValueError, match="do not fit"):
        store.read_array(locations, np.ones(40, np.int64))


def test_another_photo_at_the_place_is_found_out(store, image):
    with pytest.raises(VerificationError, match=r"photo 10: 1\.jpg"):
        store.read_bytes(0, 512, len(image(1)), 10)


def test_a_tar_that_is_cut_off_is_found_out(store, image):
    os.truncate(layout.tar_path(store.path, 0), 600)
    with pytest.raises(VerificationError, match="ends after 600 bytes"):
        store.read_bytes(0, 512, len(image(1)), 1)


def test_a_tar_that_is_gone_is_told(store):
    layout.tar_path(store.path, 0).unlink()
    with pytest.raises(StoreError, match="is not there"):
        store.bytes_of(1)


def test_a_damaged_index_is_told(store):
    layout.index_path(store.path, 0).write_bytes(b"PAR1 not really")
    with pytest.raises(StoreError, match="cannot be read"):
        store.index(0)
    with pytest.raises(StoreError, match="cannot be read"):
        store.bytes_of(1)


def test_a_photo_that_is_not_there_is_told_with_its_state(store):
    with pytest.raises(MissingPhotosError, match="it is pending") as caught:
        store.bytes_of(10**12)
    assert caught.value.by_status == {"pending": 1}
