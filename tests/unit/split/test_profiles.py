"""The exponential profile against brute force and against the literature's own lists."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arboretum_tools.errors import InfeasibleSplitError, RecipeError, UsageError
from arboretum_tools.split.profiles import exp_targets, exponential, largest_for
from arboretum_tools.split.recipe import SplitRecipe, parse_ratio

RATIOS = st.one_of(st.integers(1, 300), st.floats(1, 300))


def capacities(values):
    return np.array(sorted(values, reverse=True), dtype=np.int64)


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
            exp_targets(capacities(values), SplitRecipe(lt_ratio=ratio))
        assert caught.value.largest_ratio == (max(positive) if len(positive) > 1 else None)
        return
    targets = exp_targets(capacities(values), SplitRecipe(lt_ratio=ratio))
    assert (len(targets.counts), targets.smallest) == expected
    assert np.all(targets.counts <= capacities(values)[: len(targets.counts)])


def test_a_ratio_beyond_reach_names_the_largest_that_two_classes_carry():
    with pytest.raises(InfeasibleSplitError, match="two classes of it could carry is 53") as caught:
        exp_targets(capacities([53, 20, 3]), SplitRecipe(lt_ratio=100))
    assert caught.value.largest_ratio == 53
    assert caught.value.exit_code == 3
    assert exp_targets(capacities([53, 20, 3]), SplitRecipe(lt_ratio=53)).counts.tolist()[0] == 53


def test_no_two_classes_is_said():
    with pytest.raises(InfeasibleSplitError, match="keeps any photo"):
        exp_targets(capacities([53, 0]), SplitRecipe())


def test_fixed_numbers_are_kept():
    many = capacities([500] * 30)
    assert len(exp_targets(many, SplitRecipe(lt_ratio=10, num_classes=7)).counts) == 7
    assert exp_targets(many, SplitRecipe(lt_ratio=10, min_per_class=3)).largest == 30
    targets = exp_targets(many, SplitRecipe(lt_ratio=10, max_per_class=200))
    assert (targets.largest, targets.smallest) == (200, 20)
    with pytest.raises(RecipeError, match="200 and 300"):
        exp_targets(many, SplitRecipe(lt_ratio=100, max_per_class=290))
    with pytest.raises(InfeasibleSplitError, match="over 31 classes"):
        exp_targets(many, SplitRecipe(lt_ratio=10, num_classes=31))


def test_a_ratio_below_one_is_its_inverse():
    assert parse_ratio(0.01) == 100
    assert parse_ratio(0.02) == 50
    assert parse_ratio(1) == 1


@pytest.mark.parametrize("bad", [0, -3, math.nan, math.inf])
def test_what_is_no_ratio_is_a_usage_error(bad):
    with pytest.raises(UsageError) as caught:
        SplitRecipe(lt_ratio=bad)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "bad",
    [{"num_classes": 1}, {"val_per_class": -1}, {"group_by": "x"}, {"profile": "x"}, {"min_per_class": 0}],
)
def test_what_is_no_value_is_a_usage_error(bad):
    with pytest.raises(UsageError):
        SplitRecipe(**bad)


def test_two_numbers_that_fix_the_same_contradict_each_other():
    with pytest.raises(RecipeError, match="both"):
        SplitRecipe(min_per_class=1, max_per_class=100)
