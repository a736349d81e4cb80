"""One writer a task in a bucket: leases are held, refused, taken over and lost."""

import json
import os
import socket
import threading

import pytest

from arboretum_tools import open_store, verify_store
from arboretum_tools.errors import StoreError
from arboretum_tools.store.storage import lease
from arboretum_tools.store.storage.lock import Task
from arboretum_tools.store.writer import StoreWriter

pytestmark = pytest.mark.cloud


@pytest.fixture
def hurried(monkeypatch):
    """Leases that last five seconds."""
    monkeypatch.setattr(lease, "LASTS_S", 5)
    monkeypatch.setattr(lease, "RENEW_S", 0.3)


def test_two_writers_are_refused_with_who_holds_it(images, hurried, elsewhere, image):
    with StoreWriter.create(images) as writer:
        writer.add_image(1, image(1))
        with pytest.raises(StoreError, match=rf"another command writes into .*process {os.getpid()} on"):
            StoreWriter.create(images).__enter__()
        elsewhere()
        told = []
        refused = (
            rf"another command writes into {images}: process {os.getpid()} on {socket.gethostname()}, since"
        )
        with pytest.raises(StoreError, match=refused):
            StoreWriter.create(images, on_event=told.append).__enter__()
        assert "waiting at most" in told[0].text
        with pytest.raises(StoreError, match=refused):
            StoreWriter.create(images, task=Task(0, 2)).__enter__()
    with StoreWriter.create(images, task=Task(0, 2)), StoreWriter.create(images, task=Task(1, 2)):
        with pytest.raises(StoreError, match="another command"):
            StoreWriter.create(images).__enter__()
        with pytest.raises(StoreError, match="another command"):
            StoreWriter.create(images, task=Task(2, 3)).__enter__()
    assert open_store(images).shards() == [0]


@pytest.mark.parametrize("since", ["1999-01-01T00:00:00+00:00", "2199-01-01T00:00:00+00:00"])
def test_clocks_that_are_wrong_neither_take_a_lease_over_nor_keep_one(images, client, hurried, since, image):
    about = {"host": "elsewhere", "pid": 7, "since": since, "scratch": "another", "token": "its"}
    key, bucket_name = "aves/.lock/0-of-1.json", images.split("/")[2]

    def renew(number: int, lasts_s: int = 30) -> None:
        body = json.dumps(about | {"renewals": number, "lasts_s": lasts_s}).encode()
        client.put_object(Bucket=bucket_name, Key=key, Body=body)

    renew(0)
    alive = threading.Timer(0.5, renew, (1,))
    alive.start()
    with pytest.raises(StoreError, match="process 7 on elsewhere"):
        StoreWriter.create(images).__enter__()
    alive.join()
    renew(2, lasts_s=1)
    with StoreWriter.create(images) as writer:
        writer.add_image(1, image(1))
    assert open_store(images).shards() == [0]


def test_who_was_taken_over_publishes_nothing(images, hurried, elsewhere, image, client, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_S", 3_600.0)
    elsewhere("first")
    stale = StoreWriter.create(images)
    with pytest.raises(StoreError, match="was lost, another process has taken it over"), stale:
        stale.add_image(1, image(1))
        stale.add_image(2, image(2))
        elsewhere()
        with StoreWriter.create(images) as other:
            # Shard 0 may be on its way.
            other.add_image(1, image(1))
            other.roll()
            assert [summary.number for summary in other.summaries] == [1]
    found = client.list_objects_v2(Bucket=images.split("/")[2])["Contents"]
    assert {key for key in (one["Key"] for one in found) if "shard" in key} == {
        "aves/shard-000001.tar",
        "aves/shard-000001.parquet",
    }
    # Back on its machine: what the other one has not fetched would be kept, but a journal ends where it has.
    elsewhere("first")
    with StoreWriter.create(images) as writer:
        writer.add_image(2, image(2))
    assert verify_store(images).photos == 2
