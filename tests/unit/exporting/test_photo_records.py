import resource
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.errors import OutOfSpaceError, SplitError, StoreError
from arboretum_tools.exporting import export
from arboretum_tools.exporting.photo_records import PhotoRecords, in_order
from arboretum_tools.samples import join
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import index_path
from arboretum_tools.testing.tiny import tiny_image, tiny_split, tiny_store

NAMES = [None, "", "Ðóra ʻōpua\tx", "a" * 70_000, "plain"]


@pytest.fixture
def split() -> Split:
    split = tiny_split({"train": (40, 12, 4, 2)})
    table = split.part("train")
    names = pa.array([NAMES[number % len(NAMES)] for number in range(table.num_rows)])
    at = table.schema.get_field_index("observer_name")
    return Split("names", split.classes, {"train": table.set_column(at, "observer_name", names)}, split.meta)


@pytest.fixture
def store(split: Split, tmp_path: Path) -> ImageStore:
    ids = split.part("train")["photo_id"].to_pylist()
    return tiny_store(tmp_path / "images", split, formats={ids[3]: "PNG"}, gone=ids[10:12], shard_photos=9)


def test_everything_is_found_again_in_any_order(split: Split, store: ImageStore, tmp_path: Path) -> None:
    rows = {row["photo_id"]: row for row in split.part("train").to_pylist()}
    samples = join(split, "train", store)
    index = tmp_path / "place"
    index.mkdir()
    with PhotoRecords(samples, split, store, index) as details:
        assert list(index.iterdir()) == []  # the files have no name
        shuffled = np.random.default_rng(0).permutation(len(samples))
        for positions in (np.arange(56), np.arange(20, 30), shuffled, shuffled[:1], shuffled[:0]):
            about = details.about(positions)
            ids = samples.photo_ids[positions].tolist()
            assert about.observer_name == [rows[photo_id]["observer_name"] for photo_id in ids]
            assert about.license == [rows[photo_id]["license"] for photo_id in ids]
            assert about.life_stage == [rows[photo_id]["life_stage"] for photo_id in ids]
            assert set(zip(about.width, about.height, strict=True)) <= {(32, 24)}
            formats = ["png" if position == 3 else "jpeg" for position in positions.tolist()]
            assert about.format == formats
            images = store.read_many(samples.locations[positions], samples.photo_ids[positions])
            assert images == [
                tiny_image(photo_id, name.upper()) for photo_id, name in zip(ids, formats, strict=True)
            ]
        assert details.formats == {"jpeg": 55, "png": 1}
        assert sum(details.licenses.values()) == 56
        assert [rows for rows, _ in in_order(samples, details, 50)] == [slice(0, 50), slice(50, 56)]


def test_the_content_hash_does_not_depend_on_the_store(
    split: Split, store: ImageStore, tmp_path: Path
) -> None:
    ids = split.part("train")["photo_id"].to_pylist()
    options = {"formats": {ids[3]: "PNG"}, "gone": ids[10:12]}
    other = tiny_store(tmp_path / "other", split, shard_photos=50, **options)
    changed = tiny_store(tmp_path / "changed", split, gone=ids[10:12])
    hashes = []
    for one in (store, other, changed):
        with PhotoRecords(join(split, "train", one), split, one, tmp_path) as details:
            hashes.append(details.content_sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def rewrite(path: Path, **columns: object) -> None:
    index = pq.read_table(path)
    for name, value in columns.items():
        at = index.schema.get_field_index(name)
        field = index.schema.field(at).with_nullable(True)
        index = index.set_column(at, field, pa.array([value] * index.num_rows, field.type))
    pq.write_table(index, path)


@pytest.mark.parametrize("value", [None, "not hex", "abcd"])
def test_an_index_without_hashes_is_refused(
    split: Split, store: ImageStore, tmp_path: Path, value: str | None
) -> None:
    rewrite(index_path(store.path, 1), sha256=value)
    with pytest.raises(StoreError, match=r"shard-000001\.parquet has photos that are ok but"):
        export(split, images=store.path, to=tmp_path / "out", allow_missing=True)
    assert not (tmp_path / "out").exists()


def test_a_store_or_split_that_changes_meanwhile_is_refused(
    split: Split, store: ImageStore, tmp_path: Path
) -> None:
    split.save(tmp_path / "split")
    lazy = open_split(tmp_path / "split", in_memory=False)
    samples = join(lazy, "train", store)
    index = index_path(store.path, 2)
    before = index.read_bytes()
    pq.write_table(pq.read_table(index).slice(1), index)
    with pytest.raises(StoreError, match="changed while it was read"):
        PhotoRecords(samples, lazy, store, tmp_path)
    index.write_bytes(before)
    (tmp_path / "split").rename(tmp_path / "old")
    tiny_split({"train": (41, 12, 4, 2)}).save(tmp_path / "split")
    with pytest.raises(SplitError, match="changed while it was read"):
        PhotoRecords(samples, lazy, store, tmp_path)


def test_a_disk_too_full_for_it_is_said(
    split: Split, store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Modules that are first loaded here would leave half a file of bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(OutOfSpaceError, match="no room left"):
            export(split, images=store.path, to=tmp_path / "deep" / "out", allow_missing=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "deep").iterdir()) == []
