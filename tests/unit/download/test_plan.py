"""A plan says what would be done, and refuses what should not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.download.options import DownloadOptions
from arboretum_tools.download.plan import check_plan, gigabytes, make_plan, typical_bytes
from arboretum_tools.errors import BadInputError, OutOfSpaceError, UsageError

STATES = {"ok": 10, "gone": 2, "forbidden": 3, "invalid": 4, "failed": 5, "pending": 1_000_000}


def plan(*, retry=("failed",), free_bytes=10**15, pending=1_000_000, photo_bytes=90_000):
    return make_plan(
        store=Path("images"),
        size="medium",
        english="birds",
        plan_id="0123456789ab",
        by_status=STATES | {"pending": pending},
        retry=retry,
        photo_bytes=photo_bytes,
        free_bytes=free_bytes,
    )


def test_what_is_pending_or_failed_is_fetched_and_what_is_there_is_not():
    found = plan()
    assert (found.requested, found.to_fetch) == (1_000_024, 1_000_005)
    assert found.size_bytes == 1_000_005 * 90_000
    assert found.disk_bytes > found.size_bytes
    assert found.shards == 101
    assert found.seconds == found.size_bytes / 12_500_000
    assert plan(retry=("gone", "forbidden", "invalid")).to_fetch == 1_000_009
    assert plan(retry=()).to_fetch == 1_000_000
    assert json.loads(json.dumps(found.to_dict()))["to_fetch"] == 1_000_005


def test_nothing_to_fetch_makes_no_shard():
    found = plan(pending=0, retry=())
    assert (found.to_fetch, found.size_bytes, found.shards, found.seconds) == (0, 0, 0, 0)
    check_plan(found, yes=False)


def test_shards_are_counted_by_bytes_where_photos_are_large():
    assert plan(pending=1000, photo_bytes=2**21, retry=()).shards == 2


def test_a_disk_that_is_too_small_is_refused_even_with_yes():
    with pytest.raises(
        OutOfSpaceError, match=r"91\.0 GB are needed.* has 1\.0 GB left; nothing was downloaded"
    ):
        check_plan(plan(free_bytes=10**9), yes=True)


def test_more_than_100_gb_has_to_be_confirmed():
    large = plan(pending=1_200_000)
    with pytest.raises(BadInputError, match=r"about 108\.0 GB, more than 100\.0 GB") as caught:
        check_plan(large, yes=False)
    assert "--yes" in caught.value.hint
    check_plan(large, yes=True)
    check_plan(plan(), yes=False)


def test_sizes_are_estimated_by_their_pixels():
    assert typical_bytes("medium") == 90_000
    sizes = [typical_bytes(size) for size in PHOTO_SIZES]
    assert sizes == sorted(sizes, reverse=True)
    assert 15_000 < typical_bytes("small") < 30_000


def test_bytes_are_told_for_people():
    assert [gigabytes(n) for n in (0, 1_500, 2_000_000, 3 * 10**9, 12 * 10**12)] == [
        "0.0 kB",
        "1.5 kB",
        "2.0 MB",
        "3.0 GB",
        "12.0 TB",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"connections": 0},
        {"connections": 257},
        {"attempts": 0},
        {"deadline_s": 0},
        {"deadline_s": float("nan")},
        {"max_failure_rate": 1.5},
        {"max_failure_rate": float("nan")},
        {"contact": "me\r\nX-Header: y"},
        {"contact": ""},
        {"retry": ("ok",)},
        {"retry": ("lost",)},
    ],
)
def test_options_are_checked_when_they_are_built(wrong):
    with pytest.raises(UsageError):
        DownloadOptions(**wrong)


def test_the_user_agent_is_honest():
    assert DownloadOptions().user_agent.startswith("arboretum-tools/")
    assert DownloadOptions(contact="me@example.org").user_agent.endswith(" (+me@example.org)")
