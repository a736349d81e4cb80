"""Hosts are left alone for as long as they ask, and a little longer each time."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.downloading.fetching.limiter import IN_A_ROW, HostLimiter, RetryPolicy, parse_retry_after

RULES = settings(deadline=None, derandomize=True, max_examples=200)


@RULES
@given(st.integers(1, 10_000))
def test_a_wait_is_never_above_its_bound(faults):
    retry_policy = RetryPolicy(base_s=0.5, cap_s=60)
    assert 0 <= retry_policy.backoff(faults) <= min(60, 0.5 * 2 ** min(faults - 1, 20))


def test_waits_are_spread_over_the_whole_bound():
    waits = sorted(RetryPolicy(base_s=1, cap_s=60).backoff(4) for _ in range(500))
    assert waits[0] < 1 < 7 < waits[-1] < 8


@RULES
@given(st.integers(1, 100), st.none() | st.floats(0, 10_000))
def test_a_pause_is_at_least_what_the_host_asks_and_bounded(throttles, retry_after_s):
    retry_policy = RetryPolicy()
    pause = retry_policy.pause(throttles, retry_after_s)
    assert pause >= min(retry_after_s or 0, retry_policy.most_retry_after_s)
    assert 0 < pause <= max(retry_policy.cap_s, retry_policy.most_retry_after_s)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_retry_after_is_read_in_both_forms(value, seconds):
    assert parse_retry_after(value, now=1445412420.0) == seconds


@RULES
@given(st.text(max_size=40))
def test_whatever_retry_after_says_is_no_error(value):
    seconds = parse_retry_after(value)
    assert seconds is None or seconds >= 0


def test_a_host_that_throttles_is_left_alone_by_everyone():
    async def run() -> list[float]:
        pace = HostLimiter(RetryPolicy(base_s=0.01, cap_s=0.05), 1)
        assert await pace.enter(0) == 0
        # Two of these wait for a place when the pause begins; they do not wait for its end.
        waiting = [asyncio.create_task(pace.enter(number)) for number in (1, 2)]
        await asyncio.sleep(0)
        pace.throttled(5)
        pace.leave(0)
        return [*await asyncio.gather(*waiting), await pace.enter(3)]

    assert all(4.5 < wait <= 5 for wait in asyncio.run(run()))


def test_answers_that_were_under_way_count_once():
    pace = HostLimiter(RetryPolicy(base_s=1, cap_s=60), 32)
    waits = [pace.throttled(None) for _ in range(30)]
    assert waits[0] <= 1
    assert max(waits) <= waits[0]
    assert pace.throttled(5) > 4.9


def test_pauses_grow_until_the_host_is_well_again():
    pace = HostLimiter(RetryPolicy(base_s=0.002, cap_s=0.02), 32)
    longest = []
    for _ in range(6):
        longest.append(pace.throttled(None))
        time.sleep(longest[-1] + 0.001)
    assert longest[-1] > 0.009 > 0.002 >= longest[0]
    pace.answered()
    assert pace.throttled(None) <= 0.002


def test_pauses_are_summed_up_until_the_host_serves_something():
    pace = HostLimiter(RetryPolicy(base_s=0.002, cap_s=0.02), 32)
    assert not pace.unreached()
    assert pace.unwell_s == 0
    pace.answered()
    longest = 0.0
    for _ in range(4):
        assert pace.unreached()
        pace.throttled(None)
        longest += pace.pause_s
        time.sleep(pace.pause_s + 0.001)
    assert longest == pytest.approx(pace.unwell_s, abs=0.002)
    pace.answered()
    assert pace.unwell_s == 0


def test_concurrency_grows_with_answers_up_to_the_connections():
    pace = HostLimiter(RetryPolicy(), 20)
    assert pace.window == 8
    for _ in range(30):
        pace.answered()
    assert pace.window == 20


def test_concurrency_is_halved_by_a_complaint_and_then_grows_slowly():
    pace = HostLimiter(RetryPolicy(base_s=0.001, cap_s=0.001), 32)
    for _ in range(24):
        pace.answered()
    for expected in (16, 8, 4, 2, 1, 1):
        pace.throttled(None)
        pace.throttled(None)
        assert pace.window == expected
        time.sleep(0.003)
    for _ in range(10):
        pace.answered()
    assert 4 < pace.window < 6


@RULES
@given(st.lists(st.sampled_from(["answer", "complain"]), max_size=60), st.integers(1, 256))
def test_the_window_is_always_one_to_the_number_of_connections(events, connections):
    pace = HostLimiter(RetryPolicy(base_s=0, cap_s=0), connections)
    for event in events:
        pace.answered() if event == "answer" else pace.throttled(None)
        assert 1 <= pace.window <= connections


def test_no_more_requests_are_under_way_than_the_window_and_everyone_gets_a_turn():
    async def run() -> tuple[int, int]:
        pace = HostLimiter(RetryPolicy(base_s=0, cap_s=0), 32)
        pace.throttled(None)
        active = most = done = 0

        async def work(number: int) -> None:
            nonlocal active, most, done
            assert await pace.enter(number) == 0
            active += 1
            most = max(most, active)
            assert active <= pace.window
            await asyncio.sleep(0)
            active -= 1
            done += 1
            pace.leave(number)

        await asyncio.gather(*(work(number) for number in range(200)))
        return most, done

    assert asyncio.run(run()) == (4, 200)


def test_photos_that_fail_among_others_that_are_served_do_not_put_the_host_in_doubt():
    pace = HostLimiter(RetryPolicy(), 32)
    for photo_id in range(100):
        pace.failed(photo_id, None, throttling=True)
        if photo_id % (IN_A_ROW - 1) == 0:
            pace.answered()
        assert not pace.in_doubt
        assert pace.pause_s <= 0


def test_different_photos_that_fail_in_a_row_put_the_host_in_doubt_and_one_that_is_served_ends_it():
    async def run() -> None:
        pace = HostLimiter(RetryPolicy(), 32)
        for _ in range(3):
            for _ in range(100):
                pace.failed(1, None, throttling=False)
            assert not pace.in_doubt
            for photo_id in range(IN_A_ROW):
                pace.failed(photo_id, None, throttling=False)
            assert pace.in_doubt
            assert await pace.enter(1) == 0
            second = asyncio.create_task(pace.enter(2))
            await asyncio.sleep(0)
            assert not second.done()
            pace.answered()
            assert await second == 0
            pace.leave(1)
            pace.leave(2)

    asyncio.run(run())


def test_a_wait_that_a_photo_names_is_kept_by_all_unless_it_proved_to_be_the_photos_own():
    pace = HostLimiter(RetryPolicy(base_s=0, cap_s=0), 32)
    waits = []
    for photo_id in range(8):
        waits.append(pace.failed(photo_id, 0.001, throttling=True))
        time.sleep(0.003)
        pace.answered()
        pace.failed_alone(0.001)
    assert waits == [True] * 4 + [False] * 4
    # Photo 8 was put off, too, and then served: the host means what it says.
    pace.answered(waited=True)
    assert pace.failed(9, 0.001, throttling=True)


def test_an_answer_is_waited_for_by_what_answers_take():
    pace = HostLimiter(RetryPolicy(), 32)
    assert pace.patience_s(0) == float("inf")
    for _ in range(100):
        pace.answered(1, 0.1)
    assert (pace.patience_s(0), pace.patience_s(1)) == (3, 6)
    for _ in range(200):
        pace.answered(1, 3.0)
    assert 29 < pace.patience_s(0) <= 30


def test_requests_that_are_stuck_take_no_places_from_others(monkeypatch):
    async def run() -> None:
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now)
        pace = HostLimiter(RetryPolicy(), 8)
        pace.answered(1, 0.1)
        for number in range(8):
            assert await pace.enter(number) == 0
        for seconds, taken in ((0.9, False), (1.1, True)):
            now = now + seconds
            another = asyncio.create_task(pace.enter(8))
            await asyncio.sleep(0)
            assert another.done() == taken
            another.cancel()

    asyncio.run(run())


def test_a_host_in_doubt_gets_a_few_different_photos_before_it_is_left_alone_again():
    pace = HostLimiter(RetryPolicy(), 8)
    pace.throttled(None)

    def probes(*photos: int) -> list[bool]:
        pace._open_at = 0.0
        return [pace.probed(photo, None) for photo in photos]

    assert probes(1, 2, 3, 4) == [False, False, False, True]
    assert probes(1, 2, 2) == [False, False, True]
    # What a host serves in between begins anew, and what it asks for is done at once.
    assert probes(1, 2, 3) == [False] * 3
    pace.answered()
    assert probes(4, 5, 6) == [False] * 3
    assert pace.probed(7, 30.0)
    assert pace.pause_s > 29
