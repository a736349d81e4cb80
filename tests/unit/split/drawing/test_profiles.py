"""The exponential profile against brute force and against the literature's own lists."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.errors import InfeasibleSplitError, RecipeError, UsageError
from arboretum_tools.split.drawing.profiles import exponential, largest_for, pareto, step, targets
from arboretum_tools.split.recipes.recipe import SplitRecipe, parse_family, parse_ratio
from arboretum_tools.split.recipes.recipe_file import PRESETS

RATIOS = st.one_of(st.integers(1, 300), st.floats(1, 300))


def fit(values, **recipe):
    """Targets for these capacities, as if nothing had been held out."""
    ranked = np.array(sorted(values, reverse=True), dtype=np.int64)
    return targets(ranked, ranked, SplitRecipe(**recipe))


def ldam(largest, ratio, classes):
    """LDAM's `gen_imbalanced_data`, as published: int(M * (1/r) ** (i / (C - 1)))."""
    return [int(largest * (1 / ratio) ** (i / (classes - 1.0))) for i in range(classes)]


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("ratio", [10, 20, 50, 100, 200, 256])
def test_it_gives_the_lists_of_ldam_on_cifar(classes, ratio):
    largest = 5000 if classes == 10 else 500
    ours = exponential(largest, ratio, classes).tolist()
    # Truncation without a guard may lose one photo where the exact value is whole.
    assert all(a - b in (0, 1) for a, b in zip(ours, ldam(largest, ratio, classes), strict=True))
    exact = [math.floor(largest * ratio ** (-i / (classes - 1)) + 1e-9) for i in range(classes)]
    assert ours == exact


def test_the_table_of_published_sets_says_what_the_profiles_give():
    """docs/concepts/long-tailed-splits.md."""
    lists = {(10, 5_000): [20_431, 13_996, 12_406], (100, 500): [19_573, 12_608, 10_847]}
    for (classes, largest), totals in lists.items():
        assert [int(exponential(largest, r, classes).sum()) for r in (10, 50, 100)] == totals
    assert [int(pareto(1_280, 256, 1_000).sum()), int(pareto(4_980, 996, 365).sum())] == [166_769, 169_633]


@given(RATIOS, st.integers(1, 200), st.integers(2, 60))
def test_the_ratio_is_met_and_the_counts_fall(ratio, smallest, classes):
    largest = largest_for(ratio, smallest)
    counts = exponential(largest, ratio, classes)
    assert counts[0] == largest
    assert counts[-1] == smallest
    assert np.all(np.diff(counts) <= 0)
    if float(ratio).is_integer():
        assert largest == ratio * smallest


def brute_force(values, ratio):
    """Every (C, m) tried: the most classes with a head over 100, else with m = 1; then the most m."""
    a = sorted(values, reverse=True)

    def feasible(classes, smallest):
        largest = math.ceil(ratio * smallest - 1e-9)
        counts = [math.floor(largest * float(ratio) ** (-i / (classes - 1)) + 1e-9) for i in range(classes)]
        return all(n <= c for n, c in zip(counts, a, strict=False))

    for start in (max(1, math.ceil(101 / ratio)), 1):
        fitting = [classes for classes in range(2, len(a) + 1) if feasible(classes, start)]
        if fitting:
            classes = max(fitting)
            return classes, max(m for m in range(1, a[0] + 1) if feasible(classes, m))
    return None


@given(st.lists(st.integers(0, 260), min_size=0, max_size=9), st.sampled_from([1, 1.5, 2, 5, 10, 33.3, 100]))
def test_the_split_is_the_largest_by_brute_force(values, ratio):
    positive = [v for v in values if v > 0]
    expected = brute_force(positive, ratio)
    if expected is None:
        with pytest.raises(InfeasibleSplitError) as caught:
            fit(values, lt_ratio=ratio)
        assert caught.value.largest_ratio == (max(positive) if len(positive) > 1 else None)
        return
    found = fit(values, lt_ratio=ratio)
    assert (len(found.counts), found.smallest) == expected
    ranked = sorted(values, reverse=True)
    assert all(n <= a for n, a in zip(found.counts, ranked, strict=False))


def test_a_ratio_beyond_reach_names_the_largest_that_two_classes_carry():
    with pytest.raises(InfeasibleSplitError, match="two classes of it could carry is 53") as caught:
        fit([53, 20, 3], lt_ratio=100)
    assert caught.value.largest_ratio == 53
    assert caught.value.exit_code == 3
    assert fit([53, 20, 3], lt_ratio=53).counts.tolist()[0] == 53


def test_no_two_classes_is_said():
    with pytest.raises(InfeasibleSplitError, match="keeps any photo"):
        fit([53, 0])


def test_fixed_numbers_are_kept():
    many = [500] * 30
    assert len(fit(many, lt_ratio=10, num_classes=7).counts) == 7
    assert fit(many, lt_ratio=10, min_per_class=3).largest == 30
    found = fit(many, lt_ratio=10, max_per_class=200)
    assert (found.largest, found.smallest) == (200, 20)
    with pytest.raises(RecipeError, match="200 and 300"):
        fit(many, lt_ratio=100, max_per_class=290)
    with pytest.raises(InfeasibleSplitError, match="over 31 classes: only 30 of its classes keep a photo"):
        fit(many, lt_ratio=10, num_classes=31)


@pytest.mark.parametrize(
    ("photos", "recipe", "message"),
    [
        ([53, 20, 3], {"lt_ratio": 100}, "the largest class needs 100 train photos, and the largest has 53"),
        (
            [500, 60, 9],
            {"lt_ratio": 4, "num_classes": 3, "min_per_class": 10},
            "place 3 by size needs 10",
        ),
        ([500, 1], {"lt_ratio": 2, "min_per_class": 2}, "place 2 by size needs 2 train photos, and it has 1"),
    ],
)
def test_the_class_that_binds_is_named(photos, recipe, message):
    with pytest.raises(InfeasibleSplitError) as caught:
        fit(photos, **recipe)
    assert message in str(caught.value)


def test_a_ratio_below_one_is_its_inverse():
    assert parse_ratio(0.01) == 100
    assert parse_ratio(0.02) == 50
    assert parse_ratio(1) == 1


@pytest.mark.parametrize("bad", [0, -3, math.nan, math.inf, 1e308, 1e-308])
def test_what_is_no_ratio_is_a_usage_error(bad):
    with pytest.raises(UsageError) as caught:
        SplitRecipe(lt_ratio=bad)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"num_classes": 10**30},
        {"max_per_class": 10**16},
        {"num_classes": 1},
        {"val_per_class": -1},
        {"group_by": "x"},
        {"profile": "x"},
        {"min_per_class": 0},
    ],
)
def test_what_is_no_value_is_a_usage_error(bad):
    with pytest.raises(UsageError):
        SplitRecipe(**bad)


def test_numbers_of_numpy_are_written_down_and_what_is_none_is_refused():
    recipe = SplitRecipe(seed=np.int64(7), num_classes=np.uint8(5), lt_ratio=np.float32(20))
    assert SplitRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    for wrong in ({"seed": "7"}, {"num_classes": 2.5}, {"classes_per_group": "many"}):
        with pytest.raises(UsageError, match="is a whole number, not"):
            SplitRecipe(**wrong)


def test_two_numbers_that_fix_the_same_contradict_each_other():
    with pytest.raises(RecipeError, match="both"):
        SplitRecipe(min_per_class=1, max_per_class=100)


def ldam_step(largest, ratio, classes):
    """LDAM's `step`, as published: the first C // 2 classes keep M, the others get int(M / r)."""
    return [int(largest)] * (classes // 2) + [int(largest / ratio)] * (classes - classes // 2)


@pytest.mark.parametrize(("classes", "largest"), [(10, 5000), (100, 500), (7, 300)])
@pytest.mark.parametrize("ratio", [10, 50, 100])
def test_step_gives_the_lists_of_ldam(classes, largest, ratio):
    assert step(largest, ratio, classes).tolist() == ldam_step(largest, ratio, classes)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(2, 500))
def test_pareto_meets_both_ends_and_falls_faster_than_exp(ratio, smallest, classes):
    largest = largest_for(ratio, smallest)
    counts = pareto(largest, ratio, classes)
    assert (counts[0], counts[-1]) == (largest, smallest)
    assert np.all(np.diff(counts) <= 0)
    assert np.all(counts <= exponential(largest, ratio, classes))


SHAPES = {
    "exp": lambda top, r, n: [math.floor(top * float(r) ** (-i / (n - 1)) + 1e-9) for i in range(n)],
    "step": lambda top, r, n: [top if i < n // 2 else math.floor(top / r + 1e-9) for i in range(n)],
    "pareto": lambda top, r, n: [
        math.floor(top * (1 + i * (r ** (1 / 6) - 1) / (n - 1)) ** -6 + 1e-9) for i in range(n)
    ],
}


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(SHAPES)),
    st.lists(st.integers(0, 300), min_size=2, max_size=8),
    st.lists(st.sampled_from([1, 2, 3, 4, 5, 10, 20, 100]), min_size=1, max_size=3, unique=True),
)
def test_every_profile_and_family_is_the_largest_by_brute_force_and_nested(profile, values, ratios):
    ratios = sorted(ratios)
    unit, low = math.lcm(*ratios), ratios[0]
    ranked = sorted((v for v in values if v), reverse=True)

    def feasible(classes, units):
        return all(n <= a for n, a in zip(SHAPES[profile](unit * units, low, classes), ranked, strict=False))

    expected = None
    for start in (max(1, math.ceil(101 / unit)), 1):
        fitting = [classes for classes in range(2, len(ranked) + 1) if feasible(classes, start)]
        if fitting and expected is None:
            most = max(units for units in range(start, 301) if feasible(fitting[-1], units))
            expected = (fitting[-1], unit * most)
    recipes = [
        {"profile": profile, "lt_ratio": r, "lt_ratios": tuple(ratios) if len(ratios) > 1 else ()}
        for r in ratios
    ]
    if expected is None:
        with pytest.raises(InfeasibleSplitError):
            fit(values, **recipes[0])
        return
    members = [fit(values, **recipe) for recipe in recipes]
    for ratio, member in zip(ratios, members, strict=True):
        assert (len(member.counts), member.largest) == expected
        assert member.largest == ratio * member.smallest
    for lower, higher in itertools.pairwise(members):
        assert np.all(higher.counts <= lower.counts)


def test_balanced_is_the_ratio_one():
    found = fit([300, 200, 150, 120, 90], profile="balanced")
    assert found.counts.tolist() == [120] * 4
    assert fit([300, 200, 150, 120, 90], profile="balanced", num_classes=5).counts.tolist() == [90] * 5
    assert fit([300, 200, 150, 120, 90], profile="balanced", min_per_class=30).counts.tolist() == [30] * 5


def test_natural_caps_and_drops_by_what_a_class_had_before_anything_was_held_out():
    capacities, sizes = np.array([70, 40, 20, 5, 0]), np.array([85, 50, 29, 31, 12])
    found = targets(capacities, sizes, SplitRecipe(profile="natural", min_per_class=30, max_per_class=50))
    assert (found.positions.tolist(), found.counts.tolist()) == ([0, 1, 3], [50, 40, 5])
    every = targets(capacities, sizes, SplitRecipe(profile="natural"))
    assert every.counts.tolist() == [70, 40, 20, 5]
    with pytest.raises(InfeasibleSplitError, match="3 of the selected classes") as caught:
        targets(capacities, sizes, SplitRecipe(profile="natural", min_per_class=30, num_classes=4))
    assert "--min-per-class 29" in caught.value.hint


def test_the_preset_has_the_bounds_of_arboretum():
    assert PRESETS["arboretum-40m"].recipe == {
        "profile": "natural",
        "min_per_class": 30,
        "max_per_class": 50_000,
    }


@pytest.mark.parametrize(
    ("recipe", "hints"),
    [
        ({"lt_ratio": 100, "num_classes": 5}, ["largest whole ratio over 5 classes is 80"]),
        ({"lt_ratio": 10, "num_classes": 6}, ["it carries 5 classes"]),
        ({"lt_ratio": 10, "min_per_class": 50}, ["Over 2 classes it carries up to m = 30"]),
        ({"lt_ratio": 7, "lt_ratios": (7, 11, 13)}, ["multiple of 1001"]),
    ],
)
def test_an_impossible_wish_names_what_is_possible(recipe, hints):
    with pytest.raises(InfeasibleSplitError) as caught:
        fit([300, 150, 30, 2, 1], **recipe)
    for hint in hints:
        assert hint in caught.value.hint


def test_the_head_of_a_family_must_be_a_multiple_of_its_ratios():
    many = [500] * 30
    family = {"lt_ratio": 10, "lt_ratios": (10, 50, 100)}
    assert fit(many, max_per_class=300, **family).largest == 300
    assert fit(many, min_per_class=4, **family).largest == 400
    with pytest.raises(RecipeError, match="multiple of 100") as caught:
        fit(many, max_per_class=250, **family)
    assert "200 and 300" in caught.value.hint
    with pytest.raises(RecipeError, match="whole") as caught:
        parse_family((10, 2.5))
    assert "2 or 3" in caught.value.hint
    with pytest.raises(RecipeError, match="two or more"):
        parse_family((10, 0.1))


@pytest.mark.parametrize("profile", ["balanced", "natural"])
def test_a_ratio_for_a_profile_that_has_none_is_refused(profile):
    with pytest.raises(RecipeError, match="no imbalance ratio"):
        SplitRecipe(profile=profile, lt_ratio=10)


@pytest.mark.parametrize("profile", ["exp", "step", "pareto", "balanced", "natural", "all"])
def test_a_recipe_comes_back_from_its_json(profile):
    recipe = SplitRecipe(profile=profile, rank="genus", seed=3, group_by="observer-per-species")
    assert SplitRecipe.from_json({"selection": {}, **recipe.to_json()}) == recipe
    with pytest.raises(RecipeError, match="seed"):
        SplitRecipe.from_json({"seed": "0"})
    with pytest.raises(RecipeError, match="hybrids"):
        SplitRecipe.from_json({"hybrids": 1})
