"""Photos that fail for themselves hold up no others, and a host that fails costs no photo."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from arboretum_tools.downloading import download
from arboretum_tools.downloading.fetching.limiter import IN_A_ROW, RetryPolicy
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.run import run
from arboretum_tools.downloading.tasks.cancel import Stopper
from arboretum_tools.events import PhotoDone
from arboretum_tools.store import ImageStore
from arboretum_tools.testing.faults import Fault

BAD = Fault("unavailable")

# Far above what it takes, far below what it would take if photos were waited for.
BOUND_S = 60.0


def states(path) -> Counter[str]:
    return Counter(status for shard in ImageStore.open(path).shards() for status in statuses(path, shard))


def statuses(path, shard: int) -> list[str]:
    return ImageStore.open(path).index(shard)["status"].to_pylist()


@pytest.mark.parametrize("connections", [1, 32])
@pytest.mark.parametrize("where", ["first", "last"])
def test_photos_that_always_answer_503_stop_no_others(tmp_path, plan_of, origin, where, connections):
    bad = range(1, 41) if where == "first" else range(401, 441)
    origin.faults = dict.fromkeys(bad, BAD)
    began = time.monotonic()
    report = download(
        plan_of(*range(1, 441)),
        images=tmp_path,
        size="thumb",
        origin=origin.url,
        connections=connections,
        attempts=3,
        max_failure_rate=1,
    )
    assert time.monotonic() - began < BOUND_S
    assert (report.by_status["ok"], report.by_status["failed"]) == (400, 40)
    asked = Counter(request.photo_id for request in origin.requests)
    # Each time that the host comes in doubt, what is under way then is asked once more: which photos, and how
    # often, is a matter of chance.
    assert all(3 <= asked[photo_id] <= 9 for photo_id in bad)
    assert sum(asked[photo_id] for photo_id in bad) < 2 * 3 * len(bad)
    served = [request.at for request in origin.requests if request.status == 200]
    if where == "first":
        # Not behind the last of the bad ones.
        assert served[200] < max(request.at for request in origin.requests if request.status == 503)


def test_photos_that_failed_are_asked_again_after_all_others_and_settle_soon(tmp_path, plan_of, origin):
    arguments = {
        "images": tmp_path,
        "size": "thumb",
        "origin": origin.url,
        "max_failure_rate": 1,
        "attempts": 3,
    }
    # A host that has served nothing yet is tried with a few photos a pause: here it has.
    bad = range(47, 201)
    origin.faults = dict.fromkeys(bad, BAD)
    download(plan_of(*range(1, 201)), **arguments)
    origin.clear()
    began = time.monotonic()
    report = download(plan_of(*range(1, 301)), **arguments)
    assert time.monotonic() - began < BOUND_S
    assert (report.by_status["ok"], report.by_status["failed"]) == (146, 154)
    order = [request.photo_id for request in origin.requests]
    last = max(order.index(photo_id) for photo_id in range(201, 301))
    # As many as are under way at once may be overtaken.
    assert sum(order.index(photo_id) < last for photo_id in bad) < 32


def test_a_first_download_finds_the_few_good_photos_among_bad_ones(tmp_path, plan_of, origin):
    """Nothing tells yet that the host is well. Waits are a hundredth of the default ones."""
    origin.faults = dict.fromkeys(range(1, 161), BAD)
    options = DownloadOptions(
        origin=origin.url, retry_policy=RetryPolicy(base_s=0.005, cap_s=0.6), max_failure_rate=1, attempts=3
    )
    run(Job(plan_of(*range(1, 201)), tmp_path, size="thumb", options=options), Stopper())
    assert states(tmp_path) == {"ok": 40, "failed": 160}


def test_photos_that_failed_settle_soon_where_nothing_else_is_left(tmp_path, plan_of, origin):
    """What tells that the host is well is a photo of the store, which it is asked for again."""
    arguments = {
        "images": tmp_path,
        "size": "thumb",
        "origin": origin.url,
        "max_failure_rate": 1,
        "attempts": 3,
    }
    bad = range(10, 164)
    origin.faults = dict.fromkeys(bad, BAD)
    download(plan_of(*range(1, 164)), **arguments)
    origin.clear()
    began = time.monotonic()
    report = download(plan_of(*range(1, 164)), **arguments)
    assert time.monotonic() - began < BOUND_S
    assert (report.tried, report.by_status["failed"], report.by_status["ok"]) == (154, 154, 9)
    looked = [request.photo_id for request in origin.requests if request.status == 200]
    assert 1 <= len(looked) < 154
    assert all(photo_id < 10 for photo_id in looked)
    # And none of them is stored twice.
    assert states(tmp_path)["ok"] == 9


def outage(
    plan_of: Callable, origin, path, fault: Fault, *, photos: int, down_s: float, before: int
) -> tuple[Counter[str], list[float]]:
    """A download during which the host answers everything with a fault for a while; times of requests then.

    Waits are a two-hundredth of the default ones, so that a second stands for two hundred.
    """
    down_from: list[float] = []

    def go_down() -> None:
        origin.everywhere = fault
        down_from.append(time.monotonic())
        threading.Timer(down_s, lambda: setattr(origin, "everywhere", None)).start()

    left = before

    def watch(event: object) -> None:
        nonlocal left
        left -= isinstance(event, PhotoDone)
        if not left and not down_from:
            go_down()

    if not before:
        go_down()
    options = DownloadOptions(
        origin=origin.url,
        retry_policy=RetryPolicy(base_s=0.0025, cap_s=0.3, most_retry_after_s=1.5),
        max_failure_rate=1,
    )
    run(Job(plan_of(*range(1, photos + 1)), path, size="thumb", options=options, on_event=watch), Stopper())
    during = [r.at for r in origin.requests if down_from[0] + 0.05 < r.at < down_from[0] + down_s]
    return states(path), during


@pytest.mark.parametrize("kind", ["unavailable", "throttled", "server_error", "reset"])
def test_a_host_that_fails_for_ten_minutes_and_recovers_gives_all_its_photos(tmp_path, plan_of, origin, kind):
    found, during = outage(plan_of, origin, tmp_path, Fault(kind), photos=300, down_s=3.0, before=40)
    assert found == {"ok": 300}
    # In what stands for eight minutes and more; all photos together would be worth 1,300 requests.
    assert 1 <= sum(at > during[0] + 0.5 for at in during) < 60


@pytest.mark.parametrize("photos", [5, 300])
def test_a_host_that_fails_from_the_beginning_and_recovers_gives_all_its_photos(
    tmp_path, plan_of, origin, photos
):
    if photos < IN_A_ROW:
        # So few may as well fail for themselves; a photo that the host served before tells.
        download(plan_of(1000), images=tmp_path, size="thumb", origin=origin.url)
        origin.clear()
    found, during = outage(plan_of, origin, tmp_path, BAD, photos=photos, down_s=3.0, before=0)
    assert found == {"ok": photos + (photos < IN_A_ROW)}
    assert 1 <= sum(at > during[0] + 0.5 for at in during) < 60


def test_the_time_that_a_host_names_is_kept_by_all_and_costs_a_photo_one_request(tmp_path, plan_of, origin):
    origin.faults = {n: Fault("throttled", times=1, retry_after=1) for n in (50, 150)}
    report = download(plan_of(*range(1, 201)), images=tmp_path, size="thumb", origin=origin.url)
    assert report.by_status["ok"] == 200
    times = [request.at for request in origin.requests]
    for photo_id in (50, 150):
        first, second = (request.at for request in origin.requests if request.photo_id == photo_id)
        assert second - first >= 1.0
        # Those that were under way are drawn and answered; nobody begins another.
        assert sum(first + 0.7 < at < first + 1.0 for at in times) == 0


def test_a_photo_that_is_put_off_for_ever_holds_up_no_others_after_the_first_time(tmp_path, plan_of, origin):
    origin.faults = {7: Fault("throttled", retry_after=1)}
    report = download(
        plan_of(*range(1, 101)), images=tmp_path, size="thumb", origin=origin.url, max_failure_rate=1
    )
    assert (report.by_status["ok"], report.by_status["failed"]) == (99, 1)
    at = [request.at for request in origin.requests if request.photo_id == 7]
    # The last one counts only after the host was seen to serve others.
    assert len(at) in (5, 6)
    assert all(there - here >= 1.0 for here, there in pairwise(at))
    # The others wait for the first time that it was told, and are done while it is asked again and again.
    assert sum(request.at > at[3] for request in origin.requests if request.photo_id != 7) < 50


def test_the_pace_falls_while_a_host_says_that_it_is_too_busy(tmp_path, plan_of, origin):
    """Every other photo is refused twice: nobody is stopped by it, and fewer ask at one time."""
    origin.faults = {n: Fault("throttled", times=2) for n in range(200, 400, 2)}
    peaks = [0, 0]
    seen = 0

    def watch(event: object) -> None:
        nonlocal seen
        seen += isinstance(event, PhotoDone)
        if seen in (150, 250):
            origin.peak_requests = 0
        peaks[0] = max(peaks[0], origin.peak_requests if seen < 150 else 0)
        peaks[1] = max(peaks[1], origin.peak_requests if 250 < seen < 300 else 0)

    report = download(
        plan_of(*range(1, 401)), images=tmp_path, size="thumb", origin=origin.url, on_event=watch
    )
    assert report.by_status["ok"] == 400
    assert peaks[1] <= peaks[0] / 2


def test_what_stalls_is_given_up_and_what_comes_slowly_is_not(tmp_path, plan_of, origin):
    """A body that takes longer than all others is waited for as long as it comes."""
    stalls = range(50, 58)
    origin.faults = dict.fromkeys(stalls, Fault("stall"))
    origin.faults[90] = Fault("slow_drip", drip_bytes=2**13, drip_pause_s=1.0)
    report = download(
        plan_of(*range(1, 101)), images=tmp_path, size="medium", origin=origin.url, max_failure_rate=1
    )
    assert (report.by_status["ok"], report.by_status["failed"]) == (92, 8)
    rows = {row["photo_id"]: row for row in ImageStore.open(tmp_path).index(0).to_pylist()}
    # Sooner or later, by what the drawing of the others took.
    assert all(" within " in rows[n]["error"] for n in stalls)
    assert rows[90]["attempts"] == 1
