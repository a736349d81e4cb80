"""Benchmarks over random catalogues, against their rules written down once more in plain Python."""

import random
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.errors import InfeasibleSplitError, SelectionError, UnknownTaxonError
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.make import make_split
from arboretum_tools.split.reproduce import remake_split
from arboretum_tools.stable_key import key

SAME = {"ext": "jpg", "phylum": "P", "common_name": None}

#: Two of one name, a hybrid, one that is in none of the seven groups.
SPECIES = [
    SAME
    | dict(zip(("group", "kingdom", "class", "genus", "species"), names, strict=True))
    | {"order": f"order of {names[2]}", "family": f"family of {names[2]}"}
    for names in (
        ("Aves", "Animalia", "Aves", "Turdus", "merula"),
        ("Aves", "Animalia", "Aves", "Picus", "viridis"),
        ("Aves", "Animalia", "Aves", "Anas", "× fuligula"),
        ("Insecta", "Animalia", "Insecta", "Actias", "luna"),
        ("Insecta", "Animalia", "Insecta", "Laelia", "rosea"),
        ("Plantae", "Plantae", "Liliopsida", "Laelia", "rosea"),
        (None, "Animalia", "Mammalia", "Vulpes", "vulpes"),
    )
]
STAGES = ["larva", "adult", None]
PAIRS = [
    [("Turdus merula", "Picus viridis")],
    [("Turdus merula", "Actias luna"), ("Actias luna", "Picus viridis")],
    [("Animalia>Laelia rosea", "Plantae>Laelia rosea")],
]


@st.composite
def catalogues(draw, wish):
    """Some species with 1 to 30 photos in observations of 1 to 5, some without; ids may repeat."""
    some = st.lists(st.sampled_from(SPECIES), unique_by=key_of, min_size=2, max_size=5)
    chosen = draw(st.one_of(some, some, some, st.just(SPECIES[-1:])))
    if wish["benchmark"] == "confounding":
        # Mostly those that are asked for; those of one name come together.
        named = {name.rpartition(">")[2] for pair in wish["pairs"] for name in pair}
        chosen = [one for one in SPECIES if f"{one['genus']} {one['species']}" in named]
        chosen = chosen[draw(st.sampled_from([0, 0, 0, 1])) :]
    rows, photo_id, observation = [], 0, 0
    known = draw(st.sampled_from(["all", "all", "some", "none"]))
    for species in chosen:
        left = draw(st.one_of(st.sampled_from([30, 29, 8, 2]), st.integers(1, 24)))
        while left > 0:
            size = min(left, draw(st.integers(1, 5)))
            observation += 1
            stage = draw(st.sampled_from(STAGES))
            seen = known == "all" or (known == "some" and observation % 2 > 0)
            for _ in range(size):
                photo_id += 1 + 2**33 * (observation % 3 == 0)
                rows.append(
                    species
                    | {
                        "photo_id": photo_id,
                        "scientific_name": f"{species['genus']} {species['species']}",
                        "observation_id": observation if seen else None,
                        "observer_id": observation % 4 if seen else None,
                        "life_stage": stage,
                    }
                )
            left -= size
    return rows + rows[-1:] * draw(st.integers(0, 1))


@st.composite
def cases(draw, kind):
    """What is asked of a benchmark, and the rows of a catalogue."""
    wish = {
        "benchmark": kind,
        "seed": draw(st.integers(0, 2)),
        "group_by": draw(st.sampled_from(["auto", "auto", "photo", "observation", "observer-per-species"])),
    }
    if kind == "life-stage":
        wish["stages"] = {"larva": draw(st.integers(1, 4)), "adult": draw(st.integers(1, 4))}
        return wish, draw(catalogues(wish))
    wish["test_per_class"] = draw(st.integers(1, 5 if kind == "confounding" else 12))
    if kind == "balanced":
        wish["classes_per_group"] = draw(st.integers(1, 2))
    if kind == "confounding":
        wish["pairs"] = draw(st.sampled_from(PAIRS))
    return wish, draw(catalogues(wish))


def key_of(row):
    return f"{row['kingdom']}|{row['genus']} {row['species']}"


def group_of(row, group_by):
    """(kind, id) of the group that a photo is held out with; kind 1 is a photo that stands for itself."""
    column = {"observation": "observation_id", "observer-per-species": "observer_id"}.get(group_by)
    if column is None:
        return 0, row["photo_id"]
    return (1, row["photo_id"]) if row[column] is None else (0, row[column])


def held_out(members, photos, group_by, seed):
    """The photos of a class that are held out, and how many it has left."""
    groups = defaultdict(list)
    for row in members:
        kind, group = group_of(row, group_by)
        groups[key(group, "holdout", seed), group, kind].append(row["photo_id"])
    taken = []
    for position in sorted(groups):
        if len(taken) < photos:
            taken += groups[position]
    return set(sorted(taken, key=lambda i: (key(i, "train", seed), i))[:photos]), len(members) - len(taken)


def term_of(row, homonyms):
    name = f"{row['genus']} {row['species']}"
    return f"{row['kingdom']}>{name}" if name in homonyms else name


class NothingError(Exception):
    """No split, with the errors that say so."""


def reference(rows, wish, seen):
    """{class_key: photos} of the benchmark that is wished for."""
    kind, seed = wish["benchmark"], wish["seed"]
    unique = list({row["photo_id"]: row for row in rows}.values())
    in_catalog = Counter(map(key_of, unique))
    selected = unique
    if kind in ("balanced", "unseen"):
        selected = [row for row in unique if row["group"] is not None]
        if not selected:
            raise NothingError(SelectionError)
    if kind == "unseen":
        selected = [row for row in selected if in_catalog[key_of(row)] < 30]
        seen.update(f"{n} photos" for n in in_catalog.values() if n in (29, 30))
    if kind == "confounding":
        named = {name for pair in wish["pairs"] for name in pair}
        there = {term_of(row, {"Laelia rosea"}): key_of(row) for row in unique}
        if not named <= set(there):
            raise NothingError(UnknownTaxonError)
        selected = [row for row in unique if term_of(row, {"Laelia rosea"}) in named]
        seen.update(["two of one name"] * ("Plantae>Laelia rosea" in named))
        seen.update(["a species of two pairs"] * (len(wish["pairs"]) > 1))
    if kind == "life-stage" and all(row["life_stage"] is None for row in rows):
        # A column without a value counts as absent.
        raise NothingError(SelectionError)
    group_by = wish["group_by"]
    known = any(row["observation_id"] is not None for row in rows)
    if group_by in ("observation", "observer-per-species") and not known:
        # A column without a value counts as absent.
        raise NothingError(SelectionError)
    if group_by == "auto":
        known = any(row["observation_id"] is not None for row in selected)
        group_by = "observation" if known else "photo"
        seen.add(f"auto is {group_by}")
    seen.update(["a hybrid"] * any("×" in row["species"] for row in selected))
    seen.update(["a repeated id"] * (len(unique) < len(rows)))
    by_class = defaultdict(list)
    for row in selected:
        if "×" not in row["species"]:
            by_class[key_of(row), row["life_stage"] if kind == "life-stage" else None].append(row)
    if kind == "life-stage":
        return stages_of(by_class, wish["stages"], group_by, seed, seen)
    photos = wish["test_per_class"]
    enough = {name: members for (name, _), members in by_class.items() if len(members) >= photos}
    seen.update(["a class without enough photos"] * (len(enough) < len(by_class)))
    if not enough or (kind == "confounding" and len(enough) < len(by_class)):
        raise NothingError(InfeasibleSplitError)
    drawn = {name: held_out(members, photos, group_by, seed) for name, members in enough.items()}
    if kind == "balanced":
        most = wish["classes_per_group"]
        for group in {row["group"] for row in selected}:
            inside = sorted(
                (name for name in drawn if enough[name][0]["group"] == group),
                key=lambda name: (-drawn[name][1], name.encode()),
            )
            seen.update(["more classes than a group takes"] * (len(inside) > most))
            cut = {drawn[name][1] for name in inside[most - 1 : most + 1]}
            seen.update(["a tie at the cut"] * (len(inside) > most and len(cut) == 1))
            seen.update(["a group without a class"] * (not inside))
            for name in inside[most:]:
                del drawn[name]
    return {name: held for name, (held, _) in drawn.items()}


def stages_of(by_class, stages, group_by, seed, seen):
    species = {name for name, _ in by_class}
    whole = [n for n in species if all(len(by_class.get((n, s), ())) >= k for s, k in stages.items())]
    seen.update(["a photo of no known stage"] * any(stage is None for _, stage in by_class))
    seen.update(["a species that lacks a stage"] * (len(whole) < len(species)))
    if not whole:
        raise NothingError(InfeasibleSplitError)
    return {
        f"{name}|{stage}": held_out(by_class[name, stage], photos, group_by, seed)[0]
        for name in whole
        for stage, photos in stages.items()
    }


def photos_of(split):
    keys, table = split.classes["class_key"].to_pylist(), split.part("test")
    found = {name: set() for name in keys}
    for photo_id, label in zip(table["photo_id"].to_pylist(), table["label"].to_pylist(), strict=True):
        found[keys[label]].add(photo_id)
    return found


#: What must have occurred, so that the tests mean something: in all benchmarks, and in one.
ANYWHERE = {"a split", "a repeated id", "auto is observation", "auto is photo", "InfeasibleSplitError"}
CASES = {
    "balanced": {
        "a class without enough photos",
        "a group without a class",
        "a hybrid",
        "a tie at the cut",
        "more classes than a group takes",
        "SelectionError",
    },
    "unseen": {"29 photos", "30 photos", "a class without enough photos", "a hybrid", "SelectionError"},
    "life-stage": {"a hybrid", "a photo of no known stage", "a species that lacks a stage"},
    "confounding": {"a species of two pairs", "two of one name", "UnknownTaxonError"},
}


def expected_of(wish, rows, seen):
    """What the rules give: {class_key: photos}, or the error that says why nothing."""
    try:
        found = reference(rows, wish, seen)
    except NothingError as nothing:
        (found,) = nothing.args
    seen.add("a split" if isinstance(found, dict) else found.__name__)
    return found


def check(wish, rows, rng, folder):
    """Makes the benchmark over a raw or a built catalogue, and holds it against its rules."""
    columns = [name for name in rows[0] if name != "group"]
    kinds = {"observation_id": pa.int64(), "observer_id": pa.int64(), "life_stage": pa.string()}
    shuffled = rng.sample(rows, k=len(rows))
    table = pa.table({name: pa.array([row[name] for row in shuffled], kinds.get(name)) for name in columns})
    (folder / "catalog").mkdir()
    pq.write_table(table, folder / "catalog" / "p.parquet")
    built = rng.randrange(6) == 0
    where = build_catalog(folder / "catalog", folder / "built").path if built else folder / "catalog"
    catalog = open_catalog(where, threads=1)
    expected = expected_of(wish, rows, set())
    if not isinstance(expected, dict):
        with pytest.raises(expected):
            make_split(catalog, **wish)
        return
    split = make_split(catalog, **wish)
    assert photos_of(split) == expected
    counts = split.meta["counts"]
    accounted = sum(n for name, n in counts.items() if name not in ("selected", "classes_left_out"))
    assert counts["selected"] == accounted
    saved = split.save(folder / "split")
    audit = audit_split(saved)
    assert audit.ok, audit.broken
    assert rng.randrange(6) or remake_split(saved, catalog).same


@pytest.mark.parametrize("kind", sorted(CASES))
def test_all_that_is_hard_occurs_and_is_what_the_rules_say(kind, tmp_path_factory):
    # The rules alone are quick, so they look for the cases; the first of each goes through the library.
    first = {}

    @settings(max_examples=200, phases=[Phase.generate])
    @given(cases(kind))
    def look(case):
        seen = set()
        expected_of(*case, seen)
        for name in seen:
            first.setdefault(name, case)

    look()
    requested = ANYWHERE | CASES[kind]
    assert set(first) >= requested, f"never came: {sorted(requested - set(first))}"
    chosen = {id(case): case for name, case in sorted(first.items()) if name in requested}
    for number, case in enumerate(chosen.values()):
        check(*case, random.Random(number), tmp_path_factory.mktemp("c"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", sorted(CASES))
def test_a_benchmark_of_any_catalogue_is_what_its_rule_says(kind, tmp_path_factory):
    @settings(max_examples=60)
    @given(cases(kind), st.randoms(use_true_random=False))
    def run(case, rng):
        check(*case, rng, tmp_path_factory.mktemp("c"))

    run()
