"""stats as it is typed."""

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest


def test_it_prints_numbers_and_figure_and_writes_what_it_is_asked_for(arboretum, workdir, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(workdir / "mpl"))
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    outcome = arboretum("stats", "splits/aves-lt20", "--figures", "f", "--weights", "w")
    assert outcome.code == 0
    assert "ratio 20" in outcome.out
    assert "log axis" in outcome.out
    assert Path("f/aves-lt20.png").stat().st_size > 1000
    assert len(json.loads(Path("w/cls_num_list.json").read_text())) > 2
    value = json.loads(arboretum("stats", "splits/aves-lt20", "--json", "--many-above", "50").out)
    assert value["many_above"] == 50
    assert sum(band["classes"] for band in value["bands"].values()) == value["classes"]
    assert arboretum("stats", "splits/aves-lt20", "--figures", "f", "--figure-format", "txt").code == 2
    assert arboretum("stats", "nowhere").code == 3
    assert arboretum("stats", "splits/aves-lt20", "--taxa", "Aves").code == 2
    outcome = arboretum("stats", "splits/aves-lt20", "--csv")
    assert outcome.code == 2
    assert "--json has the numbers of a split" in outcome.err


def test_it_says_who_took_the_photos_where_and_when(arboretum, workdir, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(workdir / "mpl"))
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    outcome = arboretum("stats", "splits/aves-lt20", "--bias", "--figures", "f")
    assert outcome.code == 0
    assert "| test | observers | " in outcome.out
    assert Path("f/aves-lt20-bias.png").stat().st_size > 1000
    value = json.loads(arboretum("stats", "splits/aves-lt20", "--bias", "--json").out)
    assert value["parts"]["train"]["observers"]["gini"] > 0
    for wrong in (["splits/aves-lt20", "--weights", "w"], []):
        assert arboretum("stats", "--bias", *wrong).code == 2


def test_without_matplotlib_nothing_is_written(arboretum, workdir, monkeypatch):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    outcome = arboretum("stats", "splits/aves-lt20", "--figures", "f", "--weights", "w")
    assert outcome.code == 3
    assert "nothing was written" in outcome.err
    assert "ask for no figure" in outcome.err
    assert not Path("f").exists()
    assert not Path("w").exists()
    assert arboretum("stats", "splits/aves-lt20", "--weights", "w").code == 0


def test_without_a_split_it_counts_the_catalogue_or_a_selection(arboretum, workdir):
    whole = json.loads(arboretum("stats", "--json").out)
    birds = json.loads(arboretum("stats", "--taxa", "Aves", "--json").out)
    assert whole["photos"] > birds["photos"] == 1436
    table = arboretum("stats", "--taxa", "Aves", "--top", "3").out
    assert "| Aves | 28 | 1,436 | 100.00 |" in table
    assert "| 10 | 21 | 1,413 | 98.40 |" in table
    read = pd.read_csv(io.StringIO(arboretum("stats", "--csv").out))
    assert list(read) == ["table", "row", "measure", "value"]
    licences = read[(read.table == "license") & (read.measure == "photos")]
    assert pd.to_numeric(licences.value).sum() == whole["photos"]
    bands = read[(read.table == "rarity") & (read.measure == "% of photos")]
    assert pd.to_numeric(bands.value).sum() == pytest.approx(100, abs=0.02)
    assert arboretum("stats", "--weights", "w").code == 2
