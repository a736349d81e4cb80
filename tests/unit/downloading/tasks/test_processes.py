"""Several processes that fill one store side by side: the store of one run, whatever becomes of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from arboretum_tools.downloading import TaskSpec, download, run_task, save_plan
from arboretum_tools.errors import OutOfSpaceError, ProcessDiedError, StoreError, UsageError
from arboretum_tools.events import Note, PhotoDone, StageStarted
from arboretum_tools.store import ImageStore, inventory
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin

PHOTOS = range(1, 151)
FAULTS = {
    3: Fault("not_found"),
    8: Fault("forbidden"),
    13: Fault("wrong_content"),
    21: Fault("wrong_type"),
    34: Fault("damaged"),
    55: Fault("server_error", times=1),
}

# No guard: what a child of multiprocessing would run again.
SCRIPT = """
import resource, sys
import pyarrow.parquet as pq
from arboretum_tools.downloading import download
from arboretum_tools.errors import ArboretumError
from arboretum_tools.photos.photo_plan import PhotoPlan
plan, images, origin, file_size, resize = sys.argv[1:]
if int(file_size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_size), int(file_size)))
try:
    report = download(
        PhotoPlan(pq.read_table(plan).to_batches, {}), images=images, size="small", origin=origin,
        processes=3, connections=6, resize=int(resize) or None, max_failure_rate=1
    )
except ArboretumError as error:
    print(error)
    sys.exit(error.exit_code)
print("script ends", report.by_status["ok"])
"""


@pytest.fixture(scope="module")
def server():
    with Origin(faults=FAULTS) as origin:
        yield origin


@pytest.fixture
def undisturbed(tmp_path, server, plan_of):
    path = tmp_path / "one-run"
    download(plan_of(*PHOTOS), images=path, size="small", origin=server.url, max_failure_rate=1)
    return inventory.contents(ImageStore.open(path))


@pytest.fixture
def arguments(tmp_path, server):
    return {
        "images": tmp_path / "images",
        "size": "small",
        "origin": server.url,
        "max_failure_rate": 1.0,
        "connections": 6,
    }


def children(pid: int | None = None) -> list[int]:
    """Processes of a download that a process has started."""
    tasks = Path(f"/proc/{pid or os.getpid()}/task").iterdir()
    found = [child for task in tasks for child in task.joinpath("children").read_text().split()]
    return sorted(
        int(one)
        for one in found
        if b"downloading.tasks.worker_process" in Path(f"/proc/{one}/cmdline").read_bytes()
    )


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def check(path: Path, undisturbed) -> None:
    store = ImageStore.open(path)
    assert inventory.contents(store).equals(undisturbed)
    oks = Counter(
        row["photo_id"]
        for shard in store.shards()
        for row in store.index(shard).to_pylist()
        if row["status"] == "ok"
    )
    assert max(oks.values()) == 1
    left = {entry.name.partition(".")[2] for entry in path.iterdir() if entry.name.startswith("shard-")}
    assert left == {"tar", "parquet"}
    assert not [path for path in path.rglob(".*") if not path.name.startswith(".lock")]


def test_three_processes_give_the_store_of_one(arguments, server, plan_of, undisturbed):
    server.clear()
    events = []
    report = download(plan_of(*PHOTOS), **arguments, processes=3, on_event=events.append)
    store = ImageStore.open(arguments["images"])
    check(store.path, undisturbed)
    assert children() == []
    ok = [one for one in store.shards() for row in store.index(one).to_pylist() if row["status"] == "ok"]
    assert (report.tried, report.fetched, report.requested) == (150, len(ok), 150)
    assert report.shards == len(store.shards()) == 3
    assert report.size_bytes == inventory.status(store.path).size_bytes
    for shard in store.shards():
        assert {photo_id % 3 for photo_id in store.index(shard)["photo_id"].to_pylist()} == {shard % 3}
    assert StageStarted("download", 150) in events
    done = Counter(event.photo_id for event in events if isinstance(event, PhotoDone))
    assert set(done) == set(PHOTOS)
    assert max(done.values()) == 1
    # The host sees no more than it would of one process.
    assert server.peak_requests <= 6
    assert download(plan_of(*PHOTOS), **arguments, processes=3).tried == 0


def test_a_process_that_is_killed_is_replaced(arguments, server, plan_of, undisturbed):
    killed, notes, seen = [], [], 0

    def kill_one(event) -> None:
        nonlocal seen
        seen += isinstance(event, PhotoDone)
        if isinstance(event, Note):
            notes.append(event.text)
        if seen >= 30 and not killed:
            killed.append(children()[0])
            os.kill(killed[0], signal.SIGKILL)

    server.clear()
    report = download(plan_of(*PHOTOS), **arguments, processes=3, on_event=kill_one)
    assert report.by_status["pending"] == 0
    assert any(f"process {killed[0]}" in note and "SIGKILL" in note for note in notes)
    check(arguments["images"], undisturbed)


def test_processes_that_die_one_after_the_other_end_the_run_and_it_can_be_resumed(
    arguments, server, plan_of, undisturbed, monkeypatch
):
    from arboretum_tools.downloading.tasks import processes

    hear_out = processes.Processes._hear_out

    async def killed_at_once(self, position, spec):
        os.kill(self._children[position].process.pid, signal.SIGKILL)
        return await hear_out(self, position, spec)

    with monkeypatch.context() as patched:
        patched.setattr(processes.Processes, "_hear_out", killed_at_once)
        with pytest.raises(ProcessDiedError, match=r"3 processes of the download died.*SIGKILL"):
            download(plan_of(*PHOTOS), **arguments, processes=3)
    assert children() == []
    download(plan_of(*PHOTOS), **arguments, processes=3)
    check(arguments["images"], undisturbed)


def test_an_exception_of_the_callback_stops_all_of_them(arguments, plan_of, undisturbed):
    def fall_over(event) -> None:
        if isinstance(event, PhotoDone) and event.photo_id % 3:
            raise RuntimeError("the drawing of the bar failed")

    with pytest.raises(RuntimeError, match="drawing of the bar"):
        download(plan_of(*PHOTOS), **arguments, processes=3, on_event=fall_over)
    assert children() == []
    assert inventory.status(arguments["images"]).open_shards == 0
    download(plan_of(*PHOTOS), **arguments)
    check(arguments["images"], undisturbed)


class Scripts:
    """Downloads in scripts of their own."""

    def __init__(self, folder: Path, origin: str, plan) -> None:
        self.images, self.origin = folder / "images", origin
        self.script, self.plan = folder / "script.py", folder / "plan.parquet"
        self.script.write_text(SCRIPT)
        [batch] = plan.batches()
        with pq.ParquetWriter(self.plan, batch.schema) as writer:
            writer.write_batch(batch)

    def start(self, *, file_size: int = 0, resize: int = 0) -> subprocess.Popen[str]:
        told = [self.plan, self.images, self.origin, str(file_size), str(resize)]
        command = [sys.executable, self.script, *told]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for(self, process: subprocess.Popen[str], photos: int) -> None:
        while process.poll() is None:
            lines = sum(path.read_bytes().count(b"\n") for path in self.images.glob("*.journal"))
            if lines >= photos:
                return
            time.sleep(0.002)


@pytest.fixture
def scripts(tmp_path, server, plan_of) -> Scripts:
    return Scripts(tmp_path, server.url, plan_of(*PHOTOS))


def test_a_script_needs_no_guard_and_a_second_download_is_refused(scripts, arguments, plan_of, undisturbed):
    process = scripts.start()
    scripts.wait_for(process, 1)
    with pytest.raises(StoreError, match="another command writes into"):
        download(plan_of(*PHOTOS), **arguments, processes=3)
    out, complaint = process.communicate(timeout=100)
    assert (out.count("script ends"), complaint) == (1, "")
    check(scripts.images, undisturbed)


def test_the_first_process_is_killed_and_the_others_end_with_it(scripts, arguments, plan_of, undisturbed):
    process = scripts.start()
    scripts.wait_for(process, 40)
    others = children(process.pid)
    process.kill()
    process.communicate()
    assert len(others) == 2
    give_up = time.monotonic() + 20
    while any(map(alive, others)) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not any(map(alive, others))
    report = download(plan_of(*PHOTOS), **arguments, processes=2)
    assert report.tried <= len(PHOTOS) - 40
    check(arguments["images"], undisturbed)


def test_ctrl_c_lets_each_finish_its_shard(scripts, arguments, plan_of, undisturbed):
    process = scripts.start()
    scripts.wait_for(process, 40)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode != 0
    assert complaint.rstrip().endswith("KeyboardInterrupt")
    found = inventory.status(scripts.images)
    assert found.open_shards == 0
    assert 0 < found.photos["pending"] <= len(PHOTOS) - 40
    download(plan_of(*PHOTOS), **arguments, processes=3)
    check(arguments["images"], undisturbed)


def test_what_stops_one_of_them_stops_the_download_and_is_told(scripts, arguments, plan_of, undisturbed):
    process = scripts.start(file_size=40_000)
    out, complaint = process.communicate(timeout=60)
    assert process.returncode == OutOfSpaceError.exit_code, complaint
    assert "no room left to write" in out
    assert complaint == ""
    download(plan_of(*PHOTOS), **arguments)
    check(arguments["images"], undisturbed)


@pytest.mark.parametrize("wrong", [0, 65, 7])
def test_a_number_of_processes_that_cannot_be_meant_leaves_nothing(arguments, plan_of, wrong):
    with pytest.raises(UsageError, match=r"1 to 64|6 connections"):
        download(plan_of(*PHOTOS), **arguments, processes=wrong)
    assert not arguments["images"].exists()


def test_the_budget_is_shared_and_what_is_not_written_down_yet_is_held_back():
    specs = [TaskSpec("images", "0" * 12, number, 4, one_machine=True, connections=10) for number in range(4)]
    own = [spec.own_options() for spec in specs]
    assert [options.connections for options in own] == [3, 3, 2, 2]
    assert {options.allowance.hour_bytes for options in own} == {specs[0].allowance.hour_bytes - 30_000_000}
    assert {options.budget_path for options in own} == {None}


def test_tasks_are_one_process_each(arguments, plan_of):
    plan = save_plan(plan_of(*PHOTOS), images=arguments["images"], size="small", origin=arguments["origin"])
    spec = TaskSpec(
        str(arguments["images"]), plan.plan_id, 0, 2, origin=arguments["origin"], max_failure_rate=1
    )
    assert run_task(spec).requested == 75


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("resize", [0, 64])
def test_killed_at_random_moments_many_times(scripts, arguments, plan_of, tmp_path, seed, resize):
    chance = random.Random(seed)
    for _ in range(10):
        process = scripts.start(resize=resize)
        time.sleep(chance.uniform(0.8, 2.5))
        others = children(process.pid) if process.poll() is None else []
        if others and chance.random() < 0.4:
            os.kill(chance.choice(others), signal.SIGKILL)
            time.sleep(chance.uniform(0.0, 0.5))
        process.kill()
        process.communicate()
    # The processes of the last one may still be ending.
    time.sleep(1)
    arguments["resize"] = resize or None
    download(plan_of(*PHOTOS), **arguments, processes=3)
    whole = arguments | {"images": tmp_path / "whole"}
    download(plan_of(*PHOTOS), **whole)
    check(arguments["images"], inventory.contents(ImageStore.open(whole["images"])))
