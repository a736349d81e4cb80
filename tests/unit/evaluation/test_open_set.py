"""Known against unknown classes: AUROC against scikit-learn, OSCR against its curve, both in 64 bits."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation import PredictionsError, evaluate, summarize_runs
from arboretum_tools.evaluation.measures.open_set import area
from arboretum_tools.evaluation.reporting.report import markdown
from arboretum_tools.split.make import make_split

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.2, 0.5, 0.9, 1.0]), min_size=1, max_size=20)


def curve_area(known, right, unknown):
    """The area by trapezoids under (share of unknown accepted, share of known accepted and right)."""
    points = [(0.0, 0.0)]
    for threshold in sorted({*known, *unknown}, reverse=True):
        accepted = sum(score >= threshold for score in unknown) / len(unknown)
        correct = sum(score >= threshold and one for score, one in zip(known, right, strict=True))
        points.append((accepted, correct / len(known)))
    return sum((x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in itertools.pairwise(points))


@settings(max_examples=150)
@given(SCORES, SCORES, st.integers(0, 2**20))
def test_areas_are_those_of_the_curves(known, unknown, bits):
    right = [bool(bits >> n & 1) for n in range(len(known))]
    found = area(np.array(known), np.array(right), np.array(unknown))
    assert found == pytest.approx(curve_area(known, right, unknown), abs=1e-12)
    every = area(np.array(known), np.ones(len(known), dtype=bool), np.array(unknown))
    truth = [1] * len(known) + [0] * len(unknown)
    assert every == pytest.approx(roc_auc_score(truth, [*known, *unknown]), abs=1e-12)


@pytest.fixture(scope="module")
def splits():
    birds = open_catalog(catalog_path())
    novel = make_split(birds.select("Passeriformes"), benchmark="balanced", test_per_class=4)
    keys = novel.classes["class_key"].to_pylist()
    assert len(keys) > 1
    base = make_split(
        birds.select("Aves", exclude_taxa="Passeriformes"), lt_ratio=2, val_per_class=1, test_per_class=4
    )
    return base, novel


def predicted(base, novel, folder, *, sharp):
    """Right answers with a probability of `sharp`, and for unknown photos one of 0.5."""
    rng = np.random.default_rng(0)
    ids = [split.part("test")["photo_id"].to_numpy() for split in (base, novel)]
    labels = base.part("test")["label"].to_numpy()
    scores = np.zeros((sum(map(len, ids)), base.num_classes))
    firsts = np.r_[labels, rng.integers(0, base.num_classes, len(ids[1]))]
    sure = np.r_[np.full(len(ids[0]), sharp), np.full(len(ids[1]), 0.5)]
    scores += ((1 - sure) / (base.num_classes - 1))[:, None]
    scores[np.arange(len(scores)), firsts] = sure
    table = pa.table({"photo_id": np.concatenate(ids), "scores": scores.tolist()})
    pq.write_table(table, folder / f"{sharp}.parquet")
    return folder / f"{sharp}.parquet"


def test_a_report_has_both_numbers_and_the_other_measures_are_over_known_classes(splits, tmp_path):
    base, novel = splits
    found = evaluate(base, predicted(base, novel, tmp_path, sharp=0.8), unknown=novel)
    assert (found.open_set.auroc, found.open_set.oscr) == (1.0, 1.0)
    assert found.open_set.photos == novel.num_photos("test")
    assert found.open_set.classes == novel.num_classes
    alone = pq.read_table(tmp_path / "0.8.parquet")
    alone = alone.filter(pc.is_in(alone["photo_id"], base.part("test")["photo_id"].combine_chunks()))
    pq.write_table(alone, tmp_path / "alone.parquet")
    known = evaluate(base, tmp_path / "alone.parquet")
    assert known.open_set is None
    assert known.top1 == found.top1
    assert known.predictions_sha256 == found.predictions_sha256
    assert "AUROC 100.0, OSCR 100.0" in markdown(found)
    worse = evaluate(base, predicted(base, novel, tmp_path, sharp=0.4), unknown=novel)
    assert (worse.open_set.auroc, worse.open_set.oscr) == (0.0, 0.0)
    runs = summarize_runs([found, worse])
    assert runs.others["auroc"].mean == 0.5


def test_what_tells_nothing_apart_is_one_clear_error(splits, tmp_path):
    base, novel = splits
    file = predicted(base, novel, tmp_path, sharp=0.8)
    with pytest.raises(PredictionsError, match="not in the part"):
        evaluate(base, file)
    half = pq.read_table(file).slice(0, base.num_photos("test") + 1)
    pq.write_table(half, tmp_path / "half.parquet")
    with pytest.raises(PredictionsError, match="lacks"):
        evaluate(base, tmp_path / "half.parquet", unknown=novel)
    with pytest.raises(UsageError, match="known to the split"):
        evaluate(base, file, unknown=base)
    ids = np.concatenate([split.part("test")["photo_id"].to_numpy() for split in splits])
    with pytest.raises(PredictionsError, match="none is given"):
        evaluate(base, {"photo_id": ids, "label": np.zeros(len(ids), int)}, unknown=novel)
    families = make_split(
        open_catalog(catalog_path()).select("Insecta"), benchmark="balanced", rank="family", test_per_class=2
    )
    with pytest.raises(UsageError, match="at one rank"):
        evaluate(base, file, unknown=families)


def test_photos_without_a_prediction_are_accepted_last(splits, tmp_path):
    base, novel = splits
    table = pq.read_table(predicted(base, novel, tmp_path, sharp=0.8))
    pq.write_table(table.slice(1), tmp_path / "less.parquet")
    found = evaluate(base, tmp_path / "less.parquet", unknown=novel, missing="wrong")
    photos = base.num_photos("test")
    assert found.missing == 1
    assert found.open_set.auroc == pytest.approx((photos - 1) / photos)
