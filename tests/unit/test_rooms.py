"""The shape of the code: rooms that can be looked over, and files that can be read through."""

from pathlib import Path

import pytest

import arboretum_cli
import arboretum_metadata
import arboretum_tools

PACKAGES = [Path(package.__file__).parent for package in (arboretum_cli, arboretum_metadata, arboretum_tools)]
FOLDERS = sorted({path.parent for package in PACKAGES for path in package.rglob("*.py")})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_has_a_dozen_files_at_most(folder):
    assert len([path for path in folder.iterdir() if path.is_file()]) <= 12


def test_a_module_has_less_than_500_lines():
    modules = [path for package in PACKAGES for path in package.rglob("*.py")]
    assert [path for path in modules if len(path.read_text(encoding="utf-8").splitlines()) >= 500] == []
