"""The wheel as a user gets it: built, installed into an empty environment, run from another folder."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

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


def test_it_runs_from_an_empty_environment_and_another_folder(wheel, tmp_path):
    """Only the wheel is installed; what it depends on is lent by this environment through a path file.

    Installing the dependencies again would need a package index, and says nothing about the wheel.
    """
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    clean["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"

    def run(*command: object, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            [str(part) for part in command], env=clean, cwd=cwd, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
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

    arboretum = environment / "bin" / "arboretum"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = run(python, "-c", "import arboretum_tools; print(arboretum_tools.__file__)").strip()
    assert Path(where).is_relative_to(site)
    assert "make-split" in run(arboretum, "--help", cwd=elsewhere)
    assert "done in" in run(arboretum, "demo", cwd=elsewhere)
    assert (elsewhere / "arboretum-demo" / "contact-sheet.png").exists()
