"""Whatever stands in a store: our error or a whole store, and nothing outside it is touched."""

from __future__ import annotations

import contextlib
import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arboretum_tools.errors import ArboretumError, StoreError
from arboretum_tools.store import ImageStore, StoreWriter, inventory
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.recovery import recover
from arboretum_tools.store.storage.lock import Task
from arboretum_tools.store.verify import verify_store

QUICK = settings(
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
THOROUGH = settings(QUICK, max_examples=10_000)

PHOTOS = range(1, 7)


@pytest.fixture(scope="module")
def killed(tmp_path_factory, image):
    """A store of one finished shard (photos 101 and 102), and of an open one of a killed writer."""
    path = tmp_path_factory.mktemp("killed") / "images"
    with StoreWriter.create(path) as writer:
        for photo_id in (101, 102):
            writer.add_image(photo_id, image(photo_id))
    with StoreWriter.create(path) as writer:
        for photo_id in PHOTOS:
            writer.add_image(photo_id, image(photo_id))
        writer.abandon()
    return path


@pytest.fixture
def copied(killed, tmp_path):
    """Gives a fresh copy of it, again and again."""

    def copy():
        shutil.rmtree(tmp_path / "images", ignore_errors=True)
        return shutil.copytree(killed, tmp_path / "images")

    return copy


def held(path, image) -> list[int]:
    """The photos of a store, each checked against its own bytes."""
    store = ImageStore.open(path)
    found = []
    for shard in store.shards():
        for row in store.index(shard).to_pylist():
            if row["status"] == "ok":
                data = store.read_bytes(shard, row["offset"], row["size_bytes"], row["photo_id"])
                assert data == image(row["photo_id"])
                found.append(row["photo_id"])
    return found


# What a byte, a value or a line of a journal may have become.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**31 - 2, 2**31 + 2),
    st.floats(),
    st.text(),
    st.sampled_from(
        ["\ud800", "2e0", "", "ok", "gone", "pending", "9999-12-31T23:59:59-14:00", "0001-01-01"]
    ),
    st.lists(st.integers(), max_size=2),
)


@st.composite
def mutations(draw, text: bytes) -> tuple[bytes, int]:
    """A journal with one mutation, and how many lines before it are as they were."""
    lines = text.splitlines(keepends=True)
    at = draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    kind = draw(st.sampled_from(["byte", "value", "more", "line", "insert", "swap", "nest"]))
    if kind == "byte":
        position = draw(st.integers(0, len(line) - 1))
        line = line[:position] + draw(st.binary(max_size=3)) + line[position + 1 :]
    elif kind == "value":
        message = json.loads(line)
        message[draw(st.sampled_from(sorted(message)))] = draw(VALUES)
        line = json.dumps(message).encode() + b"\n"
    elif kind == "more":
        line = json.dumps(json.loads(line) | {draw(st.text()): draw(VALUES)}).encode() + b"\n"
    elif kind == "line":
        line = draw(st.binary(max_size=50)) + b"\n"
    elif kind == "insert":
        line += draw(st.binary(max_size=50))
    elif kind == "swap":
        line = draw(st.sampled_from(lines))
    else:
        line = b"[" * 100_000 + b"\n"
    return b"".join([*lines[:at], line, *lines[at + 1 :]]), at


def check_mutated(copied, image, data) -> None:
    path = copied()
    journal = layout.journal_path(path, 1)
    mutated, before = data.draw(mutations(journal.read_bytes()))
    journal.write_bytes(mutated)
    with StoreWriter.create(path) as writer:
        writer.add_image(7, image(7))
    found = held(path, image)
    assert set(found) >= {101, 102, 7, *PHOTOS[:before]}
    assert len(found) == len(set(found))


@QUICK
@given(st.data())
def test_recovery_stops_at_the_first_line_that_it_cannot_take(copied, image, data):
    check_mutated(copied, image, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@THOROUGH
@given(st.data())
def test_ten_thousand_mutated_journals(copied, image, data):
    check_mutated(copied, image, data)


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        (b'"height":16', b'"height":2147483648'),
        (b'"height":16', b'"height":2e0'),
        (b'"attempts":1', b'"attempts":1e0'),
        (b'"attempts":1', b'"attempts":true'),
        (b'"url":""', b'"url":"\\ud800"'),
        (b'"url":""', b'"url":null'),
        (b'"source_sha256":"', b'"source_sha256":"\\u001f'),
        (b'"photo_id":4', b'"photo_id":5'),
        (b'"photo_id":4', b'"photo_id":99999999999999999999'),
        (b'"status":"ok"', b'"status":"gone"'),
        (b'+00:00"', b'"'),
    ],
)
def test_a_line_that_does_not_fit_an_index_ends_what_is_kept(copied, image, was, is_):
    path = copied()
    journal = layout.journal_path(path, 1)
    lines = journal.read_bytes().splitlines(keepends=True)
    assert was in lines[3]
    lines[3] = lines[3].replace(was, is_)
    json.loads(lines[3])
    journal.write_bytes(b"".join(lines))
    recover(path)
    assert held(path, image) == [101, 102, 1, 2, 3]


NAMES = st.one_of(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["shard-", "Shard-", "._shard-", "shard", ""]),
        st.one_of(
            st.integers(0, 2**70).map(str),
            st.sampled_from([0, 1, 2, 2**31 - 1, 2**31, 2**63]).map("{:06d}".format),
            st.text("0123456789٣²", min_size=5, max_size=8),
        ),
        st.sampled_from([".tar", ".parquet", ".tar.part", ".journal", ".tar.gz", "", "\n"]),
    ),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40
    ).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200),
    st.sampled_from([".lock", ".lock-0", "requests", ".x.partial-", "requests/a.parquet", "requests/a.json"]),
)


@QUICK
@given(NAMES, st.sampled_from(["file", "bytes", "folder", "link", "pipe"]))
@example("shard-999999999999999999999999.parquet", "file")
@example("shard-2147483647.parquet", "file")
@example("shard-000001.journal", "link")
@example("shard-000000.parquet", "pipe")
@example("shard-000000.tar", "pipe")
@example("requests/a.parquet", "pipe")
def test_any_name_in_a_store_is_ignored_or_an_error_of_ours(copied, image, tmp_path, name, kind):
    path = copied()
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    target = path / name
    target.parent.mkdir(exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    # What stood there is gone by our own hand, and is not asked for below.
    ours = target.exists()
    target.unlink(missing_ok=True)
    if kind == "folder":
        target.mkdir()
    elif kind == "link":
        target.symlink_to(outside)
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        target.write_bytes(b"" if kind == "file" else b"something else")
    for ask in (inventory.status, verify_store, lambda path: inventory.story(path, 101)):
        with contextlib.suppress(ArboretumError):
            ask(path)
    with contextlib.suppress(ArboretumError):
        with StoreWriter.create(path) as writer:
            writer.add_image(7, image(7))
        if not ours:
            assert {101, 102, 7} <= set(held(path, image))
    assert outside.read_bytes() == b"precious"


def test_a_shard_number_beyond_all_numbers_is_no_shard(copied, image):
    path = copied()
    (path / "shard-999999999999999999999999.parquet").write_bytes(b"")
    with StoreWriter.create(path) as writer:
        writer.add_image(7, image(7))
    assert held(path, image) == [101, 102, *PHOTOS, 7]


def test_a_store_that_has_no_number_left_says_so(copied):
    path = copied()
    layout.index_path(path, layout.MAX_SHARD).write_bytes(b"")
    with pytest.raises(StoreError, match="2147483647, and none is left"), StoreWriter.create(path):
        pass


@pytest.mark.parametrize(
    "name", [".lock", ".lock-0", "shard-000001.tar.part", "shard-000001.journal", "requests"]
)
@pytest.mark.parametrize("there", [True, False])
def test_a_store_is_never_written_through_a_link(copied, tmp_path, name, there):
    path = copied()
    outside = tmp_path / "outside"
    if there:
        outside.write_bytes(b"precious")
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(outside)
    task = Task(0, 2 if name == ".lock-0" else 1)
    with (
        pytest.raises(StoreError, match=f"{name} is a symbolic link.*; nothing was changed"),
        StoreWriter.create(path, task=task),
    ):
        pass
    assert (path / name).is_symlink()
    assert outside.exists() == there
    if there:
        assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize("name", [".lock", "shard-000001.tar.part", "shard-000001.journal"])
def test_a_pipe_in_a_store_holds_nothing_up(copied, name):
    path = copied()
    (path / name).unlink(missing_ok=True)
    os.mkfifo(path / name)
    with pytest.raises(StoreError, match=f"{name} is not a regular file"), StoreWriter.create(path):
        pass
