"""Named pipes, devices and places that hold no files: one error each, and nothing is waited for."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arboretum_tools.testing.tiny import tiny_split, tiny_store

READ = [
    ["select", "--catalog", "pipe"],
    ["catalog", "build", "pipe.csv", "--out", "built"],
    ["catalog", "build", "pipe.parquet", "--out", "built"],
    ["catalog", "check", "pipe"],
    ["download", "--photo-ids", "pipe"],
    ["download", "--photo-ids", "/dev/zero"],
    ["make-split", "--taxa", "Aves", "--recipe", "pipe.toml"],
    ["make-split", "--taxa", "Aves", "--exclude", "pipe.csv"],
    ["make-split", "--taxa", "Aves", "--exclude", "pipe.parquet"],
    ["make-split", "--taxa", "Aves", "--counts", "/dev/zero"],
    ["make-split", "--taxa", "Aves", "--class-list", "pipe.txt"],
    ["make-split", "--from", "pipe.json"],
    ["make-split", "--import", "pipe.txt"],
    ["make-split", "--benchmark", "confounding", "--pairs", "pipe.txt"],
]
OF_A_SPLIT = [
    ["audit-split", "split", "--exclude", "pipe.csv"],
    ["evaluate", "split", "pipe.csv"],
    ["evaluate", "split", "pipe.npz"],
    ["evaluate", "split", "pipe.parquet"],
    ["evaluate", "split", "split/test.parquet", "--against", "pipe.csv"],
    ["export", "split", "--caption-template", "pipe.toml", "--out", "wds"],
]


@pytest.fixture
def pipes(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for suffix in ("", ".csv", ".json", ".npz", ".parquet", ".toml", ".txt"):
        os.mkfifo(workdir / f"pipe{suffix}")
    return workdir


@pytest.mark.parametrize("arguments", READ, ids=" ".join)
def test_nothing_is_read_from_a_pipe_or_a_device(arboretum, pipes, arguments):
    before = sorted(pipes.iterdir())
    outcome = arboretum(*arguments)
    assert outcome.code == 3
    assert "regular file" in outcome.err
    assert sorted(pipes.iterdir()) == before


@pytest.mark.parametrize("arguments", OF_A_SPLIT, ids=" ".join)
def test_nor_by_what_reads_splits(arboretum, pipes, arguments):
    tiny_split().save(pipes / "split")
    outcome = arboretum(*arguments)
    assert outcome.code == 3
    assert "regular file" in outcome.err


@pytest.mark.parametrize("place", ["/proc/nowhere", "/proc/nowhere/images", "/dev/null", "/dev/null/images"])
@pytest.mark.parametrize("flags", [(), ("--dry-run",), ("--plan-only",)], ids=" ".join)
def test_a_place_that_holds_no_files_is_no_place_for_a_store(arboretum, workdir, place, flags):
    outcome = arboretum("download", "--taxa", "Reptilia", "--images", place, *flags)
    assert outcome.code == 3
    assert place in outcome.err
    assert "--images" in outcome.err
    assert "0.0 kB" not in outcome.err


WRITTEN = [
    ["select", "--taxa", "Aves", "-o", "PLACE.parquet"],
    ["select", "--taxa", "Aves", "-o", "PLACE.csv"],
    ["catalog", "build", "catalog", "--out", "PLACE"],
    ["catalog", "check", "catalog", "--rejected", "PLACE.parquet"],
    ["make-split", "--taxa", "Aves", "--out", "PLACE"],
    ["demo", "--out", "PLACE"],
    ["export", "split", "--images", "images", "--out", "PLACE"],
]


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/nowhere"])
@pytest.mark.parametrize("arguments", WRITTEN, ids=lambda words: " ".join(words[:2]))
def test_what_cannot_be_written_there_is_named_by_what_was_asked_for(arboretum, workdir, arguments, place):
    if "split" in arguments:
        tiny_split().save(workdir / "split")
        tiny_store(workdir / "images", tiny_split())
    outcome = arboretum(*(word.replace("PLACE", place) for word in arguments))
    assert outcome.code == 3
    assert f"{place}" in outcome.err
    assert "cannot be written" in outcome.err


#: Runs commands one after the other, and tells what became of each: to start once for each would take longer.
COMMANDS = """
import contextlib, io, json, sys
from arboretum_cli import main
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main.run(arguments)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def restricted(*commands: tuple[str, ...], cwd: Path) -> list[tuple[int, str, str]]:
    """Runs command lines as somebody whom rights hold back, which they do not with root."""

    def give_up_override() -> None:
        ctypes.CDLL(None).prctl(24, 1)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE; without it for anyone else

    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=give_up_override,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_a_store_that_may_only_be_read_is_enough_where_nothing_is_left_to_fetch(arboretum, workdir):
    flags = ("download", "--taxa", "Testudines", "--size", "small")
    assert arboretum(*flags).code == 0
    store = workdir / "images"
    before = sorted(store.rglob("*"))
    folders = [store, store / "requests"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        again, *asked, more = restricted(
            flags,
            ("verify",),
            ("status",),
            (*flags, "--dry-run"),
            ("download", "--taxa", "Reptilia", "--size", "small"),
            cwd=workdir,
        )
        assert (again[0], "nothing is left to fetch" in again[2]) == (0, True)
        assert "0 tried" in again[1]
        assert [code for code, _, _ in asked] == [0, 0, 0]
        assert more[0] == 3
        assert "may only be read" in more[2]
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert sorted(store.rglob("*")) == before
