"""Measures against slower wordings of their formulas, in Python's floats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gmean

from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation import evaluate
from arboretum_tools.evaluation.measures.metrics import Lineages, calibration_error, geometric_mean
from arboretum_tools.evaluation.reporting.report import markdown
from arboretum_tools.testing.tiny import tiny_split

SPLIT = tiny_split()
ROWS = SPLIT.part("test")
IDS, TRUTH = ROWS["photo_id"].to_numpy(), ROWS["label"].to_numpy()


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_the_calibration_error_is_that_of_its_bins(photos):
    total = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        # Open below, but for the first; an edge goes where 15 * confidence says.
        inside = [(c, h) for c, h in photos if low < c * 15 / 15 <= high or (number == 0 and c == 0)]
        if inside:
            accuracy = sum(h for _, h in inside) / len(inside)
            confidence = sum(c for c, _ in inside) / len(inside)
            total += len(inside) / len(photos) * abs(accuracy - confidence)
    confidences, hits = (np.array(values) for values in zip(*photos, strict=True))
    on_an_edge = np.isclose(confidences * 15, np.round(confidences * 15), rtol=0, atol=1e-9).any()
    if not on_an_edge or len(photos) == 1:
        assert calibration_error(confidences, hits) == pytest.approx(total, abs=1e-12)


@settings(max_examples=50)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=20))
def test_the_geometric_mean_is_scipy_s(shares):
    assert geometric_mean(np.array(shares)) == pytest.approx(gmean(shares))
    assert geometric_mean(np.array([*shares, 0.0])) == 0


def test_hierarchical_distance_walks_up_the_tree():
    classes = SPLIT.classes.to_pylist()
    lineages = Lineages.of(classes)
    ranks = ["kingdom", "phylum", "class", "order", "family", "genus"]

    def height(a, b):
        if a == b:
            return 0
        if b < 0:
            return 7
        # The lowest rank at which both have a taxon, and the same one under the same path.
        for up, rank in enumerate(reversed(ranks), start=1):
            path = ranks[: ranks.index(rank) + 1]
            one, other = ([classes[label][above] for above in path] for label in (a, b))
            if one[-1] and one == other:
                return up
        return 7

    rng = np.random.default_rng(0)
    truth, top = rng.integers(0, 4, 50), rng.integers(-1, 4, (50, 3))
    for k in (1, 3):
        expected = np.mean([height(t, p) for t, row in zip(truth, top, strict=True) for p in row[:k]])
        assert lineages.distance(truth, top[:, :k]) == pytest.approx(expected)


def probabilities(seed):
    scores = np.random.default_rng(seed).random((len(IDS), 4)) ** 3
    return scores / scores.sum(axis=1, keepdims=True)


def test_they_stand_in_the_report():
    scores = probabilities(3)
    found = evaluate(SPLIT, {"photo_id": IDS, "scores": scores}, cuts=(1, 3))
    predicted = scores.argmax(axis=1)
    accuracy = [np.mean(predicted[c == TRUTH] == c) for c in range(4)]
    assert found.geometric_mean == pytest.approx(gmean(accuracy))
    assert found.worst_class == min(accuracy)
    assert found.calibration_error == pytest.approx(
        calibration_error(scores.max(axis=1), predicted == TRUTH), abs=1e-12
    )
    assert found.cuts["head"].value == accuracy[0]
    assert found.cuts["mid"].value == pytest.approx(np.mean(accuracy[1:3]))
    assert found.cuts["tail"].value == accuracy[3]
    text = markdown(found)
    assert "| cut | top-1 | classes |" in text
    assert f"expected calibration error {100 * found.calibration_error:.1f}" in text
    assert set(found.hierarchical_distance) == {1}
    assert found.hierarchical_distance[1] > 0


def test_scores_that_are_no_probabilities_have_no_calibration_error():
    scores = probabilities(3)
    assert evaluate(SPLIT, {"photo_id": IDS, "scores": scores * 2}).calibration_error is None
    assert evaluate(SPLIT, {"photo_id": IDS, "label": TRUTH}).calibration_error is None


def test_photos_without_a_prediction_have_no_part_in_the_calibration_error():
    scores = probabilities(4)
    found = evaluate(SPLIT, {"photo_id": IDS[2:], "scores": scores[2:]}, missing="wrong")
    hits = scores[2:].argmax(axis=1) == TRUTH[2:]
    assert found.calibration_error == pytest.approx(calibration_error(scores[2:].max(axis=1), hits))


@pytest.mark.parametrize("cuts", [(0, 2), (2, 2), (3, 1), (1, 4), (1,), "many", "1,2,3", 3])
def test_cuts_make_three_parts(cuts):
    with pytest.raises(UsageError, match=r"leave no|two labels"):
        evaluate(SPLIT, TRUTH, cuts=cuts)
