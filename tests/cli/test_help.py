"""Help: every command has some, with examples, quickly and without loading anything heavy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from arboretum_cli.main import COMMANDS
from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog.building.build import build_catalog

HEAVY = (
    "aiohttp",
    "pyarrow",
    "duckdb",
    "pandas",
    "numpy",
    "PIL",
    "datasets",
    "tqdm",
    "rich",
)

# Of the library, what flags are made of, what commands say their numbers with, and their bars; the rest
# is loaded by the command that runs.
LIGHT = {
    "arboretum_tools",
    *(f"arboretum_tools.{name}" for name in ("errors", "events", "wording", "display", "display.progress")),
}


@pytest.mark.parametrize("arguments", [[], ["download"], ["make-split"], ["export"], ["demo"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\nfrom arboretum_cli.main import main\n"
        f"try: main({[*arguments, '--help']!r})\nexcept SystemExit as end: assert end.code == 0\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "loaded += [name for name in sys.modules if name.startswith('arboretum_tools')\n"
        "           and not name.startswith('arboretum_tools.options')]\n"
        f"assert set(loaded) <= {LIGHT!r}, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_importing_the_library_loads_nothing_heavy():
    code = f"import arboretum_tools, sys; assert not [n for n in {HEAVY!r} if n in sys.modules]"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "catalog"
    build_catalog(catalog_path(), folder)
    return folder


def none_loads(commands: list[list[str]], modules: tuple[str, ...], folder: Path) -> None:
    """In one new process, each command does its work, and none of these modules is there after it."""
    code = (
        "import sys\nfrom arboretum_cli.main import main\n"
        f"for command in {commands!r}:\n"
        "    try: main(command)\n"
        "    except SystemExit as end: assert end.code == 0, command\n"
        f"    loaded = [name for name in {modules!r} if name in sys.modules]\n"
        "    assert not loaded, (command, loaded)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr


def test_questions_load_neither_pandas_nor_arrow(built, tmp_path):
    """Each of the two takes as long as most questions to a built catalogue."""
    questions = [
        ["select", "--taxa", "Aves"],
        ["select", "--rarity", "rare"],
        ["taxa", "Aves"],
        ["taxa", "--tree"],
        ["stats"],
    ]
    commands = [[*command, "--catalog", str(built)] for command in questions]
    none_loads(commands, ("pandas", "pyarrow", "numpy", "tqdm"), tmp_path)


def test_published_files_take_no_pandas(tmp_path):
    """It takes 0.3 s and 46 MB, and pyarrow loads it for many of its functions wherever it is installed."""
    catalog = ["--catalog", str(catalog_path())]
    commands = [
        ["stats", *catalog],
        ["select", "--taxa", "Aves", "--limit", "10", "--out", "ids.parquet", *catalog],
        ["make-split", "--lt-ratio", "2,5", "--out", "family", *catalog],
        ["make-split", "--from", "family/all-lt5", "--name", "again", *catalog],
        ["make-split", "--exclude", "family/all-lt5", "--profile", "balanced", "--out", "apart", *catalog],
        ["audit-split", "apart", "--exclude", "family/all-lt5"],
        ["stats", "apart", *catalog],
        ["make-split", "--benchmark", "balanced", "--test-per-class", "5", "--out", "balanced", *catalog],
        ["audit-split", "balanced"],
    ]
    none_loads(commands, ("pandas",), tmp_path)


def test_help_is_quick_enough_to_be_asked_for():
    """A loose bound, ten times the figure of docs/benchmarks.md: it catches an import, not a busy machine."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "arboretum_cli", "--help"], check=True, capture_output=True)
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 3


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples_and_its_python_twin(arboretum, command):
    outcome = arboretum(command, "--help")
    assert outcome.code == 0
    assert "Examples:" in outcome.out
    assert f"arboretum {command}" in outcome.out
    assert "In Python:" in " ".join(outcome.out.split()) or command == "demo"
    assert "\b" not in outcome.out


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(f"catalog {name}" for name in ("pull", "build", "annotate", "check"))]
)
def test_an_option_says_what_it_takes_in_a_word_of_the_user(arboretum, command):
    options = arboretum(*command.split(), "--help").out.split("Options:")[1]
    assert [line for line in options.splitlines() if re.match(r" +(-\w, )?--[\w-]+ <", line)] == []


def test_no_arguments_show_the_overview(arboretum):
    outcome = arboretum()
    assert outcome.code == 2
    assert all(command in outcome.out + outcome.err for command in COMMANDS)


def test_the_version_is_printed(arboretum):
    from arboretum_tools.version import __version__

    assert arboretum("--version").out == f"arboretum {__version__}\n"


@pytest.mark.parametrize(("asked", "pool"), [(None, "system"), ("mimalloc", "mimalloc")])
def test_a_download_takes_its_memory_from_the_system_unless_told_otherwise(tmp_path, asked, pool):
    command = [
        "download",
        "--dry-run",
        "--catalog",
        str(catalog_path()),
        "--images",
        str(tmp_path / "images"),
    ]
    code = (
        f"import sys\nsys.argv[1:] = {command!r}\n"
        "from arboretum_cli.entry import main\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 0\n"
        "import pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    if asked:
        environment["ARROW_DEFAULT_MEMORY_POOL"] = asked
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == pool
