"""Downloads whose photos are shrunk as they come."""

from __future__ import annotations

import hashlib
import json

import pytest

from arboretum_tools.downloading import TaskSpec, download, estimate_download, run_task, save_plan
from arboretum_tools.errors import StoreError, UsageError
from arboretum_tools.imaging.image_format import inspect
from arboretum_tools.store import ImageStore, inventory
from arboretum_tools.store.verify import verify_store
from arboretum_tools.testing.faults import Fault

PHOTOS = range(1, 41)


@pytest.fixture
def resized(tmp_path, plan_of, origin):
    def run(name="images", **more):
        arguments = {"images": tmp_path / name, "size": "small", "resize": 64, "origin": origin.url}
        return download(plan_of(*PHOTOS), **(arguments | more))

    return run


def test_the_store_holds_what_was_shrunk_and_says_so(tmp_path, resized, origin):
    origin.faults = {3: Fault("wrong_type"), 5: Fault("not_found"), 7: Fault("wrong_content")}
    report = resized()
    assert report.by_status == {
        "ok": 38,
        "gone": 1,
        "invalid": 1,
        "forbidden": 0,
        "failed": 0,
        "withdrawn": 0,
        "pending": 0,
    }
    message = json.loads((tmp_path / "images" / "store.json").read_text())
    assert message["resize"] == {"shorter_side": 64, "filter": "area", "quality": 90}
    store = ImageStore.open(tmp_path / "images")
    for row in store.index(0).to_pylist():
        if row["status"] != "ok":
            continue
        data = store.bytes_of(row["photo_id"])
        image = inspect(data)
        assert min(image.width, image.height) == 64
        # A PNG under the name of a JPEG is one by its bytes now.
        assert (row["member"], row["format"]) == (f"{row['photo_id']}.jpg", "jpeg")
        assert (row["width"], row["height"]) == (image.width, image.height)
        assert (row["size_bytes"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert row["source_bytes"] > row["size_bytes"]
        assert row["source_sha256"] != row["sha256"]
    assert report.size_bytes == verify_store(tmp_path / "images", decode=True).size_bytes


def test_the_same_photos_give_the_same_store(tmp_path, resized, origin):
    resized("one", connections=1)
    resized("two", connections=16)
    one, two = (inventory.contents(ImageStore.open(tmp_path / name)) for name in ("one", "two"))
    assert one.equals(two)
    resized("lanczos", resize_filter="lanczos")
    assert not inventory.contents(ImageStore.open(tmp_path / "lanczos")).equals(one)


def test_another_resize_is_refused_with_what_to_do_instead(tmp_path, resized, origin):
    resized()
    origin.clear()
    for other in ({"resize": None}, {"resize": 128}, {"resize_filter": "lanczos"}):
        with pytest.raises(StoreError, match=r"resized to 64 \(area, JPEG quality 90\)") as caught:
            resized(**other)
        assert "go on with --size small --resize 64 --filter area" in caught.value.hint
    assert "--images images-small-128" in _hint(resized, resize=128).replace(str(tmp_path) + "/", "")
    assert origin.requests == []
    assert resized().tried == 0


def _hint(resized, **more) -> str:
    with pytest.raises(StoreError) as caught:
        resized(**more)
    return caught.value.hint


def test_tasks_resize_as_their_store_says(tmp_path, resized, plan_of, origin):
    resized("one-run")
    images = tmp_path / "images"
    plan = save_plan(plan_of(*PHOTOS), images=images, size="small", resize=64, origin=origin.url)
    for task in range(2):
        run_task(TaskSpec(str(images), plan.plan_id, task, 2, origin=origin.url))
    done, whole = (inventory.contents(ImageStore.open(path)) for path in (images, tmp_path / "one-run"))
    assert done.equals(whole)


@pytest.mark.parametrize(
    "wrong",
    [{"resize": 240}, {"resize": 4}, {"resize_filter": "box"}, {"resize": None, "resize_filter": "area"}],
)
def test_a_resize_that_cannot_be_meant_leaves_nothing(tmp_path, resized, wrong):
    with pytest.raises(UsageError):
        resized(**wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_tells_what_comes_and_what_is_kept(tmp_path, plan_of):
    arguments = {"images": tmp_path / "images", "size": "medium"}
    as_they_came = estimate_download(plan_of(*PHOTOS), **arguments)
    shrunk = estimate_download(plan_of(*PHOTOS), resize=125, **arguments)
    assert shrunk.size_bytes == as_they_came.size_bytes
    assert shrunk.disk_bytes < as_they_came.disk_bytes / 4
