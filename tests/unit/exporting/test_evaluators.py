"""`metadata.csv`, read as BioCLIP's and BioTrove's `src/evaluation/data.py` reads it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools import export, make_split, open_catalog
from arboretum_tools.testing.tiny import tiny_split, tiny_store

# Attributes of their class `Taxon`, beside those below, that no column may be named after: all such columns
# are given to it.
ATTRIBUTES = {
    "subspecies",
    "website_id",
    "dataset_id",
    "scientific_name",
    "taxonomic_name",
    "sci_common_name",
}
FIELDS = ["kingdom", "phylum", "cls", "order", "family", "genus", "species", "common_name"]


def read(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "metadata.csv", index_col=0).fillna("")
    assert not ATTRIBUTES & set(table.columns)
    assert all((folder / path).is_file() for path in table["filepath"])
    return table


@pytest.mark.parametrize("format_", ["imagefolder", "lists"])
def test_it_holds_the_photos_of_test_with_their_names(tmp_path, format_):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    report = export(split, images=store.path, to=tmp_path / "out", format=format_)
    assert report.details["metadata_csv"] == "test"
    table = read(tmp_path / "out")
    assert list(table.columns) == [*FIELDS, "filepath", "class"]
    part = split.part("test")
    found = [int(Path(path).stem) for path in table["filepath"]]
    assert found == part["photo_id"].to_pylist()
    names = split.classes["name"].to_pylist()
    # They number classes as they appear: in the order of their labels.
    assert list(dict.fromkeys(table["class"])) == names
    row, of_class = table.iloc[0], split.classes.to_pylist()[0]
    assert [row[name] for name in FIELDS] == [
        of_class["class" if name == "cls" else name] or "" for name in FIELDS
    ]


def test_of_parts_that_are_exported_it_takes_the_last(tmp_path):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    export(split, images=store.path, to=tmp_path / "out", format="lists", parts="train,val")
    assert len(read(tmp_path / "out")) == split.part("val").num_rows


def test_a_name_with_a_comma_or_a_quote_stays_one(tmp_path):
    split = tiny_split()
    at = split.classes.schema.get_field_index("common_name")
    named = pa.array(['Robin, "red"', None, "x", "y"], pa.string())
    split = replace(split, classes=split.classes.set_column(at, "common_name", named))
    store = tiny_store(tmp_path / "images", split)
    export(split, images=store.path, to=tmp_path / "out", format="imagefolder")
    assert set(read(tmp_path / "out")["common_name"]) == {'Robin, "red"', "", "x", "y"}


def test_stages_of_a_species_stay_classes_of_their_own(tmp_path):
    stages = make_split(open_catalog(catalog_path()), benchmark="life-stage", test_per_class=2)
    store = tiny_store(tmp_path / "images", stages)
    export(stages, images=store.path, to=tmp_path / "out", format="imagefolder")
    table = read(tmp_path / "out")
    texts = table["genus"] + " " + table["species"]
    assert texts.nunique() == table["class"].nunique() == stages.num_classes
    assert any(text.endswith(" larva") for text in texts)
