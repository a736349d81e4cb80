import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import webdataset

import arboretum_metadata.sample
from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import ExportError
from arboretum_tools.exporting import export
from arboretum_tools.split.make import whole
from arboretum_tools.testing.tiny import tiny_image, tiny_split, tiny_store

SAMPLE = Path(arboretum_metadata.sample.__file__).parent / "catalog"


def test_a_selection_becomes_one_part_train_with_the_classes_found(tmp_path: Path) -> None:
    owls = open_catalog(SAMPLE).select(taxa="Strigiformes")
    split = whole(owls)
    store = tiny_store(tmp_path / "images", split)
    report = export(owls, images=store.path, to=tmp_path / "out")
    assert report.photos == {"train": split.part("train").num_rows}
    shards = sorted(str(path) for path in (tmp_path / "out").glob("train-*.tar"))
    found = {
        int(sample["__key__"]): sample
        for sample in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
    }
    rows = split.part("train").to_pylist()
    names = pq.read_table(tmp_path / "out" / "classes.parquet")["scientific_name"].to_pylist()
    assert len(found) == len(rows) > 0
    for row in rows:
        sample = found[row["photo_id"]]
        assert sample["jpg"] == tiny_image(row["photo_id"])
        message = json.loads(sample["json"])
        assert message["scientific_name"] == names[row["label"]]
        assert message["order"] == "Strigiformes"


def test_a_selection_without_taxa_is_called_by_its_words(tmp_path: Path) -> None:
    larvae = open_catalog(SAMPLE).select(life_stage="larva", license="open")
    store = tiny_store(tmp_path / "images", whole(larvae))
    out = tmp_path / "out"
    export(larvae, images=store.path, to=out, format="folder")
    words = "life stage larva; licence open; research grade"
    assert f"<title>Credits of {words}</title>" in (out / "CREDITS.html").read_text("utf-8")
    assert f"<title>Attribution of {words}</title>" in (out / "ATTRIBUTION.html").read_text("utf-8")


@pytest.mark.parametrize("inside", ["images/out", "images/deeper/out", "split/out", "link/out"])
def test_a_target_in_the_store_or_in_the_split_is_refused(tmp_path: Path, inside: str) -> None:
    split = tiny_split({"train": (2, 1)})
    store = tiny_store(tmp_path / "images", split)
    split.save(tmp_path / "split")
    (tmp_path / "link").symlink_to(tmp_path / "images")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExportError, match=r"lies inside the (image store|split) .*; nothing was written"):
        export(tmp_path / "split", images=store.path, to=tmp_path / inside)
    assert sorted(tmp_path.rglob("*")) == before
