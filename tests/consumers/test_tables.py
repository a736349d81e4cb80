"""Readers of tables: polars over the Hugging Face export, mlcroissant over what says what it is."""

import pytest

from arboretum_tools import publish_split

pytestmark = pytest.mark.consumers


@pytest.mark.parametrize(("name", "part"), [("train", "train"), ("validation", "val"), ("test", "test")])
def test_polars_reads_photos_labels_and_bytes(made, labels, name, part):
    import polars as pl

    frame = pl.scan_parquet(made.hf / "data" / f"{name}-*.parquet").select("photo_id", "label", "image")
    rows = frame.collect().rows(named=True)
    assert {row["photo_id"]: row["label"] for row in rows} == labels(made.split, part)
    assert all(row["image"]["path"].startswith(f"{row['photo_id']}.") for row in rows)
    assert all(row["image"]["bytes"] for row in rows)


@pytest.mark.parametrize("form", ["hf", "imagefolder", "webdataset"])
def test_mlcroissant_reads_the_tables_of_an_export(made, form):
    import mlcroissant

    dataset = mlcroissant.Dataset(str(made.folders[form] / "croissant.json"))
    photos = list(dataset.records("photos"))
    assert len(photos) == sum(made.split.num_photos(part) for part in made.split.parts)
    assert len(list(dataset.records("classes"))) == made.split.num_classes


def test_mlcroissant_reads_the_tables_of_a_published_split(made, labels):
    import mlcroissant

    found = publish_split(made.folder / "split", to=made.folder / "published", authors="Doe, Jane")
    dataset = mlcroissant.Dataset(str(found.path / "croissant.json"))
    rows = {row["test/photo_id"]: row["test/label"] for row in dataset.records("test")}
    assert rows == labels(made.split, "test")
