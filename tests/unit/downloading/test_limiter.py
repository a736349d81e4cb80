"""Hosts are left alone for as long as they ask, and a little longer each time."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.downloading.limiter import HostLimiter, RetryPolicy, parse_retry_after

RULES = settings(deadline=None, derandomize=True, max_examples=200)


@RULES
@given(st.integers(1, 10_000))
def test_a_wait_is_never_above_its_bound(faults):
    manners = RetryPolicy(base_s=0.5, cap_s=60)
    assert 0 <= manners.backoff(faults) <= min(60, 0.5 * 2 ** min(faults - 1, 20))


def test_waits_are_spread_over_the_whole_bound():
    waits = sorted(RetryPolicy(base_s=1, cap_s=60).backoff(4) for _ in range(500))
    assert waits[0] < 1 < 7 < waits[-1] < 8


@RULES
@given(st.integers(1, 100), st.none() | st.floats(0, 10_000))
def test_a_pause_is_at_least_what_the_host_asks_and_bounded(throttles, retry_after_s):
    manners = RetryPolicy()
    pause = manners.pause(throttles, retry_after_s)
    assert pause >= min(retry_after_s or 0, manners.most_retry_after_s)
    assert 0 < pause <= max(manners.cap_s, manners.most_retry_after_s)


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
    async def run() -> float:
        pace = HostLimiter(RetryPolicy(base_s=0.01, cap_s=0.05), 32)
        began = time.monotonic()
        pace.throttled(0.15)
        await asyncio.gather(*(pace.enter() for _ in range(4)))
        return time.monotonic() - began

    assert 0.15 <= asyncio.run(run()) < 1


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

        async def work() -> None:
            nonlocal active, most, done
            await pace.enter()
            active += 1
            most = max(most, active)
            assert active <= pace.window
            await asyncio.sleep(0)
            active -= 1
            done += 1
            pace.leave()

        await asyncio.gather(*(work() for _ in range(200)))
        return most, done

    assert asyncio.run(run()) == (4, 200)
