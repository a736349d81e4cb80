"""The report against scikit-learn, and against cases worked by hand."""

import json
import math
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, top_k_accuracy_score

from arboretum_tools.errors import SplitError, TargetExistsError, UsageError
from arboretum_tools.evaluation import PredictionsError, compare_predictions, evaluate
from arboretum_tools.evaluation.measures.intervals import Sample
from arboretum_tools.evaluation.predictions import best
from arboretum_tools.evaluation.reporting.report import markdown, save
from arboretum_tools.testing.tiny import tiny_split

# Labels: 0 robin, 1 blackbird (same genus), 2 an orchid, 3 a raven without order.
SPLIT = tiny_split()
IDS = SPLIT.part("test")["photo_id"].to_pylist()
TRUTH = SPLIT.part("test")["label"].to_pylist()


def write(path, **columns):
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".parquet":
        pq.write_table(
            pa.table({n: c.tolist() if hasattr(c, "tolist") else c for n, c in columns.items()}), path
        )
    else:
        mark = "\t" if path.suffix == ".tsv" else ","
        rows = zip(*columns.values(), strict=True)
        path.write_text("\n".join(mark.join(map(str, row)) for row in [tuple(columns), *rows]) + "\n")
    return path


@settings(max_examples=60)
@given(st.data())
def test_it_agrees_with_scikit_learn(tmp_path_factory, data):
    number = data.draw(st.integers(6, 9))
    sizes = tuple(data.draw(st.lists(st.integers(0, 6), min_size=4, max_size=4)))
    if not sum(sizes):
        return
    split = tiny_split({"train": (120, 50, 20, 5), "test": sizes})
    truth = split.part("test")["label"].to_numpy()
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    scores = rng.integers(0, number, (len(truth), 4)).astype(float)  # ties are common
    path = write(
        tmp_path_factory.mktemp("p") / "p.npz",
        photo_id=split.part("test")["photo_id"].to_numpy(),
        scores=scores,
    )
    found = evaluate(split, path)
    predicted = scores.argmax(axis=1)
    present = sorted(set(truth.tolist()))
    assert found.top1.overall.value == pytest.approx(np.mean(predicted == truth))
    assert found.top5.overall.value == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.top1.class_balanced.value == pytest.approx(balanced_accuracy_score(truth, predicted))
        expected = f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert found.macro_f1.value == pytest.approx(expected)
    bands = np.array(["many", "medium", "medium", "few"])
    for band, estimate in found.top1.bands.items():
        own = [np.mean(predicted[truth == c] == c) for c in present if bands[c] == band]
        assert estimate.n == len(own)
        assert estimate.value == (pytest.approx(np.mean(own)) if own else None)
        assert found.classes_left_out[band] == np.count_nonzero(bands == band) - len(own)
    assert not any(isinstance(v, float) and math.isnan(v) for v in _leaves(found.to_dict()))


def _leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


@settings(max_examples=40)
@given(st.integers(0, 999), st.integers(5, 12))
def test_the_best_five_are_those_of_scikit_learn_and_ties_go_to_the_lower_label(seed, classes):
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(classes, dtype=float), (7, 1)), axis=1)
    truth = rng.integers(0, classes, 7)
    hits = (best(np.arange(7), scores) == truth[:, None]).any(axis=1)
    assert hits.mean() == pytest.approx(
        top_k_accuracy_score(truth, scores, k=5, labels=range(classes)) if classes > 5 else 1
    )
    tied = rng.integers(0, 3, (7, classes)).astype(float)
    expected = [sorted(range(classes), key=lambda c: (-row[c], c))[:5] for row in tied]
    assert best(np.arange(7), tied).tolist() == expected
    assert best(np.arange(1), np.full((1, 6), -np.inf)).tolist() == [[0, 1, 2, 3, 4]]


def hand(tmp_path, predicted, **arguments):
    return evaluate(SPLIT, write(tmp_path / "p.csv", photo_id=IDS, label=predicted), **arguments)


def test_a_case_worked_by_hand(tmp_path):
    """Three photos per class. Robin: one called blackbird; raven: one called orchid, two called robin."""
    found = hand(tmp_path, [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0])
    assert found.top1.overall.value == 8 / 12
    assert found.top1.class_balanced.value == pytest.approx((2 / 3 + 1 + 1 + 0) / 4)
    # F1: 2*2/(3+4), 2*3/(3+4), 2*3/(3+4), 0.
    assert found.macro_f1.value == pytest.approx((4 / 7 + 6 / 7 + 6 / 7 + 0) / 4)
    accuracy = {rank: one.accuracy.value for rank, one in found.ranks.items()}
    assert list(accuracy) == ["species", "genus", "family", "order", "class", "phylum", "kingdom"]
    assert accuracy["species"] == 8 / 12
    assert accuracy["genus"] == 9 / 12
    assert accuracy["class"] == pytest.approx(8 / 9)
    # The orchid has no family, order, class or phylum; the raven has no order.
    assert [found.ranks[rank].left_out for rank in accuracy] == [0, 0, 3, 6, 3, 3, 0]
    assert accuracy["kingdom"] == pytest.approx(11 / 12)
    # Blackbird for robin 1; orchid for raven 7 (another kingdom); robin for raven 4 (its class), twice.
    assert found.mistake_severity == pytest.approx((1 + 7 + 4 + 4) / 4)
    assert found.mistakes == 4
    assert found.top5 is None
    assert [row["top1"] for row in found.per_class] == [2 / 3, 1, 1, 0]
    assert set(found.life_stages) == {"adult", "unknown"}
    assert sum(one.n for one in found.life_stages.values()) == 12
    assert found.groups["Aves"].value == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.groups["Plantae"].value == 1


def test_no_mistakes_have_no_severity(tmp_path):
    found = hand(tmp_path, TRUTH)
    assert (found.mistake_severity, found.mistakes) == (None, 0)
    assert "No prediction is wrong" in markdown(found)


FORMS = {
    "p.npz": {"photo_id": np.array(IDS), "label": np.array(TRUTH)},
    "k.npz": {"photo_id": np.array(IDS), "topk": np.array([[t, (t + 1) % 4] for t in TRUTH])},
    "s.npz": {"photo_id": np.array(IDS), "scores": np.eye(4)[TRUTH]},
    "p.parquet": {"photo_id": IDS, "label": TRUTH},
    "s.parquet": {"photo_id": IDS, "scores": np.eye(4, dtype=np.float32)[TRUTH]},
    "k.csv": {"photo_id": IDS, "label_1": TRUTH, "label_2": [(t + 1) % 4 for t in TRUTH]},
    "p.tsv": {"photo_id": IDS, "label": TRUTH},
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_in_any_order(tmp_path, name):
    order = np.random.default_rng(2).permutation(len(IDS))
    columns = {key: np.asarray(values)[order] for key, values in FORMS[name].items()}
    found = evaluate(SPLIT, write(tmp_path / name, **columns))
    assert found.top1.overall.value == 1
    assert (found.top5 is not None) == ("s." in name)


BAD = [
    ({"photo_id": IDS[1:], "label": TRUTH[1:]}, "lacks 1 of the 12 photos"),
    ({"photo_id": [*IDS, IDS[0]], "label": [*TRUTH, 0]}, "stands twice"),
    ({"photo_id": [*IDS, 5], "label": [*TRUTH, 0]}, "not in the part of tiny, such as 5"),
    ({"photo_id": IDS, "label": [4, *TRUTH[1:]]}, "label 4, outside 0 to 3"),
    ({"photo_id": IDS, "label": [-1, *TRUTH[1:]]}, "label -1"),
    ({"photo_id": IDS, "label": [None, *TRUTH[1:]]}, "whole numbers without gaps"),
    ({"photo_id": IDS, "label": [0.5, *TRUTH[1:]]}, "whole numbers without gaps"),
    ({"photo_id": IDS, "scores": [[math.nan, 0, 0, 0], *np.eye(4)[TRUTH[1:]].tolist()]}, "no number"),
    ({"photo_id": IDS, "scores": [[0.0, 1.0], *np.eye(4)[TRUTH[1:]].tolist()]}, "not 4 scores"),
    ({"photo_id": IDS, "scores": [[0.0, 1.0]] * 12}, "scores of 2 classes a photo, and the split tiny has 4"),
    ({"photo_id": IDS, "guess": TRUTH}, "none of the columns label"),
    ({"id": IDS, "label": TRUTH}, "no column photo_id"),
    ({"id": IDS, "scores": np.eye(4)[TRUTH].tolist()}, "no column photo_id"),
    ({"photo_id": IDS, "label": [1e300, *TRUTH[1:]]}, "too large"),
    ({"photo_id": IDS, "label": [math.inf, *TRUTH[1:]]}, "whole numbers without gaps"),
    ({"photo_id": np.array([2**64 - 1, *IDS[1:]], np.uint64), "label": TRUTH}, "too large"),
    ({"photo_id": IDS, "label": ["robin", *map(str, TRUTH[1:])]}, "'robin' is not one. Labels are the num"),
    ({"photo_id": IDS, "label": [label + 1 for label in TRUTH]}, r"0 to 3\n.*start at 0\. .*subtract 1"),
    ({"photo_id": IDS, "scores": TRUTH}, "not lists of numbers"),
    ({"photo_id": IDS, "scores": [["a"] * 4] * 12}, "not numbers"),
    ({"photo_id": IDS, "scores": [[True] * 4] * 12}, "not numbers"),
]


@pytest.mark.parametrize(("columns", "message"), BAD)
def test_predictions_that_answer_something_else_are_one_error(tmp_path, columns, message):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(PredictionsError, match=message) as caught:
        evaluate(SPLIT, path)
    assert caught.value.exit_code == 3


TEXT = [
    (["0.0", *map(str, TRUTH[1:])], None),
    (["0.5", *map(str, TRUTH[1:])], "whole numbers without gaps"),
    (["", *map(str, TRUTH[1:])], "label is a column of numbers, and '' is not one"),
    (["Turdus merula", *map(str, TRUTH[1:])], "'Turdus merula' is not one. Labels are the numbers of"),
]


@pytest.mark.parametrize(("labels", "message"), TEXT)
def test_labels_in_text_are_whole_numbers_and_what_is_none_is_named(tmp_path, labels, message):
    path = write(tmp_path / "p.csv", photo_id=IDS, label=labels)
    if message is None:
        assert evaluate(SPLIT, path).top1.overall.value == 1
        return
    with pytest.raises(PredictionsError, match=message) as caught:
        evaluate(SPLIT, path)
    assert "CSV" not in str(caught.value)


def test_ids_in_text_keep_all_their_digits(tmp_path):
    path = write(tmp_path / "p.csv", photo_id=[2**53 + 1, *IDS[1:]], label=TRUTH)
    with pytest.raises(PredictionsError, match=f"such as {2**53 + 1}"):
        evaluate(SPLIT, path)


def test_scores_are_not_looked_for_in_text(tmp_path):
    path = write(tmp_path / "p.csv", photo_id=IDS, scores=["0.1 0.9"] * 12)
    with pytest.raises(PredictionsError, match="scores are read from Parquet or NPZ"):
        evaluate(SPLIT, path)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(PredictionsError, match=r"there is no file .*mine\.csv"):
        evaluate(SPLIT, tmp_path / "mine.csv")


def test_files_that_are_none_are_one_error(tmp_path):
    for name, text in (("a.csv", "photo_id,label\n1,x\n"), ("b.npz", "x"), ("c.parquet", "x"), ("d.csv", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(PredictionsError, match="cannot be read"):
            evaluate(SPLIT, tmp_path / name)
    pickled = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "e.npz", photo_id=pickled, label=pickled, allow_pickle=True)
    with pytest.raises(PredictionsError, match="cannot be read"):
        evaluate(SPLIT, tmp_path / "e.npz")
    (tmp_path / "empty.npz").touch()
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.array(IDS))
    np.savez_compressed(tmp_path / "cut.npz", photo_id=np.arange(4_000), label=np.arange(4_000))
    data = bytearray((tmp_path / "cut.npz").read_bytes())
    data[300:340] = b"x" * 40
    (tmp_path / "cut.npz").write_bytes(data)
    np.savez(tmp_path / "plain.npz", photo_id=np.array(5), label=np.array(TRUTH))
    np.savez(tmp_path / "grid.npz", photo_id=np.array([IDS]), label=np.array([TRUTH]))
    np.savez(tmp_path / "names.npz", photo_id=np.array(IDS), scores=np.full((12, 4), "a"))
    np.savez(tmp_path / "none.npz", label=np.array(TRUTH))
    np.savez_compressed(tmp_path / "bomb.npz", photo_id=np.array(IDS), scores=np.zeros((10_000, 1_000)))
    (tmp_path / "folder.csv").mkdir()
    names = ("empty.npz", "one.npz", "cut.npz", "plain.npz", "grid.npz", "names.npz", "none.npz", "bomb.npz")
    for name in (*names, "folder.csv"):
        with pytest.raises(PredictionsError, match="cannot be read"):
            evaluate(SPLIT, tmp_path / name)
    np.savez(tmp_path / "f.npz", photo_id=np.array(IDS), scores=np.zeros((12, 3)))
    with pytest.raises(PredictionsError, match="its classes differ"):
        evaluate(SPLIT, tmp_path / "f.npz")
    with pytest.raises(UsageError, match=r"\.parquet, \.csv"):
        evaluate(SPLIT, tmp_path / "x.json")
    with pytest.raises(UsageError, match="known: error, wrong"):
        evaluate(SPLIT, tmp_path / "x.csv", missing="right")
    with pytest.raises(SplitError, match="no part"):
        evaluate(SPLIT, tmp_path / "x.csv", part="dev")


def test_missing_photos_may_count_as_wrong(tmp_path):
    path = write(tmp_path / "p.csv", photo_id=IDS[3:], label=TRUTH[3:])
    found = evaluate(SPLIT, path, missing="wrong")
    assert found.missing == 3
    assert found.top1.overall.value == 9 / 12
    assert found.ranks["kingdom"].accuracy.value == 9 / 12
    assert found.mistakes == 0
    assert "3 photos have no prediction" in markdown(found)


def test_the_report_is_written_and_replaces_only_a_report(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mpl"))
    found = hand(tmp_path, [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0])
    written = save(found, tmp_path / "r")
    assert [path.name for path in written] == ["report.json", "report.md", "report.png"]
    again = {path: path.read_bytes() for path in written}
    save(found, tmp_path / "r")
    assert again == {path: path.read_bytes() for path in written}
    assert json.loads(written[0].read_text())["top1"]["overall"]["n"] == 12
    text = written[1].read_text()
    assert "12 photos of 4 classes in 8 observations." in text
    overall = found.top1.overall
    assert f"| top-1 | 66.7 [{100 * overall.low:.1f}, {100 * overall.high:.1f}] |" in text
    assert (
        "Over fewer than 10 classes this means little: class-balanced (4 classes), few (3 classes)." in text
    )
    assert "Mistake severity 4.00 ranks" in text
    assert "| order | " in text
    other = hand(tmp_path, TRUTH)
    for different, against in (
        (other, None),
        (found, compare_predictions(SPLIT, np.array(TRUTH), np.array(TRUTH))),
    ):
        with pytest.raises(TargetExistsError, match="the report of other predictions"):
            save(different, tmp_path / "r", against=against)
        assert again == {path: path.read_bytes() for path in written}
    save(hand(tmp_path, [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0], cuts=(1, 2)), tmp_path / "r")
    assert "| cut | top-1 |" in written[1].read_text()
    save(other, tmp_path / "r", overwrite=True)
    assert "No prediction is wrong" in written[1].read_text()
    (tmp_path / "r" / "report.json").write_text("[]")
    with pytest.raises(TargetExistsError, match="the report of other predictions"):
        save(other, tmp_path / "r")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(TargetExistsError):
        save(found, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_look_alikes_are_reported_pair_by_pair():
    import numpy as np

    from arboretum_tools.evaluation.measures.pairs import accuracies

    classes = [{"class_key": key, "name": key.upper()} for key in "abc"]
    truth = np.array([0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 1, 2, -1, 1, 0, 0])
    pairs = [["a", "b"], ["c", "a"], ["a", "nowhere"], "ab", ["a"]]
    sample = Sample.of(truth, np.arange(7))
    first, second = accuracies(pairs, classes, sample, predicted)
    assert first.names == ("A", "B")
    assert (first.top1.value, first.swapped.value, first.top1.n) == (2 / 6, 2 / 6, 6)
    assert (second.top1.value, second.swapped.value) == (1 / 5, 2 / 5)
    assert accuracies(None, classes, sample, predicted) == ()
