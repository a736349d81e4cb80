"""Runs side by side; their folders are written here, as training needs torch."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools import compare_predictions, compare_runs, evaluate
from arboretum_tools.errors import SplitError, TrainingError, UsageError
from arboretum_tools.options.training import recipe
from arboretum_tools.testing.tiny import COUNTS, tiny_split
from arboretum_tools.training.comparison import comparison_csv, comparison_figure, comparison_table


@pytest.fixture
def make_run(tmp_path):
    """A run whose predictions of test are right but for some photos."""

    def make(name, made, wrong, *, split=None):
        split = split or tiny_split()
        folder = tmp_path / name
        folder.mkdir()
        said = {"split": {"name": split.name, "sha256": split.sha256}, "recipe": made.to_json()}
        (folder / "run.json").write_text(json.dumps({"format_version": 1, "teacher": None, **said}))
        test = split.part("test")
        labels = test["label"].to_numpy().copy()
        labels[wrong] = (labels[wrong] + 1) % 4
        table = pa.table({"photo_id": test["photo_id"], "label_1": labels.astype(np.int32)})
        pq.write_table(table, folder / "test.parquet")
        return folder

    return make


def test_runs_of_one_recipe_are_one_method_and_are_held_against_the_first(make_run, tmp_path, monkeypatch):
    split = tiny_split()
    ce = [make_run(f"ce-{seed}", recipe("ce", seed=seed), [seed, 5, 9]) for seed in range(2)]
    mdcs = make_run("mdcs", recipe("mdcs"), [0])
    found = compare_runs(split, [*ce, mdcs])
    assert [(one.name, len(one.runs)) for one in found] == [("ce", 2), ("mdcs", 1)]
    top1 = evaluate(split, mdcs / "test.parquet").top1
    assert found[1].estimates["overall"] == (top1.overall,)
    assert found[1].estimates["few"] == (top1.bands["few"],)
    apart = compare_predictions(split, [mdcs / "test.parquet"], [one / "test.parquet" for one in ce])
    assert found[1].differences == apart.top1
    assert found[0].differences is None
    text = "\n".join(comparison_table(found))
    assert "| ce | 2 | 75.0 ± 0.0 |" in text
    assert "| minus ce |" in text
    assert "| mdcs | +16.7 [" in text
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mpl"))
    drawn = comparison_figure(found, tmp_path / "runs.svg", title="tiny, test")
    # Letters of a figure are outlines; their text stands in comments.
    assert "ce (2 runs)" in drawn.read_text()
    assert "class-balanced" in drawn.read_text()
    rows = comparison_csv(found).splitlines()
    assert rows[0] == "method,run,measure,value,low,high,n"
    assert len(rows) == 1 + 3 * len(found[0].estimates)


def test_what_tells_two_recipes_of_a_method_apart_is_in_their_name(make_run):
    runs = [make_run(f"ce-{lr}", recipe("ce", lr=lr), [0]) for lr in (0.1, 0.2)]
    assert [one.name for one in compare_runs(tiny_split(), runs)] == ["ce, lr 0.1", "ce, lr 0.2"]


def test_what_cannot_be_compared(make_run, tmp_path):
    split = tiny_split()
    run = make_run("ce", recipe("ce"), [])
    other = make_run("other", recipe("ce"), [], split=tiny_split({**COUNTS, "train": (41, 12, 4, 2)}))
    with pytest.raises(SplitError, match="was trained on"):
        compare_runs(split, [run, other])
    with pytest.raises(TrainingError, match=r"no readable run\.json"):
        compare_runs(split, [tmp_path])
    (tmp_path / "p.csv").write_text("photo_id,label\n")
    for elsewhere in (tmp_path / "p.csv", tmp_path):
        with pytest.raises(TrainingError, match="arboretum evaluate SPLIT FILE --against FILE"):
            compare_runs(split, [elsewhere])
    with pytest.raises(TrainingError, match="no predictions of val"):
        compare_runs(split, [run], part="val")
    with pytest.raises(UsageError, match="no run"):
        compare_runs(split, [])
