"""Sets over seeds, lists of classes, and given counts."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.errors import InfeasibleSplitError, RecipeError, UsageError
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.drawing.profiles import exponential
from arboretum_tools.split.files.manifest import open_split
from arboretum_tools.split.make import make_family, make_split
from arboretum_tools.split.reproduce import remake_split

SIZES = {"val_per_class": 3, "test_per_class": 5}


def classes(split):
    return split.classes.select(["label", "class_key", "n_train"]).to_pylist()


def test_a_set_over_seeds_has_one_class_list_and_the_counts_that_its_worst_seed_carries(birds_with_observers):
    seeds = (0, 1, 2, 3)
    arguments = {"lt_ratio": 5, "group_by": "observer-per-species", **SIZES}
    alone = {seed: make_split(birds_with_observers, seed=seed, **arguments) for seed in seeds}
    ratio = {"lt_ratios": [arguments.pop("lt_ratio")]}
    members = list(make_family(birds_with_observers, seeds=seeds, **ratio, **arguments))
    assert [one.meta["recipe"]["seed"] for one in members] == list(seeds)
    assert [one.name.rpartition("-")[2] for one in members] == ["s0", "s1", "s2", "s3"]
    assert all(classes(one) == classes(members[0]) for one in members)
    assert len({one.sha256["test"] for one in members}) == len(seeds)
    # By themselves they differ in classes or counts, which is why there are sets.
    assert len({str(classes(one)) for one in alone.values()}) > 1

    left = {}
    for split in alone.values():
        for table in (split.classes, split.unused_classes):
            for row in table.select(["class_key", "n_available"]).to_pylist():
                left[row["class_key"]] = min(row["n_available"], left.get(row["class_key"], 10**9))
    found = {row["class_key"]: row["n_available"] for row in members[1].classes.to_pylist()}
    assert found == {key: left[key] for key in found}
    ranked = sorted(left, key=lambda key: (-left[key], key.encode()))[: len(found)]
    counts = dict(zip(ranked, exponential(members[0].meta["M"], 5, len(found)).tolist(), strict=True))
    assert {row["class_key"]: row["n_train"] for row in classes(members[0])} == counts


@pytest.fixture
def saved(birds_with_observers, tmp_path):
    """Two members of a set, on disk."""
    members = make_family(birds_with_observers, seeds="0,1", lt_ratios=[5], **SIZES)
    folders = []
    for one in members:
        folders.append(tmp_path / one.name)
        one.save(folders[-1])
    return folders


def test_each_member_is_audited_and_made_again_by_itself(birds_with_observers, saved):
    for seed, folder in enumerate(saved):
        audit = audit_split(folder)
        assert audit.ok
        assert f"seed {seed} of the set 0, 1" in {check.detail for check in audit.checks}
        assert remake_split(folder, birds_with_observers).same
    (saved[1] / "split.json").write_text(
        (saved[1] / "split.json").read_text().replace('"seed": 1', '"seed": 2')
    )
    broken = {check.name for check in audit_split(saved[1]).checks if check.outcome == "broken"}
    assert {"seed of its set", "drawn: hold-out by the seed"} <= broken
    with pytest.raises(RecipeError, match="the seed 2 is not of its set 0, 1"):
        remake_split(saved[1], birds_with_observers)


def test_a_family_of_ratios_can_have_seeds(birds_with_observers):
    members = list(make_family(birds_with_observers, seeds=(0, 1), lt_ratios=[2, 4], **SIZES))
    assert [(one.meta["recipe"]["seed"], one.meta["ratio_achieved"]) for one in members] == [
        (0, 2),
        (0, 4),
        (1, 2),
        (1, 4),
    ]
    assert len({tuple(sorted(one.classes["class_key"].to_pylist())) for one in members}) == 1
    train = [set(one.part("train")["photo_id"].to_pylist()) for one in members]
    assert train[1] < train[0]
    assert train[3] < train[2]


@pytest.mark.parametrize("seeds", ["1", "0,x", [1.5, 2], [True, 2], "0,0"])
def test_seeds_are_two_or_more_whole_numbers(birds_with_observers, seeds):
    with pytest.raises(UsageError, match="such as 0,1,2"):
        make_family(birds_with_observers, seeds=seeds)


def test_a_list_names_exactly_the_classes(birds_with_observers, saved, tmp_path):
    keys = open_split(saved[0]).classes["class_key"].to_pylist()
    chosen = sorted([keys[-1], keys[0], keys[2]])
    forms = {
        "list": chosen,
        "mine.txt": "# mine\n" + "\n".join([chosen[0], *(k.rpartition("|")[2].upper() for k in chosen[1:])]),
        "mine.csv": "n,class_key\n" + "".join(f"1,{key}\n" for key in chosen),
        "mine.parquet": pa.table({"class_key": chosen}),
    }
    hashes = set()
    for name, form in forms.items():
        path = tmp_path / name
        if isinstance(form, pa.Table):
            pq.write_table(form, path)
        elif isinstance(form, str):
            path.write_text(form)
        split = make_split(
            birds_with_observers, class_list=form if name == "list" else path, lt_ratio=2, **SIZES
        )
        assert sorted(split.classes["class_key"].to_pylist()) == chosen
        hashes.add(split.meta["split_sha256"])
    assert len(hashes) == 1
    whole = make_split(birds_with_observers, class_list=saved[0], lt_ratio=2, **SIZES)
    assert set(whole.classes["class_key"].to_pylist()) == set(keys)
    split.save(tmp_path / "listed")
    audit = audit_split(tmp_path / "listed")
    assert audit.ok
    assert {"classes as listed"} <= {check.name for check in audit.checks if check.outcome == "kept"}
    assert remake_split(tmp_path / "listed", birds_with_observers).same
    meta = json.loads((tmp_path / "listed" / "split.json").read_text())
    meta["recipe"]["class_list"] = "0" * 64
    (tmp_path / "listed" / "split.json").write_text(json.dumps(meta))
    broken = {check.name for check in audit_split(tmp_path / "listed").checks if check.outcome == "broken"}
    assert "classes as listed" in broken
    with pytest.raises(RecipeError, match="holds other ones"):
        remake_split(tmp_path / "listed", birds_with_observers)


def test_counts_of_a_list_go_to_the_classes_by_size(birds_with_observers, saved, tmp_path):
    (tmp_path / "counts.txt").write_text("3, 9\n4 4")
    (tmp_path / "cls_num_list.json").write_text("[9, 4, 4, 3]\n")
    splits = [
        make_split(birds_with_observers, counts=form, **SIZES)
        for form in (tmp_path / "counts.txt", tmp_path / "cls_num_list.json", [3, 4, 4, 9])
    ]
    assert len({one.meta["split_sha256"] for one in splits}) == 1
    split = splits[0]
    assert list(split.class_counts) == [9, 4, 4, 3]
    left = split.classes["n_available"].to_numpy()
    assert left[0] == max(left)
    assert split.meta["ratio_asked"] is None
    assert split.name.endswith("-counts")
    split.save(tmp_path / "given")
    audit = audit_split(tmp_path / "given")
    assert audit.ok
    assert "counts as listed" in {check.name for check in audit.checks if check.outcome == "kept"}
    assert remake_split(tmp_path / "given", birds_with_observers).same
    same = make_split(birds_with_observers, counts=saved[0], class_list=saved[0], seed=1, **SIZES)
    assert same.class_counts == open_split(saved[0]).class_counts
    (tmp_path / "given" / "classes.parquet").unlink()
    with pytest.raises(RecipeError, match=r"Put the classes\.parquet of the split beside"):
        remake_split(tmp_path / "given", birds_with_observers)


BAD = [
    ({"counts": [5]}, RecipeError, "two or more whole numbers above 0, and there is 1"),
    ({"counts": [5, 0]}, RecipeError, "0 is not one"),
    (
        {"counts": [10_000, 1]},
        InfeasibleSplitError,
        "fewer photos than the counts ask for; the first is at pla",
    ),
    ({"counts": [1] * 5_000}, InfeasibleSplitError, "there are 5,000 counts, and"),
    ({"counts": [5, 4], "lt_ratio": 5}, RecipeError, "no imbalance ratio"),
    ({"counts": [5, 4], "profile": "step"}, RecipeError, "counts are a profile of their own"),
    ({"counts": [5, 4], "num_classes": 2}, RecipeError, "num-classes cannot be given"),
    ({"counts": "nowhere.txt"}, RecipeError, "the counts nowhere.txt cannot be read"),
    ({"class_list": ["Ab"]}, RecipeError, "two or more"),
    (
        {"class_list": ["Nemo nemo", "Ulysses nobody"]},
        RecipeError,
        "2 names of the list of classes are not of",
    ),
    ({"class_list": ["Animalia|A a", "Animalia|A a"]}, RecipeError, "names Animalia|A a twice"),
    ({"class_list": ["Animalia|A a", "Animalia|B b"]}, InfeasibleSplitError, "2 classes of the list have no"),
    ({"class_list": ["a", "b"], "benchmark": "balanced"}, RecipeError, "list of classes"),
    ({"class_list": "nowhere.txt"}, RecipeError, r"list of classes nowhere\.txt cannot be read"),
    ({"class_list": ["Animalia|A a", "Animalia|B b"], "num_classes": 2}, RecipeError, "fixes their number"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), BAD)
def test_what_no_list_is_one_error(birds_with_observers, arguments, kind, message):
    with pytest.raises(kind, match=message):
        make_split(birds_with_observers, **{"lt_ratio": None, **arguments})


def test_imagenet_lt_can_be_asked_for_as_it_was_published():
    """Any descending list will do: nothing in it needs a formula."""
    from arboretum_tools.split.drawing.profiles import targets
    from arboretum_tools.split.recipes.class_list import Fixed
    from arboretum_tools.split.recipes.recipe import SplitRecipe

    counts = tuple(sorted(np.random.default_rng(0).pareto(1, 1000).clip(5, 1280).astype(int).tolist())[::-1])
    fixed = Fixed(counts=counts)
    recipe = SplitRecipe(profile="counts", **fixed.hashes())
    found = targets(np.full(1200, 1280), np.full(1200, 1300), recipe, fixed)
    assert tuple(found.counts.tolist()) == counts
