"""The state of a photo is its ok row, else its row in the highest shard, else pending."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arboretum_metadata.schema import REQUEST
from arboretum_tools.errors import StoreError
from arboretum_tools.imaging.image_format import inspect
from arboretum_tools.photos import photo_plan
from arboretum_tools.store import (
    STATUSES,
    ImageStore,
    PhotoRecord,
    StoreWriter,
    inventory,
    measured,
    plans,
    states,
)
from arboretum_tools.store.shards import layout
from arboretum_tools.store.storage.lock import Task
from arboretum_tools.tabular.tables import arrow_schema


def add(writer: StoreWriter, photo_id: int, status: str, image) -> None:
    if status == "ok":
        writer.add_image(photo_id, image(photo_id))
    else:
        message = f"cut off after {photo_id} bytes" if status == "invalid" else "HTTP 404"
        writer.add(PhotoRecord(photo_id=photo_id, status=status, error=message, fetched_at=datetime.now(UTC)))


def asked(store, ids) -> photo_plan.SavedPlan:
    table = pa.table(
        {"photo_id": sorted(ids), "ext": ["jpg"] * len(ids), "url": [None] * len(ids)},
        schema=arrow_schema(REQUEST),
    )
    plan = photo_plan.PhotoPlan(table.to_batches, {"kind": "list", "english": "a list", "criteria": None})
    return plans.keep(photo_plan.write(plan, store.parent / "plans"), store)


def ids_to_fetch(store, plan, retry) -> list[int]:
    batches = states.to_fetch(ImageStore.open(store), plan.path, retry=retry)
    return [n for batch in batches for n in batch["photo_id"].to_pylist()]


@pytest.fixture(params=[2, states._BAND])
def band(request, monkeypatch):
    monkeypatch.setattr(states, "_BAND", request.param)


@pytest.mark.usefixtures("band")
@settings(
    deadline=None,
    derandomize=True,
    max_examples=5,
    # The fixture is the same for all examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    runs=st.lists(st.dictionaries(st.integers(1, 12), st.sampled_from(STATUSES), min_size=1), max_size=4),
    ids=st.sets(st.integers(1, 15), min_size=1),
    retry=st.sets(st.sampled_from(STATUSES[1:])),
)
def test_the_ledger_agrees_with_the_definition(tmp_path_factory, image, runs, ids, retry):
    path = tmp_path_factory.mktemp("ledger") / "images"
    state: dict[int, str] = {}
    for run in runs:
        with StoreWriter.create(path, shard_photos=3) as writer:
            for photo_id, status in run.items():
                if state.get(photo_id) != "ok":
                    add(writer, photo_id, status, image)
                    state[photo_id] = status
    with StoreWriter.create(path):
        pass
    store, plan = ImageStore.open(path), asked(path, ids)
    requested = Counter(state.get(photo_id, "pending") for photo_id in ids)
    assert Counter(states.counts(store, plan.path)) == requested
    fresh, again = ids - state.keys(), {n for n in ids if state.get(n) in retry}
    # What failed is asked again when all else has been asked.
    assert ids_to_fetch(path, plan, retry) == [*sorted(fresh), *sorted(again)]
    rows = inventory.contents(store).to_pylist()
    assert {row["photo_id"]: row["status"] for row in rows} == state
    assert [row["photo_id"] for row in rows] == sorted(state)
    assert all(
        (row["ext"] == "jpg") == (row["status"] == "ok") == (row["sha256"] is not None) for row in rows
    )
    status = inventory.status(path)
    assert Counter(status.photos) == Counter(state.values()) + Counter({"pending": len(ids - set(state))})
    assert status.size_bytes == sum(len(image(n)) for n, s in state.items() if s == "ok")
    assert measured.images(store) == (status.photos["ok"], status.size_bytes, status.size_bytes)


def test_alike_reasons_are_counted_together(tmp_path, image):
    with StoreWriter.create(tmp_path / "images") as writer:
        for photo_id in (1, 2, 3):
            add(writer, photo_id, "invalid", image)
        add(writer, 4, "gone", image)
    found = inventory.status(tmp_path / "images")
    assert [(r.status, r.error, r.photos) for r in found.reasons] == [
        ("invalid", "cut off after N bytes", 3),
        ("gone", "HTTP 404", 1),
    ]
    assert found.to_dict()["photos"] == {
        "ok": 0,
        "gone": 1,
        "forbidden": 0,
        "invalid": 3,
        "failed": 0,
        "withdrawn": 0,
        "pending": 0,
    }


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    plans=st.lists(st.sets(st.integers(1, 30)), max_size=4),
    tried=st.sets(st.integers(1, 30)),
    rows=st.integers(1, 7),
)
def test_a_photo_of_several_plans_is_pending_once(tmp_path_factory, image, plans, tried, rows):
    path = tmp_path_factory.mktemp("plans") / "images"
    with StoreWriter.create(path) as writer:
        for photo_id in tried:
            add(writer, photo_id, "gone", image)
    files = []
    for number, ids in enumerate(plans):
        table = pa.table({"photo_id": sorted(ids)}, schema=pa.schema([("photo_id", pa.int64())]))
        files.append(path / f"{number}.parquet")
        pq.write_table(table, files[-1], row_group_size=rows)
    requested = len(set().union(*plans) - tried)
    assert states.pending(ImageStore.open(path), files) == requested


def test_an_open_shard_is_told_and_not_counted(tmp_path, image):
    with StoreWriter.create(tmp_path / "images", shard_photos=1) as writer:
        add(writer, 1, "ok", image)
        add(writer, 2, "ok", image)
        writer.abandon()
    found = inventory.status(tmp_path / "images")
    assert (found.photos["ok"], found.shards, found.open_shards, found.open_photos) == (1, 1, 1, 1)


def test_the_whole_story_of_a_photo_is_told_in_order(tmp_path, image):
    for status in ("failed", "invalid", "ok"):
        with StoreWriter.create(tmp_path) as writer:
            add(writer, 5, status, image)
    story = [(shard, record.status) for shard, record in ImageStore.open(tmp_path).rows_of(5)]
    assert story == [(0, "failed"), (1, "invalid"), (2, "ok")]


def test_a_damaged_index_is_told(tmp_path, image):
    path = tmp_path / "images"
    with StoreWriter.create(path) as writer:
        add(writer, 1, "ok", image)
    plan, store = asked(path, [1, 2]), ImageStore.open(path)
    index = layout.index_path(path, 0)
    whole = index.read_bytes()
    # The footer says where the pages are: with it alone, the damage shows when these are read.
    for damaged in (b"nothing", bytes(len(whole) // 2) + whole[len(whole) // 2 :]):
        index.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"shard-000000\.parquet cannot be read"):
            states.counts(store, plan.path)
    index.write_bytes(b"nothing")
    with pytest.raises(StoreError, match="damaged"):
        inventory.status(path)
    with pytest.raises(StoreError, match=r"shard-000000\.parquet cannot be read"):
        measured.images(store)


def test_a_damaged_plan_is_told(tmp_path, image):
    path = tmp_path / "images"
    with StoreWriter.create(path) as writer:
        add(writer, 1, "ok", image)
    plan = asked(path, [1, 2])
    plan.path.write_bytes(plan.path.read_bytes()[:-9])
    with pytest.raises(StoreError, match=f"the plan .*{plan.id}.parquet cannot be read"):
        states.counts(ImageStore.open(path), plan.path)


@pytest.mark.usefixtures("band")
def test_photos_of_the_last_host_come_after_all_others(tmp_path, image):
    path = tmp_path / "images"
    with StoreWriter.create(path) as writer:
        for photo_id in (2, 5):
            add(writer, photo_id, "ok", image)
    slow = {n: f"http{'s' * (n % 3 > 0)}://slow.example/{n}.jpg" for n in range(1, 8)}
    slow[3], slow[6] = "https://slow.example.org/3.jpg", None
    table = pa.table(
        {"photo_id": list(slow), "ext": ["jpg"] * len(slow), "url": list(slow.values())},
        schema=arrow_schema(REQUEST),
    )
    plan = plans.keep(photo_plan.write(photo_plan.PhotoPlan(table.to_batches, {}), tmp_path / "plans"), path)
    store = ImageStore.open(path)
    batches = states.to_fetch(store, plan.path, retry=(), last_host="slow.example")
    assert [n for batch in batches for n in batch["photo_id"].to_pylist()] == [3, 6, 1, 4, 7]
    assert states.count_of_host(store, plan.path, "slow.example", retry=()) == 3
    assert states.count_of_host(store, plan.path, "slow.example", retry=(), task=Task(1, 2)) == 2
    assert states.count_of_host(None, plan.path, "slow.example", retry=()) == 5
    assert states.count_of_host(store, plan.path, "example", retry=()) == 0


def test_an_index_without_statistics_is_read_all_the_same(tmp_path, image):
    path = tmp_path / "images"
    with StoreWriter.create(path) as writer:
        add(writer, 4, "ok", image)
    index = layout.index_path(path, 0)
    pq.write_table(pq.read_table(index), index, write_statistics=False)
    assert states.counts(ImageStore.open(path), asked(path, [4, 5]).path)["ok"] == 1


def test_folders_whose_names_look_like_patterns_are_read(tmp_path, image):
    path = tmp_path / "a=b" / "shard-000009.parquet [x]*'q" / "images"
    with StoreWriter.create(path) as writer:
        add(writer, 1, "ok", image)
    assert inventory.status(path).photos["ok"] == 1


def test_status_tells_what_became_of_photos_by_host(tmp_path, image):
    path = tmp_path / "images"
    urls = {1: "https://a.example/photos/1/x.jpg", 2: "https://b.example:443/2.jpg", 3: ""}
    with StoreWriter.create(path) as writer:
        writer.add_image(1, image(1), url=urls[1])
        for photo_id in (2, 3):
            writer.add(
                PhotoRecord(
                    photo_id=photo_id, status="failed", url=urls[photo_id], fetched_at=datetime.now(UTC)
                )
            )
    found = inventory.status(path).hosts
    assert [(host.host, host.photos) for host in found] == [
        ("", {"failed": 1}),
        ("a.example", {"ok": 1}),
        ("b.example", {"failed": 1}),
    ]
    assert found[1].size_bytes == len(image(1))


def test_the_story_of_a_photo_is_all_its_rows_and_plans(tmp_path, image):
    path = tmp_path / "images"
    for status in ("failed", "gone", "ok"):
        with StoreWriter.create(path) as writer:
            add(writer, 4, status, image)
    plan = asked(path, [4, 5])
    told = inventory.story(path, 4)
    assert (told.state, told.plans) == ("ok", (plan.id,))
    assert [(shard, row.status) for shard, row in told.rows] == [(0, "failed"), (1, "gone"), (2, "ok")]
    assert inventory.story(path, 5).state == "pending"
    assert inventory.story(path, 6).state == "unknown"


def test_the_speed_is_that_of_the_last_shard_where_it_tells_one(tmp_path, image):
    path = tmp_path / "images"
    with StoreWriter.create(path) as writer:
        writer.add_image(1, image(1))
    assert measured.bytes_per_second(ImageStore.open(path)) is None
    with StoreWriter.create(path) as writer:
        for photo_id, second in ((2, 0), (3, 10)):
            data = image(photo_id)
            record = PhotoRecord.of_image(photo_id, data, inspect(data))
            writer.add(replace(record, fetched_at=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)), data)
    assert measured.bytes_per_second(ImageStore.open(path)) == (len(image(2)) + len(image(3))) / 10
