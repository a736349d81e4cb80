"""The line goes down in the middle: no photo is spent on it, and a host that stays away ends the run."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import time
from asyncio import CancelledError
from typing import Any

import pytest

from arboretum_tools.downloading import download
from arboretum_tools.downloading.fetching import hosts
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.network.budget import ByteAllowance
from arboretum_tools.downloading.network.urls import OPEN_DATA_HOST
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.run import run
from arboretum_tools.downloading.tasks.cancel import Stopper
from arboretum_tools.errors import BadInputError
from arboretum_tools.events import Note, PhotoDone
from arboretum_tools.store import ImageStore, inventory
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin


class Line:
    """An origin that goes away after so many photos, for so long; a callback of a download.

    Attributes:
        url: of the origin.
        notes: what the download said.
    """

    def __init__(
        self,
        after: int,
        away_s: float | None,
        own: ssl.SSLContext | None = None,
        other: ssl.SSLContext | None = None,
    ) -> None:
        """Begins to serve.

        Args:
            after: photos after which it goes away.
            away_s: seconds until it is back; None = it stays away.
            own: its certificate, if any.
            other: of who answers in its place meanwhile, until that was told.
        """
        self.origin = Origin(ssl_context=own).start()
        self.url = self.origin.url
        self.notes: list[str] = []
        self._left, self._away_s, self._own, self._other = after, away_s, own, other
        self._cut: threading.Thread | None = None

    def __call__(self, event: object) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)
        self._left -= isinstance(event, PhotoDone)
        if not self._left and self._cut is None:
            self._cut = threading.Thread(target=self._be_away)
            self._cut.start()

    def _be_away(self) -> None:
        port = int(self.url.rpartition(":")[2])
        self.origin.stop()
        if self._other is not None:
            self.origin = Origin(port=port, ssl_context=self._other).start()
            # As long as it takes until it was met: first nobody answers, and connections may still hang.
            late = time.monotonic() + 30
            while not any("not trusted" in note for note in self.notes) and time.monotonic() < late:
                time.sleep(0.05)
        if self._away_s is not None:
            time.sleep(self._away_s)
            self.origin.stop()
            self.origin = Origin(port=port, ssl_context=self._own).start()

    def close(self) -> None:
        if self._cut is not None:
            self._cut.join()
        self.origin.stop()


@pytest.fixture
def line():
    made = []

    def make(*arguments: Any) -> Line:
        made.append(Line(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_no_photo_fails_because_the_line_was_down_for_a_while(tmp_path, plan_of, line, monkeypatch):
    monkeypatch.setattr(hosts, "_TELL_S", 0.2)
    down = line(40, 1.0)
    report = download(
        plan_of(*range(1, 201)), images=tmp_path, size="thumb", origin=down.url, attempts=2, on_event=down
    )
    assert report.by_status["ok"] == 200
    rows = ImageStore.open(tmp_path).index(0).to_pylist()
    # An answer that was cut off by it is a request; a connection that could not be made is none.
    assert max(row["attempts"] for row in rows) <= 2
    assert any("cannot connect to" in note and "; waiting" in note for note in down.notes)


def test_whoever_answers_in_place_of_a_host_for_a_while_costs_no_photo(
    tmp_path, plan_of, line, monkeypatch, certificates
):
    """A network that wants a login first answers for every host, under a certificate of its own."""
    contexts = []
    for name in ("good", "other"):
        path = certificates[name]
        contexts.append(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
        contexts[-1].load_cert_chain(path, path.with_name("key.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates["good"]))
    monkeypatch.setattr(hosts, "_TELL_S", 0.2)
    # A server that is stopped may leave a connection over TLS open, on which no answer comes.
    monkeypatch.setattr(hosts, "_READ_S", 1.0)
    down = line(40, 1.0, *contexts)
    report = download(
        plan_of(*range(1, 201)),
        images=tmp_path,
        size="thumb",
        origin=down.url,
        attempts=3,
        on_event=down,
    )
    assert report.by_status["ok"] == 200
    assert any("the certificate of 127.0.0.1 is not trusted" in note for note in down.notes)


def test_a_host_that_stays_away_ends_the_run_and_nothing_is_spent_on_it(tmp_path, plan_of, line, monkeypatch):
    monkeypatch.setattr(hosts, "UNWELL_S", 1.0)
    down = line(40, None)
    with pytest.raises(BadInputError, match="has served nothing for 0 min: cannot connect") as caught:
        download(plan_of(*range(1, 201)), images=tmp_path, size="thumb", origin=down.url, on_event=down)
    assert "goes on where it stopped" in caught.value.hint
    found = inventory.status(tmp_path).photos
    assert found["ok"] >= 40
    assert found["failed"] == 0
    assert found["pending"] == 200 - found["ok"]


def test_a_host_that_throttles_is_told_of_once_a_pause(tmp_path, plan_of, origin, monkeypatch):
    monkeypatch.setattr(hosts, "_TELL_S", 0.5)
    origin.faults = {n: Fault("throttled", times=1, retry_after=1) for n in range(1, 9)}
    notes = []
    report = download(
        plan_of(*range(1, 30)),
        images=tmp_path,
        size="thumb",
        origin=origin.url,
        on_event=lambda event: notes.append(event.text) if isinstance(event, Note) else None,
    )
    assert report.by_status["ok"] == 29
    assert 1 <= len(notes) < 8
    message = f"https://{OPEN_DATA_HOST} is left alone, it is too busy (HTTP 429); waiting 1 s"
    assert set(notes) == {message}


def test_a_host_that_is_always_too_busy_ends_the_run_in_bounded_time(tmp_path, plan_of, origin, monkeypatch):
    monkeypatch.setattr(hosts, "UNWELL_S", 1.0)
    left = 20

    def fail_from_now_on(event: object) -> None:
        nonlocal left
        left -= isinstance(event, PhotoDone)
        if not left:
            origin.everywhere = Fault("unavailable")

    with pytest.raises(
        BadInputError, match=r"has served nothing .* too busy \(HTTP 503\); what came is kept"
    ):
        download(
            plan_of(*range(1, 500)),
            images=tmp_path,
            size="thumb",
            origin=origin.url,
            on_event=fail_from_now_on,
        )
    found = inventory.status(tmp_path).photos
    assert 20 <= found["ok"] < 100
    assert found["failed"] == 0
    assert found["pending"] == 499 - found["ok"]


def test_a_redirect_to_a_host_with_a_budget_waits_for_that_budget(tmp_path, plan_of, origin):
    there = "https://static.inaturalist.org/photos/{}/small.jpg"
    origin.faults = {n: Fault("redirect", to=there.format(n + 100)) for n in range(1, 5)}
    options = DownloadOptions(
        origin=origin.url,
        # So little that the first photo uses it up.
        allowance=ByteAllowance(hour_bytes=100, day_bytes=1000),
        budget_path=tmp_path / "host.json",
        connections=1,
    )
    stopper, notes = Stopper(), []

    def stop(event: object) -> None:
        if isinstance(event, Note):
            notes.append(event.text)
            stopper.stop()

    job = Job(plan_of(1, 2, 3, 4), tmp_path / "images", options=options, on_event=stop)
    with pytest.raises(CancelledError):
        run(job, stopper)
    assert "byte budget of the hour or day is used up" in notes[0]
    assert sum(request.photo_id > 100 for request in origin.requests) == 1


def test_too_few_open_files_end_the_run_and_not_the_photos(tmp_path, plan_of, origin):
    code = (
        "import resource, sys, pyarrow as pa; from arboretum_metadata.schema import REQUEST\n"
        "from arboretum_tools.tabular.tables import arrow_schema\n"
        "from arboretum_tools.downloading import download\n"
        "from arboretum_tools.photos.photo_plan import PhotoPlan\n"
        "from arboretum_tools.errors import ArboretumError\n"
        "ids = list(range(1, 400))\n"
        "columns = {'photo_id': ids, 'ext': ['jpg'] * len(ids), 'url': [None] * len(ids)}\n"
        "table = pa.table(columns, schema=arrow_schema(REQUEST))\n"
        "def event(one):\n"
        "    if type(one).__name__ == 'StageStarted':\n"
        "        resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))\n"
        "try:\n"
        "    download(PhotoPlan(table.to_batches, {}), images=sys.argv[1], origin=sys.argv[2],\n"
        "             connections=128, on_event=event)\n"
        "except ArboretumError as error:\n"
        "    print(error)\n"
        "    sys.exit(error.exit_code)\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "images", origin.url]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 3, ran
    assert "ulimit -n" in ran.stdout
    assert ran.stderr == ""
    assert inventory.status(tmp_path / "images").photos["failed"] == 0
