"""What stands between a person and the page: nothing that only its photos need."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from arboretum_tools.browsing.filters import Filter
from arboretum_tools.testing.tiny import tiny_split, tiny_store


def _said(program: str, *arguments: object) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout


def test_the_socket_listens_before_anything_that_answers_is_loaded(tmp_path):
    split = tiny_split()
    tiny_store(tmp_path / "images", split)
    split.save(tmp_path / "split")
    program = (
        "import sys\n"
        "from arboretum_tools.browsing import server\n"
        "from arboretum_tools.options.browse import BrowseOptions\n"
        "server.source_of(sys.argv[1], BrowseOptions(images=sys.argv[2]))\n"
        "print([m for m in ('aiohttp', 'duckdb', 'PIL', 'pandas') if m in sys.modules])"
    )
    assert _said(program, tmp_path / "split", tmp_path / "images").strip() == "[]"


def test_duckdb_draws_no_bar_where_it_finds_a_prompt():
    program = (
        "from arboretum_tools.tabular.query import connect\n"
        "print(connect().execute(\"SELECT current_setting('enable_progress_bar')\").fetchall())"
    )
    assert _said(program).strip() == "[(False,)]"


def test_the_list_of_a_filter_lies_on_disk(page):
    table = page.ready()
    table.page(Filter.parse("band=few"), "mixed", 0, 10)
    assert all(isinstance(rows, np.memmap) for rows in table._lists.values())
    assert not [file for file in table._folder.path.iterdir() if file.name.startswith("tmp")]
