"""Any sequence of downloads, interruptions, kills and faults that come and go ends in the store it should."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from arboretum_metadata.schema import REQUEST
from arboretum_tools.downloading import download
from arboretum_tools.events import PhotoDone
from arboretum_tools.photos.photo_plan import PhotoPlan
from arboretum_tools.store import ImageStore, StoreConfig, StoreWriter, inventory
from arboretum_tools.store.shards import layout
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin

PHOTOS = range(1, 41)
# What each fault makes of a photo that is asked for once.
STATE = {
    "not_found": "gone",
    "forbidden": "forbidden",
    "wrong_content": "invalid",
    "no_end": "invalid",
    "server_error": "failed",
    "truncated": "failed",
}
AGAIN = ("failed", "gone", "forbidden", "invalid")


def plan(photos) -> PhotoPlan:
    ids = sorted(photos)
    columns = {"photo_id": ids, "ext": ["jpg"] * len(ids), "url": [None] * len(ids)}
    table = pa.table(columns, schema=arrow_schema(REQUEST))
    return PhotoPlan(table.to_batches, {"kind": "list", "english": "a list"})


class Downloads(RuleBasedStateMachine):
    """One store, and everything that can happen to it."""

    origin: Origin

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="arboretum-machine-"))
        self.images = self.folder / "images"
        self.origin.faults = {}

    def teardown(self) -> None:
        """Whatever happened: asked for all again, each photo is what it ever was at best."""
        try:
            ok = {id_ for id_, state in self.states().items() if state == "ok"}
            self.download(PHOTOS, AGAIN, 8)
            pending = {
                photo: "ok" if photo in ok or fault is None else STATE[fault.kind]
                for photo in PHOTOS
                for fault in [self.origin.faults.get(photo)]
            }
            assert self.states() == pending
            left = {path.name.partition(".")[2] for path in self.images.glob("shard-*")}
            assert left <= {"tar", "parquet"}
        finally:
            shutil.rmtree(self.folder)

    def download(self, photos, retry, connections, on_event=lambda event: None):
        return download(
            plan(photos),
            images=self.images,
            size="thumb",
            origin=self.origin.url,
            attempts=1,
            retry=retry,
            connections=connections,
            max_failure_rate=1,
            on_event=on_event,
        )

    def states(self) -> dict[int, str]:
        if not layout.is_store(self.images):
            return {}
        # What a kill left whole in an open shard is found by the next writer, before it looks what is there.
        with StoreWriter.create(self.images, StoreConfig(size="thumb")):
            pass
        table = inventory.contents(ImageStore.open(self.images))
        return dict(zip(*(table[name].to_pylist() for name in ("photo_id", "status")), strict=True))

    selections = st.frozensets(st.sampled_from(PHOTOS), min_size=1)
    retries = st.sampled_from([(), ("failed",), AGAIN])
    connection_numbers = st.sampled_from([1, 8])

    @rule(faults=st.dictionaries(st.sampled_from(PHOTOS), st.sampled_from(sorted(STATE)), max_size=15))
    def the_host_changes(self, faults) -> None:
        self.origin.faults = {photo: Fault(kind) for photo, kind in faults.items()}

    @rule(photos=selections, retry=retries, connections=connection_numbers)
    def a_download_runs(self, photos, retry, connections) -> None:
        before = self.states()
        report = self.download(photos, retry, connections)
        again = {photo for photo in photos if before.get(photo, "pending") in ("pending", *retry)}
        assert report.tried == len(again)
        after = self.states()
        for photo in photos:
            fault = self.origin.faults.get(photo)
            tried = "ok" if fault is None else STATE[fault.kind]
            assert after[photo] == (tried if photo in again else before[photo])

    @rule(photos=selections, retry=retries, connections=connection_numbers, after=st.integers(1, 20))
    def a_download_is_interrupted(self, photos, retry, connections, after) -> None:
        left = after

        def interrupt(event) -> None:
            nonlocal left
            left -= isinstance(event, PhotoDone)
            if not left:
                raise KeyboardInterrupt

        try:
            self.download(photos, retry, connections, interrupt)
        except KeyboardInterrupt:
            assert inventory.status(self.images).open_shards == 0

    @rule(
        photos=selections,
        connections=connection_numbers,
        after=st.integers(1, 20),
        torn=st.booleans(),
        seed=st.integers(0, 99),
    )
    def a_download_is_killed(self, photos, connections, after, torn, seed) -> None:
        """What lies on the disk at one moment is what a SIGKILL leaves; a power cut leaves less."""
        copy = self.folder / "at-the-kill"
        left = after

        def look(event) -> None:
            nonlocal left
            left -= isinstance(event, PhotoDone)
            if not left and not copy.exists():
                shutil.copytree(self.images, copy)

        self.download(photos, ("failed",), connections, look)
        if not copy.exists():
            return
        if torn:
            chance = random.Random(seed)
            for path in sorted([*copy.glob("*.journal"), *copy.glob("*.tar.part")]):
                with path.open("r+b") as file:
                    file.truncate(chance.randint(0, path.stat().st_size))
        shutil.rmtree(self.images)
        copy.rename(self.images)

    @invariant()
    def no_photo_is_stored_twice_and_every_image_is_whole(self) -> None:
        if not layout.is_store(self.images):
            return
        store, oks = ImageStore.open(self.images), Counter()
        for shard in store.shards():
            for row in store.index(shard).to_pylist():
                if row["status"] == "ok":
                    oks[row["photo_id"]] += 1
                    store.read_bytes(shard, row["offset"], row["size_bytes"], row["photo_id"])
        assert not oks or max(oks.values()) == 1


def run_machine(examples: int, steps: int) -> None:
    with Origin() as origin:
        Downloads.origin = origin
        run_state_machine_as_test(
            Downloads,
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True
            ),
        )


def test_whatever_happens_the_store_is_what_it_should_be():
    run_machine(4, 6)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_the_store_is_what_it_should_be_many_times():
    run_machine(60, 12)
