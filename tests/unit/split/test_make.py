"""make_split against a second implementation in plain Python, and the promises that it makes."""

import pickle
import random
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.build import build_catalog
from arboretum_tools.errors import InfeasibleSplitError, SelectionError, SplitError, TargetExistsError
from arboretum_tools.photo_ids import PhotoIds
from arboretum_tools.split import hold_out, load_split
from arboretum_tools.split.make import make_split, whole
from arboretum_tools.split.manifest import part_sha256
from arboretum_tools.stable import key

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


@st.composite
def catalogues(draw):
    """Up to six species with 0 to 60 photos in observations of 1 to 6, some without one; ids may repeat."""
    rows, photo_id, observation = [], 0, 0
    for number in range(draw(st.integers(1, 6))):
        left = draw(st.one_of(st.integers(0, 60), st.sampled_from([2, 24])))
        while left > 0:
            size = min(left, draw(st.integers(1, 6)))
            observation += 1
            for _ in range(size):
                photo_id += draw(st.sampled_from([1, 1, 1, 7, 2**33]))
                has = draw(st.integers(0, 30)) > 0
                known = draw(st.integers(0, 9)) > 0
                rows.append(
                    species(number)
                    | {
                        "photo_id": photo_id,
                        "observation_id": observation if has else None,
                        # An observation is of one person; a few people see most of them.
                        "observer_id": observation % 7 if known else None,
                    }
                )
            left -= size
    if rows and draw(st.booleans()):
        rows.append(dict(rows[0]))
    return rows


def reference(rows, ratio, k_val, k_test, group_by, seed):
    """The rules of docs/design.md once more, slowly. Returns {part: {photo_id: class}} or None."""
    unique = {row["photo_id"]: row for row in rows}
    by_class = defaultdict(list)
    for row in unique.values():
        by_class[f"Animalia|{row['genus']} alba"].append(row)
    if group_by == "auto":
        nulls = any(row["observation_id"] is None for row in unique.values())
        group_by = "photo" if nulls else "observation"
    parts = {"train": {}, "val": {}, "test": {}}
    free = {}
    for name, members in by_class.items():
        groups = defaultdict(list)
        for row in members:
            column = {"observer-per-species": "observer_id", "observation": "observation_id"}.get(group_by)
            known = column is not None and row[column] is not None
            kind, group = (0, row[column]) if known else (1, row["photo_id"])
            if group_by == "photo":
                kind = 0
            groups[(key(group, "holdout", seed), group, kind)].append(row["photo_id"])
        ordered = [groups[place] for place in sorted(groups)]
        for part, wanted in (("test", k_test), ("val", k_val)):
            taken = []
            while len(taken) < wanted and ordered:
                taken += ordered.pop(0)
            taken.sort(key=lambda i: (key(i, "train", seed), i))
            parts[part].update(dict.fromkeys(taken[:wanted], name))
        free[name] = sorted((i for g in ordered for i in g), key=lambda i: (key(i, "train", seed), i))
    ranked = sorted((n for n in free if free[n]), key=lambda n: (-len(free[n]), n.encode()))
    chosen = largest(ranked, [len(free[n]) for n in ranked], ratio)
    if chosen is None:
        return None
    counts = dict(zip(ranked, chosen, strict=False))
    for name, count in counts.items():
        parts["train"].update(dict.fromkeys(free[name][:count], name))
    return {p: {i: n for i, n in photos.items() if n in counts} for p, photos in parts.items()}


def largest(ranked, capacities, ratio):
    def counts(classes, m):
        top = -(-int(ratio * m) // 1)
        return [int(top * float(ratio) ** (-i / (classes - 1)) + 1e-9) for i in range(classes)]

    def feasible(classes, m):
        return all(n <= c for n, c in zip(counts(classes, m), capacities, strict=False))

    for m0 in (max(1, -(-101 // ratio)), 1):
        fitting = [c for c in range(2, len(ranked) + 1) if feasible(c, m0)]
        if fitting:
            m = max(m for m in range(m0, capacities[0] + 1) if feasible(fitting[-1], m))
            return counts(fitting[-1], m)
    return None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    catalogues(),
    st.sampled_from([1, 2, 5, 20]),
    st.integers(0, 3),
    st.integers(0, 4),
    st.sampled_from(["auto", "photo", "observation", "observer-per-species"]),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_it_is_what_the_rules_say(
    tmp_path_factory, monkeypatch, rows, ratio, k_val, k_test, group_by, seed, rng
):
    if not rows:
        return
    folder = write(tmp_path_factory.mktemp("c"), rng.sample(rows, k=len(rows)), rng.randint(1, 3))
    if rng.random() < 0.3:
        folder = build_catalog(folder, tmp_path_factory.mktemp("b") / "built", bucket_photos=25).path
    catalog = open_catalog(folder, threads=rng.randint(1, 2))
    # Limits far below what a class needs: every class is asked again.
    monkeypatch.setattr(hold_out, "SPARE", rng.choice([6, 6, -1_000]))
    expected = reference(rows, ratio, k_val, k_test, group_by, seed)
    arguments = {"lt_ratio": ratio, "val_per_class": k_val, "test_per_class": k_test, "group_by": group_by}
    if expected is None:
        with pytest.raises(InfeasibleSplitError):
            make_split(catalog, seed=seed, **arguments)
        return
    split = make_split(catalog, seed=seed, **arguments)
    names = split.classes["class_key"].to_pylist()
    for part in split.parts:
        table = split.part(part)
        found = dict(
            zip(table["photo_id"].to_pylist(), (names[i] for i in table["label"].to_pylist()), strict=True)
        )
        assert found == expected[part]
    assert set(split.parts) == {"train"} | ({"val"} if k_val else set()) | ({"test"} if k_test else set())
    order = list(zip(split.class_counts, names, strict=True))
    assert order == sorted(order, key=lambda item: (-item[0], item[1].encode()))
    counts = split.meta["counts"]
    accounted = sum(n for name, n in counts.items() if name not in ("selected", "classes_left_out"))
    assert counts["selected"] == accounted == len({row["photo_id"] for row in rows})


def sizes(rows):
    return Counter(row["genus"] for row in {row["photo_id"]: row for row in rows}.values())


HARD = {
    "ties": lambda rows: len(set(sizes(rows).values())) < len(sizes(rows)),
    "one class": lambda rows: len(sizes(rows)) == 1,
    "fewer photos than asked": lambda rows: bool(rows) and min(sizes(rows).values()) < 3,
    "repeated ids": lambda rows: len({row["photo_id"] for row in rows}) < len(rows),
    "no observation": lambda rows: any(row["observation_id"] is None for row in rows),
    "no observer": lambda rows: any(row["observer_id"] is None for row in rows),
}


def test_the_catalogues_above_have_what_is_hard():
    seen = set()

    @settings(max_examples=80, phases=[Phase.generate])
    @given(catalogues())
    def look(rows):
        seen.update(name for name, occurs in HARD.items() if occurs(rows))

    look()
    assert seen == set(HARD)


def test_columns_that_no_rule_reads_change_nothing(birds, tmp_path):
    rows = [
        row | {"quality_grade": "research", "license": "CC0"} for row in pq.read_table(birds.path).to_pylist()
    ]
    other = tmp_path / "other"
    other.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), other / "p.parquet")
    arguments = {"lt_ratio": 20, "val_per_class": 2, "test_per_class": 3, "group_by": "observation"}
    assert make_split(birds, **arguments).sha256 == make_split(open_catalog(other), **arguments).sha256


def write(folder, rows, files):
    schema = pa.schema(
        [(name, pa.int64()) for name in ("photo_id", "observation_id", "observer_id")]
        + [(name, pa.string()) for name in species(0)]
    )
    for number in range(files):
        part = [{name: row.get(name) for name in schema.names} for row in rows[number::files]]
        pq.write_table(pa.Table.from_pylist(part, schema=schema), folder / f"{number}.parquet")
    return folder


@pytest.fixture
def birds(tmp_path):
    """Six species of 300, 150, 80, 40, 20 and 12 photos, two photos an observation."""
    rows, photo_id = [], 0
    for number, count in enumerate((300, 150, 80, 40, 20, 12)):
        for n in range(count):
            photo_id += 1
            rows.append(species(number) | {"photo_id": photo_id, "observation_id": 1000 * number + n // 2})
    (tmp_path / "catalog").mkdir()
    return open_catalog(write(tmp_path / "catalog", rows, 2))


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
    for part in first.parts:
        assert part_sha256(first.part(part)) == part_sha256(copy.part(part)) == first.sha256[part]
    with pytest.raises(SplitError, match="no part 'holdout'"):
        first.part("holdout")


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
    loaded = load_split(folder)
    assert loaded.sha256 == split.sha256
    assert loaded.part("train") == split.part("train")
    assert loaded.classes == split.classes
    with pytest.raises(TargetExistsError, match="something else"):
        make_split(birds.select("Aves"), lt_ratio=10).save(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_its_representation_is_one_line(birds, tmp_path):
    split = make_split(birds, lt_ratio=10)
    said = f"{split.num_classes} classes; photos: {split.part('train').num_rows} train, "
    assert repr(split).startswith(f"Split({split.name!r}: {said}")
    assert repr(load_split(split.save(tmp_path / split.name), in_memory=False)) == repr(split)


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
    assert load_split(split.save(tmp_path / "s")).left_out == split.left_out


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
    ("damage", "said"),
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
def test_a_damaged_split_is_one_error(birds, tmp_path, damage, said):
    folder = make_split(birds, lt_ratio=5, val_per_class=1, test_per_class=1).save(tmp_path / "s")
    assert load_split(folder).num_classes == 4
    damage(folder)
    for in_memory in (True, False):
        with pytest.raises(SplitError, match=said):
            load_split(folder, in_memory=in_memory)


def test_a_split_that_stays_on_disk_is_the_same_one(birds, tmp_path):
    folder = make_split(birds, lt_ratio=5, val_per_class=1, test_per_class=1).save(tmp_path / "s")
    held, read = load_split(folder), load_split(folder, in_memory=False)
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


def test_order_files_and_threads_change_nothing(birds, tmp_path):
    rows = pq.read_table(birds.path).to_pylist()
    random.Random(3).shuffle(rows)
    (tmp_path / "other").mkdir()
    other = open_catalog(write(tmp_path / "other", rows, 5), threads=1)
    arguments = {"lt_ratio": 20, "val_per_class": 2, "test_per_class": 3}
    assert make_split(birds, **arguments).sha256 == make_split(other, **arguments).sha256


@settings(max_examples=8)
@given(catalogues(), st.sampled_from([2, 5]), st.sampled_from(["auto", "observer-per-species"]))
def test_raw_and_built_catalogues_give_the_same_split(tmp_path_factory, rows, ratio, group_by):
    if not rows:
        return
    folder = tmp_path_factory.mktemp("c")
    (folder / "raw").mkdir()
    write(folder / "raw", rows, 2)
    build_catalog(folder / "raw", folder / "built", bucket_photos=50)
    found = []
    for layout in ("raw", "built"):
        catalog = open_catalog(folder / layout)
        try:
            split = make_split(catalog, lt_ratio=ratio, group_by=group_by, val_per_class=1, test_per_class=2)
            found.append((split.sha256, split.meta["counts"], split.meta["group_by"]))
        except InfeasibleSplitError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_a_class_without_any_group_is_parted_photo_by_photo(tmp_path):
    """Observations are unknown to one whole class, and known to the others."""
    rows = [species(0) | {"photo_id": i, "observation_id": None, "observer_id": None} for i in range(1, 31)]
    rows += [
        species(1) | {"photo_id": i, "observation_id": i // 3, "observer_id": i % 4} for i in range(40, 90)
    ]
    (tmp_path / "catalog").mkdir()
    catalog = open_catalog(write(tmp_path / "catalog", rows, 1))
    for group_by in ("observation", "observer-per-species"):
        split = make_split(catalog, lt_ratio=1, group_by=group_by, val_per_class=1, test_per_class=2)
        expected = reference(rows, 1, 1, 2, group_by, 0)
        for part in split.parts:
            assert set(split.part(part)["photo_id"].to_pylist()) == set(expected[part])
