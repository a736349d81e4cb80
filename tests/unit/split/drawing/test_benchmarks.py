"""Benchmarks: the four rules against a slow reading of them, and what a wrong wish is told."""

import json
import shutil
from collections import defaultdict

import pyarrow.parquet as pq
import pytest

from arboretum_metadata.vocab import BENCHMARKS, LIFE_STAGES
from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import (
    InfeasibleSplitError,
    RecipeError,
    SelectionError,
    SplitError,
    UnknownTaxonError,
    UsageError,
)
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.make import make_family, make_split
from arboretum_tools.split.rebalancing.weights import class_weights
from arboretum_tools.split.recipes.benchmarks import parse_pairs, parse_stages, read_pairs
from arboretum_tools.split.recipes.recipe_file import PRESETS
from arboretum_tools.split.reproduce import remake_split
from arboretum_tools.split.stats import split_stats, text_figure
from arboretum_tools.stable_key import key

#: Photos of each species, by group: at and around 30 and 10.
SIZES = {
    ("Animalia", "Aves", "Turdus", "merula"): 90,
    ("Animalia", "Aves", "Picus", "viridis"): 60,
    ("Animalia", "Aves", "Corvus", "corax"): 30,
    ("Animalia", "Aves", "Sialia", "sialis"): 29,
    ("Animalia", "Insecta", "Actias", "luna"): 80,
    ("Animalia", "Insecta", "Laelia", "rosea"): 70,
    ("Animalia", "Insecta", "Danaus", "plexippus"): 24,
    ("Animalia", "Insecta", "Aglais", "io"): 10,
    ("Plantae", "Magnoliopsida", "Laelia", "rosea"): 20,
    ("Plantae", "Magnoliopsida", "Quercus", "alba"): 9,
}

STAGES = ("larva", "adult", None, "adult", "pupa")


def rows():
    found, photo_id = [], 0
    for number, ((kingdom, klass, genus, epithet), count) in enumerate(SIZES.items()):
        for n in range(count):
            photo_id += 1
            found.append(
                {
                    "photo_id": photo_id,
                    "ext": "jpg",
                    "kingdom": kingdom,
                    "phylum": "P",
                    "class": klass,
                    "order": f"{klass} O",
                    "family": f"{klass} F",
                    "genus": genus,
                    "species": epithet,
                    "scientific_name": f"{genus} {epithet}",
                    "common_name": None,
                    "observation_id": 1000 * number + n // 3,
                    "observer_id": n % 5,
                    "life_stage": STAGES[n // 3 % 5],
                }
            )
    return found


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    import pyarrow as pa

    from arboretum_tools.catalog import open_catalog

    folder = tmp_path_factory.mktemp("benchmarks") / "catalog"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows()), folder / "p.parquet")
    return open_catalog(folder)


def species(row):
    return f"{row['kingdom']}|{row['genus']} {row['species']}"


def held(members, photos, seed):
    """The photos of a class that hold-out takes: whole observations by key, then the smallest by key."""
    groups = defaultdict(list)
    for row in members:
        groups[row["observation_id"]].append(row["photo_id"])
    taken = []
    for group in sorted(groups, key=lambda g: (key(g, "holdout", seed), g)):
        if len(taken) < photos:
            taken += groups[group]
    return set(sorted(taken, key=lambda i: (key(i, "train", seed), i))[:photos])


def expected(kind, photos, seed, most=None, stages=()):
    """{class_key: photos} of a benchmark, from its rule."""
    by_class = defaultdict(list)
    for row in rows():
        stage = f"|{row['life_stage']}" if stages else ""
        by_class[species(row) + stage].append(row)
    if kind == "unseen":
        by_class = {name: members for name, members in by_class.items() if len(members) < 30}
    if stages:
        enough = {n for n, m in by_class.items() if len(m) >= dict(stages).get(n.split("|")[-1], 10**9)}
        whole = {n.rpartition("|")[0] for n in enough}
        whole = {n for n in whole if all(f"{n}|{stage}" in enough for stage, _ in stages)}
        return {f"{n}|{stage}": held(by_class[f"{n}|{stage}"], k, seed) for n in whole for stage, k in stages}
    found = {n: held(m, photos, seed) for n, m in by_class.items() if len(m) >= photos}
    if kind == "balanced":
        for group in {row["class"] for row in rows()}:
            inside = [n for n in found if by_class[n][0]["class"] == group]

            # What is left once whole observations are held out.
            def left(name):
                taken, count = set(), 0
                members = by_class[name]
                order = sorted(
                    {r["observation_id"] for r in members}, key=lambda g: (key(g, "holdout", seed), g)
                )
                for one in order:
                    if count < photos:
                        taken.add(one)
                        count += sum(r["observation_id"] == one for r in members)
                return len(members) - count

            for name in sorted(inside, key=lambda n: (-left(n), n.encode()))[most:]:
                del found[name]
    return found


def photos_of(split):
    keys = split.classes["class_key"].to_pylist()
    found = {name: set() for name in keys}
    table = split.part("test")
    for photo_id, label in zip(table["photo_id"].to_pylist(), table["label"].to_pylist(), strict=True):
        found[keys[label]].add(photo_id)
    return found


CASES = [
    ("unseen", {"test_per_class": 10}, {}),
    ("unseen", {"test_per_class": 21}, {}),
    ("balanced", {"test_per_class": 20, "classes_per_group": 2}, {"most": 2}),
    ("balanced", {"test_per_class": 9, "classes_per_group": 500}, {"most": 500}),
    ("life-stage", {"stages": "larva=3,adult=7"}, {"stages": (("larva", 3), ("adult", 7))}),
    ("life-stage", {"stages": ["pupa"], "test_per_class": 4}, {"stages": (("pupa", 4),)}),
]


@pytest.mark.parametrize(("kind", "arguments", "rule"), CASES)
def test_a_benchmark_is_what_its_rule_says(catalog, kind, arguments, rule, tmp_path):
    seed = 3
    # Groups in `expected` are classes: those of the plants here make up their kingdom.
    split = make_split(catalog, benchmark=kind, **arguments, seed=seed)
    assert split.parts == ("test",)
    assert photos_of(split) == expected(kind, arguments.get("test_per_class"), seed, **rule)
    keys = split.classes["class_key"].to_pylist()
    assert keys == sorted(keys, key=str.encode)
    assert split.class_counts == [0] * len(keys)
    counts = split.meta["counts"]
    assert counts["selected"] == sum(
        n for name, n in counts.items() if name not in ("selected", "classes_left_out")
    )
    folder = split.save(tmp_path / "s")
    audit = audit_split(folder)
    assert audit.ok, audit.broken
    made = remake_split(folder, catalog)
    assert made.same
    assert made.split.meta == split.meta


def test_the_published_numbers_are_the_defaults(catalog):
    for kind, published in BENCHMARKS.items():
        pairs = {"pairs": ["Turdus merula/Picus viridis"]} if kind == "confounding" else {}
        try:
            recipe = make_split(catalog, benchmark=kind, **pairs).meta["recipe"]
        except InfeasibleSplitError:
            assert kind == "life-stage", "no species here has so many photos of an egg"
            continue
        assert recipe["test_per_class"] == published.photos
        assert recipe.get("classes_per_group") == published.classes_per_group
    balanced, stages = BENCHMARKS["balanced"], BENCHMARKS["life-stage"]
    assert (balanced.classes_per_group, balanced.photos, BENCHMARKS["unseen"].photos) == (500, 50, 10)
    assert dict(stages.stages) == {"egg": 5, "larva": 50, "pupa": 15, "adult": 50}
    assert len(stages.species) * sum(dict(stages.stages).values()) == 600
    members = [name for pair in BENCHMARKS["confounding"].pairs for name in pair]
    assert (len(members), len(set(members))) == (10, 9)
    assert set(PRESETS) == {"arboretum-40m"} | {
        f"arboretum-{name}" for name in ("balanced", "unseen", "life-stages", "confounding")
    }


def test_groups_are_the_taxa_that_are_named_or_those_of_the_seven_that_there_are(catalog):
    split = make_split(catalog, benchmark="balanced", test_per_class=5)
    taxa = split.meta["recipe"]["selection"]["any_of"][0]["taxa"]
    assert taxa == ["class:Aves", "class:Insecta", "kingdom:Plantae"]
    assert split.name == "all-benchmark-balanced"
    few = make_split(
        catalog.select("Turdus,Picus,Plantae"), benchmark="balanced", classes_per_group=1, test_per_class=5
    )
    assert few.classes["genus"].to_pylist() == ["Picus", "Turdus", "Laelia"]
    with pytest.raises(RecipeError, match="belongs to two of the groups"):
        make_split(catalog.select("Aves,Turdus"), benchmark="balanced", test_per_class=5)


def test_families_that_two_groups_share_are_refused(write_catalog):
    shared = open_catalog(write_catalog([row | {"family": "F"} for row in rows()]))
    with pytest.raises(RecipeError, match=r"Animalia\|family\|F belongs to two"):
        make_split(shared.select("Aves,Insecta"), benchmark="balanced", rank="family", test_per_class=5)


def test_an_unseen_species_is_rare_in_the_whole_catalogue_and_not_in_the_selection_alone(catalog):
    birds = catalog.select("Aves", photo_ids=[*range(1, 16), *range(181, 210)])
    split = make_split(birds, benchmark="unseen")
    assert split.classes["class_key"].to_pylist() == ["Animalia|Sialia sialis"]
    assert split.classes["n_catalog"].to_pylist() == [29]
    again = make_split(catalog.select("Insecta", max_photos=12), benchmark="unseen", test_per_class=1)
    assert again.meta["recipe"]["selection"]["any_of"][0]["max_photos"] == 12


def test_the_classes_of_a_pair_share_photos_and_names_with_no_one(catalog, tmp_path):
    pairs = [
        "Turdus merula / Picus viridis",
        ("Picus viridis", "Animalia>Laelia rosea"),
        ("Plantae>Laelia rosea", "Animalia>Laelia rosea"),
    ]
    split = make_split(catalog, benchmark="confounding", pairs=pairs, test_per_class=7)
    assert split.classes["name"].to_pylist() == [
        "Laelia rosea (Animalia)",
        "Picus viridis",
        "Turdus merula",
        "Laelia rosea (Plantae)",
    ]
    assert split.meta["pairs"][1:] == [
        ["Animalia|Picus viridis", "Animalia|Laelia rosea"],
        ["Plantae|Laelia rosea", "Animalia|Laelia rosea"],
    ]
    requested = {name: held([r for r in rows() if species(r) == name], 7, 0) for name in photos_of(split)}
    assert photos_of(split) == requested
    folder = split.save(tmp_path / "s")
    assert audit_split(folder).ok
    assert remake_split(folder, catalog).same


def test_a_stage_of_a_species_is_a_class_of_its_own(catalog):
    split = make_split(catalog, benchmark="life-stage", stages={"adult": 6, "larva": 3})
    row = split.classes.slice(0, 1).to_pylist()[0]
    assert (row["class_key"], row["name"], row["rank"]) == (
        "Animalia|Actias luna|adult",
        "Actias luna (adult)",
        "life stage",
    )
    assert row["folder"] == "00000_Actias_luna_adult_"
    assert split.meta["recipe"]["stages"] == {"adult": 6, "larva": 3}
    assert {"Laelia rosea (adult) (Animalia)", "Laelia rosea (adult) (Plantae)"} <= set(
        split.classes["name"].to_pylist()
    )
    stages = split.part("test")["life_stage"].to_pylist()
    names = split.classes["name"].to_pylist()
    assert all(
        f"({stage})" in names[label]
        for label, stage in zip(split.part("test")["label"].to_pylist(), stages, strict=True)
    )


def test_only_photos_of_the_store_are_taken(catalog, tmp_path):
    some = PhotoIds.of([row["photo_id"] for row in rows() if row["photo_id"] % 2])
    split = make_split(catalog, benchmark="balanced", test_per_class=8, store=some)
    assert all(i % 2 for photos in photos_of(split).values() for i in photos)
    assert split.left_out["photo_id"].to_pylist() == [r["photo_id"] for r in rows() if r["photo_id"] % 2 == 0]
    assert remake_split(split.save(tmp_path / "s"), catalog).same


def test_photos_that_have_another_stage_now_are_renamed(catalog, bird_catalog, tmp_path):
    split = make_split(catalog, benchmark="life-stage", stages="larva=3,adult=6")
    changed = {min(photos_of(split)["Animalia|Actias luna|adult"])}
    later = [row | ({"life_stage": "pupa"} if row["photo_id"] in changed else {}) for row in rows()]
    found = remake_split(split.save(tmp_path / "s"), bird_catalog(later, "later")).differences
    assert found.renamed == 1
    assert found.renamings == (("Animalia|Actias luna|adult", "Animalia|Actias luna|pupa", 1),)


IMPOSSIBLE = [
    ({"benchmark": "unseen", "test_per_class": 40}, "none of the 5 selected classes", "--test-per-class 29"),
    ({"benchmark": "unseen", "num_classes": 5}, "4 of the selected classes have 10", "--num-classes 4"),
    ({"benchmark": "unseen", "num_classes": 5}, "and 5 are asked", "--test-per-class 9 or less"),
    ({"benchmark": "balanced", "test_per_class": 91}, "has 91 photos", "--test-per-class 90 or less"),
    (
        {"benchmark": "confounding", "pairs": ["Quercus alba/Aglais io"]},
        "Quercus alba has 9 of the 10 photos",
        "--test-per-class 9 or less",
    ),
    (
        {"benchmark": "life-stage", "stages": "larva=17,adult=40"},
        "the nearest is Animalia|Turdus merula with 18 larva, 36 adult",
        "--stages larva=17,adult=36 makes it possible",
    ),
    ({"benchmark": "life-stage"}, "nothing selected is known to be egg", "--stages"),
]


@pytest.mark.parametrize(("arguments", "text_", "hint"), IMPOSSIBLE)
def test_an_impossible_benchmark_names_the_number_that_makes_it_possible(catalog, arguments, text_, hint):
    with pytest.raises(InfeasibleSplitError) as caught:
        make_split(catalog, **arguments)
    assert text_ in caught.value.message
    assert hint in caught.value.hint


def test_the_numbers_that_are_named_are_possible(catalog):
    assert make_split(catalog, benchmark="unseen", test_per_class=29).num_classes == 1
    assert make_split(catalog, benchmark="unseen", num_classes=4).num_classes == 4
    assert make_split(catalog, benchmark="unseen", num_classes=5, test_per_class=9).num_classes == 5
    assert make_split(catalog, benchmark="balanced", test_per_class=90).num_classes == 1
    assert make_split(catalog, benchmark="life-stage", stages="larva=17,adult=36").num_classes == 2
    pairs = ["Quercus alba/Aglais io"]
    assert make_split(catalog, benchmark="confounding", pairs=pairs, test_per_class=9).num_classes == 2


WRONG = [
    ({"benchmark": "rare"}, UsageError, "known: balanced"),
    ({"benchmark": "unseen", "profile": "exp"}, RecipeError, "no profile exp"),
    ({"benchmark": "unseen", "lt_ratio": 10}, RecipeError, "no imbalance ratio"),
    ({"benchmark": "unseen", "min_per_class": 3}, RecipeError, "--min-per-class has no meaning"),
    ({"benchmark": "unseen", "val_per_class": 3}, RecipeError, "--val-per-class has no meaning"),
    ({"benchmark": "balanced", "num_classes": 3}, RecipeError, "--num-classes has no meaning"),
    ({"benchmark": "balanced", "classes_per_group": 0}, UsageError, "1 or more, not 0"),
    ({"benchmark": "balanced", "test_per_class": 0}, UsageError, "1 test photo a class"),
    ({"benchmark": "balanced", "stages": "egg"}, RecipeError, "--stages goes with the benchmark life-stage"),
    ({"benchmark": "unseen", "rank": "genus"}, RecipeError, "species as classes, not a genus"),
    ({"benchmark": "confounding"}, RecipeError, "needs pairs"),
    ({"benchmark": "confounding", "pairs": ["Turdus/Picus"]}, RecipeError, "genus Turdus cannot be"),
    ({"benchmark": "confounding", "pairs": ["Turdus merula/No one"]}, UnknownTaxonError, "No one"),
    ({"benchmark": "confounding", "pairs": ["Turdus merula"]}, UsageError, "is not a pair"),
    ({"profile": "benchmark"}, UsageError, "unknown profile"),
    ({"pairs": ["a/b"]}, RecipeError, "--pair goes with a benchmark"),
    ({"classes_per_group": 3}, RecipeError, "--classes-per-group goes with a benchmark"),
]


@pytest.mark.parametrize(("arguments", "error", "text_"), WRONG)
def test_a_wrong_wish_is_one_error(catalog, arguments, error, text_):
    with pytest.raises(error, match=text_):
        make_split(catalog, **arguments)


def test_selections_that_contradict_a_benchmark_are_refused(catalog, write_catalog, photos, taxa):
    from arboretum_tools.catalog import open_catalog

    with pytest.raises(RecipeError, match="leaves out the life stage larva"):
        make_split(catalog.select(life_stage="adult"), benchmark="life-stage", stages="larva,adult")
    with pytest.raises(RecipeError, match="a limit would be"):
        make_split(catalog.select(limit=50), benchmark="balanced")
    with pytest.raises(RecipeError, match="pairs say which taxa"):
        make_split(catalog.select("Aves"), benchmark="confounding", pairs=["Turdus merula/Picus viridis"])
    with pytest.raises(UsageError, match="min-photos 50"):
        make_split(catalog.select(min_photos=50), benchmark="unseen")
    with pytest.raises(RecipeError, match="has no imbalance ratio"):
        list(make_family(catalog, lt_ratios=[2, 4], benchmark="unseen"))
    fish = taxa["robin"] | {"class": "Actinopterygii"}
    with pytest.raises(SelectionError, match="none of the groups") as caught:
        make_split(open_catalog(write_catalog(photos(fish, *range(1, 60)))), benchmark="balanced")
    assert "--taxa" in caught.value.hint
    with pytest.raises(SelectionError, match="no column life_stage"):
        make_split(open_catalog(write_catalog(photos(fish, 1), name="b")), benchmark="life-stage")


def test_stages_and_pairs_as_they_may_be_written():
    assert parse_stages("adult, larva = 3") == (("larva", 3), ("adult", 50))
    assert parse_stages({"teneral": 2, "egg": 1}) == (("egg", 1), ("teneral", 2))
    assert parse_stages(["adult", ("egg", 4)], 9) == (("egg", 4), ("adult", 9))
    assert [name for name, _ in parse_stages(",".join(reversed(LIFE_STAGES)))] == list(LIFE_STAGES)
    for wrong in ("imago", "egg=x", "egg=0", "egg,egg=3", "", {"egg": "x"}, [3], [("egg", True)]):
        with pytest.raises(UsageError):
            parse_stages(wrong)
    assert parse_pairs(["a b /c", ("c", "a  b"), ["d", "e"]]) == (("a b", "c"), ("d", "e"))
    for wrong in (["a"], ["a/b/c"], [("a", "")], [("a", 3)], [3], ["a/a"]):
        with pytest.raises(UsageError):
            parse_pairs(wrong)
    text = "# look-alikes\nA b\tC d  # note\n\nE f, G h\nA b / E f\n"
    assert read_pairs(text, "p.txt") == (("A b", "C d"), ("E f", "G h"), ("A b", "E f"))
    with pytest.raises(UsageError, match=r"p\.txt, line 2"):
        read_pairs("a,b\nc\n", "p.txt")
    with pytest.raises(UsageError, match="names no pair"):
        read_pairs("# nothing\n", "p.txt")


def test_recipes_of_other_splits_are_as_they_were(catalog):
    text_ = make_split(catalog, lt_ratio=2).meta["recipe"]
    assert not {"benchmark", "classes_per_group", "stages", "pairs"} & set(text_)


def test_the_tables_of_a_benchmark_speak_of_its_test_photos(catalog):
    split = make_split(catalog, benchmark="life-stage", stages="larva=3,adult=6")
    found = split_stats(split)
    assert (found.part, found.largest, found.smallest, found.ratio) == ("test", 6, 3, 2)
    assert found.bands == {}
    assert sum(group.photos for group in found.groups.values()) == found.photos["test"]
    lines = text_figure(found)
    assert "test photos per class" in lines[-1]
    text_ = [line.partition("|")[0] for line in lines[:-2]]
    assert len(set(text_)) == len(text_)
    with pytest.raises(SplitError, match="no train photos"):
        class_weights(split)


@pytest.fixture(scope="module")
def saved(catalog, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    pairs = ["Turdus merula/Picus viridis"]
    for kind, arguments in {
        "unseen": {"test_per_class": 9},
        "balanced": {"test_per_class": 9, "classes_per_group": 2},
        "life-stage": {"stages": "larva=3,adult=6"},
        "confounding": {"pairs": pairs},
    }.items():
        make_split(catalog, benchmark=kind, **arguments).save(folder / kind)
    return folder


def edit_classes(change):
    def edited(folder):
        table = pq.read_table(folder / "classes.parquet")
        found = table.to_pylist()
        change(found)
        pq.write_table(type(table).from_pylist(found, schema=table.schema), folder / "classes.parquet")

    return edited


def edit_meta(change):
    def edited(folder):
        text_ = json.loads((folder / "split.json").read_text())
        change(text_)
        (folder / "split.json").write_text(json.dumps(text_))

    return edited


def other_stage(folder):
    table = pq.read_table(folder / "test.parquet")
    found = table.to_pylist()
    found[0]["life_stage"] = "egg"
    pq.write_table(type(table).from_pylist(found, schema=table.schema), folder / "test.parquet")


BREAKS = [
    ("unseen", "benchmark: unseen", edit_classes(lambda rows: rows[0].update(n_catalog=30))),
    ("unseen", "counts equal the profile", edit_classes(lambda rows: rows[0].update(n_train=1))),
    ("unseen", "every class in every part", edit_classes(lambda rows: rows[0].update(n_test=8))),
    ("balanced", "benchmark: balanced", edit_meta(lambda m: m["recipe"].update(classes_per_group=1))),
    ("balanced", "benchmark: balanced", edit_classes(lambda rows: rows[0].update({"class": "Pisces"}))),
    ("life-stage", "benchmark: life-stage", other_stage),
    ("life-stage", "benchmark: life-stage", edit_classes(lambda rows: rows[0].update(class_key="A|x|egg"))),
    ("life-stage", "every class in every part", edit_meta(lambda m: m["recipe"]["stages"].update(larva=2))),
    ("confounding", "benchmark", edit_meta(lambda m: m["pairs"].pop())),
    ("confounding", "benchmark: confounding", edit_meta(lambda m: m["pairs"][0].reverse())),
    ("confounding", "benchmark", edit_meta(lambda m: m.pop("pairs"))),
    ("confounding", "benchmark", edit_meta(lambda m: m["recipe"].update(benchmark="x"))),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "break_it"), BREAKS)
def test_a_broken_promise_of_a_benchmark_is_seen(saved, tmp_path, kind, name, break_it):
    folder = shutil.copytree(saved / kind, tmp_path / "s")
    assert audit_split(folder).ok
    break_it(folder)
    assert {check.name: check.outcome for check in audit_split(folder).checks}[name] == "broken"
