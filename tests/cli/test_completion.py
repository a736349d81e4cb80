"""What the shell is offered: values of closed lists, and the taxa of a built catalogue."""

from __future__ import annotations

import subprocess
import sys

import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.names import beginning_with

STARTED = "import sys; sys.argv = ['arboretum']; from arboretum_cli.entry import main; main()"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_catalog(catalog_path(), tmp_path_factory.mktemp("completion") / "catalog").path


def offered(folder, words: str, *, shell: str = "bash") -> list[str]:
    """What a shell would offer for the last of some words, in a folder."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    if shell == "zsh":
        asked = {"_TYPER_COMPLETE_ARGS": words}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'arboretum'; from arboretum_cli.entry import main; main()",
        ],
        cwd=folder,
        env={"_ARBORETUM_COMPLETE": f"complete_{shell}", **asked, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")


def test_taxa_of_the_catalogue_in_this_folder_are_offered(built):
    found = offered(built.parent, "arboretum select --taxa Turd")
    assert "Turdidae" in found
    assert "Turdus" in found
    assert not [name for name in found if " " in name], "bash would take them for two words"
    assert "Turdus merula" in " ".join(offered(built.parent, "arboretum select --taxa Turd", shell="zsh"))
    assert "turdidae" in offered(built.parent, "arboretum taxa turd")
    assert "Turdidae" in offered(built.parent, "arboretum download --exclude-taxa Turd")
    assert "Aves,Turdus" in offered(built.parent, "arboretum stats --taxa Aves,Turdu")


def test_the_catalogue_that_is_named_is_asked(built, tmp_path):
    assert "Turdus" in offered(tmp_path, f"arboretum select --catalog {built} --taxa Turd")
    (tmp_path / "arboretum.toml").write_text(f'catalog = "{built}"\n')
    assert "Turdus" in offered(tmp_path, "arboretum select --taxa Turd")


@pytest.mark.parametrize("damage", [None, b"no parquet"])
def test_without_a_catalogue_that_can_be_read_nothing_is_offered(tmp_path, damage):
    if damage is not None:
        (tmp_path / "catalog").mkdir()
        (tmp_path / "catalog" / "catalog.json").write_text("{}")
        (tmp_path / "catalog" / "taxa.parquet").write_bytes(damage)
    assert offered(tmp_path, "arboretum select --taxa Turd") == ["", ""]


def test_names_in_quotes_and_common_names_are_found(built):
    assert "Turdus merula" in beginning_with(built, "Turdus m", 10)
    assert "Eurasian Blackbird" in beginning_with(built, "eurasian b", 10)
    assert len(beginning_with(built, "a", 5)) == 5


def test_values_of_closed_lists_are_offered(tmp_path):
    assert offered(tmp_path, "arboretum stats --license cc-by-nc")[:2] == ["cc-by-nc", "cc-by-nc-SA"]
