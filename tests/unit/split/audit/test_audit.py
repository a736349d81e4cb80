"""Each promise of a split is broken in turn, and the audit sees it."""

import io
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from arboretum_tools.errors import SplitError, UsageError
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.make import make_family, make_split, whole
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.testing.tiny import tiny_image

ARGUMENTS = {"lt_ratio": 5, "val_per_class": 2, "test_per_class": 3}


@pytest.fixture(scope="module")
def original(birds_with_observers, tmp_path_factory):
    split = make_split(birds_with_observers, **ARGUMENTS, group_by="observer-per-species")
    return split.save(tmp_path_factory.mktemp("split") / "s")


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "s")


def outcomes(path, **arguments):
    return {check.name: check.outcome for check in audit_split(path, **arguments).checks}


@pytest.mark.parametrize("group_by", ["photo", "observation", "observer-per-species"])
@pytest.mark.parametrize(
    "recipe",
    [
        {"lt_ratio": 5, "rank": "family"},
        {"lt_ratio": 2.7, "profile": "step"},
        {"lt_ratio": 4, "profile": "pareto", "num_classes": 3},
        {"profile": "balanced", "min_per_class": 3, "rank": "genus"},
        {"profile": "natural", "min_per_class": 30, "max_per_class": 50},
    ],
    ids=str,
)
def test_what_make_split_makes_keeps_its_promises(birds_with_observers, tmp_path, recipe, group_by):
    split = make_split(birds_with_observers, **recipe, group_by=group_by, val_per_class=2, test_per_class=3)
    audit = audit_split(split.save(tmp_path / "s"))
    assert audit.ok, audit.broken
    assert json.loads(audit.save().read_text())["verdict"] == "kept"


def test_families_and_whole_selections_keep_theirs(birds_with_observers, tmp_path):
    for split in (*make_family(birds_with_observers, lt_ratios=[2, 3, 10]), whole(birds_with_observers)):
        audit = audit_split(split.save(tmp_path / split.name))
        assert audit.ok, audit.broken


def rows(path, change):
    table = pq.read_table(path)
    found = table.to_pylist()
    changed = change(found)
    pq.write_table(pa.Table.from_pylist(found if changed is None else changed, schema=table.schema), path)


def edit(name, change):
    return lambda folder: rows(folder / f"{name}.parquet", change)


def meta(change):
    def edited(folder):
        message = json.loads((folder / "split.json").read_text())
        change(message)
        (folder / "split.json").write_text(json.dumps(message))

    return edited


def set_in(index, **values):
    return lambda found: found[index].update(values)


def copy_to_train(*columns):
    """Gives the first train photo of class 0 these columns of the first test photo of class 0."""

    def change(folder):
        test = pq.read_table(folder / "test.parquet").to_pylist()[0]
        rows(folder / "train.parquet", set_in(0, **{name: test[name] for name in columns}))

    return change


BREAKS = [
    ("files", meta(lambda m: m["sha256"].pop("test"))),
    ("hash of the recipe", meta(lambda m: m["recipe"].update(seed=9))),
    ("hash of train", edit("train", lambda found: found[:-1])),
    ("hash of val", edit("val", lambda found: found[1:])),
    ("hash of test", edit("test", lambda found: found[1:])),
    ("hash of classes", edit("classes", set_in(0, n_val=9))),
    ("labels", edit("classes", set_in(1, label=7))),
    ("labels", edit("classes", lambda found: found[1].update(class_key=found[0]["class_key"]))),
    ("labels", edit("train", set_in(-1, label=77))),
    ("order", edit("train", lambda found: found[::-1])),
    ("order", edit("classes", set_in(0, n_train=1))),
    ("parts disjoint by photo", copy_to_train("photo_id")),
    ("parts disjoint by photo", edit("train", set_in(0, photo_id=0))),
    ("parts disjoint by observer and species", copy_to_train("observer_id")),
    ("counts", meta(lambda m: m.update(M=m["M"] + 1))),
    ("counts", meta(lambda m: m["counts"].update(not_drawn=0))),
    ("counts", edit("classes", set_in(0, n_test=4))),
    ("every class in every part", edit("classes", set_in(1, n_val=0))),
    ("every class in every part", edit("classes", set_in(1, n_test=2))),
    ("counts", edit("val", lambda found: [row for row in found if row["label"] != 1])),
    ("counts equal the profile", edit("classes", set_in(1, n_train=13))),
    ("counts equal the profile", edit("classes", lambda found: found[0].update(n_available=3))),
    ("counts equal the profile", meta(lambda m: m["recipe"].pop("lt_ratio"))),
    ("largest that the selection carries", edit("unused_classes", lambda found: [
        {"class_key": "a", "n_selected": 900, "n_available": 900},
        {"class_key": "b", "n_selected": 900, "n_available": 900}])),
    ("ratio", meta(lambda m: m.update(ratio_achieved=4))),
    ("ratio", meta(lambda m: m.update(ratio_asked=6))),
    ("shot bands", edit("classes", set_in(0, shot="few"))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "break_it"), BREAKS)
def test_a_broken_promise_is_seen(folder, name, break_it):
    assert audit_split(folder).ok
    break_it(folder)
    assert outcomes(folder)[name] == "broken"


def test_an_observation_in_two_parts_is_seen(birds_with_observers, tmp_path):
    folder = make_split(birds_with_observers, **ARGUMENTS, group_by="observation").save(tmp_path / "s")
    assert outcomes(folder)["parts disjoint by observer and species"] == "not promised"
    copy_to_train("observation_id")(folder)
    audit = audit_split(folder)
    check = next(check for check in audit.broken if check.name == "parts disjoint by observation")
    assert check.examples == (str(pq.read_table(folder / "test.parquet")["observation_id"][0].as_py()),)


def test_what_the_catalogue_lacked_is_said_not_to_be_checkable(write_catalog, photos, taxa, tmp_path):
    from arboretum_tools.catalog import open_catalog

    catalog = open_catalog(
        write_catalog(photos(taxa["robin"], *range(1, 40)) + photos(taxa["oak"], *range(50, 90)))
    )
    folder = make_split(catalog, lt_ratio=2, val_per_class=1, test_per_class=1).save(tmp_path / "s")
    found = {check.name: check for check in audit_split(folder).checks}
    for name in ("parts disjoint by observation", "parts disjoint by observer and species"):
        assert found[name].outcome == "not checkable"
        assert "as the catalogue had none" in found[name].detail


def test_what_is_no_split_is_one_error(folder):
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        audit_split(folder, expect="3d2c")
    pq.write_table(pq.read_table(folder / "train.parquet").drop_columns(["ext"]), folder / "train.parquet")
    with pytest.raises(SplitError, match="not a file of a split"):
        audit_split(folder)
    (folder / "split.json").write_text("[]")
    with pytest.raises(SplitError, match="lacks recipe"):
        audit_split(folder)


def store_of(path, folder, replaced=()):
    """A store with an image for every photo of the split; `replaced` gives some of them other bytes."""
    replaced = dict(replaced)
    ids = [
        photo
        for part in ("train", "val", "test")
        for photo in pq.read_table(folder / f"{part}.parquet")["photo_id"].to_pylist()
    ]
    with StoreWriter.create(path, StoreConfig(size="small"), shard_photos=70) as writer:
        for photo_id in ids:
            writer.add_image(photo_id, replaced.get(photo_id) or noise(photo_id))
    return path


def noise(photo_id, quality=90):
    """A picture of 9 x 8 random fields, so that no two photo ids show the same."""
    import numpy as np

    fields = np.random.default_rng(photo_id).integers(0, 256, (8, 9), dtype=np.uint8)
    image = Image.fromarray(fields).resize((90, 80), Image.Resampling.NEAREST)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def test_the_same_image_in_two_parts_is_seen_by_its_bytes_and_a_like_one_by_its_pixels(folder, tmp_path):
    train, test = (
        pq.read_table(folder / f"{part}.parquet")["photo_id"].to_pylist() for part in ("train", "test")
    )
    found = outcomes(folder, images=store_of(tmp_path / "good", folder), near_duplicates=True)
    assert found["photos in the store"] == "kept"
    assert found["parts disjoint by sha256"] == found["parts disjoint by near-duplicate"] == "kept"
    good = outcomes(folder, images=store_of(tmp_path / "quick", folder))
    assert "parts disjoint by near-duplicate" not in good
    with pytest.raises(UsageError, match="name one with images"):
        audit_split(folder, near_duplicates=True)
    same = audit_split(
        folder,
        images=store_of(tmp_path / "same", folder, {test[0]: noise(train[0])}),
        near_duplicates=True,
    )
    assert {check.name for check in same.broken} == {
        "parts disjoint by sha256",
        "parts disjoint by near-duplicate",
    }
    assert same.broken[0].examples == (f"{min(train[0], test[0])} and {max(train[0], test[0])}",)
    like = audit_split(
        folder,
        images=store_of(tmp_path / "like", folder, {test[0]: noise(train[0], quality=60)}),
        near_duplicates=True,
    )
    (check,) = like.broken
    assert check.name == "parts disjoint by near-duplicate"
    assert check.examples == (f"{min(train[0], test[0])} and {max(train[0], test[0])}",)


def test_a_store_without_photos_of_a_split_made_over_a_store_breaks_it(birds_with_observers, tmp_path):
    from arboretum_tools.photos.photo_ids import PhotoIds

    for name, held, expected in (("a", None, "not promised"), ("b", PhotoIds.of(range(1, 700)), "broken")):
        folder = make_split(birds_with_observers, **ARGUMENTS, store=held).save(tmp_path / name)
        with StoreWriter.create(tmp_path / f"i{name}", StoreConfig(size="small")) as writer:
            writer.add_image(10_000, tiny_image(10_000))
        found = outcomes(folder, images=tmp_path / f"i{name}", near_duplicates=True)
        assert found["photos in the store"] == expected
        assert found["parts disjoint by near-duplicate"] == "not checkable"
