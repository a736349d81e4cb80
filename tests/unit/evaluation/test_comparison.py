"""Two models over one part: against every exchange, tried one by one."""

import itertools
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from arboretum_metadata.schema import JOINED
from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation import PredictionsError, compare_predictions, evaluate
from arboretum_tools.evaluation.comparison import DRAWS, permutation_p
from arboretum_tools.evaluation.evaluated_part import EvaluatedPart
from arboretum_tools.evaluation.reporting.report import comparison_markdown
from arboretum_tools.split.files.content_hashes import hashed
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.testing.tiny import tiny_split

SPLIT = tiny_split({"train": (120, 50, 20, 5), "test": (6, 5, 4, 1)})
ROWS = SPLIT.part("test")
IDS, TRUTH = ROWS["photo_id"].to_numpy(), ROWS["label"].to_numpy()
OBSERVATIONS = ROWS["observation_id"].to_numpy()


def write(path, predicted):
    np.savez(path, photo_id=IDS, label=predicted)
    return path


def models(seed):
    rng = np.random.default_rng(seed)
    wrong = (TRUTH + 1) % 4
    return tuple(np.where(rng.random(len(TRUTH)) < share, TRUTH, wrong) for share in (0.8, 0.4))


def balanced(predicted):
    return np.mean([np.mean(predicted[c == TRUTH] == c) for c in range(4)])


@pytest.mark.parametrize("seed", range(6))
def test_p_is_that_of_every_exchange_of_whole_groups(tmp_path, seed):
    first, second = models(seed)
    found = compare_predictions(SPLIT, write(tmp_path / "a.npz", first), write(tmp_path / "b.npz", second))
    # An observation in two classes is a group in each.
    groups = sorted(set(zip(TRUTH.tolist(), OBSERVATIONS.tolist(), strict=True)))
    assert found.num_groups == len(groups)
    inside = [(label == TRUTH) & (one == OBSERVATIONS) for label, one in groups]
    for name, measure in (("class_balanced", balanced), ("overall", lambda p: np.mean(p == TRUTH))):
        observed = measure(first) - measure(second)
        one = found.top1[name]
        assert one.value == pytest.approx(observed)
        assert (one.first, one.second) == (pytest.approx(measure(first)), pytest.approx(measure(second)))
        assert one.low <= one.value <= one.high
        hits = extreme = 0
        for choice in itertools.product([False, True], repeat=len(groups)):
            swap = np.any([own for own, chosen in zip(inside, choice, strict=True) if chosen], axis=0)
            a, b = np.where(swap, second, first), np.where(swap, first, second)
            hits += 1
            extreme += abs(measure(a) - measure(b)) >= abs(observed) - 1e-12
        assert one.p == pytest.approx(extreme / hits)


@settings(max_examples=60)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_few_terms_are_tried_one_by_one(terms):
    values = np.array(terms) / 7
    sums = [abs(np.dot(signs, values)) for signs in itertools.product([-1, 1], repeat=len(terms))]
    p, exchanges = permutation_p(values)
    assert p == pytest.approx(np.mean(np.array(sums) >= abs(values.sum()) - 1e-12))
    assert exchanges == 2 ** np.count_nonzero(terms)


def of_seed(seed):
    """The splits of one set: the same classes and counts, other photos, of which some are in several."""
    rows = ROWS.to_pylist()
    for row in rows:
        if row["photo_id"] % 3:
            row["photo_id"] += 1_000_000 * seed
            row["observation_id"] += 1_000 * seed
    rows.sort(key=lambda row: (row["label"], row["photo_id"]))
    tables = {**SPLIT.tables, "test": pa.Table.from_pylist(rows, schema=ROWS.schema)}
    return replace(
        SPLIT,
        name=f"s{seed}",
        tables=tables,
        meta=hashed({**SPLIT.meta, "seed": seed}, SPLIT.classes, tables),
    )


def answers(split, share, seed):
    truth = split.part("test")["label"].to_numpy()
    right = np.random.default_rng(seed).random(len(truth)) < share
    return np.where(right, truth, (truth + 1) % 4)


def test_over_a_set_of_seeds_the_answers_to_a_group_are_exchanged_in_all_splits_at_once():
    splits = [of_seed(seed) for seed in range(2)]
    first = [[answers(one, 0.8, 10 + seed)] for seed, one in enumerate(splits)]
    second = [[answers(one, 0.4, 20 + seed)] for seed, one in enumerate(splits)]
    found = compare_predictions(splits, first, second)
    terms = {}
    for split, (a,), (b,) in zip(splits, first, second, strict=True):
        rows = split.part("test").to_pylist()
        sizes = np.bincount([row["label"] for row in rows])
        for row, one, other in zip(rows, a, b, strict=True):
            apart = int(one == row["label"]) - int(other == row["label"])
            group = row["label"], row["observation_id"]
            terms[group] = terms.get(group, 0) + apart / (2 * 4 * sizes[row["label"]])
    assert found.num_groups == len(terms)
    assert len(terms) < 2 * compare_predictions(splits[0], first[0], second[0]).num_groups
    one = found.top1["class_balanced"]
    assert one.value == pytest.approx(sum(terms.values()))
    assert one.p == permutation_p(np.array([terms[group] for group in sorted(terms)]))[0]
    alone = [compare_predictions(*each) for each in zip(splits, first, second, strict=True)]
    assert one.value == pytest.approx(np.mean([each.top1["class_balanced"].value for each in alone]))
    by_split = [each.top1["overall"].value for each in alone]
    assert found.by_split["overall"] == pytest.approx(by_split)
    assert (found.splits, found.runs) == (("s0", "s1"), (2, 2))
    lines = comparison_markdown(found).splitlines()
    assert f"| in s1 | {100 * by_split[1]:+.1f} |" in "\n".join(lines)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda split: split, "they are the same split"),
        (lambda split: tiny_split({"train": (120, 50, 21, 5), "test": (6, 5, 4, 1)}), "other train photos"),
        (lambda split: tiny_split({"train": (120, 50, 20, 5), "test": (6, 5, 3, 2)}), "other photos"),
        (lambda split: tiny_split({"train": (120, 50, 20), "test": (6, 5, 5)}), "other classes"),
        (
            lambda split: replace(of_seed(1), meta={**of_seed(1).meta, "group_by": "photo"}),
            "grouped by other",
        ),
    ],
)
def test_splits_that_are_no_set_are_not_averaged(change, message):
    splits = [SPLIT, change(SPLIT)]
    predicted = [[one.part("test")["label"].to_numpy()] for one in splits]
    with pytest.raises(PredictionsError, match=message):
        compare_predictions(splits, predicted, predicted)
    with pytest.raises(UsageError, match="predictions of both models for each"):
        compare_predictions(splits, predicted, predicted[:1])


def test_photos_that_show_the_same_are_one_draw():
    """Two observations are joined in one class, and the same two are not where they stand in another."""
    rows = ROWS.to_pylist()
    other = sorted({row["observation_id"] for row in rows if row["label"] == 0})[:2]
    pair = {"by": "photo", "photo_id": 1, "group": other[0], "other_group": other[1], "alone": False}
    pair |= {"other_alone": False, "left_out": False, "other_id": None, "class_key": None}
    joined = pa.Table.from_pylist([{**pair, "other_class_key": None}], schema=arrow_schema(JOINED))
    one = replace(SPLIT, joined=joined, meta={**SPLIT.meta, "group_by": "observation"})
    plain, found = (EvaluatedPart.of(split, "test") for split in (SPLIT, one))
    assert found.sample.num_groups == plain.sample.num_groups - 1
    inside = np.array([row["label"] == 0 and row["observation_id"] in other for row in rows])
    assert len(set(found.sample.groups[inside].tolist())) == 1
    assert evaluate(one, TRUTH).num_groups == found.sample.num_groups
    # Pairs that are left out join nothing.
    out = pa.Table.from_pylist([{**pair, "other_class_key": None, "left_out": True}], schema=joined.schema)
    assert EvaluatedPart.of(replace(one, joined=out), "test").sample.num_groups == plain.sample.num_groups


def test_two_copies_in_a_split_by_photos_join_their_observations():
    rows = ROWS.to_pylist()
    first = rows[0]
    copy = next(r for r in rows if r["label"] == 0 and r["observation_id"] != first["observation_id"])
    pair = {"by": "address", "photo_id": first["photo_id"], "other_id": copy["photo_id"], "left_out": False}
    pair |= {"class_key": None, "other_class_key": None, "alone": False, "other_alone": False}
    pair |= {"group": first["photo_id"], "other_group": copy["photo_id"]}
    joined = pa.Table.from_pylist([pair], schema=arrow_schema(JOINED))
    split = replace(SPLIT, joined=joined, meta={**SPLIT.meta, "group_by": "photo"})
    plain = EvaluatedPart.of(SPLIT, "test").sample
    assert EvaluatedPart.of(split, "test").sample.num_groups == plain.num_groups - 1


def test_many_terms_agree_with_scipy_and_with_themselves():
    values = ((np.arange(80) * 37) % 23 - 9) / 10
    p, exchanges = permutation_p(values)
    assert exchanges == DRAWS
    theirs = permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(1)
    )
    assert p == pytest.approx(theirs.pvalue, abs=0.015)
    # By the stable key: the same everywhere.
    assert round(p * (1 + DRAWS)) == 228
    assert round(permutation_p(values, seed=1)[0] * (1 + DRAWS)) == 246


def test_one_model_is_as_good_as_itself(tmp_path):
    first, _ = models(0)
    path = write(tmp_path / "a.npz", first)
    found = compare_predictions(SPLIT, path, path)
    assert found.differing_groups == 0
    for one in found.top1.values():
        assert (one.value, one.p) == (0, 1)
        assert one.low < 0 < one.high
    assert found.top5 is None


def test_runs_are_averaged_photo_by_photo(tmp_path):
    (a, b), (c, _) = models(1), models(2)
    paths = [write(tmp_path / f"{name}.npz", one) for name, one in (("a", a), ("b", b), ("c", c))]
    found = compare_predictions(SPLIT, paths[:2], paths[2])
    assert found.runs == (2, 1)
    assert found.top1["class_balanced"].first == pytest.approx((balanced(a) + balanced(b)) / 2)
    alone = [evaluate(SPLIT, path).top1.bands["medium"].value for path in paths]
    assert found.top1["medium"].value == pytest.approx(np.mean(alone[:2]) - alone[2])
    assert found.top1["few"].n == 1


def test_top5_is_compared_where_both_have_it(tmp_path):
    scores = np.eye(4)[TRUTH]
    np.savez(tmp_path / "s.npz", photo_id=IDS, scores=scores)
    found = compare_predictions(SPLIT, tmp_path / "s.npz", tmp_path / "s.npz")
    assert found.top5["overall"].first == 1
    text = comparison_markdown(found)
    assert "| difference | +0.0 [" in text
    assert "| top-5 | 100.0 |" in text


def test_what_cannot_be_compared_is_one_error(tmp_path):
    path = write(tmp_path / "a.npz", TRUTH)
    with pytest.raises(UsageError, match="predictions of both"):
        compare_predictions(SPLIT, path, [])
    with pytest.raises(UsageError, match="seed"):
        compare_predictions(SPLIT, path, path, seed=-1)
    with pytest.raises(PredictionsError, match="there is no file"):
        compare_predictions(SPLIT, path, tmp_path / "b.npz")


def test_95_percent_of_the_intervals_of_a_difference_hold_the_truth():
    """Groups of 2; a group is right or wrong as a whole, the second model more often where the first is."""
    from arboretum_tools.evaluation.comparison import _differences
    from arboretum_tools.evaluation.evaluated_part import EvaluatedPart

    split = tiny_split({"train": (40, 30, 20, 10), "test": (40, 40, 40, 40)})
    tested = EvaluatedPart.of(split, "test")
    groups, rng = tested.sample.groups, np.random.default_rng(8)
    held = false = 0
    for _ in range(400):
        both = rng.random(tested.sample.num_groups)
        a, b = (both < 0.7), np.where(rng.random(len(both)) < 0.5, both < 0.6, rng.random(len(both)) < 0.6)
        found = _differences(tested, a[groups] * 1.0, b[groups] * 1.0, 0)["class_balanced"]
        held += found.low <= 0.1 <= found.high
        same = _differences(tested, a[groups] * 1.0, rng.permutation(a)[groups] * 1.0, 0)["overall"]
        false += same.p <= 0.05
    assert 0.915 <= held / 400 <= 0.985
    assert false / 400 <= 0.085
