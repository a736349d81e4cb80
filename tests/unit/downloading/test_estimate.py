"""A plan says what would be done, and refuses what should not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.catalog import open_catalog
from arboretum_tools.downloading.estimate import check_plan, gigabytes, make_plan
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.photo_bytes import mean_pixels, typical_pixels
from arboretum_tools.errors import BadInputError, OutOfSpaceError, UsageError

STATES = {"ok": 10, "gone": 2, "forbidden": 3, "invalid": 4, "failed": 5, "pending": 1_000_000}


def plan(*, retry=("failed",), free_bytes=10**15, pending=1_000_000, photo_bytes=90_000, kept_bytes=None):
    return make_plan(
        store=Path("images"),
        size="medium",
        english="birds",
        plan_id="0123456789ab",
        by_status=STATES | {"pending": pending},
        retry=retry,
        photo_bytes=photo_bytes,
        kept_bytes=photo_bytes if kept_bytes is None else kept_bytes,
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


def test_the_time_of_small_photos_is_that_of_the_answers():
    small = plan(photo_bytes=2_000, retry=())
    assert small.size_bytes / 12_500_000 < small.seconds == pytest.approx(1_000_000 * 0.1 / 32)


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


def test_what_is_kept_is_what_takes_the_disk():
    shrunk = plan(kept_bytes=20_000)
    assert shrunk.size_bytes == plan().size_bytes
    assert shrunk.disk_bytes < shrunk.to_fetch * 22_000
    assert shrunk.seconds == plan().seconds


def test_sizes_are_estimated_by_their_pixels():
    assert typical_pixels("medium").came_bytes == typical_pixels("medium").kept_bytes == 90_000
    sizes = [typical_pixels(size).came_bytes for size in PHOTO_SIZES]
    assert sizes == sorted(sizes, reverse=True)
    assert 15_000 < typical_pixels("small").came_bytes < 30_000
    assert typical_pixels("square").came == 75 * 75
    # 375 to 256 on both sides; never enlarged.
    shrunk = typical_pixels("medium", 256)
    assert shrunk.kept == pytest.approx(shrunk.came * (256 / 375) ** 2)
    assert typical_pixels("small", 200).kept == typical_pixels("small", 200).came


def test_width_and_height_tell_more_where_the_catalogue_knows_them(write_catalog, photos, taxa):
    robin = taxa["robin"]
    wide = photos(robin, 1, 2, width=2048, height=512)
    catalog = open_catalog(write_catalog([*wide, *photos(robin, 3, width=300, height=200)]))
    found = mean_pixels(catalog.select(), "medium")
    assert found is not None
    # 500 x 125 twice, and an original that is smaller than what was asked for.
    assert found.came == pytest.approx((2 * 500 * 125 + 300 * 200) / 3)
    shrunk = mean_pixels(catalog.select(), "medium", 150)
    assert shrunk is not None
    assert shrunk.kept == pytest.approx((2 * 500 * 125 + 225 * 150) / 3)
    square = mean_pixels(catalog.select(), "square")
    assert square is not None
    assert square.came == 75 * 75


def test_a_photo_of_which_nothing_is_known_is_typical(write_catalog, photos, taxa):
    some = [*photos(taxa["robin"], 1, width=100, height=100), *photos(taxa["robin"], 2, width=0, height=9)]
    catalog = open_catalog(write_catalog([*some, *photos(taxa["robin"], 3)]))
    found = mean_pixels(catalog.select(), "medium")
    assert found is not None
    assert found.came == pytest.approx((100 * 100 + 2 * typical_pixels("medium").came) / 3)
    bare = open_catalog(write_catalog(photos(taxa["robin"], 1), name="bare"))
    assert mean_pixels(bare.select(), "medium") is None


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
