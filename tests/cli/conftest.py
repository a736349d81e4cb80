"""The command line, in this process and in one of its own; and an origin with the bundled sample."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from arboretum_cli import _errors
from arboretum_cli._progress import Progress
from arboretum_cli.main import app
from arboretum_metadata.sample import catalog_path
from arboretum_tools.testing.origin import Origin


@dataclass(frozen=True)
class Outcome:
    """What a run of the command line came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def arboretum(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs the command line in this process, as `main` does."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        # A note is said once a process; each run here stands for a process of its own.
        Progress._notes.clear()
        code = _errors.run(app, [str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def origin() -> Iterator[Origin]:
    """Draws the photos of the bundled sample."""
    with Origin(catalog_path()) as running:
        yield running


@pytest.fixture
def workdir(tmp_path: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the bundled sample as its `catalog/` and the origin in the environment."""
    (tmp_path / "catalog").symlink_to(catalog_path())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARBORETUM_ORIGIN", origin.url)
    return tmp_path


@pytest.fixture
def process() -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line as a process of its own."""

    def start(
        *arguments: object, cwd: Path, limit: int | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        def no_file_larger() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.Popen(
            [sys.executable, "-m", "arboretum_cli", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=no_file_larger,
        )

    return start
