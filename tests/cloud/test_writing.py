"""A store in a bucket that is written: what comes to be there is what the same writer leaves in a folder."""

import io
import json
import random
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from contextlib import redirect_stderr

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from arboretum_cli.main import app
from arboretum_cli.printing import errors
from arboretum_metadata.sample import catalog_path
from arboretum_tools import (
    download,
    merge_stores,
    open_store,
    prune_store,
    save_plan,
    verify_store,
)
from arboretum_tools.errors import OutOfSpaceError, StoreError, TargetExistsError
from arboretum_tools.events import PhotoDone
from arboretum_tools.photos.photo_plan import PhotoPlan
from arboretum_tools.store import inventory
from arboretum_tools.store.storage import bucket, objects
from arboretum_tools.store.storage.lock import Task
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.meddler import Meddling
from arboretum_tools.testing.origin import Origin

pytestmark = pytest.mark.cloud

PHOTOS = range(1, 61)
FAULTS = {3: Fault("not_found"), 5: Fault("forbidden"), 7: Fault("damaged"), 13: Fault("no_length")}

# A process of its own that downloads a plan into shards of twelve photos, and says how it ended.
CHILD = """
import resource, sys
import pyarrow.parquet as pq
from arboretum_tools import download
from arboretum_tools.errors import ArboretumError
from arboretum_tools.photos.photo_plan import PhotoPlan
from arboretum_tools.store.storage import bucket
from arboretum_tools.store.writer import StoreWriter
StoreWriter.create.__func__.__kwdefaults__["shard_photos"] = 12
bucket._SMALL_BYTES = 30_000
plan, images, origin, file_size = sys.argv[1:]
if int(file_size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_size), int(file_size)))
try:
    download(PhotoPlan(pq.read_table(plan).to_batches, {}), images=images, size="small", origin=origin,
             connections=4, max_failure_rate=1)
except ArboretumError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def origin():
    with Origin(faults=FAULTS) as running:
        yield running


@pytest.fixture(autouse=True)
def _short(monkeypatch, tmp_path):
    """Shards of twelve photos, whose tars go up in parts; little patience; a scratch folder of this test."""
    monkeypatch.setattr(bucket, "_SMALL_BYTES", 30_000)
    monkeypatch.setitem(StoreWriter.create.__func__.__kwdefaults__, "shard_photos", 12)
    monkeypatch.setattr(objects, "PAUSES_S", (0.1, 0.1, 0.1))
    monkeypatch.setitem(objects._RETRY, "max_retries", 1)
    monkeypatch.setenv("ARBORETUM_SCRATCH", str(tmp_path / "scratch"))


ROWS = pa.table(
    {
        "photo_id": pa.array(PHOTOS, pa.int64()),
        "ext": pa.array(["jpg"] * len(PHOTOS)),
        "url": pa.nulls(len(PHOTOS), pa.string()),
    }
)


def fetch(images, origin, **options):
    asked = PhotoPlan(ROWS.to_batches, {})
    options = {"size": "small", "connections": 4, "max_failure_rate": 1.0} | options
    return download(asked, images=images, origin=origin.url, **options)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, origin):
    folder = tmp_path_factory.mktemp("undisturbed") / "images"
    fetch(folder, origin)
    return inventory.contents(open_store(folder))


@pytest.fixture
def check(undisturbed, client):
    """The store equals the undisturbed one in a folder, is sound, and has nothing but what is whole."""

    def equal(images, *, killed: bool = False) -> None:
        assert inventory.contents(open_store(images)).equals(undisturbed)
        assert verify_store(images).open_shards == 0
        whole = re.compile(r"aves/(shard-\d{6}\.(tar|parquet)|requests/\w+\.(json|parquet)|store\.json)")
        keys = {key for key in listed(client, images) if "/.lock/now" not in key}
        assert [key for key in keys if not whole.fullmatch(key)] == []
        tars = {key.partition(".")[0] for key in keys if key.endswith(".tar")}
        assert tars == {key.partition(".")[0] for key in keys if "shard" in key and key.endswith(".parquet")}
        # What a killed upload leaves is no object, and goes by a rule of the bucket.
        assert killed or not client.list_multipart_uploads(Bucket=bucket_of(images)).get("Uploads")

    return equal


def bucket_of(images) -> str:
    return images.split("/")[2]


def listed(client, images) -> list[str]:
    found = client.list_objects_v2(Bucket=bucket_of(images)).get("Contents", [])
    return [entry["Key"] for entry in found]


def on_scratch(tmp_path) -> set[str]:
    return {path.name for path in (tmp_path / "scratch").rglob("shard-*")}


def test_a_download_into_a_bucket_is_what_it_is_in_a_folder(images, origin, check, tmp_path, client):
    report = fetch(images, origin)
    assert (report.store, report.tried) == (images, len(PHOTOS))
    check(images)
    assert len(open_store(images).shards()) > 3
    assert on_scratch(tmp_path) == set()
    before = client.list_objects_v2(Bucket=bucket_of(images))["Contents"]
    assert fetch(images, origin, retry=()).tried == 0
    assert {one["Key"]: one["ETag"] for one in before if "lock" not in one["Key"]} == {
        one["Key"]: one["ETag"]
        for one in client.list_objects_v2(Bucket=bucket_of(images))["Contents"]
        if "lock" not in one["Key"]
    }


def test_processes_fill_a_bucket_side_by_side(images, origin, check):
    report = fetch(images, origin, processes=2)
    assert report.tried == len(PHOTOS)
    check(images)


def test_nothing_is_listed_while_shards_are_filled(images, meddler, image):
    with StoreWriter.create(images) as writer:
        meddler.requests.clear()
        for photo_id in range(1, 61):
            writer.add_image(photo_id, image(photo_id))
        writer.roll()
        assert len(writer.summaries) == 5
        assert not [path for method, path in meddler.requests if "list-type" in path]
        # Two objects a shard, and the lease: before it is begun, before its index, and before so small a tar.
        assert len(meddler.requests) == 5 * 5


TAR, INDEX, ROWS_OF_PLAN = r"shard-\d+\.tar", r"shard-\d+\.parquet", r"requests/.*\.parquet"


@pytest.mark.parametrize(
    "meddlings",
    [
        [Meddling(Fault("server_error", times=2), path=TAR)],
        [Meddling(Fault("unavailable", times=2), path=INDEX)],
        [Meddling(Fault("reset", times=1), path=TAR), Meddling(Fault("reset", times=1), path=INDEX)],
        [Meddling(Fault("reset", times=3), path=TAR, after=True)],
        [Meddling(Fault("reset", times=3), path=INDEX, after=True)],
        [Meddling(Fault("server_error", times=3), path=INDEX, after=True)],
        [Meddling(Fault("reset", times=3), path=r"store\.json", after=True)],
        [Meddling(Fault("reset", times=3), path=ROWS_OF_PLAN, after=True)],
        [Meddling(Fault("reset", times=1), path=r"\.lock/0-of-1", after=True)],
        [Meddling(Fault("reset", times=3), path=r"\.lock/0-of-1", after=True, skip=5)],
        [Meddling(Fault("server_error", times=1), method="POST", path="delete")],
        [Meddling(Fault("unavailable", times=1), method="POST", path=r"\?uploads")],
        [Meddling(Fault("reset", times=1), method="POST", path="uploadId", after=True)],
        [Meddling(Fault("reset", times=9), method="POST", path="uploadId", after=True)],
        [Meddling(Fault("reset", times=9), path=INDEX, after=True)],
    ],
    ids=lambda meddlings: f"{meddlings[0].fault.kind}-{meddlings[0].path}-{meddlings[0].after}",
)
def test_what_the_server_does_wrong_for_a_while_changes_nothing(images, origin, check, meddler, meddlings):
    meddler.meddlings = meddlings
    fetch(images, origin)
    assert all(meddling.played for meddling in meddlings)
    check(images)


def test_a_part_that_is_never_answered_is_sent_again(images, origin, check, meddler, monkeypatch):
    monkeypatch.setitem(objects._CLIENT, "timeout", "1s")
    meddler.meddlings = [Meddling(Fault("stall_before_headers", times=2), path=r"tar\?partNumber")]
    fetch(images, origin)
    assert meddler.meddlings[0].played == 2
    check(images)


@pytest.mark.parametrize("what", [r"shard-\d+\.tar", r"shard-\d+\.parquet"])
def test_a_server_that_stays_away_costs_nothing_that_came(
    images, origin, check, meddler, client, tmp_path, what
):
    meddler.meddlings = [Meddling(Fault("unavailable"), path=what, skip=2)]
    with pytest.raises(StoreError, match=r"shard-\d+\.\w+ cannot be written: SlowDown"):
        fetch(images, origin)
    finished = {key for key in listed(client, images) if key.endswith(".parquet") and "shard" in key}
    assert on_scratch(tmp_path) != set()
    assert len(open_store(images).shards()) == len(finished) < 5
    meddler.meddlings = []
    origin.clear()
    fetch(images, origin)
    assert len({request.photo_id for request in origin.requests}) < len(PHOTOS)
    check(images)
    assert on_scratch(tmp_path) == set()


def test_a_refused_write_is_one_error_without_a_secret(images, origin, meddler, client, tmp_path):
    meddler.meddlings = [Meddling(Fault("forbidden"), path="aves")]
    err = io.StringIO()
    with redirect_stderr(err):
        arguments = ["download", "--taxa", "Strigiformes", "--images", images, "--origin", origin.url]
        assert errors.run(app, [*arguments, "--catalog", str(catalog_path())]) == 3
    assert f"{images} cannot be written with these credentials: AccessDenied" in err.getvalue()
    for secret in ("AKID", "secret-that", "Traceback", "Signature"):
        assert secret not in err.getvalue()
    assert listed(client, images) == []


def test_a_bucket_that_is_not_there_and_a_place_with_something_else_are_refused(origin, images, client):
    with pytest.raises(StoreError, match="there is no bucket s3://nobodys-bucket"):
        fetch("s3://nobodys-bucket/aves", origin)
    client.put_object(Bucket=bucket_of(images), Key="aves/thesis.pdf", Body=b"%PDF")
    with pytest.raises(TargetExistsError, match="holds something else than an image store"):
        fetch(images, origin)
    assert listed(client, images) == ["aves/thesis.pdf"]


def test_a_server_without_conditional_writes_is_refused(images, origin, meddler, client):
    meddler.dropped_headers = {"if-none-match"}
    with pytest.raises(StoreError, match="replaces an object where it was told to make a new one"):
        fetch(images, origin)
    assert listed(client, images) == []


class Children:
    """Downloads in processes of their own."""

    def __init__(self, tmp_path, images, origin) -> None:
        self.plan = tmp_path / "plan.parquet"
        self.arguments = [str(self.plan), images, origin.url]
        pq.write_table(ROWS, self.plan)

    def start(self, file_size: int = 0) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", CHILD, *self.arguments, str(file_size)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_full_scratch_disk_is_told_and_gone_on_from(images, origin, check, tmp_path):
    child = Children(tmp_path, images, origin).start(file_size=40_000)
    said, _ = child.communicate()
    assert (child.returncode, "no room left to write" in said) == (OutOfSpaceError.exit_code, True), said
    assert str(tmp_path / "scratch") in said
    fetch(images, origin)
    check(images)


@pytest.mark.parametrize(
    "round_", [n if n < 3 else pytest.param(n, marks=pytest.mark.slow) for n in range(10)]
)
def test_killed_at_any_request_and_resumed(client, images, origin, check, meddler, tmp_path, round_):
    draw = random.Random(round_)
    children = Children(tmp_path, images, origin)
    kills = 0
    while kills < 3:
        meddler.requests.clear()
        child = children.start()
        last, late = draw.randint(1, 75), draw.random() < 0.5

        def kill(number, child=child, last=last, late=late) -> None:
            if number == last:
                if late:
                    threading.Timer(draw.uniform(0, 0.02), child.kill).start()
                else:
                    child.kill()

        meddler.on_request = kill
        child.communicate()
        kills += child.returncode == -signal.SIGKILL
    meddler.on_request = lambda _: None
    fetch(images, origin)
    check(images, killed=True)
    assert on_scratch(tmp_path) == set()


def test_a_killed_run_of_several_processes_is_gone_on_from_by_one(images, origin, check, tmp_path):
    plan = save_plan(PhotoPlan(ROWS.to_batches, {}), images=images, size="small")
    with StoreWriter.create(images, open_store(images).config, task=Task(1, 3)) as writer:
        writer.add_image(13, _first(origin, 13))
        writer.abandon()
    assert on_scratch(tmp_path) == {"shard-000001.tar.part", "shard-000001.journal"}
    assert plan.requested == len(PHOTOS)
    origin.clear()
    fetch(images, origin)
    assert 13 not in {request.photo_id for request in origin.requests}
    check(images)
    assert on_scratch(tmp_path) == set()


def _first(origin, photo_id) -> bytes:
    with urllib.request.urlopen(f"{origin.url}/photos/{photo_id}/small.jpg") as answer:
        return answer.read()


def test_a_machine_that_is_lost_costs_its_open_shard(
    images, origin, check, elsewhere, client, meddler, tmp_path
):
    children = Children(tmp_path, images, origin)
    child = children.start()
    # Between the second tar and its index.
    meddler.on_request = lambda _: child.kill() if "000001.parquet" in meddler.requests[-1][1] else None
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    meddler.on_request = lambda _: None
    elsewhere()
    # The lease of the dead process says how long it lasts.
    key = "aves/.lock/0-of-1.json"
    held = json.loads(client.get_object(Bucket=bucket_of(images), Key=key)["Body"].read())
    client.put_object(Bucket=bucket_of(images), Key=key, Body=json.dumps(held | {"lasts_s": 2}).encode())
    fetch(images, origin)
    check(images)
    # The machine comes back: nothing is in the store twice.
    elsewhere("scratch")
    assert fetch(images, origin, retry=()).tried == 0
    check(images)
    assert on_scratch(tmp_path) == set()


def test_photos_are_pruned_from_a_bucket_and_stores_merged_into_one(images, image, tmp_path, client):
    with StoreWriter.create(tmp_path / "here") as writer:
        for photo_id in range(1, 31):
            writer.add_image(photo_id, image(photo_id))
    assert merge_stores([tmp_path / "here"], images).images == 30
    assert prune_store(images, [5, 6, 25]).removed == 3
    assert verify_store(images).photos == 27
    assert inventory.status(images).photos["withdrawn"] == 3
    tar = client.get_object(Bucket=bucket_of(images), Key="aves/shard-000000.tar")["Body"].read()
    assert b"5.jpg" not in tar.replace(b"15.jpg", b"").replace(b"25.jpg", b"")
    merge_stores([images], tmp_path / "back")
    assert verify_store(tmp_path / "back").photos == 27


def test_a_prune_that_was_killed_after_its_old_index_went_is_finished(images, image, monkeypatch, meddler):
    with StoreWriter.create(images) as writer:
        for photo_id in range(1, 11):
            writer.add_image(photo_id, image(photo_id))
    meddler.meddlings = [Meddling(Fault("unavailable"), path=r"shard-000000\.tar")]
    with pytest.raises(StoreError, match="SlowDown"):
        prune_store(images, [5])
    assert open_store(images).shards() == []
    meddler.meddlings = []
    prune_store(images, [5])
    assert verify_store(images).photos == 9
    assert inventory.status(images).photos["withdrawn"] == 1


def test_a_download_that_is_interrupted_keeps_what_came(images, origin, check, tmp_path):
    left = 30

    def interrupt(event) -> None:
        nonlocal left
        left -= isinstance(event, PhotoDone)
        if not left:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(images, origin, on_event=interrupt)
    assert on_scratch(tmp_path) == set()
    assert sum(inventory.status(images).photos.values()) >= 30
    assert inventory.status(images).photos["pending"] <= 30
    fetch(images, origin)
    check(images)


def test_parts_of_an_upload_fail_in_its_middle(images, meddler, monkeypatch):
    monkeypatch.setitem(objects._CLIENT, "timeout", "5s")
    draw = np.random.default_rng(0)
    pictures = []
    for _ in range(3):
        buffer = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (1400, 1500, 3), np.uint8)).save(
            buffer, "png", compress_level=0
        )
        pictures.append(buffer.getvalue())
    meddler.meddlings = [
        Meddling(Fault("stall_before_headers", times=1), path="partNumber=2"),
        Meddling(Fault("reset", times=2), path="partNumber=3", after=True),
        Meddling(Fault("unavailable", times=1), path="partNumber=1"),
    ]
    with StoreWriter.create(images) as writer:
        for photo_id, data in enumerate(pictures, 1):
            writer.add_image(photo_id, data)
    assert all(meddling.played for meddling in meddler.meddlings)
    assert [open_store(images).bytes_of(photo_id) for photo_id in (1, 2, 3)] == pictures
    assert verify_store(images).open_shards == 0
