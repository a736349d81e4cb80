"""The docs are tests: generated pages are as the code says, and what a page shows is what happens.

A page's `console` and `python` blocks run from top to bottom in one folder with the bundled sample as its
`catalog/` and an origin on loopback. Lines after a `$ ` command are what it must print (stdout, then stderr;
notes on the catalogue's rows left out), numbers that depend on the machine aside. A block that is not run
says why in a comment before it: `<!-- not run: reason -->`.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from PIL import Image

from arboretum_cli.main import COMMANDS, GROUPS
from arboretum_metadata.sample import catalog_path
from arboretum_tools import build_catalog, export, import_split, make_split, open_catalog
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.testing.tiny import tiny_split, tiny_store

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(
    path for path in DOCS.rglob("*.md") if "commands" not in path.parts and "includes" not in path.parts
)

_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>console|python|bash)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: Seconds, sizes in bytes (they follow the Pillow release) and free disk differ from machine to machine.
_VARIES = re.compile(r"\d[\d,.]*( (s|min|B|kB|MB|GB|TB)\b)")


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    language: str
    text: str
    reason: str | None
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(match["language"], match["text"], match["reason"], text[: match.start()].count("\n") + 1)
        for match in _BLOCK.finditer(text)
    ]


def steps(console: str) -> list[tuple[str, str]]:
    """Commands and what each prints."""
    found: list[tuple[str, str]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


def shown(text: str) -> str:
    return _VARIES.sub(r"#\1", re.sub(r"^the catalogue at .*lists them\)\n", "", text, flags=re.MULTILINE))


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p)], ids=lambda page: str(page.relative_to(DOCS))
)
def test_what_a_page_shows_is_what_happens(page, shell):
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.reason is not None:
            continue
        where = f"{page.name}, line {block.line}"
        if block.language == "python":
            exec(compile(block.text, where, "exec"), names)
            continue
        for command, expected in steps(block.text):
            _, printed = shell(command)
            assert shown(printed) == shown(expected), f"{where}: {command}"


def test_generated_pages_are_as_the_code_says():
    subprocess.run([sys.executable, str(DOCS / "generate.py"), "--check"], check=True)


def test_every_command_has_a_page_that_is_reached():
    pages = {path.stem for path in (DOCS / "reference" / "commands").glob("*.md")} - {"index"}
    assert pages == {*COMMANDS, *GROUPS}
    navigation = (REPOSITORY / "mkdocs.yml").read_text("utf-8")
    for page in DOCS.rglob("*.md"):
        if "includes" not in page.parts:
            assert str(page.relative_to(DOCS)) in navigation, page


def test_links_between_pages_lead_somewhere():
    for page in [REPOSITORY / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_shows_commands_that_there_are():
    text = (REPOSITORY / "README.md").read_text("utf-8")
    commands = set(re.findall(r"(?:^\$ |`|&& uv run )arboretum ([a-z-]+)", text, re.MULTILINE))
    assert {"demo", "download", "make-split", "export"} <= commands <= {*COMMANDS, *GROUPS}


@pytest.mark.timeout(600)
def test_the_examples_of_every_help_run(shell):
    """In the order of the flow, in one folder; the demo has tests/packaging."""
    examples: list[str] = []
    for name in COMMANDS:
        page = (DOCS / "reference" / "commands" / f"{name}.md").read_text("utf-8")
        found = re.findall(
            r"^(arboretum .*)$", page.partition("Examples:")[2].partition("## ")[0], re.MULTILINE
        )
        assert found, name
        # What needs torch, or runs that were trained with it, is run by tests/training.
        examples += found if name not in ("demo", "train", "zero-shot", "compare") else []
    # Stores in buckets are the matter of tests/cloud, and no model is here that predicts.
    examples = [example for example in examples if "s3://" not in example and ".npz" not in example]
    # Somebody marked a photo on the page.
    Path("marks.csv").write_text("photo_id\n1\n")
    shutil.copytree("catalog", "catalog-2026-12")
    # Images that somebody has.
    for folder in ("traps/Vulpes vulpes", "inat2018/0"):
        Path(folder).mkdir(parents=True)
        Image.new("RGB", (300, 300)).save(Path(folder, "1.jpg"))
    Path("train.txt").write_text("0/1.jpg 0\n")
    import_split(["train.txt"]).save("splits/inat-2018")

    def needs(example: str) -> tuple[bool, bool]:
        return "splits/" in example, "--episodes five-way.parquet" in example

    # What reads a split, or lists of one, comes once these are made.
    for example in sorted(examples, key=needs):
        code, printed = shell(example)
        assert code == 0, f"{example}\n{printed}"


def test_the_changelog_and_the_citation_name_this_version():
    from arboretum_tools.version import __version__

    assert f'version: "{__version__}"' in (REPOSITORY / "CITATION.cff").read_text("utf-8")
    assert "## [Unreleased]" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")


def test_every_key_of_a_recipe_is_in_the_page_of_split_files():
    section = (DOCS / "reference/split-files.md").read_text().split("## The recipe")[1].split("\n#")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    assert {field.name for field in fields(SplitRecipe)} <= set(re.findall(r"`(\w+)`", "".join(rows)))


def test_every_key_of_a_json_file_is_in_the_data_dictionary(tmp_path):
    split = make_split(open_catalog(catalog_path()).select(taxa="Aves"), lt_ratio=20)
    split.save(tmp_path / "split")
    tiny = tiny_split()
    store = tiny_store(tmp_path / "images", tiny)
    export(tiny, images=store.path, to=tmp_path / "export", format="csv")
    build_catalog(catalog_path(), tmp_path / "catalog")
    dictionary = (DOCS / "data-dictionary.md").read_text()
    for name in ("catalog/catalog.json", "split/split.json", "images/store.json", "export/export.json"):
        section = dictionary.split(f"/{Path(name).name}`\n")[1].split("\n#")[0]
        rows = [line.split(" | ")[:2] for line in section.splitlines() if line.startswith("| `")]
        described = {key for row in rows for key in re.findall(r"`(\w+)`", row[0])}
        optional = {key for row in rows if "only with" in row[1] for key in re.findall(r"`(\w+)`", row[0])}
        found = json.loads((tmp_path / name).read_text()).keys()
        assert described - optional <= found <= described, name
