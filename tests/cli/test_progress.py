"""What is drawn while the library works: by the clock, so that a run that stands still is seen to."""

import json
import time

import pytest

from arboretum_cli.printing import output
from arboretum_cli.printing.progress import Progress
from arboretum_tools.events import Note, PhotoDone, ShardFinished, StageFinished, StageStarted, UnitDone
from arboretum_tools.store import plans
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin


@pytest.fixture
def message(capsys):
    """Waits for so many lines, and gives all that were printed."""
    lines = []

    def wait(count: int) -> list[str]:
        give_up = time.monotonic() + 10
        while len(lines) < count and time.monotonic() < give_up:
            time.sleep(0.01)
            lines.extend(capsys.readouterr().err.splitlines())
        return lines

    return wait


def test_in_a_log_lines_come_though_nothing_happens(message, monkeypatch):
    monkeypatch.setattr("arboretum_cli.printing.progress.LINE_EVERY_S", 0.05)
    with Progress() as progress:
        progress(StageStarted("download", 1_000))
        for photo_id in range(3):
            progress(PhotoDone(photo_id, "ok", 90_000))
        progress(PhotoDone(4, "gone", 0))
        lines = message(3)
    assert lines[0].startswith("download: 4 of 1,000, ")
    assert ", 1 gone, " in lines[0]
    assert lines[0].endswith(" left")
    # Of the time since the line before, so that a standstill shows.
    assert lines[2].startswith("download: 4 of 1,000, 0 photos/s, 0 B/s, 1 gone, ")


def test_there_are_no_lines_before_and_after_a_stage(message, capsys, monkeypatch):
    monkeypatch.setattr("arboretum_cli.printing.progress.LINE_EVERY_S", 0.02)
    with Progress() as progress:
        time.sleep(0.1)
        progress(StageStarted("verify", 2, "shard"))
        progress(ShardFinished("shard-000000.tar", 5, 1000))
        lines = message(1)
        progress(StageFinished("verify"))
        capsys.readouterr()
        time.sleep(0.2)
    assert lines[0].startswith("verify: 1 of 2, ")
    assert capsys.readouterr().err == ""


def test_what_has_no_sizes_and_no_end_tells_neither(message, monkeypatch):
    monkeypatch.setattr("arboretum_cli.printing.progress.LINE_EVERY_S", 0.05)
    with Progress() as progress:
        progress(StageStarted("plan", None))
        progress(UnitDone(100_000))
        lines = message(2)
    assert lines[1] == "plan: 100,000, 0 photos/s"


def test_a_note_is_said_once_and_within_a_stage_each_time(message):
    Progress._notes.clear()
    with Progress() as progress:
        progress(Note("no column quality_grade"))
        progress(Note("no column quality_grade"))
        progress(StageStarted("download", 5))
        progress(Note("waiting 60 min"))
        progress(Note("waiting 60 min"))
    assert message(3) == ["no column quality_grade", "waiting 60 min", "waiting 60 min"]


def test_on_a_terminal_the_bar_tells_states_and_moves_by_itself(capsys, monkeypatch):
    def until(seen) -> str:
        """What is drawn from now on, until that is seen in it."""
        drawn, give_up = "", time.monotonic() + 10
        while not seen(drawn):
            assert time.monotonic() < give_up, drawn
            time.sleep(0.01)
            drawn += capsys.readouterr().err
        return drawn

    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setattr("arboretum_tools.display.progress.BAR_EVERY_S", 0.05)
    with Progress() as progress:
        progress(StageStarted("download", 10))
        progress(PhotoDone(1, "ok", 90_000))
        progress(PhotoDone(2, "forbidden", 0))
        drawn = until(lambda drawn: "kB/s, 1 forbidden" in drawn)
        assert "download:  20%" in drawn
        assert "2/10" in drawn
        until(lambda drawn: "2/10" in drawn)


def test_the_command_itself_says_where_it_stands_while_a_host_stalls(workdir, arboretum, monkeypatch):
    monkeypatch.setattr("arboretum_cli.printing.progress.LINE_EVERY_S", 0.2)
    ids = arboretum(
        "download", "--taxa", "Reptilia", "--limit", 1, "--size", "thumb", "--plan-only", "--json"
    )
    [photo] = plans.of_saved("images", json.loads(ids.out)["plan_id"]).batches()
    with Origin(faults={photo["photo_id"][0].as_py(): Fault("stall")}) as stalling:
        monkeypatch.setenv("ARBORETUM_ORIGIN", stalling.url)
        flags = ("--attempts", 1, "--deadline", 1.5)
        outcome = arboretum("download", "--taxa", "Reptilia", "--limit", 1, "--size", "thumb", *flags)
    assert outcome.code == 4
    assert "not whole within 1.5 s" in outcome.err
    assert outcome.err.count("download: 0 of 1, 0 photos/s, 0 B/s\n") >= 3
