"""What `exclude` leaves out of an export, and that it is what it leaves out of a split."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from arboretum_tools.errors import ExportError, RecipeError, TargetExistsError
from arboretum_tools.exporting import export
from arboretum_tools.testing.tiny import tiny_split, tiny_store


@pytest.fixture
def split():
    return tiny_split()


def exported(tmp_path, split, store, exclude):
    """The photo ids of an export, and what its export.json says was kept out."""
    to = tmp_path / "out"
    report = export(split, images=store.path, to=to, format="csv", exclude=exclude)
    ids = pq.read_table(to / "ATTRIBUTION.parquet")["photo_id"].to_pylist()
    assert sum(report.photos.values()) == len(ids)
    return set(ids), json.loads((to / "export.json").read_text())["excluded"]["photos"]


def rows_of(split):
    return [row for part in split.parts for row in split.part(part).to_pylist()]


def test_marked_photos_stay_out_and_are_not_missing(tmp_path, split):
    marked = [row["photo_id"] for row in split.part("train").to_pylist()[:5]]
    # One of them is not even in the store: nothing is asked for what is not wanted.
    store = tiny_store(tmp_path / "images", split, pending=marked[:1])
    (tmp_path / "marks.csv").write_text(
        "photo_id,reason\n" + "".join(f"{one},poor quality\n" for one in marked)
    )
    ids, counts = exported(tmp_path, split, store, tmp_path / "marks.csv")
    assert ids == {row["photo_id"] for row in rows_of(split)} - set(marked)
    assert counts == {"train": 5, "val": 0, "test": 0}


def test_observations_classes_and_taxa_stay_out(tmp_path, split):
    store = tiny_store(tmp_path / "images", split)
    rows = rows_of(split)
    observation = next(row["observation_id"] for row in rows if row["observation_id"] and row["label"] == 0)
    (tmp_path / "o.csv").write_text(f"observation_id\n{observation}\n")
    (tmp_path / "c.csv").write_text(f"class_key\n{split.classes['class_key'][2].as_py()}\n")
    (tmp_path / "t.txt").write_text("raven\n")
    ids, counts = exported(tmp_path, split, store, [tmp_path / name for name in ("o.csv", "c.csv", "t.txt")])
    out = {row["photo_id"] for row in rows if row["observation_id"] == observation or row["label"] in (2, 3)}
    assert ids == {row["photo_id"] for row in rows} - out
    assert sum(counts.values()) == len(out)


def test_another_list_is_another_export_and_an_empty_part_is_an_error(tmp_path, split):
    store = tiny_store(tmp_path / "images", split)
    (tmp_path / "picus.txt").write_text("raven\n")
    (tmp_path / "turdus.txt").write_text("Animalia>genus:Turdus\n")
    of_turdus, _ = exported(tmp_path, split, store, tmp_path / "turdus.txt")
    assert of_turdus == {row["photo_id"] for row in rows_of(split) if row["label"] > 1}
    told = []
    arguments = {"images": store.path, "to": tmp_path / "out", "format": "csv", "on_event": told.append}
    with pytest.raises(TargetExistsError):
        export(split, exclude=tmp_path / "picus.txt", **arguments)
    assert told == []
    (tmp_path / "all.csv").write_text(
        "photo_id\n" + "".join(f"{row['photo_id']}\n" for row in rows_of(split))
    )
    with pytest.raises(ExportError, match="none of its photos that are not kept out"):
        export(split, images=store.path, to=tmp_path / "none", exclude=tmp_path / "all.csv")
    assert not (tmp_path / "none").exists()


def test_a_list_that_cannot_be_used_is_told(tmp_path, split):
    store = tiny_store(tmp_path / "images", split)
    (tmp_path / "bad.csv").write_text("")
    with pytest.raises(RecipeError, match="names nothing to keep out"):
        export(split, images=store.path, to=tmp_path / "out", exclude=tmp_path / "bad.csv")


@pytest.mark.parametrize("content", ["Turdus merulla\n", "# please remove\nDanaus plexippus\n"])
def test_a_list_of_which_no_line_names_anything_is_refused(tmp_path, split, content):
    store = tiny_store(tmp_path / "images", split)
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(RecipeError, match=r"the split has no taxon '.*; nothing was written"):
        export(split, images=store.path, to=tmp_path / "out", exclude=tmp_path / "list.txt")
    assert not (tmp_path / "out").exists()


def test_lines_that_name_nothing_are_told_and_the_others_kept_out(tmp_path, split):
    store = tiny_store(tmp_path / "images", split)
    photo = split.part("train")["photo_id"][0].as_py()
    (tmp_path / "list.txt").write_text(
        f"# please remove\nhttps://www.inaturalist.org/photos/{photo}\nraven\n"
    )
    told = []
    arguments = {"images": store.path, "format": "csv", "on_event": told.append}
    export(split, to=tmp_path / "out", exclude=tmp_path / "list.txt", **arguments)
    ids = set(pq.read_table(tmp_path / "out" / "ATTRIBUTION.parquet")["photo_id"].to_pylist())
    assert ids == {row["photo_id"] for row in rows_of(split) if row["label"] != 3} - {photo}
    assert (
        "1 line passed over, being neither a photo nor a taxon of the split: '# please remove'"
        in told[0].text
    )
    assert f"{len(rows_of(split)) - len(ids)} photos of the split kept out" == told[1].text
