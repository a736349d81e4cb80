"""A family, an audit, a report and a sampler over splits of a raw catalogue of a million rows: ratios.

python benchmarks/catalogs_and_splits/split_tools.py
python benchmarks/catalogs_and_splits/split_tools.py --rows 5_000_000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from selection_and_split import make_catalogue
from sklearn.metrics import balanced_accuracy_score, f1_score, top_k_accuracy_score

from arboretum_tools import audit_split, evaluate, make_family, make_split, open_catalog, open_split
from arboretum_tools.split.rebalancing.samplers import LongTailSampler


def timed(run: Callable[[], object], rounds: int) -> float:
    """Median seconds of some runs."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_catalogue(folder / "catalog", options.rows)
        catalog = open_catalog(folder / "catalog")
        _ = catalog.fingerprint  # opened and counted before anything is timed
        one = timed(lambda: make_split(catalog, lt_ratio=10), options.rounds)
        three = timed(lambda: list(make_family(catalog, lt_ratios=[10, 50, 100])), options.rounds)
        apart = timed(lambda: [make_split(catalog, lt_ratio=r) for r in (10, 50, 100)], options.rounds)
        split = make_split(catalog, lt_ratio=10)
        split.save(folder / "split")
        audit = timed(lambda: audit_split(folder / "split"), options.rounds)
        print(
            f"{options.rows:,} rows; {split.num_classes:,} classes, {sum(split.class_counts):,} train photos"
        )
        print(f"make-split                    {one:6.2f} s   1.0")
        print(f"family of three               {three:6.2f} s   {three / one:.1f}")
        print(f"three splits by themselves    {apart:6.2f} s   {apart / one:.1f}")
        print(f"audit-split                   {audit:6.2f} s   {audit / one:.1f}")
        _report(folder, options.rounds)


def _report(folder: Path, rounds: int) -> None:
    opened = open_split(folder / "split")
    table = opened.part("test")
    truth = table["label"].to_numpy()
    scores = np.random.default_rng(0).random((len(truth), opened.num_classes), dtype=np.float32)
    np.savez(folder / "scores.npz", photo_id=table["photo_id"].to_numpy(), scores=scores)
    ours = timed(lambda: evaluate(opened, folder / "scores.npz"), rounds)

    def sklearn() -> None:
        predicted = scores.argmax(axis=1)
        balanced_accuracy_score(truth, predicted)
        f1_score(truth, predicted, average="macro", zero_division=0)
        top_k_accuracy_score(truth, scores, k=5, labels=range(opened.num_classes))

    theirs = timed(sklearn, rounds)
    print(
        f"evaluate, {len(truth):,} x {opened.num_classes:,} scores: {ours:.2f} s; scikit-learn's top-1, "
        f"top-5 and F1 of the same arrays {theirs:.2f} s: {ours / theirs:.1f}"
    )
    labels = opened.part("train")["label"].to_numpy()
    for kind in ("instance", "class"):
        sampler = LongTailSampler(labels, kind)  # type: ignore[arg-type]
        taken = timed(sampler.order, rounds)
        print(f"an epoch of the {kind} sampler over {len(labels):,} photos: {taken:.3f} s")


if __name__ == "__main__":
    main()
