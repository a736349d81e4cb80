"""The promises that make_split makes; test_rules.py holds it against its rules."""

import pickle
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import (
    InfeasibleSplitError,
    SelectionError,
    SplitError,
    TargetExistsError,
    UsageError,
)
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split import open_split
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.drawing import hold_out
from arboretum_tools.split.files.content_hashes import hashed
from arboretum_tools.split.make import make_split, whole

GENERA = ["Ab", "Bc", "Cd", "De", "Ef", "Fg"]


def species(number):
    return {
        "kingdom": "Animalia",
        "phylum": "Chordata",
        "class": "Aves",
        "order": "O",
        "family": "F",
        "genus": GENERA[number],
        "species": "alba",
        "scientific_name": f"{GENERA[number]} alba",
        "common_name": None,
        "ext": "jpg",
    }


def test_columns_that_no_rule_reads_change_nothing(birds, write_catalog):
    rows = [
        row | {"quality_grade": "research", "license": "CC0"} for row in pq.read_table(birds.path).to_pylist()
    ]
    other = open_catalog(write_catalog(rows, name="other"))
    arguments = {"lt_ratio": 20, "val_per_class": 2, "test_per_class": 3, "group_by": "observation"}
    assert make_split(birds, **arguments).sha256 == make_split(other, **arguments).sha256


@pytest.fixture
def birds(write_catalog):
    """Six species of 300, 150, 80, 40, 20 and 12 photos, two photos per observation."""
    rows, photo_id = [], 0
    for number, count in enumerate((300, 150, 80, 40, 20, 12)):
        for n in range(count):
            photo_id += 1
            rows.append(species(number) | {"photo_id": photo_id, "observation_id": 1000 * number + n // 2})
    return open_catalog(write_catalog(rows, files=2))


GOLDEN = {
    "train": "cdaf96d76c06a5a19327665da00013c9e7a818a2abb6774fc64856495822d1fe",
    "val": "7ab02489efb2c43583e78529a39b3234595a4a8e289cb11d499d8db69ca7e7ab",
    "test": "7a0d4719c242b0b0f877773682817095de3e6b83332561937622d5922726b1ff",
    "classes": "3d09672adb22b5195982345a66f59c19014f5fd32f33c2256430ee5b1b2464fe",
}


def test_the_golden_hashes_never_change_without_a_new_format_version(birds):
    split = make_split(birds, lt_ratio=20, val_per_class=2, test_per_class=3, seed=7)
    assert split.meta["format_version"] == 1
    assert split.sha256 == GOLDEN


def test_validation_and_test_do_not_depend_on_the_ratio(birds):
    one = make_split(birds, lt_ratio=10, val_per_class=2, test_per_class=3, num_classes=4)
    two = make_split(birds, lt_ratio=50, val_per_class=2, test_per_class=3, num_classes=4)
    for part in ("val", "test"):
        ids = [set(split.part(part)["photo_id"].to_pylist()) for split in (one, two)]
        assert ids[0] == ids[1]


def test_no_observation_has_photos_in_two_parts(birds):
    split = make_split(birds, lt_ratio=20, val_per_class=3, test_per_class=3)
    assert split.meta["group_by"] == "observation"
    seen = [set(split.part(part)["observation_id"].to_pylist()) for part in split.parts]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert split.meta["counts"]["held_out_unused"] > 0


def test_another_seed_draws_other_photos(birds):
    one, two = (make_split(birds, lt_ratio=20, seed=seed) for seed in (0, 1))
    assert one.sha256["test"] != two.sha256["test"]
    assert (one.name, two.name) == ("all-lt20", "all-lt20-s1")


def test_limits_that_are_too_narrow_change_nothing(birds, monkeypatch):
    expected = make_split(birds, lt_ratio=20).sha256
    monkeypatch.setattr(hold_out, "SPARE", -1_000)
    assert make_split(birds, lt_ratio=20).sha256 == expected


def test_classes_that_are_all_smaller_than_the_hold_out_carry_no_split(write_catalog, photos, taxa):
    rows = photos(taxa["robin"], 1, 2, 3) + photos(taxa["oak"], 4, 5)
    catalog = open_catalog(write_catalog(rows))
    with pytest.raises(InfeasibleSplitError, match="keep any photo for training"):
        make_split(catalog, lt_ratio=2, val_per_class=3, test_per_class=3)


def test_a_split_outlives_the_next_one_and_a_trip_to_another_process(birds):
    first = make_split(birds, lt_ratio=20)
    copy = pickle.loads(pickle.dumps(first))
    make_split(birds, lt_ratio=5)
    for one in (first, copy):
        assert hashed(first.meta, one.classes, one.tables) == first.meta
    with pytest.raises(SplitError, match="no part 'holdout'"):
        first.part("holdout")


@pytest.mark.parametrize("name", ["val", "validation", "Validation", "valid"])
def test_a_part_is_known_by_what_people_call_it(birds, name):
    split = make_split(birds, lt_ratio=2)
    assert split.part(name) is split.tables["val"]
    assert split.num_photos(name) == split.num_photos("val")
    assert list(split.plan([name]).source["sha256"]) == ["val"]


def test_a_split_is_saved_loaded_and_left_alone_the_second_time(birds, tmp_path):
    split = make_split(birds.select("Aves"), lt_ratio=20)
    folder = split.save(tmp_path / "splits" / split.name)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(before) == {
        "split.json",
        "classes.parquet",
        "train.parquet",
        "val.parquet",
        "test.parquet",
        "unused_classes.parquet",
    }
    make_split(birds.select("Aves"), lt_ratio=20).save(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    loaded = open_split(folder)
    assert loaded.sha256 == split.sha256
    assert loaded.part("train") == split.part("train")
    assert loaded.classes == split.classes
    with pytest.raises(TargetExistsError, match="its recipe differs in lt_ratio 20 there, 10 here"):
        make_split(birds.select("Aves"), lt_ratio=10).save(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_its_representation_is_one_line(birds, tmp_path):
    split = make_split(birds, lt_ratio=10)
    message = f"{split.num_classes} classes; photos: {split.part('train').num_rows} train, "
    assert repr(split).startswith(f"Split({split.name!r}: {message}")
    assert repr(open_split(split.save(tmp_path / split.name), in_memory=False)) == repr(split)


def test_the_files_are_the_same_bytes_twice(birds, tmp_path):
    for name in ("a", "b"):
        make_split(birds, lt_ratio=20).save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_nothing_in_a_split_tells_machine_time_or_folder(birds, tmp_path):
    folder = make_split(birds, lt_ratio=20).save(tmp_path / "s")
    for path in folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()


def test_a_store_restricts_the_split_and_says_what_was_left_out(birds, tmp_path):
    held = [i for i in birds.select().to_arrow()["photo_id"].to_pylist() if i % 3]
    split = make_split(birds, lt_ratio=10, store=PhotoIds.of(held))
    drawn = {i for part in split.parts for i in split.part(part)["photo_id"].to_pylist()}
    assert drawn <= set(held)
    assert split.left_out["photo_id"].to_pylist() == [i for i in range(1, 603) if i % 3 == 0]
    assert split.meta["counts"]["not_in_store"] == 200
    assert open_split(split.save(tmp_path / "s")).left_out == split.left_out


def test_the_whole_selection_is_one_part(birds):
    split = whole(birds)
    assert split.parts == ("train",)
    assert split.class_counts == [300, 150, 80, 40, 20, 12]
    assert split.name == "all"


def test_hybrids_and_rows_without_a_class_are_left_out_and_counted(write_catalog, photos, taxa):
    oak = taxa["oak"]
    cross = oak | {"species": "bebbiana", "scientific_name": "Quercus × bebbiana"}
    word = oak | {"species": "x", "scientific_name": "Quercus x jackiana"}
    rows = [
        *photos(oak, *range(1, 31)),
        *photos(taxa["robin"], *range(100, 120)),
        *photos(cross, *range(200, 210)),
        *photos(word, 300),
        *photos(oak | {"species": None}, 400, 401),
    ]
    catalog = open_catalog(write_catalog(rows))
    split = make_split(catalog, lt_ratio=2, val_per_class=1, test_per_class=1)
    assert split.meta["counts"]["hybrids_left_out"] == 11
    assert split.meta["counts"]["no_class"] == 2
    assert split.num_classes == 2
    taken = make_split(catalog, lt_ratio=2, val_per_class=1, test_per_class=1, hybrids=True)
    assert taken.num_classes == 3


def test_subspecies_roll_up_and_names_that_two_classes_share_are_told_apart(write_catalog, photos, taxa):
    sub = taxa["moth"] | {"scientific_name": "Laelia rosea minor"}
    rows = (
        photos(taxa["moth"], *range(1, 6))
        + photos(sub, *range(6, 11))
        + photos(taxa["orchid"], *range(20, 25))
    )
    split = make_split(open_catalog(write_catalog(rows)), lt_ratio=2, val_per_class=0, test_per_class=0)
    assert split.classes["name"].to_pylist() == ["Laelia rosea (Animalia)", "Laelia rosea (Plantae)"]
    assert split.classes["n_selected"].to_pylist() == [10, 5]
    assert split.classes["folder"].to_pylist() == [
        "00000_Laelia_rosea_Animalia_",
        "00001_Laelia_rosea_Plantae_",
    ]


def test_grouping_by_observation_needs_the_column(write_catalog, photos, taxa):
    catalog = open_catalog(write_catalog(photos(taxa["robin"], 1, 2)))
    with pytest.raises(SelectionError, match="observation_id") as caught:
        make_split(catalog, group_by="observation")
    assert "Open Data" in caught.value.hint


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "split.json").unlink(), "no split.json"),
        (lambda f: (f / "split.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "split.json").write_text("{}"), "lacks one of"),
        (lambda f: (f / "train.parquet").unlink(), "not there"),
        (lambda f: (f / "val.parquet").write_bytes(b"x"), "cannot be read as Parquet"),
        (lambda f: drop(f / "test.parquet", "label"), "lacks the column label"),
        (lambda f: relabel(f / "train.parquet", 99), "labels outside 0..3"),
        (
            lambda f: pq.write_table(pq.read_table(f / "classes.parquet").slice(1), f / "classes.parquet"),
            "not 0 to 2",
        ),
    ],
)
def test_a_damaged_split_is_one_error(birds, tmp_path, damage, message):
    folder = make_split(birds, lt_ratio=5, val_per_class=1, test_per_class=1).save(tmp_path / "s")
    assert open_split(folder).num_classes == 4
    damage(folder)
    for in_memory in (True, False):
        with pytest.raises(SplitError, match=message):
            open_split(folder, in_memory=in_memory)


def test_a_split_that_stays_on_disk_is_the_same_one(birds, tmp_path):
    folder = make_split(birds, lt_ratio=5, val_per_class=1, test_per_class=1).save(tmp_path / "s")
    held, read = open_split(folder), open_split(folder, in_memory=False)
    assert read.parts == held.parts == ("train", "val", "test")
    for part in held.parts:
        assert read.part(part).equals(held.part(part))
        for split in (held, read):
            batches = split.batches(part, ["label", "photo_id"])
            assert pa.Table.from_batches(batches).equals(held.part(part).select(["label", "photo_id"]))
    with pytest.raises(SplitError, match="no part 'holdout'"):
        list(read.batches("holdout", ["label"]))
    (folder / "val.parquet").unlink()
    with pytest.raises(SplitError, match=r"val\.parquet is not there"):
        list(read.batches("val", ["label"]))
    assert held.part("val").num_rows


def drop(path, column):
    pq.write_table(pq.read_table(path).drop_columns([column]), path)


def relabel(path, label):
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    labels[-1] = label
    pq.write_table(table.set_column(1, "label", pa.array(labels, pa.int32())), path)


def test_order_files_and_threads_change_nothing(birds, write_catalog):
    rows = pq.read_table(birds.path).to_pylist()
    random.Random(3).shuffle(rows)
    other = open_catalog(write_catalog(rows, files=5, name="other"), threads=1)
    arguments = {"lt_ratio": 20, "val_per_class": 2, "test_per_class": 3}
    assert make_split(birds, **arguments).sha256 == make_split(other, **arguments).sha256


@pytest.mark.parametrize("ratio", ["100", True, [100]])
def test_a_ratio_that_is_no_number_is_one_error(birds, ratio):
    with pytest.raises(UsageError, match="lt-ratio is a number, not"):
        make_split(birds, lt_ratio=ratio)


@pytest.mark.parametrize("ratio", [np.int64(2), np.float32(2)])
def test_a_ratio_of_numpy_is_a_number(birds, ratio):
    assert make_split(birds, lt_ratio=ratio).sha256 == make_split(birds, lt_ratio=2).sha256


def test_an_observation_with_photos_in_two_classes_is_in_one_part_or_in_none(birds, write_catalog, tmp_path):
    """Every other observation of a class has one photo more, of the next class."""
    rows = pq.read_table(birds.path).to_pylist()
    for n, row in enumerate(rows[::7]):
        other = (int(row["observation_id"]) // 1000 + 1) % len(GENERA)
        rows.append(species(other) | {"photo_id": 10_000 + n, "observation_id": row["observation_id"]})
    split = make_split(open_catalog(write_catalog(rows, name="mixed")), lt_ratio=10, num_classes=4)
    seen = [set(split.part(part)["observation_id"].to_pylist()) for part in split.parts]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert split.meta["counts"]["in_two_classes"] > 0
    assert audit_split(split.save(tmp_path / "s")).ok


def test_one_photo_without_an_observation_does_not_part_the_observations_of_the_others(birds, write_catalog):
    rows = pq.read_table(birds.path).to_pylist()
    rows.append(rows[0] | {"photo_id": 10_000, "observation_id": None})
    split = make_split(open_catalog(write_catalog(rows, name="one")), lt_ratio=10)
    assert split.meta["group_by"] == "observation"
    seen = [set(split.part(part)["observation_id"].drop_null().to_pylist()) for part in split.parts]
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_another_split_in_the_folder_is_told_by_what_differs(bird_catalog, bird_photos, tmp_path):
    catalog = bird_catalog()
    asked = {"val_per_class": 2, "test_per_class": 3}
    make_split(catalog, lt_ratio=5, **asked).save(tmp_path / "s")
    for other, told in (
        ({"lt_ratio": 4, "seed": 1}, "lt_ratio 5 there, 4 here; seed 0 there, 1 here"),
        ({"lt_ratio": 5, "group_by": "photo"}, "group_by auto there, photo here"),
    ):
        with pytest.raises(TargetExistsError, match=told):
            make_split(catalog, **asked, **other).save(tmp_path / "s")
    fewer = bird_catalog(bird_photos()[5:], "fewer")
    with pytest.raises(TargetExistsError, match="the same recipe over a catalogue with other photos"):
        make_split(fewer, lt_ratio=5, **asked).save(tmp_path / "s")


@pytest.mark.parametrize("draw", [make_split, whole])
def test_what_is_no_selection_is_one_clear_error(draw):
    with pytest.raises(UsageError, match=r"(?s)from a selection, not from 'Aves'.*select\('Aves'\)"):
        draw("Aves")


def test_a_split_that_is_not_there_is_told_from_its_neighbours(birds, tmp_path):
    make_split(birds, lt_ratio=2).save(tmp_path / "birds-lt20-s0")
    for opened in (open_split, audit_split):
        with pytest.raises(SplitError, match=r"(?s)there is no split .*Did you mean .*birds-lt20-s0\?"):
            opened(tmp_path / "birds-lt20")
