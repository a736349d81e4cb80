"""Observations and observers of classes: counted, audited, and bounded below by --min-test-groups."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.schema import CLASSES
from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import InfeasibleSplitError, RecipeError
from arboretum_tools.split import encounters, open_split
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.files.content_hashes import hashed
from arboretum_tools.split.files.part_files import SavedParts
from arboretum_tools.split.make import make_split
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.split.reproduce import remake_split
from arboretum_tools.split.stats import split_stats

COUNTED = [column.name for column in CLASSES.columns if column.counted]
ASKED = {"lt_ratio": 5, "val_per_class": 3, "test_per_class": 6}


def by_hand(split, part, column, label):
    values = [row[column] for row in split.part(part).to_pylist() if row["label"] == label]
    known = [value for value in values if value is not None]
    return len(set(known)) + len(values) - len(known) if known or not values else None


@pytest.mark.parametrize("batch", [1_000, 3])
def test_every_class_says_of_how_many_observations_and_observers_it_is(
    bird_catalog, bird_photos, tmp_path, monkeypatch, batch
):
    rows = [row | {"observation_id": None} if row["photo_id"] % 5 == 0 else row for row in bird_photos()]
    rows = [row | {"observer_id": None} if row["genus"] == "Corvus" else row for row in rows]
    split = make_split(bird_catalog(rows), **ASKED)
    monkeypatch.setattr("arboretum_tools.split.files.part_files.BATCH_ROWS", batch)
    saved = open_split(split.save(tmp_path / "s"), in_memory=False)
    assert isinstance(saved.tables, SavedParts)
    again = encounters.with_encounters(saved.classes.select(CLASSES.hashed), saved.tables)
    assert again.select(COUNTED).equals(split.classes.select(COUNTED))
    for label in range(split.num_classes):
        for part in split.parts:
            for kind in ("observation", "observer"):
                found = split.classes[f"{kind}s_{part}"][label].as_py()
                assert found == by_hand(split, part, f"{kind}_id", label)
    assert split.classes["observers_test"].null_count == 1
    assert audit_split(tmp_path / "s").ok


def test_a_part_that_is_not_there_has_none(bird_catalog):
    split = make_split(bird_catalog(), lt_ratio=5, val_per_class=0, test_per_class=2)
    assert set(split.classes["observations_val"].to_pylist()) == {0}


def changed(folder, change):
    table = pq.read_table(folder / "classes.parquet")
    pq.write_table(change(table), folder / "classes.parquet")


@pytest.mark.parametrize("name", COUNTED)
def test_a_number_of_encounters_that_was_changed_is_seen(bird_catalog, tmp_path, name):
    folder = make_split(bird_catalog(), **ASKED).save(tmp_path / "s")

    def one_more(table):
        values = table[name].to_pylist()
        place = table.schema.get_field_index(name)
        return table.set_column(place, name, pa.array([*values[:-1], values[-1] + 1], pa.int64()))

    changed(folder, one_more)
    (broken,) = audit_split(folder).broken
    assert broken.name == "observations and observers of classes"
    assert broken.examples[0].startswith(f"{name} of class ")


def test_a_split_of_an_earlier_release_is_the_same_split_without_these_columns(bird_catalog, tmp_path):
    catalog = bird_catalog()
    split = make_split(catalog, **ASKED)
    folder = split.save(tmp_path / "s")
    before = split_stats(folder)
    changed(folder, lambda table: table.drop_columns(COUNTED))
    audit = audit_split(folder, expect=split.meta["split_sha256"])
    assert audit.ok
    outcomes = {check.name: check.outcome for check in audit.checks}
    assert outcomes["observations and observers of classes"] == "not promised"
    opened = open_split(folder)
    assert all(opened.classes[name].null_count == len(opened.classes) for name in COUNTED)
    assert split_stats(folder) == before
    assert before.test_observations
    assert remake_split(folder, catalog).same


@pytest.fixture
def bursts(bird_catalog, bird_photos):
    """Bursts of twelve: of the smallest two species there are three and two."""
    rows = [row | {"observation_id": row["photo_id"] // 12} for row in bird_photos()]
    return bird_catalog(rows)


def test_test_photos_are_of_so_many_groups_or_the_class_takes_no_part(bursts, tmp_path):
    asked = {"profile": "natural", "val_per_class": 2, "test_per_class": 4}
    plain = make_split(bursts, **asked)
    assert 1 in split_stats(plain).test_observations
    split = make_split(bursts, **asked, min_test_groups=3)
    folder = split.save(tmp_path / "s")
    assert split.meta["recipe"]["min_test_groups"] == 3
    assert "min_test_groups" not in plain.meta["recipe"]
    assert min(split_stats(split).test_observations) == 3
    assert split.num_classes < plain.num_classes
    few = set(plain.classes["class_key"].to_pylist()) - set(split.classes["class_key"].to_pylist())
    assert few <= set(split.unused_classes["class_key"].to_pylist())
    details = {check.name: check for check in audit_split(folder).checks}
    assert not audit_split(folder).broken
    assert (
        details["groups of a test class"].detail == "the test photos of every class are of 3 groups or more"
    )
    assert remake_split(folder, bursts).same


def test_more_groups_than_a_test_part_has_are_a_broken_promise(bursts, tmp_path):
    asked = {"profile": "natural", "val_per_class": 2, "test_per_class": 4, "min_test_groups": 2}
    folder = make_split(bursts, **asked).save(tmp_path / "s")
    meta = json.loads((folder / "split.json").read_text())
    meta["recipe"]["min_test_groups"] = 4
    split = open_split(folder)
    meta = hashed(meta, split.classes, split.tables)
    (folder / "split.json").write_text(json.dumps(meta))
    assert [check.name for check in audit_split(folder).broken] == ["groups of a test class"]


@pytest.mark.parametrize("group_by", ["photo", "observer-per-species"])
def test_groups_are_those_that_the_split_is_grouped_by(birds_with_observers, tmp_path, group_by):
    split = make_split(birds_with_observers, **ASKED, group_by=group_by, min_test_groups=2)
    assert audit_split(split.save(tmp_path / "s")).ok
    if group_by != "photo":
        assert min(split.classes["observers_test"].to_pylist()) >= 2


def test_a_benchmark_takes_no_species_of_fewer_groups(bursts, tmp_path):
    asked = {"benchmark": "balanced", "test_per_class": 4}
    plain = make_split(bursts, **asked)
    split = make_split(bursts, **asked, min_test_groups=4)
    assert plain.num_classes > split.num_classes
    assert set(split.classes["observations_test"].to_pylist()) == {4}
    assert audit_split(split.save(tmp_path / "s")).ok


def test_what_cannot_be_is_refused(bursts):
    with pytest.raises(RecipeError, match="4 test photos per class cannot be of 5 groups"):
        SplitRecipe(test_per_class=4, min_test_groups=5)
    with pytest.raises(RecipeError, match="a split by region:10 holds out no groups of a class"):
        SplitRecipe(split_by="region:10", min_test_groups=2)
    with pytest.raises(InfeasibleSplitError, match="test of 30 groups"):
        make_split(bursts, lt_ratio=5, val_per_class=2, test_per_class=30, min_test_groups=30)


def test_photos_without_observations_have_no_distribution(write_catalog, photos, taxa):
    catalog = open_catalog(
        write_catalog(photos(taxa["robin"], *range(1, 40)) + photos(taxa["oak"], *range(50, 90)))
    )
    split = make_split(catalog, lt_ratio=2, val_per_class=2, test_per_class=3)
    assert split_stats(split).test_observations == ()
