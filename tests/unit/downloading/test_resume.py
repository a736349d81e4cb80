"""Interrupted anywhere and started again, a download ends in the same store as an undisturbed one."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.downloading import DownloadReport, download, estimate_download
from arboretum_tools.errors import OutOfSpaceError
from arboretum_tools.events import PhotoDone
from arboretum_tools.photos.photo_plan import PhotoPlan
from arboretum_tools.store import ImageStore, inventory
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin

PHOTOS = range(1, 101)
FAULTS = {
    3: Fault("not_found"),
    5: Fault("forbidden"),
    7: Fault("damaged"),
    11: Fault("wrong_type"),
    13: Fault("no_length"),
    17: Fault("wrong_content"),
    19: Fault("server_error", times=1),
}

# Run as a process of its own: downloads a plan, and says how it ended.
CHILD = """
import resource, signal, sys
import pyarrow.parquet as pq
from arboretum_tools.downloading import DownloadReport, download, estimate_download
from arboretum_tools.errors import ArboretumError
from arboretum_tools.photos.photo_plan import PhotoPlan
plan, images, origin, file_size = sys.argv[1:]

class Terminated(KeyboardInterrupt):
    pass

def terminate(number, frame):
    raise Terminated

signal.signal(signal.SIGTERM, terminate)
if int(file_size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_size), int(file_size)))
try:
    download(PhotoPlan(pq.read_table(plan).to_batches, {}), images=images, size="small", origin=origin,
             connections=4, max_failure_rate=1)
except Terminated:
    sys.exit(143)
except KeyboardInterrupt:
    sys.exit(130)
except ArboretumError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def server():
    with Origin(faults=FAULTS) as origin:
        yield origin


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, server, plan_of):
    path = tmp_path_factory.mktemp("undisturbed") / "images"
    download(plan_of(*PHOTOS), images=path, size="small", origin=server.url, max_failure_rate=1)
    return inventory.contents(ImageStore.open(path))


def check(path: Path, undisturbed) -> None:
    """The store equals the undisturbed one, has no second ok row, and nothing is left over."""
    store = ImageStore.open(path)
    assert inventory.contents(store).equals(undisturbed)
    oks: Counter[int] = Counter()
    for shard in store.shards():
        for row in store.index(shard).to_pylist():
            if row["status"] == "ok":
                oks[row["photo_id"]] += 1
                store.read_bytes(shard, row["offset"], row["size_bytes"], row["photo_id"])
    assert max(oks.values()) == 1
    suffixes = {entry.name.partition(".")[2] for entry in path.iterdir() if entry.name.startswith("shard-")}
    assert suffixes == {"tar", "parquet"}
    assert not [entry.name for entry in path.rglob(".*") if entry.name != ".lock"]


@settings(deadline=None, derandomize=True, max_examples=3)
@given(st.lists(st.integers(1, 48), min_size=1, max_size=2), st.sampled_from([1, 8]))
def test_interrupted_at_any_photo_and_resumed(
    tmp_path_factory, server, undisturbed, plan_of, stops, connections
):
    path = tmp_path_factory.mktemp("resume") / "images"
    arguments = {"images": path, "size": "small", "origin": server.url, "max_failure_rate": 1.0}
    for stop in stops:
        left = stop

        def interrupt(event) -> None:
            nonlocal left
            if isinstance(event, PhotoDone):
                left -= 1
                if not left:
                    raise KeyboardInterrupt

        try:
            download(plan_of(*PHOTOS), **arguments, connections=connections, on_event=interrupt)
        except KeyboardInterrupt:
            assert inventory.status(path).open_shards == 0
    report = download(plan_of(*PHOTOS), **arguments, connections=connections)
    assert report.tried >= len(PHOTOS) - sum(stops)
    check(path, undisturbed)


class Children:
    """Downloads in processes of their own."""

    def __init__(self, folder: Path, origin: str, plan) -> None:
        self.images = folder / "images"
        self.origin = origin
        self.plan = folder / "plan.parquet"
        [batch] = plan.batches()
        with pq.ParquetWriter(self.plan, batch.schema) as writer:
            writer.write_batch(batch)

    def start(self, file_size: int = 0) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", CHILD, self.plan, self.images, self.origin, str(file_size)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def resume(self) -> DownloadReport:
        plan = PhotoPlan(pq.read_table(self.plan).to_batches, {})
        return download(plan, images=self.images, size="small", origin=self.origin, max_failure_rate=1)

    def journalled(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self.images.glob("*.journal"))

    def signal_at(self, photos: int, number: signal.Signals) -> int:
        """Sends a signal when so many photos are in the open shard; what the process returned."""
        process = self.start()
        while process.poll() is None and self.journalled() < photos:
            time.sleep(0.001)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=60)
        assert complaint == ""
        return process.returncode


@pytest.fixture
def children(tmp_path, server, plan_of) -> Children:
    return Children(tmp_path, server.url, plan_of(*PHOTOS))


def test_killed_and_resumed(children, undisturbed, server):
    assert children.signal_at(50, signal.SIGKILL) == -signal.SIGKILL
    assert inventory.status(children.images).open_shards == 1
    server.clear()
    report = children.resume()
    # What the killed run had written is kept: nothing of it is asked for again.
    assert report.tried <= len(PHOTOS) - 50
    assert len({request.photo_id for request in server.requests}) == report.tried
    check(children.images, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_moments_many_times_and_resumed(children, undisturbed, seed):
    chance = random.Random(seed)
    for _ in range(10):
        process = children.start()
        time.sleep(chance.uniform(0.5, 1.6))
        process.kill()
        process.communicate()
    children.resume()
    check(children.images, undisturbed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_a_store_that_can_be_read_at_once(children, undisturbed, number, code):
    assert children.signal_at(30, number) == code
    found = inventory.status(children.images)
    assert found.open_shards == 0
    assert sum(found.photos.values()) == len(PHOTOS)
    assert 0 < found.photos["pending"] <= len(PHOTOS) - 30
    children.resume()
    check(children.images, undisturbed)


def test_a_file_that_may_grow_no_further_is_told_and_resumed(children, undisturbed):
    process = children.start(file_size=60_000)
    message, complaint = process.communicate(timeout=60)
    assert process.returncode == OutOfSpaceError.exit_code, complaint
    assert "no room left to write" in message
    assert "goes on where it stopped" in message
    assert complaint == ""
    kept = inventory.status(children.images)
    assert kept.photos["ok"] + children.journalled() > 0
    assert kept.photos["pending"] > 0
    children.resume()
    check(children.images, undisturbed)


def test_a_second_download_is_refused_while_the_first_one_runs(children, undisturbed):
    process = children.start()
    while process.poll() is None and children.journalled() < 1:
        time.sleep(0.001)
    # Held still, so that it cannot end before the second one has been refused.
    process.send_signal(signal.SIGSTOP)
    try:
        assert process.poll() is None
        second = children.start()
        message, complaint = second.communicate(timeout=60)
    finally:
        process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0
    assert second.returncode == 3, complaint
    assert f"process {process.pid} on" in message
    check(children.images, undisturbed)


def test_what_an_open_shard_holds_is_not_counted_as_room_that_is_needed(
    tmp_path, server, plan_of, monkeypatch
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    left = 100

    def keep(event) -> None:
        nonlocal left
        left -= isinstance(event, PhotoDone)
        if not left:
            shutil.copytree(whole, cut)

    download(
        plan_of(*range(101, 301)), images=whole, size="small", origin=server.url, connections=1, on_event=keep
    )
    [part] = cut.glob("shard-*.tar.part")
    needed = estimate_download(plan_of(*range(101, 301)), images=tmp_path / "none", size="small").disk_bytes
    found = estimate_download(plan_of(*range(101, 301)), images=cut, size="small")
    assert found.to_fetch == 200
    assert found.disk_bytes == needed - part.stat().st_size < needed
    # Just room for what is missing.
    room = shutil._ntuple_diskusage(10**12, 10**12, found.disk_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: room)
    assert (
        download(plan_of(*range(101, 301)), images=cut, size="small", origin=server.url).by_status["ok"]
        == 200
    )
