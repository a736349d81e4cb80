"""Whatever a killed run leaves behind becomes a store that holds every photo which was whole."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.errors import StoreError
from arboretum_tools.events import Note
from arboretum_tools.store import ImageStore, PhotoRecord, StoreWriter
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.recovery import recover


def gone(photo_id: int) -> PhotoRecord:
    return PhotoRecord(
        photo_id=photo_id, status="gone", http_status=404, error="HTTP 404", fetched_at=datetime.now(UTC)
    )


@pytest.fixture
def killed(tmp_path, image):
    """A store whose writer was killed after six photos, the third of them gone."""
    with StoreWriter.create(tmp_path / "killed") as writer:
        for photo_id in range(1, 7):
            if photo_id == 3:
                writer.add(gone(photo_id))
            else:
                writer.add_image(photo_id, image(photo_id))
        writer.abandon()
    return tmp_path / "killed"


def names(path) -> set[str]:
    return {entry.name for entry in path.iterdir()} - {".lock", "store.json"}


def held(path, image) -> list[int]:
    """The photos of the index, each checked against its bytes."""
    store = ImageStore.open(path)
    found = []
    for shard in store.shards():
        for row in store.index(shard).to_pylist():
            if row["status"] == "ok":
                assert store.read_bytes(shard, row["offset"], row["size_bytes"], row["photo_id"]) == image(
                    row["photo_id"]
                )
            found.append(row["photo_id"])
    return found


def test_the_photos_of_a_killed_writer_are_kept(killed, image):
    assert names(killed) == {"shard-000000.tar.part", "shard-000000.journal"}
    events = []
    with StoreWriter.create(killed, on_event=events.append) as writer:
        writer.add_image(7, image(7))
    assert events[0] == Note("kept 5 photos of a run that was cut short")
    assert held(killed, image) == [1, 2, 3, 4, 5, 6, 7]
    assert names(killed) == {f"shard-00000{n}.{s}" for n in (0, 1) for s in ("tar", "parquet")}


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data())
def test_any_cut_of_tar_and_journal_keeps_a_prefix_and_only_whole_photos(tmp_path_factory, image, data):
    path = tmp_path_factory.mktemp("cut") / "images"
    with StoreWriter.create(path) as writer:
        for photo_id in range(1, 7):
            writer.add(gone(3)) if photo_id == 3 else writer.add_image(photo_id, image(photo_id))
        writer.abandon()
    tar, journal = layout.part_path(path, 0).read_bytes(), layout.journal_path(path, 0).read_bytes()
    tar_cut = data.draw(st.integers(0, len(tar)), "tar")
    journal_cut = data.draw(st.integers(0, len(journal)), "journal")
    layout.part_path(path, 0).write_bytes(tar[:tar_cut])
    layout.journal_path(path, 0).write_bytes(journal[:journal_cut])
    recover(path)
    kept = held(path, image)
    assert kept == list(range(1, len(kept) + 1))
    lines = journal[:journal_cut].count(b"\n")
    if tar_cut == len(tar):
        assert len(kept) == lines
    else:
        assert len(kept) <= lines
    assert names(path) == ({"shard-000000.tar", "shard-000000.parquet"} if kept else set())


@pytest.mark.parametrize("at", [0, 100, 600, 1540])
def test_a_damaged_byte_ends_what_is_kept(killed, image, at):
    part = layout.part_path(killed, 0)
    data = bytearray(part.read_bytes())
    data[at] ^= 0xFF
    part.write_bytes(data)
    recover(killed)
    kept = held(killed, image) if ImageStore.open(killed).shards() else []
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) < 6


def test_garbage_in_the_journal_ends_what_is_kept(killed, image):
    journal = layout.journal_path(killed, 0)
    lines = journal.read_bytes().splitlines(keepends=True)
    for garbage in (b"{}\n", b"[1]\n", b"\0\0\0\n", b'{"photo_id": 5}\n', b"null\n"):
        copy = killed.with_name("copy")
        shutil.copytree(killed, copy)
        layout.journal_path(copy, 0).write_bytes(b"".join([*lines[:4], garbage, *lines[4:]]))
        recover(copy)
        assert held(copy, image) == [1, 2, 3, 4]
        shutil.rmtree(copy)


def test_killed_between_the_tar_and_the_index(killed, image):
    part = layout.part_path(killed, 0)
    part.write_bytes(part.read_bytes() + bytes(1024))
    part.rename(layout.tar_path(killed, 0))
    recover(killed)
    assert held(killed, image) == [1, 2, 3, 4, 5, 6]
    assert names(killed) == {"shard-000000.tar", "shard-000000.parquet"}


def test_killed_between_the_index_and_the_end_of_the_journal(killed, image):
    journal = layout.journal_path(killed, 0).read_bytes()
    recover(killed)
    index = layout.index_path(killed, 0).read_bytes()
    layout.journal_path(killed, 0).write_bytes(journal)
    recover(killed)
    assert layout.index_path(killed, 0).read_bytes() == index
    assert names(killed) == {"shard-000000.tar", "shard-000000.parquet"}


def test_killed_before_the_first_photo(tmp_path):
    with StoreWriter.create(tmp_path):
        layout.journal_path(tmp_path, 4).touch()
        layout.part_path(tmp_path, 6).touch()
    with StoreWriter.create(tmp_path):
        assert names(tmp_path) == set()


def test_temporary_files_of_a_killed_writer_are_removed(killed):
    (killed / ".shard-000000.parquet.partial-0123abcd").write_text("x")
    (killed / "requests").mkdir()
    (killed / "requests" / ".abc.parquet.partial-0123abcd").write_text("x")
    recover(killed)
    assert not list(layout.leftovers(killed))


def test_recovering_twice_changes_nothing(killed):
    recover(killed)
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    assert recover(killed) == []
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


def test_a_tar_that_lost_its_index_is_refused_and_kept(killed):
    recover(killed)
    layout.index_path(killed, 0).unlink()
    with pytest.raises(StoreError, match="has no index"), StoreWriter.create(killed):
        pass
    assert names(killed) == {"shard-000000.tar"}
