"""Every public function has an example in its docstring, which runs beside the files of the tutorial."""

from __future__ import annotations

import doctest
import inspect

import pytest

import arboretum_tools

#: Classes whose methods people call.
CLASSES = ("Catalog", "ImageStore", "LongTailSampler", "Selection", "Split", "Subset")

#: Methods of theirs that other parts of the library are made of.
PLUMBING = {
    "Catalog": {"unknown_to_inaturalist"},
    "ImageStore": {
        "index_files",
        "open",
        "read_array",
        "read_bytes",
        "read_each",
        "read_many",
        "rows_of",
        "storage",
    },
    "Selection": {"plan", "source", "species_sql", "tally", "count_by", "count_classes"},
    "Split": {"is_saved_at", "write_into"},
    "Subset": {"open", "count", "index"},
}


def _functions() -> dict[str, object]:
    names = [name for name in arboretum_tools.__all__ if inspect.isfunction(getattr(arboretum_tools, name))]
    return {name: getattr(arboretum_tools, name) for name in names}


def _methods() -> dict[str, object]:
    return {
        f"{kind}.{name}": value
        for kind in CLASSES
        for name, value in vars(getattr(arboretum_tools, kind)).items()
        if not name.startswith("_") and inspect.isfunction(value) and name not in PLUMBING.get(kind, ())
    }


EXAMPLES = {
    **_functions(),
    **_methods(),
    "LongTailSampler": arboretum_tools.LongTailSampler,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_has_an_example(name):
    assert ">>> " in (inspect.getdoc(EXAMPLES[name]) or "")


@pytest.mark.timeout(600)
def test_the_examples_run(shell, tmp_path):
    """In one folder, after the commands of the tutorial, each by itself."""
    for command in ("arboretum download --taxa Aves", "arboretum make-split --lt-ratio 100"):
        code, printed = shell(command)
        assert code == 0, printed
    runner = doctest.DocTestRunner(verbose=False)
    finder = doctest.DocTestFinder(recurse=False)
    problems: list[str] = []
    for name, value in EXAMPLES.items():
        module = inspect.getmodule(value)
        for test in finder.find(value, name, module, vars(module)):
            runner.run(test, out=problems.append)
    assert not problems, "".join(problems)
    assert runner.summarize(verbose=False).attempted > len(EXAMPLES)
