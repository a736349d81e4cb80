"""Temporary folders: they go with their object, and those of killed processes with the next folder."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from arboretum_tools.system.temporary_folders import TemporaryFolder

_HOLDS = (
    "import time\nfrom arboretum_tools.system.temporary_folders import TemporaryFolder\n"
    "held = TemporaryFolder('split'); (held.path / 'part').write_text('photos')\n"
    "print(held.path, flush=True)\n"
)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def start(code):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_it_goes_with_its_object_or_its_block(temporary):
    with TemporaryFolder("plan") as folder:
        (folder / "plan.parquet").touch()
        assert folder.parent == temporary
    assert not folder.exists()
    held = TemporaryFolder("plan")
    path = held.path
    del held
    assert not path.exists()


def test_what_a_killed_process_left_goes_and_what_a_live_one_needs_stays(temporary):
    killed, live = start(_HOLDS + "time.sleep(60)"), start(_HOLDS + "time.sleep(60)")
    try:
        left, needed = (Path(process.stdout.readline().strip()) for process in (killed, live))
        killed.kill()
        killed.wait()
        assert names_in(left) == names_in(needed) == ["part"]
        with TemporaryFolder("plan"):
            assert not left.exists()
            assert names_in(needed) == ["part"]
    finally:
        live.kill()
        live.wait()


def test_elsewhere_it_is_hidden_and_goes_as_well(temporary):
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    code = _HOLDS.replace("'split'", f"'split', __import__('pathlib').Path({str(elsewhere)!r})")
    with start(code + "time.sleep(60)") as killed:
        left = Path(killed.stdout.readline().strip())
        killed.kill()
    assert names_in(elsewhere) == [left.name]
    assert left.name.startswith(".arboretum-split-")
    with TemporaryFolder("plan", elsewhere) as folder:
        assert names_in(elsewhere) == [folder.name]
    assert names_in(elsewhere) == []


def test_a_process_that_ends_leaves_nothing(temporary):
    process = start(_HOLDS)
    process.communicate(timeout=60)
    assert names_in(temporary) == []


def test_what_is_not_ours_stays(temporary, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").touch()
    (temporary / "arboretum-split-link").symlink_to(elsewhere)
    (temporary / "arboretum-split-file").touch()
    (temporary / "arboretum-notes").mkdir()
    with TemporaryFolder("plan"):
        pass
    assert (elsewhere / "precious").exists()
    assert names_in(temporary) == [
        "arboretum-notes",
        "arboretum-split-file",
        "arboretum-split-link",
    ]


def test_a_forked_process_leaves_the_folder_to_its_parent(temporary):
    code = _HOLDS + "import os, sys\nif os.fork() == 0: sys.exit()\nos.wait()\nprint(held.path.exists())"
    out, _ = start(code).communicate(timeout=60)
    assert out.splitlines()[1] == "True"
