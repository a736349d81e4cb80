"""Photos are taken out of a store for good, and nothing else is lost, whenever the process dies."""

import os
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools import (
    download,
    export,
    load_subset,
    open_catalog,
    open_store,
    prune_store,
    verify_store,
)
from arboretum_tools.errors import StoreError, UsageError, VerificationError
from arboretum_tools.store import StoreWriter
from arboretum_tools.store.inventory import status, story
from arboretum_tools.store.shards import layout
from arboretum_tools.testing.tiny import tiny_image, tiny_split, tiny_store

IDS = range(1, 13)


@pytest.fixture
def store(tmp_path):
    """Three shards of four images each."""
    folder = tmp_path / "images"
    with StoreWriter.create(folder, shard_photos=4) as writer:
        for photo_id in IDS:
            writer.add_image(photo_id, tiny_image(photo_id, size=(64, 48)))
    return folder


def held(folder) -> dict[int, bytes]:
    store = open_store(folder)
    ids = [
        row["photo_id"]
        for shard in store.shards()
        for row in store.index(shard).to_pylist()
        if row["status"] == "ok"
    ]
    return {photo_id: store.bytes_of(photo_id) for photo_id in ids}


def everything(folder) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_no_byte_of_a_withdrawn_photo_is_left_and_all_others_are_as_they_were(store):
    before = held(store)
    body = before[6][200:]
    assert body in everything(store)

    report = prune_store(store, [2, 6, 99], reason="asked by the photographer")

    assert (report.asked, report.removed, report.not_held, report.shards) == (3, 2, 1, 2)
    assert report.removed_bytes == len(before[2]) + len(before[6])
    assert body not in everything(store)
    assert held(store) == {photo_id: data for photo_id, data in before.items() if photo_id not in (2, 6)}
    assert verify_store(store, decode=True).photos == 10
    assert status(store).photos["withdrawn"] == 3
    told = story(store, 6)
    assert told.state == "withdrawn"
    assert told.rows[-1][1].error == "asked by the photographer"
    assert told.rows[-1][1].sha256 is None


def test_pruned_again_nothing_is_written(store):
    prune_store(store, [2, 99])
    files = {path: path.stat().st_mtime_ns for path in store.glob("shard-*")}
    report = prune_store(store, [2, 99])
    assert (report.removed, report.withdrawn_before, report.shards) == (0, 2, 0)
    assert {path: path.stat().st_mtime_ns for path in store.glob("shard-*")} == files


def test_without_apply_it_only_counts(store):
    before = everything(store)
    report = prune_store(store, [2, 6, 99], apply=False)
    assert (report.removed, report.not_held, report.shards, report.applied) == (2, 1, 2, False)
    assert everything(store) == before


def test_a_download_never_fetches_what_was_withdrawn(tmp_path, origin, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARBORETUM_ORIGIN", origin.url)
    reptiles = open_catalog(catalog_path()).select("Reptilia", limit=6)
    ids = reptiles.to_arrow()["photo_id"].to_pylist()
    prune_list = tmp_path / "list.txt"
    prune_list.write_text(f"https://www.inaturalist.org/photos/{ids[0]}\n{ids[1]}\n")
    download(reptiles, images="images", size="thumb")
    prune_store("images", prune_list)
    report = download(
        reptiles, images="images", size="thumb", retry=["failed", "gone", "forbidden", "invalid"]
    )
    assert report.by_status["withdrawn"] == 2
    assert report.by_status["ok"] == len(ids) - 2
    assert not {ids[0], ids[1]} & set(held("images"))
    with pytest.raises(UsageError, match="state that can be tried again"):
        download(reptiles, images="images", size="thumb", retry=["withdrawn"])


def test_subsets_and_exports_leave_out_what_was_withdrawn_without_being_told_to(tmp_path):
    split = tiny_split()
    images = tmp_path / "images"
    tiny_store(images, split)
    whole = load_subset(split, images=images, part="train")
    photo_id = int(whole[0]["photo_id"])
    prune_store(images, [photo_id])
    left = load_subset(split, images=images, part="train")
    assert len(left) == len(whole) - 1
    assert photo_id not in [sample["photo_id"] for sample in left]
    report = export(split, images=images, to=tmp_path / "lists", format="lists")
    assert report.missing["train"] == {"withdrawn": 1}
    missing = pq.read_table(tmp_path / "lists" / "missing.parquet")
    assert (missing["photo_id"].to_pylist(), missing["status"].to_pylist()) == ([photo_id], ["withdrawn"])


#: Prunes the stores that it is told, each in a fork: a process takes longer to start than to prune.
_PRUNE = """
import os, signal, sys
import pyarrow.parquet
from arboretum_tools import prune_store

calls = dies_at = 0

def dies(event, arguments):
    # Every change of the disk is such an event: the process dies right before the one that is asked for.
    global calls
    if event in ("open", "os.rename", "os.remove", "os.truncate") and "images" in str(arguments[0]):
        calls += 1
        if calls == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    number, store = line.rstrip().split(" ", 1)
    child = os.fork()
    if not child:
        dies_at = int(number)
        sys.addaudithook(dies)
        try:
            prune_store(store, [2, 6], reason="x")
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def prune_until():
    """Prunes a store in a process that is killed before so many accesses to it; how that ended."""
    with subprocess.Popen(
        [sys.executable, "-c", _PRUNE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def prune(store, number: int) -> int:
            print(number, store, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield prune
        process.stdin.close()


def test_killed_before_any_change_of_the_disk_the_same_call_goes_on(store, tmp_path, prune_until):
    """The process is killed before its first, second, ... access to the store, until it comes through."""
    before = held(store)
    kept = {photo_id: data for photo_id, data in before.items() if photo_id not in (2, 6)}
    kills = 0
    for number in range(2, 200, 7):
        copy = tmp_path / f"copy-{number}" / "images"
        copy.mkdir(parents=True)
        for path in store.iterdir():
            if path.is_file():
                os.link(path, copy / path.name)
        ended = prune_until(copy, number)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        kills += 1
        with StoreWriter.create(copy):
            pass  # what the next download does first
        assert kept.items() <= held(copy).items() <= before.items()
        prune_store(copy, [2, 6], reason="x")
        assert held(copy) == kept
        assert verify_store(copy).photos == 10
        assert not [path for path in copy.iterdir() if path.suffix in (".part", ".journal")]
    assert ended == 0
    assert kills > 3


def test_a_damaged_neighbour_stops_it_and_the_shard_stays(store):
    tar = layout.tar_path(store, 0)
    data = bytearray(tar.read_bytes())
    data[600] ^= 1  # in the first image
    tar.write_bytes(data)
    with pytest.raises(VerificationError, match="photo 1 is not as its index says"):
        prune_store(store, [2])
    assert tar.read_bytes() == bytes(data)
    assert 2 in held(store)


@pytest.mark.parametrize("reason", ["", "x" * 501, "two\nlines"])
def test_a_reason_is_a_line(store, reason):
    with pytest.raises(UsageError, match="a reason is 1 to 500 printable characters"):
        prune_store(store, [1], reason=reason)


def test_no_store_is_one_error(tmp_path):
    with pytest.raises(StoreError, match="there is no image store"):
        prune_store(tmp_path / "nothing", [1])


def test_the_command_says_what_it_would_do_and_does_it(store, arboretum, tmp_path):
    listed = tmp_path / "ids.txt"
    listed.write_text("2\n6\n99\n")
    arguments = ("store", "prune", "--photo-ids", listed, "--images", store)
    would = arboretum(*arguments)
    assert would.code == 0
    assert "would remove 2 images" in would.out
    assert "never asked of this store; mistyped? 1" in would.out
    assert "--apply removes them" in would.out
    assert 2 in held(store)
    assert "removed 2 images" in arboretum(*arguments, "--reason", "asked", "--apply").out
    assert 2 not in held(store)


def test_what_lies_in_an_open_shard_is_said_to_be_uncounted(store, arboretum, tmp_path):
    code = (
        "import os, sys\n"
        "from arboretum_tools.store import StoreWriter\n"
        "from arboretum_tools.testing.tiny import tiny_image\n"
        "with StoreWriter.create(sys.argv[1]) as writer:\n"
        "    writer.add_image(50, tiny_image(50))\n"
        "    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(store)], check=False)
    assert prune_store(store, [50], apply=False).open_shards == 1
    listed = tmp_path / "ids.txt"
    listed.write_text("50\n")
    assert (
        "not looked into: 1 open shard"
        in arboretum("store", "prune", "--photo-ids", listed, "--images", store).out
    )
    assert prune_store(store, [50]).removed == 1
    assert 50 not in held(store)
