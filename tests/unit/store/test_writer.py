"""What is put into a store comes out of it, in shards of the size that was asked for."""

from __future__ import annotations

import tarfile
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from arboretum_metadata.schema import INDEX
from arboretum_tools.errors import StoreError
from arboretum_tools.events import ShardFinished
from arboretum_tools.imaging.image_format import NotWholeError, inspect
from arboretum_tools.store import ImageStore, PhotoRecord, StoreWriter
from arboretum_tools.tabular.tables import arrow_schema


def failed(photo_id: int) -> PhotoRecord:
    return PhotoRecord(
        photo_id=photo_id,
        status="gone",
        http_status=404,
        error="HTTP 404",
        url="u",
        fetched_at=datetime.now(UTC),
    )


def names(path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.name not in (".lock", "store.json"))


def members(path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


def test_every_photo_comes_out_as_it_went_in(tmp_path, image):
    photos = {n: image(n, ("jpeg", "png", "gif", "webp")[n % 4]) for n in (9, 3, 7, 1, 5)}
    with StoreWriter.create(tmp_path) as writer:
        for photo_id, data in photos.items():
            writer.add_image(photo_id, data)
        writer.add(failed(4))
    store = ImageStore.open(tmp_path)
    assert {n: store.bytes_of(n) for n in photos} == photos
    assert names(tmp_path) == ["shard-000000.parquet", "shard-000000.tar"]


def test_the_index_is_sorted_and_the_tar_keeps_the_order_of_arrival(tmp_path, image):
    with StoreWriter.create(tmp_path) as writer:
        for photo_id in (9, 3, 7):
            writer.add_image(photo_id, image(photo_id))
        writer.add(failed(4))
    index = pq.read_table(tmp_path / "shard-000000.parquet")
    assert index.schema.remove_metadata() == arrow_schema(INDEX)
    assert index["photo_id"].to_pylist() == [3, 4, 7, 9]
    assert index["status"].to_pylist() == ["ok", "gone", "ok", "ok"]
    assert index["member"].to_pylist() == ["3.jpg", None, "7.jpg", "9.jpg"]
    with tarfile.open(tmp_path / "shard-000000.tar") as archive:
        assert archive.getnames() == ["9.jpg", "3.jpg", "7.jpg"]
        offsets = {m.name: m.offset_data for m in archive}
    assert dict(zip(index["member"].to_pylist(), index["offset"].to_pylist(), strict=True)) | {
        None: None
    } == (offsets | {None: None})


def test_shards_roll_by_photos_and_by_bytes(tmp_path, image):
    events = []
    with StoreWriter.create(tmp_path / "a", shard_photos=3, on_event=events.append) as writer:
        for photo_id in range(1, 8):
            writer.add_image(photo_id, image(photo_id))
    assert [summary.rows for summary in writer.summaries] == [3, 3, 1]
    assert [event.name for event in events if isinstance(event, ShardFinished)] == [
        "shard-000000.tar",
        "shard-000001.tar",
        "shard-000002.tar",
    ]
    assert [event.size_bytes for event in events] == [
        (tmp_path / "a" / event.name).stat().st_size for event in events
    ]
    with StoreWriter.create(tmp_path / "b", shard_bytes=1) as writer:
        for photo_id in (1, 2):
            writer.add_image(photo_id, image(photo_id))
    assert [summary.images for summary in writer.summaries] == [1, 1]


def test_a_second_writer_goes_on_with_the_next_number(tmp_path, image):
    for photo_id in (1, 2):
        with StoreWriter.create(tmp_path) as writer:
            writer.add_image(photo_id, image(photo_id))
    assert ImageStore.open(tmp_path).shards() == [0, 1]


def test_a_writer_that_adds_nothing_leaves_no_shard(tmp_path):
    with StoreWriter.create(tmp_path):
        pass
    assert names(tmp_path) == []


def test_what_was_added_before_an_exception_is_a_finished_shard(tmp_path, image):
    def interrupted() -> None:
        with StoreWriter.create(tmp_path) as writer:
            writer.add_image(1, image(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ImageStore.open(tmp_path).bytes_of(1) == image(1)


def test_what_is_no_whole_image_is_not_added(tmp_path, image):
    with StoreWriter.create(tmp_path) as writer:
        with pytest.raises(NotWholeError):
            writer.add_image(1, image(1)[:-1])
        writer.add_image(2, image(2))
    assert ImageStore.open(tmp_path).index(0)["photo_id"].to_pylist() == [2]


def test_a_shard_without_images_is_a_shard(tmp_path):
    with StoreWriter.create(tmp_path) as writer:
        writer.add(failed(4))
    assert members(tmp_path / "shard-000000.tar") == []
    assert ImageStore.open(tmp_path).index(0)["error"].to_pylist() == ["HTTP 404"]


def test_an_exception_in_the_middle_of_adding_leaves_the_shard_as_it_was(tmp_path, image):
    class Unwritable(PhotoRecord):
        def to_line(self, *, offset: int | None = None) -> bytes:
            raise KeyboardInterrupt

    with StoreWriter.create(tmp_path) as writer:
        writer.add_image(1, image(1))
        good = PhotoRecord.of_image(2, image(2), inspect(image(2)))
        columns = {name: getattr(good, name) for name in INDEX.names}
        with pytest.raises(KeyboardInterrupt):
            writer.add(Unwritable(**columns), image(2))
        writer.add_image(3, image(3))
    store = ImageStore.open(tmp_path)
    assert store.index(0)["photo_id"].to_pylist() == [1, 3]
    assert store.bytes_of(3) == image(3)
    assert members(tmp_path / "shard-000000.tar") == ["1.jpg", "3.jpg"]


def test_a_store_that_is_taken_away_is_one_error(tmp_path, image):
    store, away = tmp_path / "images", tmp_path / "away"
    with (
        pytest.raises(StoreError, match="can no longer be written") as caught,
        StoreWriter.create(store) as writer,
    ):
        writer.add_image(1, image(1))
        store.rename(away)
        # What is open is written on; that it is not where it was shows when the shard is finished.
        writer.add_image(2, image(2))
    assert "goes on where it stopped" in caught.value.hint
    with pytest.raises(StoreError, match="can no longer be written"), StoreWriter.create(store) as writer:
        store.rename(tmp_path / "again")
        writer.add_image(1, image(1))
    away.rename(store)
    with StoreWriter.create(store) as writer:
        writer.add_image(3, image(3))
    assert [ImageStore.open(store).index(n)["photo_id"].to_pylist() for n in (0, 1)] == [[1, 2], [3]]


def test_what_ends_a_run_is_told_though_the_store_is_gone_as_well(tmp_path, image):
    with pytest.raises(ZeroDivisionError), StoreWriter.create(tmp_path / "images") as writer:
        writer.add_image(1, image(1))
        (tmp_path / "images").rename(tmp_path / "away")
        raise ZeroDivisionError
