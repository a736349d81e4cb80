"""Store folders say what they hold, and refuse what they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arboretum_tools.errors import StoreError, TargetExistsError, UsageError
from arboretum_tools.store import ImageStore, StoreConfig, StoreWriter
from arboretum_tools.store.shards import layout


def test_a_new_store_says_its_size(tmp_path):
    with StoreWriter.create(tmp_path / "deep" / "images", StoreConfig(size="small")):
        pass
    message = json.loads((tmp_path / "deep" / "images" / "store.json").read_text())
    assert message == {
        "format_version": 1,
        "size": "small",
        "resize": None,
        "photo_ids": "inaturalist",
        "minimum_toolkit_version": "0.1.0",
    }
    assert ImageStore.open(tmp_path / "deep" / "images").config == StoreConfig(size="small")


def test_another_size_is_refused_with_the_way_out(tmp_path):
    with StoreWriter.create(tmp_path, StoreConfig(size="small")):
        pass
    before = (tmp_path / "store.json").read_bytes()
    with pytest.raises(StoreError, match=r"size small, and size large was asked.*") as caught:
        StoreWriter.create(tmp_path, StoreConfig(size="large"))
    assert f"--images {tmp_path}-large" in str(caught.value)
    assert (tmp_path / "store.json").read_bytes() == before


def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(TargetExistsError, match="holds something else"):
        StoreWriter.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "images").write_text("x")
    with pytest.raises(TargetExistsError):
        StoreWriter.create(tmp_path / "images")


def test_a_folder_that_may_not_be_written_is_refused_in_words(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(StoreError, match="no store can be made"), StoreWriter.create(blocked / "images"):
        pass


def test_a_store_that_was_being_made_when_its_process_died_is_made_anew(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".store.json.partial-01234567").write_text("{")
    with StoreWriter.create(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "store.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "format version None"),
        ('{"format_version": 2, "size": "small"}', "format version 2"),
        ('{"format_version": 1}', "no usable size"),
        ('{"format_version": 1, "size": "huge"}', "no usable size"),
        ('{"format_version": 1, "size": "small", "minimum_toolkit_version": "99.1"}', "needs version 99.1"),
    ],
)
def test_a_damaged_or_newer_store_is_refused(tmp_path, text, message):
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(StoreError, match=message):
        ImageStore.open(tmp_path)


def test_no_store_is_refused_with_the_way_to_one(tmp_path):
    with pytest.raises(StoreError, match="arboretum download"):
        ImageStore.open(tmp_path / "nowhere")


def test_an_unknown_size_is_refused():
    with pytest.raises(UsageError, match="original, large, medium"):
        StoreConfig(size="500px")


def test_names_of_shards_and_their_numbers_belong_together():
    for number in (0, 7, 999_999, 1_000_000):
        for path in (layout.tar_path, layout.part_path, layout.journal_path, layout.index_path):
            assert layout.shard_number(path(Path("store"), number)) == number
    with pytest.raises(ValueError):
        layout.shard_number(Path("shard-1.tar"))
