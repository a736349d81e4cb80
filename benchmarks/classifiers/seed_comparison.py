"""How often `compare_predictions` over a set of seeds finds a difference between two models that have none.

python benchmarks/classifiers/seed_comparison.py
python benchmarks/classifiers/seed_comparison.py --runs 2000 --seeds 5

Each split of a set draws its test photos out of one pool of observations, so that splits share some. Some
observations are hard and some easy, for both models alike; each model answers a whole observation alike or
photo by photo. Each row says in percent how often p was 0.05 or less although the models are equally good,
how often the 95 % interval held the true difference (0), and how often p was 0.05 or less where one is better
by ten points.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.evaluation.comparison import permutation_p
from arboretum_tools.evaluation.measures.intervals import Sample, score_interval

#: Observations of a class that splits draw from, and test photos of a class.
POOL, PHOTOS = 12, 10


def answers(
    hard: NDArray[np.float64],
    groups: NDArray[np.int64],
    alike: float,
    better: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Whether a model is right on each photo: on a whole observation alike, or photo by photo."""
    shares = np.clip(1 - hard + better, 0, 1)
    together = rng.random(len(hard)) < alike
    whole = rng.random(len(hard)) < shares
    return np.where(together[groups], whole[groups], rng.random(len(groups)) < shares[groups])


def compared(
    classes: int, seeds: int, size: int, alike: float, better: float, rng: np.random.Generator
) -> tuple[float, bool]:
    """One set of splits and two models on it: p, and whether the interval holds the true difference."""
    hard = rng.beta(1.2, 1.8, classes * POOL)
    labels, groups, first, second = [], [], [], []
    for _ in range(seeds):
        own = np.concatenate(
            [label * POOL + rng.permutation(POOL)[: -(-PHOTOS // size)] for label in range(classes)]
        )
        photos = np.repeat(own, size).reshape(classes, -1)[:, :PHOTOS].reshape(-1)
        labels.append(photos // POOL)
        groups.append(photos)
        # A training run of its own in each split.
        first.append(answers(hard, photos, alike, better, rng))
        second.append(answers(hard, photos, alike, 0.0, rng))
    sample = Sample.of(np.concatenate(labels), np.concatenate(groups))
    apart = np.concatenate(first).astype(float) - np.concatenate(second)
    influence = apart / (classes * np.bincount(sample.labels)[sample.labels])
    value = float(influence.sum())
    variance, freedom = sample.variance(influence)
    low, high = score_interval((1 + value) / 2, variance / 4, sample.num_groups, freedom)
    truth = float(np.mean(np.clip(1 - hard + better, 0, 1) - (1 - hard)))
    p, _ = permutation_p(np.bincount(sample.groups, weights=influence), int(rng.integers(2**31)))
    return p, 2 * low - 1 <= truth <= 2 * high - 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--classes", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs="+", default=[1, 2, 5], help="photos of an observation")
    parser.add_argument("--alike", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--runs", type=int, default=1_000)
    options = parser.parse_args()
    columns = ("classes", "photos per observation", "alike", "p <= 0.05", "interval", "p <= 0.05, ten points")
    print(f"| {' | '.join(columns)} |")
    print("|---" * 6 + "|")
    for classes in options.classes:
        for size in options.size:
            for alike in options.alike:
                rng = np.random.Generator(np.random.PCG64(0))
                equal = [compared(classes, options.seeds, size, alike, 0.0, rng) for _ in range(options.runs)]
                other = [compared(classes, options.seeds, size, alike, 0.1, rng) for _ in range(options.runs)]
                shares = [np.mean([p <= 0.05 for p, _ in equal]), np.mean([held for _, held in equal])]
                shares.append(np.mean([p <= 0.05 for p, _ in other]))
                numbers = " | ".join(f"{100 * share:.1f}" for share in shares)
                print(f"| {classes} | {size} | {alike:g} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
