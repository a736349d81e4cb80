import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from arboretum_tools.errors import NotWritableError, OutOfSpaceError, TargetExistsError
from arboretum_tools.system import atomic_files


def test_a_file_appears_whole_under_its_name(tmp_path):
    with atomic_files.whole_file(tmp_path / "deep" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert (tmp_path / "deep" / "a.txt").read_text() == "whole"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_is_there_when_it_is_done(
    tmp_path, flushed
):
    path = tmp_path / "a.txt"
    with atomic_files.whole_file(path) as temporary:
        temporary.write_text("whole")
        assert flushed == []
    assert flushed == [path.stat().st_ino, tmp_path.stat().st_ino]


def test_all_of_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, flushed, monkeypatch):
    target = tmp_path / "out"
    rename, before = Path.rename, []

    def noted(path, to):
        before.extend(flushed)
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", noted)
    with atomic_files.whole_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("x")
        (folder / "b").write_text("y")
    assert set(before) == {path.stat().st_ino for path in (target, *target.rglob("*"))}
    assert flushed == [*before, tmp_path.stat().st_ino]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_files.whole_file(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_appears_whole_and_an_empty_one_may_be_there(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    with atomic_files.whole_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("x")
        assert not any(target.iterdir())
    assert (target / "sub" / "a").read_text() == "x"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_holds_something_is_never_touched(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(TargetExistsError) as caught, atomic_files.whole_folder(tmp_path):
        pass
    assert "nothing was written" in str(caught.value)
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_files.whole_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("x")
        raise ZeroDivisionError
    assert not any(tmp_path.iterdir())


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path):
    """A file size limit in a child process is what a full disk looks like to it."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = f"""
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from arboretum_tools.system.atomic_files import whole_file
from arboretum_tools.errors import OutOfSpaceError
try:
    with whole_file(Path({str(path)!r})) as temporary:
        temporary.write_bytes(bytes(100_000))
except OutOfSpaceError as error:
    print(error)
"""
    message = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    ).stdout
    assert "no room left" in message
    assert "run the same command again" in message
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]
    assert issubclass(OutOfSpaceError, OSError)


def test_json_is_canonical_and_refuses_what_json_has_not(tmp_path):
    atomic_files.write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": "é",\n  "b": 1\n}\n'
    assert json.loads(atomic_files.canonical_json({"x": [1, None]})) == {"x": [1, None]}
    with pytest.raises(ValueError, match="JSON"):
        atomic_files.canonical_json({"x": float("nan")})
    assert atomic_files.sha256_of_json({"a": 1, "b": 2}) == atomic_files.sha256_of_json({"b": 2, "a": 1})


# Each is a place that not even root can write to.
NOWHERE = ["file/a.bin", "file/deeper/a.bin", f"{'x' * 300}/a.bin", "x" * 300, "/proc/a.bin", "/proc/a/b.bin"]


@pytest.mark.parametrize("name", NOWHERE)
def test_a_place_that_cannot_be_written_is_one_error(tmp_path, name):
    (tmp_path / "file").write_text("here already")
    for whole in (atomic_files.whole_file, atomic_files.whole_folder):
        with (
            pytest.raises(NotWritableError, match="nothing was changed") as caught,
            whole(tmp_path / name) as temporary,
        ):
            temporary.write_text("x")
        assert caught.value.exit_code == 3
        assert isinstance(caught.value, OSError)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_errors_about_other_files_are_not_taken_for_it(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"other\.bin"),
        atomic_files.whole_file(tmp_path / "a.bin") as path,
    ):
        path.write_bytes((tmp_path / "other.bin").read_bytes())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -1e999}', "[" * 100_000, "{", "9" * 5_000])
def test_what_is_no_json_of_ours_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError):
        atomic_files.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, 1e3, null]}')
    assert atomic_files.read_json(tmp_path / "a.json") == {"a": [1, 2.5, 1000.0, None]}
