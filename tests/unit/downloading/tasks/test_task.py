"""Several tasks that fill one store side by side give the store of one run."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time

import pytest

from arboretum_tools.downloading import TaskSpec, download, plan_task, run_task, save_plan
from arboretum_tools.downloading.network.budget import ByteAllowance
from arboretum_tools.downloading.report import Tally
from arboretum_tools.downloading.tasks.cancel import Stopper
from arboretum_tools.downloading.tasks.executors import in_this_process
from arboretum_tools.errors import ArboretumError, StoreError, UsageError
from arboretum_tools.store import ImageStore, StoreWriter, inventory
from arboretum_tools.store.plans import of_saved, saved
from arboretum_tools.store.shards import layout
from arboretum_tools.store.storage.folder import Folder
from arboretum_tools.store.storage.lock import Task
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin

PHOTOS = range(1, 121)
FAULTS = {3: Fault("not_found"), 8: Fault("forbidden"), 13: Fault("wrong_content"), 21: Fault("wrong_type")}

# A process that does one task, and tells its report.
TASK = """
import json, sys
from arboretum_tools.downloading import TaskSpec, run_task
print(json.dumps(run_task(TaskSpec.from_dict(json.loads(sys.argv[1]))).to_dict()))
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


def specs(images, server, plan_of, of):
    plan = save_plan(plan_of(*PHOTOS), images=images, size="small", origin=server.url)
    return [
        TaskSpec(str(images), plan.plan_id, n, of, origin=server.url, connections=4, max_failure_rate=1)
        for n in range(of)
    ]


def start(spec: TaskSpec) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TASK, json.dumps(spec.to_dict())]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_four_tasks_side_by_side_give_the_store_of_one_run(tmp_path, server, plan_of, undisturbed):
    images = tmp_path / "images"
    tasks = [start(spec) for spec in specs(images, server, plan_of, 4)]
    reports = [json.loads(task.communicate(timeout=120)[0]) for task in tasks]
    assert [task.returncode for task in tasks] == [0] * 4
    assert sum(report["requested"] for report in reports) == len(PHOTOS)
    assert sum(report["tried"] for report in reports) == len(PHOTOS)
    store = ImageStore.open(images)
    assert inventory.contents(store).equals(undisturbed)
    for shard in store.shards():
        assert {photo_id % 4 for photo_id in store.index(shard)["photo_id"].to_pylist()} == {shard % 4}
    assert sum(len(store.index(shard)) for shard in store.shards()) == len(PHOTOS)


def test_a_task_that_is_killed_and_started_again_loses_and_repeats_nothing(
    tmp_path, server, plan_of, undisturbed
):
    images = tmp_path / "images"
    first, second = specs(images, server, plan_of, 2)
    victim = start(second)
    journal = layout.journal_path(images, 1)
    while victim.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 10):
        time.sleep(0.001)
    victim.kill()
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    run_task(first)
    again = run_task(second)
    assert again.tried <= again.requested - 10
    assert run_task(second).tried == 0
    assert inventory.contents(ImageStore.open(images)).equals(undisturbed)


def test_a_spec_goes_through_json_and_pickle(tmp_path):
    spec = TaskSpec("images", "0" * 12, 1, 4, retry=("failed", "gone"))
    assert TaskSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    with pytest.raises(UsageError, match="not a task"):
        TaskSpec.from_dict({"folder": "images"})


@pytest.mark.parametrize(("number", "of"), [(4, 4), (-1, 4), (0, 0)])
def test_a_task_that_is_none_is_refused(number, of):
    with pytest.raises(UsageError, match="there is no task"):
        Task(number, of)


def test_a_plan_that_the_store_does_not_have_is_refused(tmp_path, server, plan_of):
    specs(tmp_path / "images", server, plan_of, 2)
    with pytest.raises(StoreError, match="has no plan 'other'"):
        run_task(TaskSpec(str(tmp_path / "images"), "other", 0, 2))


def test_saving_a_plan_fetches_nothing_and_gives_the_same_rows(tmp_path, server, plan_of):
    server.clear()
    plan = save_plan(plan_of(*PHOTOS), images=tmp_path / "images", origin=server.url)
    assert server.requests == []
    assert inventory.status(tmp_path / "images").photos["pending"] == len(PHOTOS)
    [kept] = saved(tmp_path / "images")
    assert kept.id == plan.plan_id
    rows = [row for batch in of_saved(tmp_path / "images", kept.id).batches() for row in batch.to_pylist()]
    assert [row["photo_id"] for row in rows] == list(PHOTOS)


def test_tasks_of_one_set_share_a_store_and_nobody_else_does(tmp_path):
    with Folder(tmp_path).lock(Task(0, 4)) as (_, let_in):
        assert let_in is not None
        let_in()
        with Folder(tmp_path).lock(Task(1, 4)) as (_, repaired):
            assert repaired is None
            for other in (Task(), Task(0, 3)):
                with pytest.raises(StoreError, match="another command"), Folder(tmp_path).lock(other):
                    pass
            with pytest.raises(StoreError, match="another command"), Folder(tmp_path).lock(Task(1, 4)):
                pass
    with Folder(tmp_path).lock() as let_in, pytest.raises(StoreError), Folder(tmp_path).lock(Task(2, 4)):
        pass


def test_a_task_leaves_the_open_shards_of_the_others_alone(tmp_path, image_bytes):
    with StoreWriter.create(tmp_path, task=Task(0, 2)) as first:
        first.add_image(2, image_bytes)
        with StoreWriter.create(tmp_path, task=Task(1, 2)) as second:
            second.add_image(1, image_bytes)
        assert layout.part_path(tmp_path, 0).exists()
    assert ImageStore.open(tmp_path).shards() == [0, 1]


@pytest.fixture
def image_bytes() -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_task_that_cannot_work_says_so(tmp_path):
    with pytest.raises(ArboretumError, match="not an image store"):
        run_task(TaskSpec(str(tmp_path), "0" * 12, 0, 1))


def test_the_budget_is_divided_by_the_tasks_each_of_which_keeps_its_own_share(tmp_path, monkeypatch):
    monkeypatch.setenv("ARBORETUM_STATE", str(tmp_path / "state"))
    own = [TaskSpec("images", "0" * 12, number, 2, connections=10).own_options() for number in range(2)]
    assert {options.allowance for options in own} == {ByteAllowance().divided(2)}
    assert {options.connections for options in own} == {10}
    assert len({options.budget_path for options in own}) == 2
    assert {options.budget_path.parent for options in own} == {tmp_path / "state"}


def test_what_a_task_would_do(tmp_path, server, plan_of):
    first, second = specs(tmp_path / "images", server, plan_of, 2)
    server.clear()
    assert [plan_task(spec).to_fetch for spec in (first, second)] == [60, 60]
    assert server.requests == []
    run_task(first)
    assert [plan_task(spec).to_fetch for spec in (first, second)] == [0, 60]


def test_an_executor_gets_every_task_and_gives_events_that_add_up(tmp_path, server, plan_of, undisturbed):
    """One process after the other, and this one for all: the same specs, the same store, the same figures."""
    tally = Tally()
    in_this_process(specs(tmp_path / "images", server, plan_of, 3), tally.add, Stopper())
    assert (tally.tried, tally.shards) == (len(PHOTOS), 3)
    store = ImageStore.open(tmp_path / "images")
    assert tally.fetched == sum(status == "ok" for status in inventory.contents(store)["status"].to_pylist())
    assert inventory.contents(store).equals(undisturbed)
