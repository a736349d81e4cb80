"""Several stores become one: every photo once, nothing lost, what was withdrawn stays withdrawn."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from arboretum_tools import merge_stores, open_store, prune_store, verify_store
from arboretum_tools.errors import StoreError, UsageError, VerificationError
from arboretum_tools.store import ImageStore, PhotoRecord, StoreConfig, StoreWriter
from arboretum_tools.store.inventory import contents, status
from arboretum_tools.store.shards import layout
from arboretum_tools.testing.tiny import tiny_image


def fill(folder, photos, *, size="medium", shard_photos=4):
    """A store with these photos: `ok`, or a state."""
    with StoreWriter.create(folder, StoreConfig(size=size), shard_photos=shard_photos) as writer:
        for photo_id, state in photos:
            if state == "ok":
                writer.add_image(photo_id, tiny_image(photo_id))
            else:
                writer.add(
                    PhotoRecord(photo_id=photo_id, status=state, error=state, fetched_at=datetime.now(UTC))
                )
    return folder


def leave_open(folder, photo_id):
    """A photo in an open shard, as a killed process leaves it."""
    subprocess.run([sys.executable, "-c", _KILLED, str(folder), str(photo_id)], check=False)


_KILLED = """
import os, sys
from arboretum_tools.store import StoreWriter
from arboretum_tools.testing.tiny import tiny_image

with StoreWriter.create(sys.argv[1]) as writer:
    writer.add_image(int(sys.argv[2]), tiny_image(int(sys.argv[2])))
    os._exit(9)
"""


def states(folder) -> dict[int, str]:
    return {row["photo_id"]: row["status"] for row in contents(open_store(folder)).to_pylist()}


def test_every_photo_comes_once_with_the_best_that_is_known_of_it(tmp_path):
    first = fill(tmp_path / "a", [(1, "ok"), (2, "failed"), (3, "gone"), (4, "failed"), (9, "ok")])
    second = fill(
        tmp_path / "b", [(5, "failed"), (5, "gone"), (1, "ok"), (2, "ok"), (4, "gone")], shard_photos=1
    )

    report = merge_stores([first, second], tmp_path / "all")

    assert states(tmp_path / "all") == {1: "ok", 2: "ok", 3: "gone", 4: "gone", 5: "gone", 9: "ok"}
    assert (report.images, report.others, report.passed_over) == (3, 3, 4)
    assert verify_store(tmp_path / "all", decode=True).photos == 3
    for photo_id in (1, 2, 9):
        assert open_store(tmp_path / "all").bytes_of(photo_id) == tiny_image(photo_id)


def test_merged_again_nothing_is_copied_and_what_is_new_is_added(tmp_path):
    first = fill(tmp_path / "a", [(1, "ok"), (2, "failed")])
    merge_stores([first], tmp_path / "all")
    again = merge_stores([first], tmp_path / "all")
    assert (again.images, again.others, again.passed_over) == (0, 0, 2)
    fill(first, [(2, "ok"), (3, "ok")])
    assert merge_stores([first], tmp_path / "all").images == 2
    assert states(tmp_path / "all") == {1: "ok", 2: "ok", 3: "ok"}


@pytest.mark.parametrize("withdrawn_in", ["a", "b", "all"])
def test_what_was_withdrawn_anywhere_stays_withdrawn(tmp_path, withdrawn_in):
    stores = {name: fill(tmp_path / name, [(1, "ok"), (2, "ok"), (3, "ok")]) for name in ("a", "b", "all")}
    prune_store(stores[withdrawn_in], [2])
    merge_stores([stores["a"], stores["b"]], stores["all"])
    assert states(stores["all"]) == {1: "ok", 2: "withdrawn", 3: "ok"}
    assert tiny_image(2)[100:] not in b"".join(path.read_bytes() for path in stores["all"].glob("shard-*"))
    assert verify_store(stores["all"]).photos == 2


def test_shards_get_the_size_that_was_asked_for(tmp_path):
    store = fill(tmp_path / "a", [(photo_id, "ok") for photo_id in range(1, 11)])
    assert merge_stores([store], tmp_path / "large").images == 10
    assert open_store(tmp_path / "large").shards() == [0]
    merge_stores([store], tmp_path / "small", shard_photos=3)
    assert open_store(tmp_path / "small").shards() == [0, 1, 2, 3]
    assert contents(open_store(tmp_path / "small")) == contents(open_store(store))


def test_plans_go_along(tmp_path, monkeypatch, origin):
    from arboretum_metadata.sample import catalog_path
    from arboretum_tools import download, open_catalog

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARBORETUM_ORIGIN", origin.url)
    catalog = open_catalog(catalog_path())
    download(catalog.select("Reptilia", limit=3), images="a", size="thumb")
    download(catalog.select("Arachnida", limit=3), images="b", size="thumb")
    assert merge_stores(["a", "b"], "all").plans == 2
    assert status("all").photos["ok"] == 6
    assert status("all").photos["pending"] == 0
    assert download(catalog.select("Reptilia", limit=3), images="all", size="thumb").fetched == 0


def test_a_damaged_image_stops_it_and_what_came_before_stays(tmp_path):
    store = fill(tmp_path / "a", [(1, "ok"), (2, "ok")])
    tar = layout.tar_path(store, 0)
    data = bytearray(tar.read_bytes())
    data[-2000] ^= 1
    tar.write_bytes(data)
    with pytest.raises(VerificationError, match="is not as its index says"):
        merge_stores([store], tmp_path / "all")
    assert states(tmp_path / "all") == {1: "ok"}


def test_stores_of_two_sizes_or_a_store_into_itself_are_refused(tmp_path):
    small, medium = fill(tmp_path / "a", [(1, "ok")], size="small"), fill(tmp_path / "b", [(2, "ok")])
    with pytest.raises(StoreError, match="a store holds one size"):
        merge_stores([small, medium], tmp_path / "all")
    (tmp_path / "link").symlink_to(medium)
    with pytest.raises(UsageError, match="cannot be merged into itself"):
        merge_stores([tmp_path / "link"], medium)
    with pytest.raises(UsageError, match="cannot be merged into itself"):
        merge_stores([medium], tmp_path / "link" / "all")
    assert not (medium / "all").exists()
    with pytest.raises(UsageError, match="no store to merge"):
        merge_stores([], tmp_path / "all")
    with pytest.raises(StoreError, match="there is no image store"):
        merge_stores([tmp_path / "nowhere"], tmp_path / "all")


def test_the_command_says_what_it_did(tmp_path, arboretum):
    first = fill(tmp_path / "a", [(1, "ok"), (2, "failed")])
    outcome = arboretum("store", "merge", first, "--out", tmp_path / "all")
    assert outcome.code == 0
    assert "1 image" in outcome.out
    assert "states of photos without an image: 1" in outcome.out


def test_a_store_with_an_open_shard_is_refused_before_anything_is_made(tmp_path):
    """Of a download or a prune that was killed: its photos, and its tombstones, would be left out."""
    store = fill(tmp_path / "a", [(1, "ok"), (2, "ok")])
    leave_open(store, 3)
    with pytest.raises(StoreError, match=r"1 open shard.*nothing was merged"):
        merge_stores([store], tmp_path / "all")
    assert not (tmp_path / "all").exists()
    with StoreWriter.create(store):
        pass  # what the next download does first
    assert merge_stores([store], tmp_path / "all").images == 3


def test_sizes_are_compared_before_anything_is_made(tmp_path):
    small, medium = fill(tmp_path / "a", [(1, "ok")], size="small"), fill(tmp_path / "b", [(2, "ok")])
    with pytest.raises(StoreError, match="a store holds one size"):
        merge_stores([small, medium], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_a_store_that_changes_meanwhile_is_not_called_damaged(tmp_path, monkeypatch):
    """A shard is written anew between the look at its index and the first at its images."""
    store = fill(tmp_path / "a", [(photo_id, "ok") for photo_id in range(1, 9)])
    read, pruned = ImageStore.index, []

    def index(self, shard):
        rows = read(self, shard)
        if shard == 1 and not pruned:
            pruned.append(True)
            prune_store(store, [5])
        return rows

    monkeypatch.setattr(ImageStore, "index", index)
    with pytest.raises(StoreError, match="was changed while it was merged; what was copied is kept"):
        merge_stores([store], tmp_path / "all")
    assert merge_stores([store], tmp_path / "all").images == 3
    assert states(tmp_path / "all") == {n: "withdrawn" if n == 5 else "ok" for n in range(1, 9)}
