"""The demo: what it prints can be typed, what it leaves can be opened, and it may be run twice."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import arboretum_tools


def printed_commands(out):
    return [line.removeprefix("$ ") for line in out.splitlines() if line.startswith("$ ")]


def test_it_runs_the_whole_chain_and_what_it_prints_can_be_run(tmp_path, process):
    running = process("demo", "--out", tmp_path / "d", "--serve", cwd=tmp_path)
    out = ""
    try:
        for line in running.stdout:
            out += line
            if "Ctrl-C ends it" in line:
                break
        else:
            pytest.fail(out + running.stderr.read())
        folder = tmp_path / "d"
        commands = printed_commands(out)
        assert commands[0] == f"cd {shlex.quote(str(folder))}"
        assert re.fullmatch(r"export ARBORETUM_ORIGIN=http://127\.0\.0\.1:\d+", commands[1])
        assert [c.split()[1] for c in commands[2:]] == ["download", "make-split", "export", "export"]
        script = "set -e\n" + "\n".join(commands).replace("$ arboretum", "arboretum")
        # `arboretum` is the one of the environment that runs the tests, whether that was activated or not.
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        again = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": search},
        )
        assert again.returncode == 0, again.stderr
        assert "0 tried, 0 fetched" in again.stdout
        assert again.stdout.count("nothing written") == 3
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 0

    for name in ("catalog", "images", "splits/aves-lt100", "wds", "hf", "contact-sheet.png"):
        assert re.search(rf"^{re.escape(name)} +\S", out, re.MULTILINE), name
        assert (folder / name).exists()
    photos = int(re.search(r"^images +([\d,]+) photos", out, re.MULTILINE)[1].replace(",", ""))
    assert 1_000 < photos <= 1_500
    train = arboretum_tools.load_subset(folder / "splits/aves-lt100", images=folder / "images")
    assert max(train.class_counts) == 100 * min(train.class_counts)
    assert len(train.class_counts) >= 20
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert sheet.width > 1_000


def test_it_says_that_its_server_has_ended_and_the_python_lines_that_it_prints_run(
    tmp_path, arboretum, monkeypatch
):
    outcome = arboretum("demo", "--out", tmp_path / "d")
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith("`arboretum demo --serve` keeps it up, to type along.\n")
    lines = [line.removeprefix(">>> ") for line in outcome.out.splitlines() if line.startswith(">>> ")]
    assert len(lines) == 4
    monkeypatch.chdir(tmp_path / "d")
    (tmp_path / "d" / "contact-sheet.png").unlink()
    exec("\n".join(lines), {})
    assert (tmp_path / "d" / "contact-sheet.png").exists()
