"""The wheel as a user gets it: built, installed into an empty environment, run from another folder."""

import os
import re
import shlex
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import arboretum_tools

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    code = (
        "import os; from hatchling.build import build_wheel\n"
        f"os.chdir({str(REPOSITORY)!r}); print(build_wheel({str(folder)!r}))"
    )
    name = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    return folder / name.splitlines()[-1]


def test_the_wheel_holds_three_packages_their_data_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"arboretum_tools", "arboretum_cli", "arboretum_metadata"}
    for needed in (
        "arboretum_metadata/sample/catalog/photos.parquet",
        "arboretum_metadata/sample/README.md",
        "arboretum_metadata/data/licenses.toml",
        *(f"{package}/py.typed" for package in top),
    ):
        assert needed in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The `bin` of an environment in which only the wheel is installed.

    What it depends on is lent by this environment through a path file: installing the dependencies again
    would need a package index, and says nothing about the wheel.
    """
    environment = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(environment, with_pip=True)
    binaries = environment / "bin"
    run(binaries / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    site = site_of(binaries)
    lent = site.parent / "lent"
    lent.mkdir()
    for path in map(Path, sys.path):
        if path.name in ("site-packages", "dist-packages"):
            for entry in path.iterdir():
                if (
                    not entry.name.startswith(("arboretum", "_arboretum", "_editable", "__editable"))
                    and entry.suffix != ".pth"
                ):
                    target = lent / entry.name
                    if not target.exists():
                        target.symlink_to(entry)
    (site / "lent.pth").write_text(f"{lent}\n")
    return binaries


def clean():
    """The variables of this process, without the one that could lend the checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(*command, cwd=None):
    done = subprocess.run(
        [str(part) for part in command], env=clean(), cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def site_of(binaries):
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run(binaries / "python", "-c", code).strip())


def test_what_runs_is_the_wheel(installed, tmp_path):
    code = "import arboretum_tools; print(arboretum_tools.__file__)"
    where = run(installed / "python", "-c", code, cwd=tmp_path).strip()
    assert Path(where).is_relative_to(site_of(installed))
    assert "make-split" in run(installed / "arboretum", "--help", cwd=tmp_path)


@pytest.mark.timeout(600)
def test_its_demo_runs_the_whole_chain_and_what_it_prints_can_be_typed(installed, tmp_path):
    running = subprocess.Popen(
        [installed / "arboretum", "demo", "--out", tmp_path / "d", "--serve"],
        env=clean(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out = ""
    try:
        for line in running.stdout:
            out += line
            if "Ctrl-C ends it" in line:
                break
        else:
            pytest.fail(out + running.stderr.read())
        folder = tmp_path / "d"
        commands = [line.removeprefix("$ ") for line in out.splitlines() if line.startswith("$ ")]
        assert commands[0] == f"cd {shlex.quote(str(folder))}"
        assert re.fullmatch(r"export ARBORETUM_ORIGIN=http://127\.0\.0\.1:\d+", commands[1])
        assert [c.split()[1] for c in commands[2:]] == ["download", "make-split", "export", "export"]
        script = "set -e\n" + "\n".join(commands).replace("$ arboretum", "arboretum")
        again = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=clean() | {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"},
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
