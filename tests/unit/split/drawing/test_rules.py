"""make_split against its rules (docs/design.md) written down once more, slowly, over random catalogues."""

import itertools
import math
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.layouts import raw
from arboretum_tools.errors import InfeasibleSplitError, SelectionError
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.drawing import draw, hold_out
from arboretum_tools.split.drawing.exclusion import Exclusion
from arboretum_tools.split.make import make_split
from arboretum_tools.stable_key import key

RANKS = ("kingdom", "order", "family", "genus", "species")

#: Two species of one genus, one name in two kingdoms, a hybrid, photos that are of a genus only.
TAXA = [
    ("Animalia", "O", "F", "Ab", "alba"),
    ("Animalia", "O", "F", "Ab", "nigra"),
    ("Animalia", "O", "F", "Cd", "alba"),
    ("Animalia", "O", "G", "De", "alba"),
    ("Animalia", "P", "H", "Ef", "alba"),
    ("Plantae", "Q", "I", "Ab", "alba"),
    ("Animalia", "O", "F", "Ab", "× cana"),
    ("Animalia", "O", "F", "Ab", None),
]


def row_of(taxon, photo_id, observation, observer, grade="research", sub=""):
    names = dict(zip(RANKS, taxon, strict=True))
    return names | {
        "photo_id": photo_id,
        "ext": "jpg",
        "phylum": None,
        "class": "Aves" if names["kingdom"] == "Animalia" else "Liliopsida",
        "scientific_name": " ".join(filter(None, [*taxon[3:], sub])),
        "common_name": None,
        "observation_id": observation,
        "observer_id": observer,
        "quality_grade": grade,
    }


@st.composite
def catalogues(draw):
    """Some taxa with 0 to 60 photos in observations of 1 to 6, some without one; ids may repeat."""
    rows, photo_id, observation = [], 0, 0
    # Now and then an observation is known of every photo, and every photo is of research grade.
    holes, doubt = draw(st.sampled_from([0, 3])), draw(st.sampled_from([0, 2]))
    mixed = draw(st.sampled_from([0, 3]))
    chance = st.integers(0, 30)
    for taxon in draw(st.lists(st.sampled_from(TAXA), unique=True, min_size=1, max_size=6)):
        left = draw(st.one_of(st.integers(0, 60), st.sampled_from([2, 24])))
        while left > 0:
            size = min(left, draw(st.integers(1, 6)))
            observation += 1
            # Now and then it is one that has photos already, perhaps of another class.
            number = observation if draw(chance) >= mixed else draw(st.integers(1, observation))
            sub = "minor" if taxon[4] == "alba" and draw(chance) < 3 else ""
            for _ in range(size):
                photo_id += draw(st.sampled_from([1, 1, 1, 7, 2**33]))
                rows.append(
                    row_of(
                        taxon,
                        photo_id,
                        number if draw(chance) >= holes else None,
                        # An observation is of one person; a few people see most of them.
                        number % 7 if draw(chance) > 2 else None,
                        "research" if draw(chance) >= doubt else "needs_id",
                        sub,
                    )
                )
            left -= size
    again = draw(st.lists(st.sampled_from(rows), max_size=3)) if rows else []
    others = st.sampled_from([{}, {"observation_id": 10_000}, {"species": "rubra"}])
    return rows + [row | draw(others) for row in again]


@st.composite
def wishes(draw):
    """Arguments of make_split but for the store and what is kept out, which depend on the photos."""
    profile = draw(st.sampled_from(["exp", "exp", "step", "pareto", "balanced", "natural", "natural"]))
    wish = {
        "profile": profile,
        "rank": draw(st.sampled_from(["species", "species", "species", "genus", "family", "order"])),
        "val_per_class": draw(st.integers(0, 3)),
        "test_per_class": draw(st.integers(0, 4)),
        "group_by": draw(st.sampled_from(["auto", "photo", "observation", "observer-per-species"])),
        "hybrids": draw(st.booleans()),
        "seed": draw(st.integers(0, 3)),
    }
    if wish["test_per_class"] and draw(st.booleans()):
        wish["min_test_groups"] = draw(st.integers(1, wish["test_per_class"]))
    ratio = 1
    if profile in ("exp", "step", "pareto"):
        ratio = wish["lt_ratio"] = draw(st.sampled_from([1, 1.5, 2, 5, 20]))
    fixed = draw(st.sampled_from([None, None, None, "num_classes", "min_per_class", "max_per_class"]))
    if fixed == "num_classes":
        wish[fixed] = draw(st.integers(2, 4))
    elif fixed:
        number = draw(st.integers(1, 20 if profile == "natural" else 3))
        wish[fixed] = math.ceil(ratio * number) if fixed == "max_per_class" else number
    return wish


@st.composite
def asked(draw):
    """What is selected: mostly all, else by rarity, so many of an observation, or so many in all."""
    name = draw(st.sampled_from([None, None, None, "min_photos", "photos_per_observation", "limit"]))
    most = {"min_photos": 30, "photos_per_observation": 3, "limit": 150}
    return {} if name is None else {name: draw(st.integers(1, most[name]))}


def selected_of(rows, criteria):
    """The photos of a selection: research grade, and what else is asked of them."""
    unique = deduplicated(rows)
    in_catalog = Counter(class_of(row, "species") for row in unique)
    found = [row for row in unique if row["quality_grade"] == "research"]
    if least := criteria.get("min_photos"):
        found = [row for row in found if row["species"] and in_catalog[class_of(row, "species")] >= least]
    found.sort(key=lambda row: (key(row["photo_id"], "limit", 0), row["photo_id"]))
    if most := criteria.get("photos_per_observation"):
        seen = Counter()
        for row in list(found):
            seen[row["observation_id"]] += row["observation_id"] is not None
            if seen[row["observation_id"]] > most:
                found.remove(row)
    return found[: criteria.get("limit")]


def deduplicated(rows):
    """One row per photo: the smallest observation, unknown last; none where it is under two classes."""
    by_id = defaultdict(list)
    for row in rows:
        by_id[row["photo_id"]].append(row)
    return [
        min(same, key=lambda row: (row["observation_id"] is None, row["observation_id"] or 0))
        for same in by_id.values()
        if len({(row["kingdom"], row["genus"], row["species"]) for row in same}) == 1
    ]


def class_of(row, rank):
    if rank != "species":
        return f"{row['kingdom']}|{rank}|{row[rank]}"
    return None if row["species"] is None else f"{row['kingdom']}|{row['genus']} {row['species']}"


def is_kept_out(row, exclusion):
    return exclusion is not None and (
        row["photo_id"] in exclusion.photos
        or row["observation_id"] in exclusion.observations
        or class_of(row, "species") in exclusion.classes
        or any(term in (f"family:{row['family']}", f"genus:{row['genus']}") for term in exclusion.taxa)
    )


def held_out(members, wish, group_by, mixed, aside):
    """Part by part the photos of one class: what is held out, and all that is left, in the order of train.

    Of the observations in `mixed`, of several classes, those go to `aside` whose turn comes.
    """
    if len(members) < wish["val_per_class"] + wish["test_per_class"]:
        return {"test": [], "val": [], "left": []}
    groups = defaultdict(list)
    for row in members:
        column = {"observation": "observation_id", "observer-per-species": "observer_id"}.get(group_by)
        if column is None:
            kind, group = 0, row["photo_id"]
        else:
            known = row[column] is not None
            kind, group = (0, row[column]) if known else (1, row["photo_id"])
        groups[key(group, "holdout", wish["seed"]), group, kind].append(row["photo_id"])
    ordered = sorted(groups)

    def order(ids):
        return sorted(ids, key=lambda one: (key(one, "train", wish["seed"]), one))

    parts = {}
    for part in ("test", "val"):
        taken, photos = [], wish[f"{part}_per_class"]
        least = wish.get("min_test_groups", 0) if part == "test" else 0
        while (sum(map(len, taken)) < photos or len(taken) < least) and ordered:
            _, group, kind = position = ordered.pop(0)
            if kind == 0 and group in mixed:
                aside.add(group)
            else:
                taken.append(order(groups[position]))
        # In rounds where so many groups are asked for: each gives one photo before any gives two.
        rounds = itertools.zip_longest(*taken) if least else [[photo for group in taken for photo in group]]
        in_order = [one for photos_of_it in rounds for one in order(filter(None, photos_of_it))]
        parts[part] = in_order[:photos]
    return parts | {"left": order(one for position in ordered for one in groups[position])}


def shape(profile, head, ratio, classes):
    """n_i of a profile, as the papers have it."""
    position = [i / (classes - 1) for i in range(classes)]
    if profile == "step":
        return [head if i < classes // 2 else math.floor(head / ratio + 1e-9) for i in range(classes)]
    if profile == "pareto":
        slope = ratio ** (1 / 6) - 1
        return [math.floor(head * (1 + slope * x) ** -6 + 1e-9) for x in position]
    return [math.floor(head * ratio**-x + 1e-9) for x in position]


def sizes_of(capacities, wish):
    """Train photos of the classes by descending capacity; None where there is no such split."""
    ratio = float(wish.get("lt_ratio", 1))

    def counts(classes, m):
        return shape(wish["profile"], math.ceil(ratio * m - 1e-9), ratio, classes)

    def fits(classes, m):
        requested = counts(classes, m)
        return len(capacities) >= classes and all(n <= a for n, a in zip(requested, capacities, strict=False))

    m = wish.get("min_per_class")
    if "max_per_class" in wish:
        m = math.floor(wish["max_per_class"] / ratio + 1e-9)
    if "num_classes" in wish:
        fitting = [wish["num_classes"]] if fits(wish["num_classes"], m or 1) else []
        least = 1
    else:
        for least in [m] if m else [max(1, math.ceil(101 / ratio)), 1]:
            fitting = [classes for classes in range(2, len(capacities) + 1) if fits(classes, least)]
            if fitting:
                break
    if not fitting:
        return None
    most = m or max(n for n in range(least, capacities[0] + 1) if fits(fitting[-1], n))
    return counts(fitting[-1], most)


def reference(rows, criteria, wish, store, exclusion):
    """The rules, by hand: {part: {photo_id: class_key}} and the photos selected, or None."""
    selected = selected_of(rows, criteria)
    group_by = wish["group_by"]
    if group_by == "auto":
        known = any(row["observation_id"] is not None for row in selected)
        group_by = "observation" if known else "photo"
    by_class = defaultdict(list)
    for row in selected:
        name = class_of(row, wish["rank"])
        there = (store is None or row["photo_id"] in store) and not is_kept_out(row, exclusion)
        if name and there and (wish["hybrids"] or "×" not in row["scientific_name"]):
            by_class[name].append(row)
    classes_of, aside = defaultdict(set), set()
    for name, members in by_class.items():
        for row in members:
            classes_of[row["observation_id"]].add(name)
    mixed = {one for one, names in classes_of.items() if len(names) > 1 and group_by == "observation"}
    found = {name: held_out(members, wish, group_by, mixed, aside) for name, members in by_class.items()}
    for name, parts in found.items():
        lost = {row["photo_id"] for row in by_class[name] if row["observation_id"] in aside}
        parts["left"] = [one for one in parts["left"] if one not in lost]
    ranked = sorted(
        (name for name in found if found[name]["left"]),
        key=lambda name: (-len(found[name]["left"]), name.encode()),
    )
    capacities = [len(found[name]["left"]) for name in ranked]
    if wish["profile"] == "natural":
        least, most = wish.get("min_per_class", 1), wish.get("max_per_class", math.inf)
        taken = [name for name in ranked if len(by_class[name]) >= least]
        requested = wish.get("num_classes", len(taken))
        if not taken or len(taken) < requested:
            return None
        counts = {name: min(len(found[name]["left"]), most) for name in taken[:requested]}
    else:
        sizes = sizes_of(capacities, wish)
        if sizes is None:
            return None
        counts = dict(zip(ranked, sizes, strict=False))
    parts = {
        "train": {one: name for name, n in counts.items() for one in found[name]["left"][:n]},
        "val": {one: name for name in counts for one in found[name]["val"]},
        "test": {one: name for name in counts for one in found[name]["test"]},
    }
    return parts, len(selected)


EXAMPLES = given(catalogues(), asked(), wishes(), st.randoms(use_true_random=False))


@settings(max_examples=20)
@EXAMPLES
def test_it_is_what_the_rules_say(tmp_path_factory, monkeypatch, rows, criteria, wish, rng):
    obeys(tmp_path_factory, monkeypatch, rows, criteria, wish, rng)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=500, derandomize=False)
@EXAMPLES
def test_it_is_what_the_rules_say_over_many_catalogues(
    tmp_path_factory, monkeypatch, rows, criteria, wish, rng
):
    obeys(tmp_path_factory, monkeypatch, rows, criteria, wish, rng)


def obeys(tmp_path_factory, monkeypatch, rows, criteria, wish, rng):
    """Makes the split that is wished for and compares it with `reference`."""
    if not deduplicated(rows):
        return  # a build refuses it: nothing is left of the rows
    # None of this may show: the order of rows, files, their row groups, the layout, threads, limits far below
    # what a class needs (every class is asked again), buckets of a few photos, whether rows are kept.
    folder = tmp_path_factory.mktemp("c")
    write(folder, rng.sample(rows, k=len(rows)), rng.randint(1, 3), rng.choice([1, 7, 999]))
    if rng.random() < 0.3:
        folder = build_catalog(folder, tmp_path_factory.mktemp("b") / "built", bucket_photos=25).path
    catalog = open_catalog(folder, threads=rng.randint(1, 2))
    monkeypatch.setattr(hold_out, "SPARE", rng.choice([6, 6, -1_000]))
    monkeypatch.setattr(draw, "_BUCKET_ROWS", rng.choice([100_000, 5]))
    monkeypatch.setattr(raw, "_KEPT_ROWS", rng.choice([50_000, 0]))
    ids = sorted({row["photo_id"] for row in rows})
    store = set(rng.sample(ids, k=len(ids) * 3 // 4)) if rng.random() < 0.3 else None
    exclusion = None
    if rng.random() < 0.3:
        one = rng.choice(rows)
        exclusion = Exclusion.of(
            # One at least: observations alone are refused where the catalogue knows none.
            rng.sample(ids, k=max(1, len(ids) // 6)),
            [one["observation_id"] or 1],
            rng.choice([[], ["Animalia|Ab nigra"]]),
            # What the catalogue does not know at all would be refused.
            rng.choice([[], [f"family:{one['family']}"]]),
        )
    expected = reference(rows, criteria, wish, store, exclusion)
    selection = catalog.select(**criteria)
    held = None if store is None else PhotoIds.of(store)
    if expected is None:
        # Where a filter leaves nothing at all, the error names the filter.
        nothing = not selected_of(rows, criteria)
        with pytest.raises(SelectionError if nothing else InfeasibleSplitError):
            make_split(selection, store=held, exclude=exclusion, **wish)
        return
    parts, selected = expected
    split = make_split(selection, store=held, exclude=exclusion, **wish)
    names = split.classes["class_key"].to_pylist()
    assert split.parts == ("train", *(part for part in ("val", "test") if wish[f"{part}_per_class"]))
    for part in split.parts:
        table = split.part(part)
        labels, photos = table["label"].to_pylist(), table["photo_id"].to_pylist()
        assert dict(zip(photos, (names[label] for label in labels), strict=True)) == parts[part]
        order = list(zip(labels, photos, strict=True))
        assert order == sorted(set(order))
        message = split.classes[f"n_{part}"].to_pylist()
        assert message == [Counter(parts[part].values())[name] for name in names]
    ranked = list(zip(split.class_counts, names, strict=True))
    assert ranked == sorted(ranked, key=lambda item: (-item[0], item[1].encode()))
    counts = split.meta["counts"]
    accounted = sum(n for name, n in counts.items() if name not in ("selected", "classes_left_out"))
    assert counts["selected"] == accounted == selected


@settings(max_examples=5)
@given(catalogues(), wishes())
def test_raw_and_built_catalogues_give_the_same_split(tmp_path_factory, rows, wish):
    if not deduplicated(rows):
        return  # a build refuses it: nothing is left of the rows
    folder = tmp_path_factory.mktemp("c")
    (folder / "raw").mkdir()
    write(folder / "raw", rows, 2)
    build_catalog(folder / "raw", folder / "built", bucket_photos=50)
    found = []
    for layout in ("raw", "built"):
        try:
            split = make_split(open_catalog(folder / layout), **wish)
            found.append((split.sha256, split.meta["counts"], split.meta["group_by"]))
        except (InfeasibleSplitError, SelectionError) as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_a_class_without_any_group_is_parted_photo_by_photo(tmp_path):
    """Observations are unknown to one whole class, and known to the others."""
    rows = [row_of(TAXA[0], i, None, None) for i in range(1, 31)]
    rows += [row_of(TAXA[1], i, i // 3, i % 4) for i in range(40, 90)]
    write(tmp_path, rows, 1)
    wish = {"profile": "balanced", "rank": "species", "val_per_class": 1, "test_per_class": 2, "seed": 0}
    for group_by in ("observation", "observer-per-species"):
        wish |= {"group_by": group_by, "hybrids": False}
        split = make_split(open_catalog(tmp_path), **wish)
        parts, _ = reference(rows, {}, wish, None, None)
        for part in split.parts:
            assert set(split.part(part)["photo_id"].to_pylist()) == set(parts[part])


def sizes(rows):
    return Counter(class_of(row, "species") for row in deduplicated(rows))


HARD = {
    "an observation in two classes": lambda rows: any(
        len({class_of(row, "species") for row in rows if row["observation_id"] == one}) > 1
        for one in {row["observation_id"] for row in rows} - {None}
    ),
    "ties": lambda rows: len(set(sizes(rows).values())) < len(sizes(rows)),
    "one class": lambda rows: len(sizes(rows)) == 1,
    "fewer photos than asked": lambda rows: min(sizes(rows).values(), default=9) < 3,
    "repeated ids": lambda rows: len({row["photo_id"] for row in rows}) < len(rows),
    "an id in two classes": lambda rows: len({row["photo_id"] for row in rows}) > len(deduplicated(rows)),
    "no observation": lambda rows: any(row["observation_id"] is None for row in rows),
    "every observation": lambda rows: rows and all(row["observation_id"] is not None for row in rows),
    "no observer": lambda rows: any(row["observer_id"] is None for row in rows),
    "one name, two kingdoms": lambda rows: {"Animalia|Ab alba", "Plantae|Ab alba"} <= set(sizes(rows)),
    "a hybrid": lambda rows: "Animalia|Ab × cana" in sizes(rows),
    "a genus only": lambda rows: None in sizes(rows),
    "a subspecies": lambda rows: any("minor" in row["scientific_name"] for row in rows),
    "another grade": lambda rows: any(row["quality_grade"] != "research" for row in rows),
}


def test_the_catalogues_above_have_what_is_hard():
    seen = set()

    @settings(max_examples=80, phases=[Phase.generate])
    @given(catalogues())
    def look(rows):
        seen.update(name for name, occurs in HARD.items() if occurs(rows))

    look()
    assert seen == set(HARD)


def write(folder, rows, files, group=1_000):
    """Writes rows as so many files with row groups of so many rows."""
    numbers = ("photo_id", "observation_id", "observer_id")
    schema = pa.schema(
        [(name, pa.int64() if name in numbers else pa.string()) for name in row_of(TAXA[0], 1, 1, 1)]
    )
    for number in range(files):
        table = pa.Table.from_pylist(rows[number::files], schema=schema)
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=group)
