"""Who, where and when, against pandas."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from arboretum_metadata.schema import PART
from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation import evaluate
from arboretum_tools.evaluation.reporting.report import markdown
from arboretum_tools.split.bias import cell_corner, save_bias_figure, split_bias, trait_columns
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.testing.tiny import tiny_split


@pytest.fixture
def split():
    """The tiny split with places, days, people and licences, some of them unknown."""
    made, random = tiny_split(), np.random.default_rng(0)
    tables = {}
    for part in made.parts:
        rows = made.part(part).to_pylist()
        for row in rows:
            row["observer_id"] = int(random.integers(1, 6)) if random.random() < 0.9 else None
            row["latitude"], row["longitude"] = (
                float(random.uniform(-90, 90)),
                float(random.uniform(-180, 180)),
            )
            row["observed_on"] = dt.date(2015, 1, 1) + dt.timedelta(int(random.integers(0, 2_000)))
            row["license"] = ["CC0", "CC-BY", None][int(random.integers(0, 3))]
        rows[0] |= {"latitude": None, "longitude": None, "observed_on": None}
        tables[part] = pa.Table.from_pylist(rows, schema=arrow_schema(PART))
    return Split(name="tiny", classes=made.classes, tables=tables, meta=made.meta)


def frame(split, part):
    rows = split.part(part).to_pandas()
    days = pd.to_datetime(rows["observed_on"])
    return pd.DataFrame(
        {
            "label": rows["label"],
            "observers": rows["observer_id"],
            "cells": [
                None if np.isnan(a) else f"{int(a // 5) * 5},{int(b // 5) * 5}"
                for a, b in zip(rows["latitude"], rows["longitude"], strict=True)
            ],
            "years": days.dt.year,
            "months": days.dt.month,
            "licences": rows["license"],
        }
    )


def test_every_trait_of_every_part_and_class_is_counted_as_pandas_counts_it(split):
    found = split_bias(split)
    shares = {part: frame(split, part) for part in split.parts}
    for part, rows in shares.items():
        for trait, one in found.parts[part].items():
            counts = rows[trait].value_counts()
            assert (one.photos, one.values) == (counts.sum(), len(counts))
            assert one.unknown == rows[trait].isna().sum()
            assert one.top_share == pytest.approx(counts.max() / counts.sum())
            n = counts.to_numpy(float)
            mean = np.abs(n[:, None] - n[None]).mean() / (2 * n.mean())
            assert one.gini == pytest.approx(mean)
            before = shares["train"][trait].value_counts(normalize=True)
            apart = counts.div(counts.sum()).sub(before, fill_value=0).abs().sum() / 2
            assert one.distance == (None if part == "train" else pytest.approx(apart))
    for one in found.classes:
        label = split.classes["class_key"].to_pylist().index(one.class_key)
        rows = shares[one.part]
        counts = rows[rows["label"] == label]["observers"].value_counts()
        assert one.values["observers"] == len(counts)
        assert one.top_share["observers"] == (
            pytest.approx(counts.max() / counts.sum()) if len(counts) else None
        )
    corners = {f"{a},{b}": n for (a, b), n in found.cells["train"].items()}
    assert corners == shares["train"]["cells"].value_counts().to_dict()
    text = found.to_markdown()
    assert "| train | observers |" in text
    assert "| licences | train | val | test |" in text


def test_a_split_of_which_nothing_is_known_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mpl"))
    found = split_bias(tiny_split({"train": (3, 2), "test": (1, 1)}))
    assert found.parts["test"]["cells"].top_share is None
    assert found.parts["test"]["cells"].unknown == 2
    assert "| test | cells | 0 | 2 | 0 | – | – | – |" in found.to_markdown()
    assert save_bias_figure(found, tmp_path / "b.png").stat().st_size > 1000
    with pytest.raises(UsageError):
        save_bias_figure(found, tmp_path / "b.gif")


def test_a_cell_is_known_by_its_corner():
    empty = pa.table(
        {name: pa.nulls(4, field.type) for name, field in zip(PART.names, arrow_schema(PART), strict=True)}
    )
    for name, values in (("latitude", [-90.0, 89.9, 0.0, 90.0]), ("longitude", [-180.0, 179.9, -0.1, 180.0])):
        empty = empty.set_column(empty.schema.get_field_index(name), name, pa.array(values))
    cells = trait_columns(empty)["cells"].to_pylist()
    assert [cell_corner(one) for one in cells] == [(-90, -180), (85, 175), (0, -5), (85, 175)]


def test_accuracy_by_trait_is_that_of_the_photos_that_have_it(split):
    truth = split.part("test")["label"].to_numpy()
    predicted = np.where(np.arange(len(truth)) % 3 == 0, (truth + 1) % 4, truth)
    found = evaluate(split, predicted, bias=True)
    rows = frame(split, "test").assign(right=predicted == truth)
    for trait in ("years", "months", "licences"):
        expected = rows.groupby(trait)["right"].mean()
        named = {str(int(k)) if trait != "licences" else k: v for k, v in expected.items()}
        assert {k: one.value for k, one in found.traits[trait].items() if k != "unknown"} == pytest.approx(
            named
        )
    trained = set(frame(split, "train")["observers"].dropna())
    own = rows[rows["observers"].isin(trained)]
    assert found.traits["observers"]["in the train part"].value == pytest.approx(own["right"].mean())
    assert found.traits["cells"]["not in the train part"].n > 0
    assert "| cells | top-1 | photos |" in markdown(found)
    assert evaluate(split, predicted).traits == {}
