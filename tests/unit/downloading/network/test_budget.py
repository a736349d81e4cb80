"""No more bytes an hour and a day than a host allows, over all runs and processes of a user."""

from __future__ import annotations

import asyncio
import json
import multiprocessing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.downloading import download
from arboretum_tools.downloading.fetching.limiter import HostLimiter, RetryPolicy
from arboretum_tools.downloading.network.budget import ByteAllowance, ByteBudget, seconds_within, state_folder
from arboretum_tools.errors import BadInputError

SMALL = ByteAllowance(hour_bytes=1000, day_bytes=3000)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=40),
    pauses=st.lists(st.integers(0, 3000), min_size=1, max_size=40),
)
def test_whoever_waits_as_told_never_takes_more_than_allowed(tmp_path_factory, sizes, pauses):
    clock, path, spent = Clock(), tmp_path_factory.mktemp("budget") / "host.json", []
    for at, size in enumerate(sizes):
        budget = ByteBudget(path, SMALL, clock=clock)  # each time a run of its own
        clock.now += pauses[at % len(pauses)]
        clock.now += budget.wait_s()
        assert budget.wait_s() == 0
        budget.spend(size)
        budget.sync()
        spent.append((clock.now, size))
        for window, bound in ((3600, SMALL.hour_bytes), (86400, SMALL.day_bytes)):
            # The last body may go over what is left; what is held back is for that.
            inside = [n for then, n in spent if then > clock.now - window]
            assert sum(inside[:-1]) <= bound


def test_a_budget_that_is_used_up_says_when_it_is_not(tmp_path):
    clock = Clock()
    budget = ByteBudget(tmp_path / "host.json", SMALL, clock=clock)
    assert budget.left() == (980, 2980)
    budget.spend(990)
    wait = budget.wait_s()
    assert 3600 <= wait <= 3660
    clock.now += wait + 1
    assert budget.wait_s() == 0
    assert budget.left() == (980, 1990)


def test_a_clock_that_was_ahead_blocks_no_longer_than_one_that_was_right(tmp_path):
    clock = Clock()
    clock.now += 400 * 86400
    wrong = ByteBudget(tmp_path / "host.json", SMALL, clock=clock)
    wrong.spend(990)
    wrong.sync()
    clock.now -= 400 * 86400
    for budget in (wrong, ByteBudget(tmp_path / "host.json", SMALL, clock=clock)):
        assert 3600 <= budget.wait_s() <= 3660
    clock.now += 3661
    assert ByteBudget(tmp_path / "host.json", SMALL, clock=clock).wait_s() == 0


def _spend(path, times):
    for _ in range(times):
        budget = ByteBudget(path, SMALL)
        budget.spend(1)
        budget.sync()


def test_processes_share_one_budget(tmp_path):
    path = tmp_path / "host.json"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_spend, args=(path, 30)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert ByteBudget(path, SMALL).used() == (60, 60)


def test_a_damaged_file_counts_as_an_hour_used_up(tmp_path):
    path = tmp_path / "host.json"
    path.write_text("{")
    assert ByteBudget(path, SMALL).wait_s() > 0


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="cannot be kept") as caught:
        ByteBudget(tmp_path / "file" / "host.json", SMALL).spend(1)
    assert "ARBORETUM_STATE" in caught.value.hint


def test_the_estimate_is_what_hour_and_day_leave():
    assert seconds_within(SMALL, (1000, 3000), 1000) == 0
    assert seconds_within(SMALL, (0, 3000), 1000) == 3600
    assert seconds_within(SMALL, (0, 0), 6000) == 2 * 86400


def test_the_share_of_one_of_many_machines():
    assert ByteAllowance().divided(4) == ByteAllowance(1_250_000_000, 6 * 10**9)


def test_the_folder_is_that_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("ARBORETUM_STATE", raising=False)
    assert state_folder() == tmp_path / "arboretum-tools"
    monkeypatch.setenv("ARBORETUM_STATE", str(tmp_path / "here"))
    assert state_folder() == tmp_path / "here"


def test_a_host_waits_for_its_budget_and_says_so(tmp_path):
    clock, message = Clock(), []
    budget = ByteBudget(tmp_path / "host.json", SMALL, clock=clock)

    async def run() -> None:
        pace = HostLimiter(RetryPolicy(), 4, budget=budget, on_wait=message.append)
        assert await pace.enter(1) == 0
        pace.answered(999)
        pace.leave(1)
        # Looked at again after a minute: another clock, or a file that was removed, may end it sooner.
        assert await pace.enter(2) == 60

    asyncio.run(run())
    assert message
    assert message[0] > 3000


def test_what_an_origin_serves_in_its_place_is_not_counted(tmp_path, origin, plan_of, monkeypatch):
    monkeypatch.setenv("ARBORETUM_STATE", str(tmp_path / "state"))
    url = "https://static.inaturalist.org/photos/4/medium.jpg"
    download(plan_of((4, "jpg", url)), images=tmp_path / "images", origin=origin.url)
    assert not (tmp_path / "state").exists()


def test_what_was_fetched_is_written_down(tmp_path, origin, plan_of):
    from arboretum_tools.downloading import run
    from arboretum_tools.downloading.job import Job
    from arboretum_tools.downloading.options import DownloadOptions
    from arboretum_tools.downloading.tasks.cancel import Stopper

    path = tmp_path / "host.json"
    options = DownloadOptions(origin=origin.url, budget_path=path)
    url = "https://static.inaturalist.org/photos/4/medium.jpg"
    job = Job(plan_of((4, "jpg", url), 5), tmp_path / "images", options=options)
    assert run.plan_only(job).budgeted == 1
    report = run.run(job, Stopper())
    [spent] = json.loads(path.read_text())["bytes_by_minute"].values()
    assert 0 < spent < report.size_bytes
    assert run.plan_only(job).budget_left is None
