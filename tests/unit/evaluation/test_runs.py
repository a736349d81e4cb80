"""Several runs, and predictions that are in memory."""

import statistics

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation import PredictionsError, compare_predictions, evaluate, summarize_runs
from arboretum_tools.evaluation.reporting.report import markdown, runs_markdown, save
from arboretum_tools.testing.tiny import tiny_split

SPLIT = tiny_split()
ROWS = SPLIT.part("test")
IDS, TRUTH = ROWS["photo_id"].to_numpy(), ROWS["label"].to_numpy()
SCORES = np.random.default_rng(0).random((len(IDS), 4))
RANKED = np.argsort(-SCORES, axis=1, kind="stable")

FORMS = {
    "labels": RANKED[:, 0],
    "scores": SCORES,
    "ranked": RANKED,
    "list": RANKED[:, 0].tolist(),
    "by id": dict(zip(IDS.tolist(), RANKED[:, 0].tolist(), strict=True)),
    "arrays": {"photo_id": IDS, "scores": SCORES},
    "top k": {"photo_id": IDS, "topk": RANKED},
    "frame": pd.DataFrame({"photo_id": IDS, "label": RANKED[:, 0]}),
    "ranked frame": pd.DataFrame({"photo_id": IDS, "label_1": RANKED[:, 0], "label_2": RANKED[:, 1]}),
    "frame of scores": pd.DataFrame({"photo_id": IDS, "scores": list(SCORES)}),
    "table": pa.table({"photo_id": IDS, "label": RANKED[:, 0]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_predictions_in_memory_are_those_of_a_file(tmp_path, form):
    np.savez(tmp_path / "p.npz", photo_id=IDS, label=RANKED[:, 0])
    expected = evaluate(SPLIT, tmp_path / "p.npz")
    found = evaluate(SPLIT, FORMS[form])
    assert found.top1 == expected.top1
    assert found.per_class == expected.per_class


BAD = [
    (TRUTH[1:], "do not fit"),
    (SCORES[:, :3], "scores of 3 classes a photo, and the split tiny has 4: its classes differ"),
    (SCORES[:3], "not \\(12, 4\\)"),
    ({"id": IDS, "label": TRUTH}, "no column photo_id"),
    (pd.DataFrame({"id": IDS}), "no column photo_id"),
    ({"photo_id": IDS}, "none of the arrays"),
    ({"a": 1}, "'a' is not one"),
    (None, "cannot be read"),
    (pd.DataFrame({"photo_id": IDS, "label": [None, *TRUTH[1:]]}), "without gaps"),
    ({**dict(zip(IDS.tolist(), TRUTH.tolist(), strict=True)), 5: 0}, "not in the part"),
]


@pytest.mark.parametrize(("source", "message"), BAD)
def test_what_is_no_prediction_is_one_error(source, message):
    with pytest.raises(PredictionsError, match=message):
        evaluate(SPLIT, source)


def test_a_model_that_is_asked_at_a_rank_is_judged_by_its_answers_there(tmp_path):
    classes = SPLIT.classes.to_pylist()
    genus = [classes[label]["genus"] for label in TRUTH]
    family = [classes[label]["family"] or "" for label in TRUTH]
    wrong = [genus[-1], *genus[1:]]
    assert wrong[0] != genus[0]
    frame = pd.DataFrame(
        {"photo_id": IDS, "label": TRUTH, "predicted_genus": wrong, "predicted_family": family}
    )
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    dictionary = {name: frame[name].tolist() for name in frame}
    for form in (frame, tmp_path / "p.csv", tmp_path / "p.parquet", dictionary, pa.Table.from_pandas(frame)):
        found = evaluate(SPLIT, form)
        assert list(found.asked_ranks) == ["genus", "family"]
        assert found.asked_ranks["genus"].accuracy.value == 11 / 12
        assert found.ranks["genus"].accuracy.value == 1
        # The orchid has no family.
        assert found.asked_ranks["family"].accuracy.value == 1
        assert found.asked_ranks["family"].left_out == 3
    text = markdown(found)
    assert "| rank | rolled up | asked at that rank | photos |" in text
    assert "| order | " in text
    spread = summarize_runs([found, evaluate(SPLIT, frame.assign(predicted_genus=genus))])
    assert spread.others["asked_genus"].mean == pytest.approx((11 / 12 + 1) / 2)
    assert "| genus, asked at that rank | 95.8 ± 5.9 |" in runs_markdown(spread)
    with pytest.raises(PredictionsError, match="predicted_genus names 1 taxon that no class here belongs to"):
        evaluate(SPLIT, frame.assign(predicted_genus="Nemo"))


def runs(number=3):
    made = [np.where(np.random.default_rng(seed).random(12) < 0.6, TRUTH, 0) for seed in range(number)]
    return made, [evaluate(SPLIT, one, cuts=(1, 2)) for one in made]


def test_mean_and_standard_deviation_are_those_of_the_runs():
    _, evaluations = runs()
    found = summarize_runs(evaluations)
    for name, of in (
        ("overall", lambda one: one.top1.overall.value),
        ("class_balanced", lambda one: one.top1.class_balanced.value),
        ("few", lambda one: one.top1.bands["few"].value),
        ("tail", lambda one: one.cuts["tail"].value),
    ):
        values = [of(one) for one in evaluations]
        assert found.top1[name].mean == pytest.approx(statistics.mean(values))
        assert found.top1[name].std == pytest.approx(statistics.stdev(values))
        assert found.top1[name].values == tuple(values)
    # No class of this split is many-shot.
    assert "many" not in found.top1
    genus = [one.ranks["genus"].accuracy.value for one in evaluations]
    assert found.ranks["genus"].std == pytest.approx(statistics.stdev(genus))
    f1 = [one.macro_f1.value for one in evaluations]
    assert found.others["macro_f1"].mean == pytest.approx(statistics.mean(f1))
    assert found.top5 == {}
    text = runs_markdown(found)
    overall = found.top1["overall"]
    assert "of 3 runs" in text
    assert f"| top-1 | {100 * overall.mean:.1f} ± {100 * overall.std:.1f} |" in text


def test_one_run_has_no_standard_deviation():
    found = summarize_runs(runs(1)[1])
    assert found.top1["overall"].std is None
    assert "±" not in runs_markdown(found)


def test_runs_over_other_classes_have_no_mean(tmp_path):
    _, evaluations = runs(1)
    other = tiny_split({"train": (40, 12, 4), "test": (3, 3, 3)}, name="other")
    with pytest.raises(PredictionsError, match="tiny and other have no common mean: 1 class is"):
        summarize_runs([*evaluations, evaluate(other, other.part("test")["label"].to_numpy())])
    with pytest.raises(PredictionsError, match="two parts"):
        summarize_runs([*evaluations, evaluate(SPLIT, SPLIT.part("val")["label"].to_numpy(), part="val")])
    with pytest.raises(UsageError):
        summarize_runs([])


def test_runs_over_other_train_counts_have_no_mean():
    _, evaluations = runs(1)
    other = tiny_split({"train": (40, 12, 5, 2), "test": (3, 3, 3, 3)}, name="other")
    with pytest.raises(
        PredictionsError, match=r"1 class has other train counts.* with 4 and 5 photos"
    ) as error:
        summarize_runs([*evaluations, evaluate(other, other.part("test")["label"].to_numpy())])
    assert "--seeds" in error.value.hint
    same = tiny_split(name="another seed")
    assert summarize_runs([*evaluations, evaluate(same, TRUTH)]).splits == ("tiny", "another seed")


def test_the_report_of_runs_holds_them_and_their_comparison(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mpl"))
    made, evaluations = runs()
    against = compare_predictions(SPLIT, made, [TRUTH])
    written = save(summarize_runs(evaluations), tmp_path / "r", against=against)
    assert [path.name for path in written] == ["report.json", "report.md", "report.png"]
    assert "## Against the other predictions" in written[1].read_text()
