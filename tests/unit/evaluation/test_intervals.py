"""Intervals: against printed values, against slower wordings of the same rule, and by simulation."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from arboretum_tools.evaluation.evaluated_part import EvaluatedPart
from arboretum_tools.evaluation.measures.intervals import Sample, score_interval, student_quantile
from arboretum_tools.evaluation.measures.metrics import f1_influence, f1_per_class
from arboretum_tools.testing.tiny import tiny_split


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3 (the score interval).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_at_its_own_variance_the_interval_is_the_one_that_newcombe_prints(hits, n, low, high):
    p = hits / n
    found = score_interval(p, p * (1 - p) / n, n, 10**9)
    assert (round(found[0], 4), round(found[1], 4)) == (low, high)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 20, 150, 4_999, 5_001, 100_000])
def test_quantiles_are_those_of_scipy(freedom):
    assert student_quantile(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=1e-5)


def samples():
    """Labels, groups and hits of some photos, in any order."""
    photo = st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans())
    return st.lists(photo, min_size=1, max_size=40).map(lambda rows: tuple(np.array(rows, dtype=int).T))


def slow_variance(labels, groups, influence):
    """The rule of the module's docstring, group by group."""
    total, freedom, lone = 0.0, 0, 0
    for label in set(labels.tolist()):
        own = labels == label
        n, ids = own.sum(), sorted(set(groups[own].tolist()))
        parts = [(int((own & (groups == u)).sum()), influence[own & (groups == u)].sum()) for u in ids]
        if len(ids) == 1:
            total += (parts[0][1] - n * influence.mean()) ** 2
            lone += 1
            continue
        freedom += len(ids) - 1
        second, third = (sum(m**k for m, _ in parts) for k in (2, 3))
        factor = second / (second - 2 * third / n + second**2 / n**2)
        total += factor * sum((z - m * influence[own].sum() / n) ** 2 for m, z in parts)
    return total, max(1, freedom + max(lone - 1, 0))


@settings(max_examples=200)
@given(samples())
def test_the_variance_is_that_of_the_rule(rows):
    labels, groups, hits = rows
    influence = hits / len(hits)
    variance, freedom = Sample.of(labels, groups).variance(influence)
    expected = slow_variance(labels, groups, influence)
    assert variance == pytest.approx(expected[0], abs=1e-12)
    assert freedom == expected[1]


def test_the_variance_is_that_of_a_bootstrap_over_groups_within_classes():
    """Rao and Wu's bootstrap takes g - 1 of g groups, with replacement."""
    rng = np.random.default_rng(3)
    labels, groups = np.repeat([0, 1, 2], 24), np.tile(np.repeat(np.arange(8), 3), 3)
    hits = np.repeat(rng.random(24) < 0.7, 3)
    means = np.zeros(40_000)
    for label in range(3):
        by_group = hits[labels == label].reshape(8, 3).mean(axis=1)
        means += by_group[rng.integers(0, 8, (40_000, 7))].mean(axis=1) / 3
    variance, freedom = Sample.of(labels, groups).variance(hits / 72)
    assert variance == pytest.approx(means.var(), rel=0.03)
    assert freedom == 21


def test_it_is_unbiased_where_the_photos_of_a_group_are_alike_and_groups_differ_in_size():
    rng = np.random.default_rng(4)
    sizes = np.array([1, 1, 2, 6])
    labels, groups = np.zeros(10, dtype=int), np.repeat(np.arange(4), sizes)
    sample, values, variances = Sample.of(labels, groups), [], []
    for _ in range(3_000):
        hits = np.repeat(rng.random(4) < 0.5, sizes)
        values.append(hits.mean())
        variances.append(sample.variance(hits / 10)[0])
    assert np.mean(variances) == pytest.approx(np.var(values), rel=0.06)


@settings(max_examples=200)
@given(samples())
def test_intervals_hold_their_value_and_stay_within_0_and_1(rows):
    labels, groups, hits = rows
    sample = Sample.of(labels, groups)
    for found in (sample.share(hits), sample.class_mean(hits)):
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert found.low < found.high
        if found.over_classes is not None:
            assert found.over_classes[0] <= found.value <= found.over_classes[1]


def test_photos_that_are_all_right_leave_room_for_others():
    labels, groups = np.repeat([0, 1], 30), np.tile(np.repeat(np.arange(10), 3), 2)
    found = Sample.of(labels, groups).share(np.ones(60, dtype=bool))
    # Wilson's lower end of 20 of 20 draws, and not of 60 of 60.
    assert (found.low, found.high) == (pytest.approx(20 / (20 + 1.959964**2), rel=1e-5), 1)


def test_one_class_has_no_interval_over_classes():
    found = Sample.of(np.zeros(4, dtype=int), np.arange(4)).class_mean(np.array([1, 0, 1, 1]))
    assert found.n == 1
    assert found.over_classes is None


def test_the_interval_over_classes_is_student_s():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(200), 50)
    shares = rng.random(200)
    hits = rng.random(10_000) < shares[labels]
    found = Sample.of(labels, np.arange(10_000)).class_mean(hits)
    values = np.bincount(labels, weights=hits) / 50
    half = student.ppf(0.975, 199) * values.std(ddof=1) / math.sqrt(200)
    low, high = found.over_classes
    assert high - low == pytest.approx(2 * half, rel=0.02)
    assert high - low > 1.5 * (found.high - found.low)


def test_the_influence_of_f1_is_its_derivative():
    rng = np.random.default_rng(2)
    truth, predicted = rng.integers(0, 4, 60), rng.integers(-1, 5, 60)
    f1 = f1_per_class(truth, predicted, 5)

    def mean(weights):
        right = np.bincount(truth, weights=weights * (truth == predicted), minlength=5)
        there = predicted >= 0
        size = np.bincount(truth, weights=weights, minlength=5)
        size += np.bincount(predicted[there], weights=weights[there], minlength=5)
        return np.mean(2 * right[:4] / size[:4])

    found = f1_influence(truth, predicted, f1)
    assert mean(np.ones(60)) == pytest.approx(np.nanmean(f1))
    for photo in range(60):
        step = np.zeros(60)
        step[photo] = 1e-6
        assert found[photo] == pytest.approx((mean(1 + step) - mean(1 - step)) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("photos_per_group", [1, 1.6, 3])
def test_95_percent_of_the_intervals_hold_the_truth(photos_per_group):
    """As `interval_coverage.py` does, at 20 classes of 10 photos; a group is all right or all wrong."""
    rng = np.random.Generator(np.random.PCG64(7))
    runs, same, other, naive = 600, 0, 0, 0
    for _ in range(runs):
        truth = rng.beta(2.4, 0.6, 20)
        labels, groups, hits = [], [], []
        for label in range(20):
            left, group = 10, 0
            while left:
                whole = photos_per_group == int(photos_per_group)
                size = min(left, photos_per_group if whole else int(rng.geometric(1 / photos_per_group)))
                labels += [label] * size
                groups += [group] * size
                hits += [rng.random() < truth[label]] * size
                left, group = left - size, group + 1
        hits = np.array(hits)
        sample = Sample.of(np.array(labels), np.array(groups))
        found = sample.class_mean(hits)
        same += found.low <= truth.mean() <= found.high
        other += found.over_classes[0] <= 0.8 <= found.over_classes[1]
        low, high = score_interval(hits.mean(), hits.mean() * (1 - hits.mean()) / 200, 200, 10**9)
        naive += low <= truth.mean() <= high
    # Two points of what is asked for, and two standard errors of 600 runs.
    assert 0.93 - 0.018 <= same / runs <= 0.97 + 0.018
    assert 0.93 - 0.018 <= other / runs <= 0.97 + 0.018
    if photos_per_group == 3:
        assert naive / runs < 0.9


def part_with(group_by, **columns):
    split = tiny_split({"train": (30, 20), "test": (3, 3)})
    rows = split.tables["test"]
    for name, values in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.int64()))
    split = type(split)(
        name="t", classes=split.classes, tables={**split.tables, "test": rows}, meta={"group_by": group_by}
    )
    return EvaluatedPart.of(split, "test")


def test_groups_are_those_of_the_split():
    seen = {"observation_id": [7, 7, 8, 7, None, None], "observer_id": [1, 1, 1, 2, 2, 3]}
    by_observation = part_with("observation", **seen)
    # An observation in two classes is a draw in each; photos without one are draws of their own.
    assert by_observation.sample.groups.tolist() == [0, 0, 1, 2, *by_observation.sample.groups[4:].tolist()]
    assert by_observation.sample.num_groups == 5
    assert by_observation.grouped_by == "observation"
    # What was drawn photo by photo still holds photos of one observation.
    assert part_with("photo", **seen).sample.num_groups == 5
    by_observer = part_with("observer-per-species", **seen)
    assert by_observer.sample.groups.tolist() == [0, 0, 0, 1, 1, 2]
    assert by_observer.grouped_by == "observer"
    unknown = part_with("none", observation_id=[None] * 6)
    assert (unknown.sample.num_groups, unknown.grouped_by) == (6, "photo")
