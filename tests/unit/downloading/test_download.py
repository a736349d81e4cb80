"""The public functions: what they change, what they refuse, how they behave in loops and threads."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile

import pytest

from arboretum_tools.downloading import (
    download,
    download_async,
    estimate_download,
)
from arboretum_tools.errors import BadInputError, OutOfSpaceError, StoreError, TargetExistsError, UsageError
from arboretum_tools.events import Note, PhotoDone, ShardFinished, StageFinished, StageStarted, UnitDone
from arboretum_tools.photos import photo_plan
from arboretum_tools.store import ImageStore, StoreConfig, StoreWriter, inventory, plans
from arboretum_tools.testing.faults import Fault


def test_a_plan_changes_nothing_and_asks_nobody(tmp_path, plan_of, origin):
    plan = estimate_download(plan_of(1, 2, 3), images=tmp_path / "images", size="small", origin=origin.url)
    assert (plan.requested, plan.to_fetch, plan.by_status["pending"]) == (3, 3, 3)
    assert plan.english == "a list"
    assert list(tmp_path.iterdir()) == []
    assert origin.requests == []


def test_a_plan_knows_what_the_store_holds(tmp_path, plan_of, origin):
    origin.faults = {1: Fault("not_found"), 2: Fault("forbidden")}
    report = download(plan_of(1, 2, 3), images=tmp_path, origin=origin.url, max_failure_rate=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    plan = estimate_download(plan_of(1, 2, 3, 4), images=tmp_path)
    assert (plan.by_status["ok"], plan.by_status["gone"], plan.to_fetch) == (1, 1, 1)
    assert estimate_download(plan_of(1, 2, 3, 4), images=tmp_path, retry=["forbidden"]).to_fetch == 2
    assert estimate_download(plan_of(1, 2, 3), images=tmp_path).plan_id == report.plan_id
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_mean_of_the_store_is_what_a_photo_is_taken_to_have(tmp_path, plan_of, origin):
    report = download(plan_of(*range(1, 101)), images=tmp_path, size="thumb", origin=origin.url)
    plan = estimate_download(plan_of(*range(1, 201)), images=tmp_path, size="thumb")
    assert plan.photo_bytes == round(report.size_bytes / 100)


def test_what_a_plan_says_is_what_a_download_then_takes(tmp_path, plan_of, origin):
    def on_disk() -> int:
        return sum(path.stat().st_size for path in tmp_path.glob("shard-*"))

    arguments = {"images": tmp_path, "size": "small", "origin": origin.url}
    download(plan_of(*range(1, 121)), **arguments)
    before = on_disk()
    plan = estimate_download(plan_of(*range(61, 401)), **arguments)
    report = download(plan_of(*range(61, 401)), **arguments)
    assert (plan.requested, plan.by_status["ok"], plan.to_fetch) == (340, 60, 280)
    assert (report.requested, report.tried, report.shards) == (340, plan.to_fetch, plan.shards)
    assert report.size_bytes == pytest.approx(plan.size_bytes, rel=0.1)
    assert on_disk() - before == pytest.approx(plan.disk_bytes, rel=0.2)
    assert estimate_download(plan_of(*range(61, 401)), **arguments).to_fetch == 0


def test_what_is_there_is_not_fetched_again_and_what_is_new_is(tmp_path, plan_of, origin):
    download(plan_of(1, 2, 3), images=tmp_path, origin=origin.url)
    origin.clear()
    again = download(plan_of(1, 2, 3), images=tmp_path, origin=origin.url)
    assert (again.tried, again.by_status["ok"], again.shards) == (0, 3, 0)
    assert origin.requests == []
    more = download(plan_of(2, 3, 4, 5), images=tmp_path, origin=origin.url)
    assert (more.requested, more.tried, more.fetched) == (4, 2, 2)
    assert sorted(request.photo_id for request in origin.requests) == [4, 5]
    assert [plan.photos for plan in sorted(plans.saved(tmp_path), key=lambda p: p.photos)] == [3, 4]


def test_only_the_states_that_were_named_are_tried_again(tmp_path, plan_of, origin):
    origin.faults = {1: Fault("not_found"), 2: Fault("forbidden"), 3: Fault("server_error"), 4: Fault("gzip")}
    arguments = {"images": tmp_path, "origin": origin.url, "max_failure_rate": 1.0, "attempts": 1}
    download(plan_of(1, 2, 3, 4), **arguments)

    def asked(**more) -> list[int]:
        origin.clear()
        download(plan_of(1, 2, 3, 4), **arguments, **more)
        return sorted(request.photo_id for request in origin.requests)

    assert asked() == [3]
    assert asked(retry=[]) == []
    assert asked(retry=["gone", "invalid"]) == [1, 4]
    origin.faults = {}
    assert asked(retry=["gone", "forbidden", "failed", "invalid"]) == [1, 2, 3, 4]
    assert asked(retry=["gone", "forbidden", "failed", "invalid"]) == []
    assert inventory.status(tmp_path).photos["ok"] == 4


def test_events_tell_the_whole_run_in_order(tmp_path, plan_of, origin):
    origin.faults = {2: Fault("not_found")}
    events = []
    report = download(plan_of(1, 2, 3), images=tmp_path, origin=origin.url, on_event=events.append)
    assert events[:3] == [StageStarted("plan", None), UnitDone(3), StageFinished("plan")]
    assert events[3] == StageStarted("download", 3)
    assert events[-1] == StageFinished("download")
    assert isinstance(events[-2], ShardFinished)
    photos = [event for event in events if isinstance(event, PhotoDone)]
    assert {event.photo_id: event.status for event in photos} == {1: "ok", 2: "gone", 3: "ok"}
    # A run that goes on counts from where the one before it ended.
    events.clear()
    download(plan_of(1, 2, 3, 4), images=tmp_path, origin=origin.url, on_event=events.append)
    assert StageStarted("download", 4, done=3) in events
    assert sum(event.size_bytes for event in photos) == report.size_bytes
    assert not any(isinstance(event, Note) for event in events)


def test_a_report_is_json(tmp_path, plan_of, origin):
    report = download(plan_of(1), images=tmp_path, origin=origin.url)
    message = json.loads(json.dumps(report.to_dict()))
    assert (message["by_status"]["ok"], message["failure_rate"], message["store"]) == (1, 0.0, str(tmp_path))


def test_the_origin_may_come_from_the_environment(tmp_path, plan_of, origin, monkeypatch):
    monkeypatch.setenv("ARBORETUM_ORIGIN", origin.url)
    assert download(plan_of(1), images=tmp_path).fetched == 1


def test_a_running_loop_is_no_obstacle(tmp_path, plan_of, origin):
    async def notebook():
        return download(plan_of(1, 2), images=tmp_path, origin=origin.url)

    assert asyncio.run(notebook()).fetched == 2


def test_the_async_twin_does_the_same_and_leaves_the_loop_free(tmp_path, plan_of, origin):
    async def run():
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        report = await download_async(
            plan_of(*range(1, 80)), images=tmp_path / "a", size="small", origin=origin.url
        )
        ticking.cancel()
        return report, ticks

    report, ticks = asyncio.run(run())
    download(plan_of(*range(1, 80)), images=tmp_path / "b", size="small", origin=origin.url)
    assert report.fetched == 79
    assert ticks > 2
    assert inventory.contents(ImageStore.open(tmp_path / "a")).equals(
        inventory.contents(ImageStore.open(tmp_path / "b"))
    )


def test_cancelling_the_async_twin_keeps_what_came(tmp_path, plan_of, origin):
    origin.faults = {n: Fault("stall") for n in range(100, 104)}
    photos = [*range(1, 30), *range(100, 104)]

    async def run() -> None:
        arrived = asyncio.Event()
        loop = asyncio.get_running_loop()
        seen = []

        def watch(event) -> None:
            if isinstance(event, PhotoDone):
                seen.append(event.photo_id)
                if len(seen) == 29:
                    loop.call_soon_threadsafe(arrived.set)

        task = asyncio.create_task(
            download_async(plan_of(*photos), images=tmp_path, origin=origin.url, on_event=watch)
        )
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert inventory.status(tmp_path).photos == {
        "ok": 29, "gone": 0, "forbidden": 0, "invalid": 0, "failed": 0, "withdrawn": 0, "pending": 4
    }  # fmt: skip
    origin.faults = {}
    assert download(plan_of(*photos), images=tmp_path, origin=origin.url).tried == 4


def test_errors_come_out_of_the_async_twin_as_they_are(tmp_path, plan_of):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(TargetExistsError):
        asyncio.run(download_async(plan_of(1), images=tmp_path))
    with pytest.raises(UsageError):
        asyncio.run(download_async(plan_of(1), images=tmp_path, size="500"))


def test_another_size_is_refused_before_anything_is_asked(tmp_path, plan_of, origin):
    with StoreWriter.create(tmp_path, StoreConfig(size="small")):
        pass
    for call in (download, estimate_download):
        with pytest.raises(StoreError, match="holds photos of size small"):
            call(plan_of(1), images=tmp_path, size="large", origin=origin.url)
    assert origin.requests == []
    assert not (tmp_path / "requests").exists()


def test_a_store_in_use_is_refused_and_its_user_is_named(tmp_path, plan_of, origin):
    with StoreWriter.create(tmp_path), pytest.raises(StoreError, match="another command writes into"):
        download(plan_of(1), images=tmp_path, origin=origin.url)
    assert origin.requests == []


def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path, plan_of, origin):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(TargetExistsError):
        download(plan_of(1), images=tmp_path, origin=origin.url)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_more_than_100_gb_without_yes_leaves_nothing(tmp_path, plan_of, origin):
    # 70,000 originals: more than 100 GB, less than the disk of most machines or more; refused either way.
    with pytest.raises((BadInputError, OutOfSpaceError), match="nothing was downloaded"):
        download(plan_of(*range(1, 70_000)), images=tmp_path / "images", size="original", origin=origin.url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": "500px"},
        {"origin": "nowhere"},
        {"connections": 0},
        {"retry": ["ok"]},
        {"allow_hosts": ["10.0.0.1"]},
    ],
)
def test_a_value_that_is_none_of_its_kind_leaves_nothing(tmp_path, plan_of, wrong):
    with pytest.raises(UsageError):
        download(plan_of(1), images=tmp_path / "images", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_of_the_callback_ends_the_run_and_keeps_what_came(tmp_path, plan_of, origin):
    def fall_over(event) -> None:
        if isinstance(event, PhotoDone) and event.photo_id == 5:
            raise RuntimeError("the drawing of the bar failed")

    with pytest.raises(RuntimeError, match="drawing of the bar"):
        download(plan_of(*range(1, 9)), images=tmp_path, origin=origin.url, connections=1, on_event=fall_over)
    assert inventory.status(tmp_path).photos["ok"] == 5


def test_nothing_to_do_loads_no_http_library(tmp_path, plan_of, origin):
    download(plan_of(1, 2), images=tmp_path, origin=origin.url)
    [plan] = plans.saved(tmp_path)
    code = (
        "import sys, pyarrow.parquet as pq; from pathlib import Path\n"
        "from arboretum_tools.downloading import download\n"
        "from arboretum_tools.photos.photo_plan import PhotoPlan\n"
        "table = pq.read_table(sys.argv[2])\n"
        "report = download(PhotoPlan(table.to_batches, {}), images=sys.argv[1])\n"
        "assert report.by_status['ok'] == 2, report\n"
        "print('aiohttp' in sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, tmp_path, plan.path], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"


def test_a_download_loads_neither_a_database_nor_what_it_does_not_need(tmp_path, origin, plan_of):
    # Of the memory of a download, each of these would be a third.
    plan = photo_plan.write(plan_of(1, 2, 3), tmp_path / "plans").path
    code = (
        "import sys, pyarrow.parquet as pq\n"
        "from arboretum_tools.downloading import download\n"
        "from arboretum_tools.photos.photo_plan import PhotoPlan\n"
        "plan = PhotoPlan(lambda: pq.ParquetFile(sys.argv[1]).iter_batches(), {})\n"
        "report = download(plan, images=sys.argv[2], origin=sys.argv[3])\n"
        "assert report.fetched == 3, report\n"
        "heavy = {'datasets', 'duckdb', 'pandas', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, plan, tmp_path / "images", origin.url]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_plan_outside_of_the_store_is_gone_before_the_first_photo(tmp_path, plan_of, origin, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    planning, fetching = [], []

    def look(event) -> None:
        seen = fetching if isinstance(event, PhotoDone) else planning
        seen.extend(tmp_path.rglob("*arboretum-plan-*"))

    download(plan_of(1, 2), images=tmp_path / "images", origin=origin.url, on_event=look)
    # Beside the store that is to be, so that the file is moved and not copied.
    assert {path.parent for path in planning} == {tmp_path}
    assert fetching == []
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_refused_download_leaves_an_empty_folder_as_it_was(tmp_path, plan_of, monkeypatch):
    (tmp_path / "images").mkdir()
    full = shutil._ntuple_diskusage(10**12, 10**12, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(OutOfSpaceError, match="nothing was downloaded"):
        download(plan_of(1, 2), images=tmp_path / "images")
    assert list((tmp_path / "images").iterdir()) == []
