"""A copy of a store is the same store at another place, and is one at every moment."""

import json

import pytest

from arboretum_tools import copy_store, merge_stores, open_store, prune_store, verify_store
from arboretum_tools.errors import StoreError, UsageError
from arboretum_tools.store import StoreWriter, copying, inventory, writer


@pytest.fixture
def store(tmp_path, image):
    with StoreWriter.create(tmp_path / "images", shard_photos=4) as filling:
        for photo_id in range(1, 11):
            filling.add_image(photo_id, image(photo_id))
    return tmp_path / "images"


def test_every_file_is_copied_as_it_is(store, tmp_path):
    report = copy_store(store, tmp_path / "copy")
    files = {path.name: path.read_bytes() for path in store.glob("s*")}
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").glob("s*")} == files
    assert (report.shards, report.there_before) == (3, 0)
    assert report.size_bytes == sum(map(len, files.values())) - len(files["store.json"])
    again = copy_store(store, tmp_path / "copy")
    assert (again.shards, again.there_before) == (0, 3)


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 6])
def test_a_copy_that_is_cut_short_is_gone_on_with(store, tmp_path, monkeypatch, after):
    left = after

    def killed(*given):
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt
        return fetch(*given)

    fetch = copying._fetch
    with monkeypatch.context() as patch:
        patch.setattr(copying, "_fetch", killed)
        # As a process that is killed, it tidies nothing up.
        patch.setattr(writer, "recover", lambda *_, **__: [])
        with pytest.raises(KeyboardInterrupt):
            copy_store(store, tmp_path / "copy")
    assert verify_store(tmp_path / "copy").damaged == 0
    copy_store(store, tmp_path / "copy")
    assert inventory.contents(open_store(tmp_path / "copy")).equals(inventory.contents(open_store(store)))
    assert verify_store(tmp_path / "copy").open_shards == 0
    assert {path.suffix for path in (tmp_path / "copy").glob("shard*")} == {".tar", ".parquet"}


def test_another_store_is_not_written_over(store, tmp_path):
    copy_store(store, tmp_path / "copy")
    prune_store(tmp_path / "copy", [2])
    before = {path.name: path.read_bytes() for path in (tmp_path / "copy").glob("s*")}
    with pytest.raises(StoreError, match=r"copy/shard-000000\.parquet is another shard than"):
        copy_store(store, tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").glob("s*")} == before


def test_what_would_be_left_out_is_refused(store, tmp_path, image):
    with StoreWriter.create(store) as filling:
        filling.add_image(11, image(11))
        filling.abandon()
    with pytest.raises(StoreError, match=r"1 open shard.* and nothing was copied"):
        copy_store(store, tmp_path / "copy")
    with pytest.raises(UsageError, match="cannot be copied into itself"):
        copy_store(store, store)
    with pytest.raises(UsageError, match="cannot be copied into itself"):
        copy_store(store, store / "copy")
    assert not (store / "copy").exists()
    assert not (tmp_path / "copy").exists()


def test_a_copy_of_a_copy_merges_to_nothing_new(store, tmp_path):
    copy_store(store, tmp_path / "copy")
    assert merge_stores([tmp_path / "copy"], store).images == 0


def test_the_command_says_what_was_copied(store, tmp_path, arboretum, monkeypatch):
    monkeypatch.setenv("ARBORETUM_SCRATCH", "")  # the option sets it
    ran = arboretum("store", "copy", store, "--out", tmp_path / "copy", "--scratch", tmp_path / "scratch")
    assert "3 shards" in ran.out
    ran = arboretum("store", "copy", store, "--out", tmp_path / "copy", "--json")
    assert json.loads(ran.out)["there_before"] == 3
