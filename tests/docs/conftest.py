"""The shell in which the examples of the docs run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arboretum_metadata.sample import catalog_path

#: A command of ours, alone or before a pipe or redirection.
_OURS = re.compile(r"""arboretum (?P<words>(?:[^|<>&;'"]|'[^']*'|"[^"]*")+)(?P<rest>[|>].*)?""")


@pytest.fixture
def shell(arboretum, origin, tmp_path, monkeypatch) -> Callable[[str], tuple[int, str]]:
    """Runs a line of bash beside the bundled sample as `catalog/`, and gives its exit code and output.

    The command line runs in this process where it can: one that starts takes a second, most commands less.
    Whatever else stands in the line, its words and what it is piped into, is bash's.
    """
    shutil.copytree(catalog_path(), tmp_path / "catalog")
    binaries = tmp_path.parent / f"{tmp_path.name}-bin"
    binaries.mkdir()
    (binaries / "arboretum").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m arboretum_cli "$@"\n')
    (binaries / "arboretum").chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ARBORETUM_ORIGIN", origin.url)
    monkeypatch.chdir(tmp_path)

    def bash(line: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-c", line], input=given, capture_output=True, text=True, check=False)

    def run(line: str) -> tuple[int, str]:
        ours = _OURS.fullmatch(line)
        if ours is None:
            done = bash(line)
            return done.returncode, done.stdout + done.stderr
        words = bash(f"printf '%s\\0' {ours['words']}").stdout.split("\0")[:-1]
        outcome = arboretum(*words)
        if not ours["rest"]:
            return outcome.code, outcome.out + outcome.err
        done = bash(f"cat {ours['rest']}", outcome.out)
        return outcome.code or done.returncode, done.stdout + outcome.err + done.stderr

    return run
