from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.errors import MissingPhotosError, SplitError, StoreError
from arboretum_tools.samples import join, missing_of, require
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import StoreConfig, index_path
from arboretum_tools.store.shards.record import PhotoRecord
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.testing.tiny import tiny_image, tiny_split, tiny_store


def failed(photo_id: int, status: str) -> PhotoRecord:
    from datetime import UTC, datetime

    return PhotoRecord(photo_id=photo_id, status=status, error="why", fetched_at=datetime.now(UTC))


def test_samples_are_the_part_in_its_order_with_the_place_of_each_image(tmp_path: Path) -> None:
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    for part in split.parts:
        samples = join(split, part, store)
        assert samples.photo_ids.tolist() == split.part(part)["photo_id"].to_pylist()
        assert samples.labels.tolist() == split.part(part)["label"].to_pylist()
        assert samples.missing.num_rows == 0
        assert samples.positions is None
        images = store.read_many(samples.locations, samples.photo_ids)
        assert images == [tiny_image(photo_id) for photo_id in samples.photo_ids.tolist()]


def test_a_split_that_stays_on_disk_gives_the_same(tmp_path: Path) -> None:
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split, pending=split.part("train")["photo_id"].to_pylist()[3:5])
    lazy = open_split(split.save(tmp_path / "split"), in_memory=False)
    one, two = join(split, "train", store), join(lazy, "train", store)
    assert one.photo_ids.tolist() == two.photo_ids.tolist()
    assert one.positions.tolist() == two.positions.tolist() == [n for n in range(58) if n not in (3, 4)]


def test_an_ok_row_wins_over_earlier_and_later_ones_and_else_the_highest_shard_speaks(tmp_path: Path) -> None:
    split = tiny_split({"train": (4,)})
    one, two, three, four = split.part("train")["photo_id"].to_pylist()
    config = StoreConfig(size="small")
    with StoreWriter.create(tmp_path / "images", config) as writer:
        writer.add(failed(one, "failed"))
        writer.add(failed(two, "failed"))
        writer.add_image(three, tiny_image(three))
    with StoreWriter.create(tmp_path / "images", config) as writer:
        writer.add_image(one, tiny_image(one))
        writer.add(failed(two, "gone"))
        writer.add(failed(three, "failed"))
    samples = join(split, "train", ImageStore.open(tmp_path / "images"))
    found = zip(samples.photo_ids.tolist(), samples.locations.shard.tolist(), strict=True)
    assert list(found) == [(one, 1), (three, 0)]
    assert dict(
        zip(samples.missing["photo_id"].to_pylist(), samples.missing["status"].to_pylist(), strict=True)
    ) == {two: "gone", four: "pending"}


def test_an_empty_store_holds_nothing_of_it(tmp_path: Path) -> None:
    split = tiny_split()
    with StoreWriter.create(tmp_path / "images", StoreConfig(size="small")):
        pass
    samples = join(split, "val", ImageStore.open(tmp_path / "images"))
    assert len(samples) == 0
    assert len(samples.labels) == len(samples.locations) == 0
    assert samples.missing_by_status == {"pending": 7}


def test_photos_of_other_splits_in_the_store_do_not_matter(tmp_path: Path) -> None:
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    fewer = Split(split.name, split.classes, {"train": split.part("train").slice(3, 9)}, split.meta)
    assert len(join(fewer, "train", store)) == 9


def test_missing_photos_are_refused_by_part_and_state(tmp_path: Path) -> None:
    split = tiny_split()
    train, test = (split.part(part)["photo_id"].to_pylist() for part in ("train", "test"))
    store = tiny_store(tmp_path / "images", split, gone=train[:2], pending=[train[9], test[0]])
    samples = [join(split, part, store) for part in split.parts]
    with pytest.raises(MissingPhotosError) as raised:
        require(samples, split, store.location)
    assert "3 of the 58 photos of train (2 gone, 1 pending)" in str(raised.value)
    assert "1 of the 12 photos of test (1 pending)" in str(raised.value)
    assert "--allow-missing" in raised.value.hint
    assert "arboretum download with the same selection" in raised.value.hint
    split.save(tmp_path / "my split")
    with pytest.raises(MissingPhotosError) as raised:
        require(samples, open_split(tmp_path / "my split"), store.location)
    assert f"arboretum download --split '{tmp_path / 'my split'}' --images" in raised.value.hint
    assert raised.value.by_status == {"gone": 2, "pending": 2}
    assert missing_of(samples).to_pydict() == {
        "part": ["train"] * 3 + ["test"],
        "photo_id": [*sorted([*train[:2], train[9]]), test[0]],
        "status": [
            "pending" if photo_id == train[9] else "gone" for photo_id in sorted([*train[:2], train[9]])
        ]
        + ["pending"],
    }
    require([samples[1]], split, store.location)  # val lacks nothing


def test_a_photo_twice_in_a_part_is_refused(tmp_path: Path) -> None:
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    part = split.part("val")
    twice = Split(split.name, split.classes, {"val": pa.concat_tables([part, part.slice(0, 1)])}, split.meta)
    with pytest.raises(SplitError, match="photo twice"):
        join(twice, "val", store)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    index_path(store.path, 2).write_bytes(b"PAR1 no")
    with pytest.raises(StoreError, match=r"shard-000002\.parquet"):
        join(split, "train", store)


def test_an_index_with_an_ok_photo_and_no_place_is_refused(tmp_path: Path) -> None:
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    path = index_path(store.path, 1)
    index = pq.read_table(path)
    offsets = pa.array([None] * index.num_rows, pa.int64())
    pq.write_table(index.set_column(index.column_names.index("offset"), "offset", offsets), path)
    with pytest.raises(StoreError, match="no place"):
        join(split, "train", store)


def test_the_shuffled_order_depends_on_the_ids_alone(tmp_path: Path) -> None:
    split = tiny_split()
    one = join(split, "train", tiny_store(tmp_path / "one", split))
    two = join(split, "train", tiny_store(tmp_path / "two", split, shard_photos=3))
    assert one.shuffled(0).tolist() == two.shuffled(0).tolist()
    assert one.shuffled(0).tolist() != one.shuffled(1).tolist()
    assert sorted(one.shuffled(0).tolist()) == list(range(len(one)))


@settings(deadline=None, derandomize=True, max_examples=15)
@given(data=st.data())
def test_every_photo_is_either_there_or_missing(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    split = tiny_split({"train": (6, 4, 2)})
    ids = split.part("train")["photo_id"].to_pylist()
    gone = data.draw(st.sets(st.sampled_from(ids)))
    pending = data.draw(st.sets(st.sampled_from(ids))) - gone
    store = tiny_store(tmp_path_factory.mktemp("store"), split, gone=gone, pending=pending, shard_photos=3)
    samples = join(split, "train", store)
    found = samples.photo_ids.tolist()
    assert found == [photo_id for photo_id in ids if photo_id not in gone | pending]
    assert samples.missing["photo_id"].to_pylist() == sorted(gone | pending)
    assert np.array_equal(
        [status == "gone" for status in samples.missing["status"].to_pylist()],
        [photo_id in gone for photo_id in sorted(gone | pending)],
    )
