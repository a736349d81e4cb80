"""A store in a bucket: what is read from it is what the same store in a folder gives."""

import io
import json
import multiprocessing
import pickle
import socket
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from arboretum_cli.main import app
from arboretum_cli.printing import errors
from arboretum_tools import copy_store, export, load_subset, open_store, verify_store
from arboretum_tools.downloading import doctor
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.errors import StoreError
from arboretum_tools.store import inventory
from arboretum_tools.store.storage import lease, storage_at
from arboretum_tools.store.storage.objects import Objects
from arboretum_tools.store.verify import DamagedStoreError
from arboretum_tools.testing.origin import Origin
from arboretum_tools.testing.storage_conformance import FILES, StorageTests
from arboretum_tools.testing.tiny import tiny_split, tiny_store

pytestmark = pytest.mark.cloud

SPLIT = tiny_split()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A store in a folder, one photo of which is gone."""
    folder = tmp_path_factory.mktemp("stores") / "images"
    return tiny_store(folder, SPLIT, gone=SPLIT.part("train")["photo_id"].to_pylist()[:1])


@pytest.fixture(scope="module")
def remote(local, upload):
    """The address of a copy of it."""
    return upload(local.path, "photos")


@pytest.fixture(scope="module")
def files(upload, tmp_path_factory):
    """The address of what every storage is tested with."""
    folder = tmp_path_factory.mktemp("files")
    for name, data in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return upload(folder, "conformance")


class TestBucket(StorageTests):
    @pytest.fixture
    def filled(self, files, monkeypatch, tmp_path):
        monkeypatch.setenv("ARBORETUM_SCRATCH", str(tmp_path))
        monkeypatch.setattr(lease, "RENEW_S", 0.2)
        return storage_at(files)


def test_a_subset_is_the_same_from_both(local, remote):
    here = load_subset(SPLIT, images=local.path, allow_missing=True)
    there = load_subset(SPLIT, images=remote, allow_missing=True)
    assert there.store.location == remote
    assert np.array_equal(there.photo_ids, here.photo_ids)
    order = np.random.default_rng(0).permutation(len(here))
    assert there.read_many(order) == here.read_many(order)
    assert there.read_array(order).equals(here.read_array(order))
    assert [there.read_bytes(number) for number in range(8)] == [here.read_bytes(n) for n in range(8)]
    assert there[3]["image"].tobytes() == here[3]["image"].tobytes()
    again = pickle.loads(pickle.dumps(there))
    assert again.read_bytes(5) == here.read_bytes(5)
    with pytest.raises(StoreError, match="object storage"):
        _ = there.store.path


def _first_image(subset, answers):
    try:
        answers.put(subset.read_bytes(0))
    except StoreError as error:
        answers.put(error.message)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_workers_that_are_started_anew_read_and_forked_ones_say_why_they_cannot(remote, method, tmp_path):
    SPLIT.save(tmp_path / "split")
    subset = load_subset(tmp_path / "split", images=remote, allow_missing=True)
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    worker = context.Process(target=_first_image, args=(subset, answers), daemon=True)
    worker.start()
    answer = answers.get(timeout=60)
    worker.join()
    if method == "spawn":
        assert answer == subset.read_bytes(0)
    else:
        assert "forked" in answer


def test_a_path_made_of_an_address_is_that_address(remote):
    assert open_store(Path(remote)).location == remote


def test_status_and_the_story_of_a_photo_are_the_same_from_both(local, remote):
    here, there = (inventory.status(place).to_dict() for place in (local.path, remote))
    assert there.pop("path") == remote
    here.pop("path")
    assert there == here
    photo = int(SPLIT.part("train")["photo_id"][0].as_py())
    assert inventory.story(remote, photo) == inventory.story(local.path, photo)


def test_exports_have_the_same_bytes(local, remote, tmp_path):
    for images, name in ((local.path, "here"), (remote, "there")):
        export(SPLIT, images=images, to=tmp_path / name, format="webdataset", allow_missing=True)
    tars = sorted(path.name for path in (tmp_path / "here").glob("*.tar"))
    assert tars
    for name in tars:
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_verification_reads_what_the_bucket_has_now(local, upload, client):
    images = upload(local.path, "damaged")
    before = verify_store(images)
    assert (before.photos, before.damaged) == (len(load_subset_ids(images)), 0)
    key = "some/prefix/shard-000001.tar"
    data = bytearray(client.get_object(Bucket="damaged", Key=key)["Body"].read())
    data[512 + 200] ^= 1
    client.put_object(Bucket="damaged", Key=key, Body=bytes(data))
    with pytest.raises(DamagedStoreError, match=r"shard-000001\.tar") as caught:
        verify_store(images)
    assert caught.value.verification.damaged == 1
    client.delete_object(Bucket="damaged", Key=key)
    with pytest.raises(DamagedStoreError) as caught:
        verify_store(images)
    assert "is not there" in caught.value.verification.damages[0].what


def load_subset_ids(images):
    parts = [load_subset(SPLIT, images=images, part=part, allow_missing=True) for part in SPLIT.parts]
    return np.concatenate([part.photo_ids for part in parts])


def test_what_was_read_is_read_again_without_the_server(remote, monkeypatch):
    subset = load_subset(SPLIT, images=remote, allow_missing=True)
    numbers = list(range(len(subset)))
    first = subset.read_many(numbers)
    monkeypatch.setattr(Objects, "ranges", None)  # a request would fail
    assert subset.read_many(numbers) == first


def test_the_cache_keeps_to_its_bound(remote, monkeypatch, tmp_path):
    monkeypatch.setenv("ARBORETUM_CACHE", str(tmp_path / "small"))
    indexes = sum(path.stat().st_size for path in open_store(remote).index_files())
    monkeypatch.setenv("ARBORETUM_CACHE_BYTES", str(indexes + 20_000))
    subset = load_subset(SPLIT, images=remote, allow_missing=True)
    read = subset.read_many(range(len(subset)))
    assert sum(map(len, read)) > 30_000
    pieces = [path for path in (tmp_path / "small").rglob("*") if path.is_file() and "shard" not in path.name]
    # It is looked at after each twentieth of the bound.
    assert 0 < sum(path.stat().st_size for path in pieces) <= 20_000 + (indexes + 20_000) // 10


def test_the_command_line_takes_an_address_and_a_server(remote, server, monkeypatch):
    out = io.StringIO()
    with redirect_stdout(out):
        assert errors.run(app, ["status", "--images", remote, "--json"]) == 0
    assert json.loads(out.getvalue())["path"] == remote
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    out = io.StringIO()
    with redirect_stdout(out):
        assert errors.run(app, ["verify", "--images", remote, "--endpoint", server]) == 0
    assert remote in out.getvalue()


def test_a_bucket_that_is_not_there_is_told_as_that():
    with pytest.raises(StoreError, match="there is no bucket s3://nobodys"):
        open_store("s3://nobodys/images")
    with pytest.raises(StoreError, match="there is no image store s3://photos/nothing"):
        open_store("s3://photos/nothing")


def test_wrong_credentials_are_one_error_without_a_secret(server, remote):
    def checked(after: bytes) -> None:
        kind = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset-auth", after, kind)).close()

    checked(b"0")
    err = io.StringIO()
    try:
        with redirect_stderr(err):
            assert errors.run(app, ["status", "--images", remote]) == 3
    finally:
        checked(b"inf")
    assert f"{remote} cannot be read with these credentials: InvalidAccessKeyId" in err.getvalue()
    assert "AKID" not in err.getvalue()
    assert "secret-that" not in err.getvalue()
    assert "Traceback" not in err.getvalue()


def test_a_server_that_cannot_be_reached_is_told(remote, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(StoreError, match=r"store\.json cannot be read: the server cannot be reached"):
            open_store(remote)


def test_credentials_may_stand_in_a_profile(remote, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text("[birds]\naws_access_key_id = a\naws_secret_access_key = b\n")
    (tmp_path / "config").write_text("[profile birds]\nregion = us-east-1\noutput = json\n")
    monkeypatch.setenv("AWS_PROFILE", "birds")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert open_store(remote).config.size == "small"


def test_a_store_is_copied_from_anywhere_to_anywhere(local, client, tmp_path, monkeypatch):
    monkeypatch.setenv("ARBORETUM_SCRATCH", str(tmp_path / "scratch"))
    client.create_bucket(Bucket="copies")
    first, second = "s3://copies/first", "s3://copies/second"
    shards = len(local.shards())
    assert copy_store(local.path, first).shards == shards
    assert copy_store(local.path, first).there_before == shards
    assert copy_store(first, second).shards == shards
    copy_store(second, tmp_path / "back")
    for path in local.path.glob("s*"):
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
    assert verify_store(second).to_dict() | {"path": "", "seconds": 0} == verify_store(
        local.path
    ).to_dict() | {
        "path": "",
        "seconds": 0,
    }
    assert list((tmp_path / "scratch").rglob("*shard*")) == []
    with pytest.raises(StoreError, match="is object storage, and has no folder"):
        _ = open_store(first).path


def test_doctor_looks_at_the_disk_where_shards_are_filled(remote, monkeypatch, tmp_path):
    monkeypatch.setenv("ARBORETUM_SCRATCH", str(tmp_path / "scratch"))
    with Origin() as origin:
        checks = doctor.examine(remote, DownloadOptions(origin=origin.url)).checks
    (disk,) = [check for check in checks if check.name == "disk"]
    assert str(tmp_path / "scratch") in disk.saw
    (store,) = [check for check in checks if check.name == "store"]
    assert store.level == "ok"
