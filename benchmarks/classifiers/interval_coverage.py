"""How often the 95 % intervals of `evaluate` hold the truth, where photos of one observation are alike.

python benchmarks/classifiers/interval_coverage.py
python benchmarks/classifiers/interval_coverage.py --classes 5 10 20 --runs 4000

Test parts are drawn of classes whose accuracy is known, in groups of one size or of sizes that vary; photos
of a group are all right or all wrong with the probability `alike`, and else by themselves. Each row says in
percent how often the true class-balanced accuracy lay in Wilson's interval over photos, in the percentiles
of a bootstrap over groups within classes (1,000 draws), and in the two intervals of `evaluate`: for other
photos of the same classes, and for other classes as well.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.evaluation.measures.intervals import Sample

#: Mean accuracy over classes, and how alike classes are (a + b of a beta distribution).
ACCURACIES = ((0.6, 1.5), (0.8, 3.0), (0.95, 8.0))


def sizes(photos: int, mean: float, rng: np.random.Generator) -> list[int]:
    """Sizes of the groups of a class: all of the mean, or geometric where the mean is not whole."""
    left, found = photos, []
    while left:
        size = int(mean) if mean == int(mean) else int(rng.geometric(1 / mean))
        found.append(min(size, left))
        left -= found[-1]
    return found


def part(
    accuracy: NDArray[np.float64], photos: int, mean: float, alike: float, rng: np.random.Generator
) -> tuple[Sample, NDArray[np.bool_]]:
    """A test part: the classes and groups of its photos, and which of them are right."""
    labels, groups, hits = [], [], []
    for label, true in enumerate(accuracy):
        for group, size in enumerate(sizes(photos, mean, rng)):
            together = rng.random() < alike
            hits += [rng.random() < true] * size if together else list(rng.random(size) < true)
            labels += [label] * size
            groups += [group] * size
    return Sample.of(np.array(labels), np.array(groups)), np.array(hits)


def wilson(hits: NDArray[np.bool_]) -> tuple[float, float]:
    """Wilson's interval, as if every photo were a draw of its own."""
    n, p, z = len(hits), float(hits.mean()), 1.959963984540054
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def percentiles(sample: Sample, hits: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, float]:
    """Percentiles of a bootstrap over groups within classes."""
    sums, photos = np.bincount(sample.groups, weights=hits), np.bincount(sample.groups)
    owner = np.empty(len(photos), dtype=np.int64)
    owner[sample.groups] = sample.labels
    drawn = np.zeros(1_000)
    labels = np.unique(owner)
    for label in labels:
        own = np.flatnonzero(owner == label)
        picked = own[rng.integers(0, len(own), (1_000, len(own)))]
        drawn += sums[picked].sum(axis=1) / photos[picked].sum(axis=1)
    low, high = np.percentile(drawn / len(labels), [2.5, 97.5])
    return float(low), float(high)


def coverage(
    classes: int,
    photos: int,
    mean: float,
    alike: float,
    accuracy: tuple[float, float],
    runs: int,
) -> Counter[str]:
    """How many of the runs each interval held the truth in."""
    rng = np.random.Generator(np.random.PCG64(0))
    middle, concentration = accuracy
    a, b = middle * concentration, (1 - middle) * concentration
    held: Counter[str] = Counter()
    for _ in range(runs):
        true = rng.beta(a, b, classes)
        sample, hits = part(true, photos, mean, alike, rng)
        found = sample.class_mean(hits)
        assert found.low is not None
        assert found.high is not None
        low, high = wilson(hits)
        held["wilson"] += low <= true.mean() <= high
        low, high = percentiles(sample, hits, rng)
        held["percentiles"] += low <= true.mean() <= high
        held["same classes"] += found.low <= true.mean() <= found.high
        if found.over_classes is not None:
            held["other classes"] += found.over_classes[0] <= middle <= found.over_classes[1]
    return held


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--classes", type=int, nargs="+", default=[5, 10, 20, 60])
    parser.add_argument("--photos", type=int, default=10, help="test photos of a class")
    parser.add_argument("--group", type=float, nargs="+", default=[1, 1.6, 3], help="photos of a group")
    parser.add_argument("--alike", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--runs", type=int, default=2_000)
    options = parser.parse_args()
    names = ("wilson", "percentiles", "same classes", "other classes")
    print("| classes | photos per group | alike | accuracy | " + " | ".join(names) + " |")
    print("|---" * (4 + len(names)) + "|")
    for classes in options.classes:
        for mean in options.group:
            for alike in options.alike:
                for accuracy in ACCURACIES:
                    held = coverage(classes, options.photos, mean, alike, accuracy, options.runs)
                    row = [f"{100 * held[name] / options.runs:.1f}" for name in names]
                    settings = f"| {classes} | {mean:g} | {alike:g} | {accuracy[0]:g} | "
                    print(settings + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
