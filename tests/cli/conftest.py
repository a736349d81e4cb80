"""A folder to work in, and the command line as a process of its own."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.testing.origin import Origin


@pytest.fixture
def workdir(tmp_path: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the bundled sample as its `catalog/` and the origin in the environment."""
    (tmp_path / "catalog").symlink_to(catalog_path())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARBORETUM_ORIGIN", origin.url)
    return tmp_path


# The interpreter's own first milliseconds are not ours: a signal that arrives in them ends in its traceback.
STARTED = "import os; from arboretum_cli.entry import main; os.close({pipe}); main()"


@pytest.fixture
def process() -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line as a process of its own, and returns when its first line is about to run."""

    def start(
        *arguments: object, cwd: Path, limit: int | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        def no_file_larger() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        reads, writes = os.pipe()
        started = subprocess.Popen(
            [sys.executable, "-c", STARTED.format(pipe=writes), *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=no_file_larger,
            pass_fds=[writes],
        )
        os.close(writes)
        with os.fdopen(reads) as pipe:
            assert pipe.read() == ""
        return started

    return start
