"""evaluate as it is typed."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest


def test_it_prints_the_table_and_writes_the_report(arboretum, workdir, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(workdir / "mpl"))
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    test = pq.read_table("splits/aves-lt20/test.parquet").select(["photo_id", "label"])
    pq.write_table(test, "mine.parquet")
    outcome = arboretum("evaluate", "splits/aves-lt20", "mine.parquet")
    assert outcome.code == 0
    assert "| top-1 | 100.0" in outcome.out
    assert sorted(path.name for path in Path("mine-report").iterdir()) == [
        "report.json",
        "report.md",
        "report.png",
    ]
    # Beside the predictions, so that runs in folders of their own do not replace each other's report.
    run = Path("runs/one")
    run.mkdir(parents=True)
    pq.write_table(test, run / "mine.parquet")
    assert arboretum("evaluate", "splits/aves-lt20", run / "mine.parquet").code == 0
    assert (run / "mine-report" / "report.json").is_file()
    pq.write_table(test.slice(1), "mine.parquet")
    outcome = arboretum("evaluate", "splits/aves-lt20", "mine.parquet", "--out", "other")
    assert outcome.code == 3
    assert "--missing wrong" in outcome.err
    assert not Path("other").exists()
    # What was found of other predictions is not lost, unless that is asked for.
    again = ("evaluate", "splits/aves-lt20", "mine.parquet", "--missing", "wrong", "--json")
    outcome = arboretum(*again)
    assert outcome.code == 3
    assert "--overwrite" in outcome.err
    outcome = arboretum(*again, "--overwrite")
    assert json.loads(outcome.out)["missing"] == 1
    assert arboretum("evaluate", "splits/aves-lt20", "mine.parquet", "--part", "dev").code == 3


def test_a_report_that_has_no_place_is_printed_all_the_same(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    pq.write_table(pq.read_table("splits/aves-lt20/test.parquet"), "mine.parquet")
    # Root may write to what is read-only; nobody can make a folder where a link leads nowhere.
    Path("mine-report").symlink_to("nowhere")
    outcome = arboretum("evaluate", "splits/aves-lt20", "mine.parquet")
    assert outcome.code == 0
    assert "| top-1 | 100.0" in outcome.out
    assert "warning: the report is not written" in outcome.err
    assert arboretum("evaluate", "splits/aves-lt20", "mine.parquet", "--out", "mine-report").code == 3


def test_several_runs_two_models_and_cuts(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    test = pq.read_table("splits/aves-lt20/test.parquet").select(["photo_id", "label"]).to_pandas()
    for run in range(3):
        worse = test.copy()
        worse.loc[run :: 4 + run, "label"] = 0
        worse.to_csv(f"run{run}.csv", index=False)
    split = "splits/aves-lt20"
    outcome = arboretum(
        "evaluate", split, "run0.csv", "run1.csv", "run2.csv", "--cuts", "2,5", "--out", "runs"
    )
    assert outcome.code == 0
    assert "of 3 runs" in outcome.out
    assert "±" in outcome.out
    assert "| head | mid | tail |" in outcome.out
    assert sorted(path.name for path in Path("runs").iterdir()) == [
        "report.json",
        "report.md",
        "report.png",
    ]
    # A folder names the split of what stands behind it.
    outcome = arboretum("evaluate", split, "run0.csv", split, "run1.csv", "--json", "--out", "two")
    assert json.loads(outcome.out)["splits"] == ["aves-lt20", "aves-lt20"]
    # Several files behind --against are runs of the other model, however they are written.
    for several in (
        ["--against", "run1.csv", "--against", "run2.csv"],
        ["--against", "run1.csv", "run2.csv"],
        ["--against=run1.csv", "run2.csv", "--part", "test"],
    ):
        outcome = arboretum("evaluate", split, "run0.csv", *several)
        assert outcome.code == 0
        assert "| difference | " in outcome.out
        assert "## run0.csv against 2 runs: run1.csv, …" in outcome.out
        assert "| top-1, run0.csv | " in outcome.out
        report = json.loads(Path("run0-report/report.json").read_text())
        assert report["predictions"] == "run0.csv"
        assert report["against"]["names"] == [["run0.csv"], ["run1.csv", "run2.csv"]]
    outcome = arboretum("evaluate", "--against", "run1.csv", split, "run0.csv")
    assert outcome.code == 2
    assert "Missing argument 'SPLIT'" in outcome.err
    for wrong in (["--cuts", "many"], ["--cuts", "5,2"]):
        assert arboretum("evaluate", split, "run0.csv", *wrong).code == 2
    outcome = arboretum("evaluate", split, split)
    assert outcome.code == 2
    assert f"no predictions are named for {split}" in outcome.err
    outcome = arboretum("evaluate", "run0.csv", split)
    assert outcome.code == 2
    assert "SPLIT comes first: run0.csv is a file" in outcome.err


def test_a_figure_of_bias_has_a_panel_for_every_trait_of_the_report(arboretum, workdir, monkeypatch):
    from matplotlib.figure import Figure

    titles = []
    saved = Figure.savefig

    def remember(figure, *arguments, **keywords):
        titles.append([axes.get_title() for axes in figure.axes])
        return saved(figure, *arguments, **keywords)

    monkeypatch.setattr(Figure, "savefig", remember)
    monkeypatch.setenv("MPLCONFIGDIR", str(workdir / "mpl"))
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    command = ("evaluate", "splits/aves-lt20", "splits/aves-lt20/test.parquet", "--out", "r", "--json")
    found = json.loads(arboretum(*command, "--bias").out)
    traits = ("year", "month", "licence", "observer", "5-degree cell")
    assert set(found["traits"]) == {"years", "months", "licences", "observers", "cells"}
    assert titles.pop()[2:] == [f"top-1 by {trait}" for trait in traits]
    assert arboretum(*command).code == 0
    assert len(titles.pop()) == 2


def test_a_set_over_seeds_is_averaged_and_compared_split_by_split(arboretum, workdir):
    made = ("make-split", "--taxa", "Aves", "--seeds", "0,1,2", "--name", "set", "--lt-ratio")
    assert arboretum(*made, "20").code == arboretum(*made, "10").code == 0
    for name in ("set-lt20-s0", "set-lt20-s1", "set-lt20-s2", "set-lt10-s0"):
        test = pq.read_table(f"splits/{name}/test.parquet").select(["photo_id", "label"]).to_pandas()
        test.to_csv(f"{name}.csv", index=False)
    zero, one, two, apart = (
        (f"splits/{name}", f"{name}.csv")
        for name in ("set-lt20-s0", "set-lt20-s1", "set-lt20-s2", "set-lt10-s0")
    )
    # Each predicts photos of its own, though all labels are the same.
    outcome = arboretum("evaluate", *zero, *one, "--out", "seeds")
    assert outcome.code == 0
    assert "note:" not in outcome.err
    outcome = arboretum("evaluate", *zero, one[1], "--out", "seeds")
    assert outcome.code == 3
    assert "not in the part of set-lt20-s0" in outcome.err
    assert f"name that one before it: {zero[0]} {zero[1]} SPLIT2 {one[1]}; if it is of another" in outcome.err
    outcome = arboretum("evaluate", *zero, one[1], "--part", "val")
    assert outcome.code == 3
    assert f"SPLIT2 {zero[1]}.\n" in outcome.err
    outcome = arboretum("evaluate", "splits/set-lt20", zero[1])
    assert outcome.code == 3
    assert "Did you mean splits/set-lt20-s" in outcome.err
    outcome = arboretum("evaluate", *zero, *apart, "--out", "ratios")
    assert outcome.code == 3
    assert not Path("ratios").exists()
    outcome = arboretum("evaluate", *zero, *one, *two, "--against", zero[1], one[1], two[1])
    assert outcome.code == 2
    assert "predictions of only one of them for splits/set-lt20-s1, splits/set-lt20-s2" in outcome.err
    assert "SPLIT A SPLIT2 A2 --against SPLIT B SPLIT2 B2" in outcome.err
    worse = pq.read_table("splits/set-lt20-s1/test.parquet").select(["photo_id", "label"]).to_pandas()
    worse.loc[::3, "label"] = 0
    worse.to_csv("worse.csv", index=False)
    command = (
        "evaluate",
        *zero,
        *one,
        "--against",
        *zero,
        one[0],
        "worse.csv",
        "--out",
        "compared",
        "--json",
    )
    outcome = arboretum(*command)
    assert outcome.code == 0
    other = json.loads(outcome.out)["against"]
    assert other["splits"] == ["set-lt20-s0", "set-lt20-s1"]
    first, second = other["by_split"]["overall"]
    assert (first, second) == (0, pytest.approx(2 * other["top1"]["overall"]["value"]))
    assert outcome.err.count("note: the same predictions are in set-lt20-s0.csv and set-lt20-s0.csv") == 1
    assert "| in set-lt20-s1 | +" in Path("compared/report.md").read_text()
    outcome = arboretum("evaluate", *zero, *apart, "--against", *zero, *apart)
    assert outcome.code == 3
    outcome = arboretum("evaluate", *zero, "--against", zero[1])
    assert outcome.code == 0
    assert outcome.err.count("note: the same predictions are in set-lt20-s0.csv and set-lt20-s0.csv") == 1
