"""`progress=True`: a bar where somebody watches, and nothing anywhere else."""

from __future__ import annotations

import asyncio
import inspect
import os
import pty
import subprocess
import sys
import termios
import threading

import pytest

import arboretum_tools as at
from arboretum_tools.display import progress
from arboretum_tools.events import PhotoDone, StageFinished, StageStarted, ignore
from arboretum_tools.testing.tiny import tiny_split, tiny_store

#: What tells of what it finds and takes no time, or tells nothing of its own.
SHORT = {"browse", "open_catalog"}


def test_whatever_tells_of_its_progress_shows_it():
    public = {name: function for name in at.__all__ if inspect.isfunction(function := getattr(at, name))}
    taken = {name: inspect.signature(function).parameters for name, function in public.items()}
    told = {name for name, parameters in taken.items() if "on_event" in parameters}
    shown = {name for name in told if "progress" in taken[name]}
    assert told - shown == SHORT
    assert {"build_catalog", "download", "export", "train", "verify_store"} <= shown


def _on_a_terminal(program: str, *arguments: object) -> str:
    """What a program writes to stderr, where that is a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                some = os.read(ours, 65_536)
            except OSError:  # Linux's way to say that the other end is closed.
                break
            if not some:
                break
            said += some
    os.close(ours)
    assert process.returncode == 0
    return said.decode()


VERIFY = "import sys, arboretum_tools as at\nat.verify_store(sys.argv[1]{})\n"


@pytest.mark.parametrize(
    ("more", "bar"), [("", True), (", progress=False", False), (", on_event=lambda event: None", False)]
)
def test_a_bar_stands_on_a_terminal_unless_it_is_not_wanted(tmp_path, more, bar):
    store = tiny_store(tmp_path / "images", tiny_split())
    said = _on_a_terminal(VERIFY.format(more), store.path)
    assert ("verify: 100%" in said) is bar
    assert bar or said == ""


def test_where_nobody_watches_nothing_is_said(tmp_path):
    store = tiny_store(tmp_path / "images", tiny_split())
    done = subprocess.run(
        [sys.executable, "-c", VERIFY.format(""), store.path], check=True, capture_output=True
    )
    assert done.stderr == done.stdout == b""


def test_a_stage_that_an_earlier_run_began_starts_where_that_stood(capsys):
    with progress.Bars() as bars:
        bars(StageStarted("download", 10, done=7))
        bars(PhotoDone(1, "ok", 90_000))
        bars(PhotoDone(2, "gone", 0))
        bars(StageFinished("download"))
    drawn = capsys.readouterr().err
    assert "9/10" in drawn
    assert "1 gone" in drawn
    assert "1/10" not in drawn


@pytest.mark.parametrize("how", ["called", "awaited"])
def test_the_bar_and_its_thread_end_with_an_error(monkeypatch, capsys, how):
    monkeypatch.setattr(progress, "_is_watched", lambda: True)

    @progress.shows_progress
    def fails(*, on_event=ignore):
        on_event(StageStarted("work", 10))
        raise KeyError

    @progress.shows_progress
    async def fails_later(*, on_event=ignore):
        on_event(StageStarted("work", 10))
        raise KeyError

    with pytest.raises(KeyError):
        fails() if how == "called" else asyncio.run(fails_later())
    assert "work:   0%" in capsys.readouterr().err
    for thread in threading.enumerate():
        if thread.name == "arboretum-progress":
            thread.join(5)
            assert not thread.is_alive()
