"""Whatever is changed in a store is found, and nothing is where nothing was."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.errors import StoreError
from arboretum_tools.store import ImageStore, StoreWriter
from arboretum_tools.store.shards import layout
from arboretum_tools.store.verify import DamagedStoreError, verify_store


@pytest.fixture
def store(tmp_path, image):
    with StoreWriter.create(tmp_path / "images", shard_photos=4) as writer:
        for photo_id in (5, 3, 9, 1, 7, 2):
            writer.add_image(photo_id, image(photo_id))
    return tmp_path / "images"


def damage(store, *, decode=False):
    with pytest.raises(DamagedStoreError) as caught:
        verify_store(store, decode=decode)
    assert caught.value.exit_code == 6
    json.dumps(caught.value.verification.to_dict())
    return {(d.shard, d.photo_id): d.what for d in caught.value.verification.damages}


def entry(store, photo_id):
    [(shard, record)] = ImageStore.open(store).rows_of(photo_id)
    return layout.tar_path(store, shard), record


def overwrite(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_whole_store_is_whole(store):
    found = verify_store(store, decode=True)
    assert (found.shards, found.photos, found.damaged, found.open_shards) == (2, 6, 0, 0)
    assert found.size_bytes > 0


@pytest.mark.parametrize("photo_id", [5, 9, 2])
def test_any_changed_byte_of_an_image_is_found(store, photo_id):
    path, record = entry(store, photo_id)
    for at in (0, record.size_bytes // 2, record.size_bytes - 1):
        before = path.read_bytes()
        overwrite(path, record.offset + at, bytes([before[record.offset + at] ^ 1]))
        assert damage(store) == {(path.name, photo_id): "its bytes do not have the SHA-256 of the index"}
        path.write_bytes(before)
    assert verify_store(store).damaged == 0


def test_a_changed_header_is_found(store):
    path, record = entry(store, 3)
    overwrite(path, record.offset - 512, b"8")
    assert [photo for _, photo in damage(store)] == [3]


def test_a_tar_that_is_cut_off_is_found(store):
    path, record = entry(store, 1)
    path.write_bytes(path.read_bytes()[: record.offset + 5])
    found = damage(store)
    assert {photo for _, photo in found} == {1, None}
    assert "ends after" in found[path.name, 1]


def test_a_tar_with_something_behind_its_end_is_found(store):
    path, _ = entry(store, 1)
    path.write_bytes(path.read_bytes() + bytes(512))
    assert list(damage(store)) == [(path.name, None)]


def test_a_missing_tar_and_an_unreadable_index_are_found(store):
    layout.tar_path(store, 0).unlink()
    layout.index_path(store, 1).write_bytes(b"PAR1")
    found = damage(store)
    assert list(found) == [("shard-000000.tar", None), ("shard-000001.tar", None)]
    assert "not there" in found["shard-000000.tar", None]


def test_a_photo_with_two_images_is_found(store, tmp_path, image):
    with StoreWriter.create(store) as writer:
        writer.add_image(3, image(3))
    assert "in 2 shards: 0, 2" in damage(store)["shard-000002.tar", 3]


def test_an_index_that_lies_about_the_size_in_pixels_is_found(store):
    path = layout.index_path(store, 0)
    rows = pq.read_table(path)
    at = rows.schema.get_field_index("width")
    pq.write_table(rows.set_column(at, "width", pa.array([1] * len(rows), pa.int32())), path)
    assert all("not 1 x" in what for what in damage(store).values())


def test_pixels_that_came_damaged_are_found_by_decoding_only(tmp_path, image):
    png = bytearray(image(1, "png"))
    start = png.index(b"IDAT") + 8
    png[start : start + 4] = b"\xff\xff\xff\xff"
    with StoreWriter.create(tmp_path / "images") as writer:
        writer.add_image(1, bytes(png))
    assert verify_store(tmp_path / "images").damaged == 0
    assert [photo for _, photo in damage(tmp_path / "images", decode=True)] == [1]


def test_a_marker_among_the_pixels_that_no_decoder_reports_is_found(tmp_path, image):
    jpeg = bytearray(image(1))
    jpeg[-12:-10] = b"\xff\xd3"
    with StoreWriter.create(tmp_path / "images") as writer:
        writer.add_image(1, bytes(jpeg))
    assert verify_store(tmp_path / "images").damaged == 0
    [what] = damage(tmp_path / "images", decode=True).values()
    assert "restart marker" in what


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="not an image store"):
        verify_store(tmp_path)
