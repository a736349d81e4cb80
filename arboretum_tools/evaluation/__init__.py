"""`evaluate`: predictions against a split, as long-tailed papers report them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.bands import BANDS
from arboretum_tools.errors import SplitError
from arboretum_tools.evaluation.metrics import (
    Estimate,
    Lineages,
    f1_per_class,
    mean_over_classes,
    per_class,
    share,
)
from arboretum_tools.evaluation.pairs import PairAccuracy, accuracies
from arboretum_tools.evaluation.predictions import Predictions, PredictionsError, read_predictions
from arboretum_tools.split.manifest import Split, open_split
from arboretum_tools.split.stats import group_of_class
from arboretum_tools.version import __version__

__all__ = [
    "Estimate",
    "Evaluation",
    "Measures",
    "PairAccuracy",
    "PredictionsError",
    "RankAccuracy",
    "evaluate",
]

#: Shot band of every class of a split without a train part.
NO_BAND = "no shot band"

#: Life stage of a photo whose life stage is not known.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Measures:
    """Accuracy of some k.

    Attributes:
        overall: share of photos.
        class_balanced: mean over classes.
        bands: mean over the classes of each shot band; empty for a split without a train part.
    """

    overall: Estimate
    class_balanced: Estimate
    bands: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class RankAccuracy:
    """Accuracy at one rank.

    Attributes:
        accuracy: share of photos whose predicted class lies in the right taxon.
        left_out: photos of classes that lack the rank.
    """

    accuracy: Estimate
    left_out: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What predictions came to.

    Attributes:
        split: name of the split.
        part: which of its parts was predicted.
        photos: of the part.
        missing: photos without a prediction, counted as wrong.
        classes: C.
        classes_left_out: by shot band, classes without photos in the part: in no mean over classes.
        top1: first prediction.
        top5: any of the first five; None where fewer were given and there are more classes.
        macro_f1: mean of F1 over classes.
        ranks: accuracy by rank, narrowest first; ranks that no class has are left out.
        mistake_severity: mean height of the lowest common ancestor over wrong predictions; None without any.
        mistakes: wrong predictions.
        life_stages: top-1 share by life stage, of more than one is known.
        groups: mean over classes of top-1 by group of Arboretum.
        pairs: of a benchmark of look-alikes, how well those of each pair are told apart.
        per_class: one row a class, in label order: label, class_key, n_train, n_test, top1, f1.
        sha256: content hashes of the split.
    """

    split: str
    part: str
    photos: int
    missing: int
    classes: int
    classes_left_out: Mapping[str, int]
    top1: Measures
    top5: Measures | None
    macro_f1: Estimate
    ranks: Mapping[str, RankAccuracy]
    mistake_severity: float | None
    mistakes: int
    life_stages: Mapping[str, Estimate]
    groups: Mapping[str, Estimate]
    pairs: tuple[PairAccuracy, ...]
    per_class: tuple[Mapping[str, Any], ...]
    sha256: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"toolkit_version": __version__, **asdict(self)}


def evaluate(
    split: Split | str | Path, predictions: str | Path, *, part: str = "test", missing: str = "error"
) -> Evaluation:
    """Holds predictions against a part of a split.

    Args:
        split: a split, or its folder.
        predictions: a Parquet, CSV, TSV or NPZ file; see `arboretum_tools.evaluation.predictions`.
        part: the part that was predicted.
        missing: `error` where a photo has no prediction, or `wrong` to count it so.

    Raises:
        SplitError: the split cannot be read, has no such part, or no photo in it.
        PredictionsError: the predictions do not answer the photos of the part.
        UsageError: a value that is no value of its kind.
    """
    opened = split if isinstance(split, Split) else open_split(split)
    table = opened.part(part)
    if not table.num_rows:
        raise SplitError(f"the part {part} of {opened.name} has no photos to evaluate")
    ids, truth = table["photo_id"].to_numpy(), table["label"].to_numpy().astype(np.int64)
    found = read_predictions(predictions, ids, opened.num_classes, missing=missing)
    classes = opened.classes.to_pylist()
    trained = "train" in opened.parts
    shots = np.array([row["shot"] if trained else NO_BAND for row in classes])
    predicted = found.top[:, 0]
    first = per_class(predicted == truth, truth, len(classes))
    f1 = f1_per_class(truth, predicted, len(classes))
    tested = ~np.isnan(first)
    lineages = Lineages.of(classes)
    ranks = {
        rank: RankAccuracy(*lineages.accuracy(rank, truth, predicted)) for rank in reversed(lineages.ranks)
    }
    severity, mistakes = lineages.severity(truth, predicted)
    return Evaluation(
        split=opened.name,
        part=part,
        photos=len(truth),
        missing=found.missing,
        classes=len(classes),
        classes_left_out={
            band: int(np.count_nonzero(~tested & (shots == band)))
            for band in (BANDS if trained else (NO_BAND,))
        },
        top1=_measures(predicted == truth, truth, shots),
        top5=_top5(found, truth, shots),
        macro_f1=mean_over_classes(f1[tested]),
        ranks={rank: one for rank, one in ranks.items() if one.accuracy.n},
        mistake_severity=severity,
        mistakes=mistakes,
        life_stages=_life_stages(table["life_stage"].to_pylist(), predicted == truth),
        groups=_groups(classes, first),
        pairs=accuracies(opened.meta.get("pairs"), classes, truth, predicted),
        per_class=tuple(
            {
                "label": label,
                "class_key": row["class_key"],
                "n_train": row["n_train"],
                "n_test": int(np.count_nonzero(truth == label)),
                "top1": _number(first[label]),
                "f1": _number(f1[label]),
            }
            for label, row in enumerate(classes)
        ),
        sha256=opened.sha256,
    )


def _measures(hits: NDArray[np.bool_], truth: NDArray[np.int64], shots: NDArray[np.str_]) -> Measures:
    by_class = per_class(hits, truth, len(shots))
    tested = ~np.isnan(by_class)
    return Measures(
        overall=share(hits),
        class_balanced=mean_over_classes(by_class[tested]),
        bands={
            band: mean_over_classes(by_class[tested & (shots == band)])
            for band in BANDS
            if NO_BAND not in shots
        },
    )


def _top5(found: Predictions, truth: NDArray[np.int64], shots: NDArray[np.str_]) -> Measures | None:
    """Top-5, where five were given or fewer are all there are."""
    if found.top.shape[1] < min(5, len(shots)):
        return None
    return _measures((found.top[:, :5] == truth[:, None]).any(axis=1), truth, shots)


def _life_stages(stages: list[str | None], hits: NDArray[np.bool_]) -> dict[str, Estimate]:
    if not any(stages):
        return {}
    named = np.array([stage or UNKNOWN for stage in stages])
    return {stage: share(hits[named == stage]) for stage in sorted(set(named.tolist()))}


def _groups(classes: list[dict[str, Any]], first: NDArray[np.float64]) -> dict[str, Estimate]:
    groups = np.array([group_of_class(row) for row in classes])
    tested = ~np.isnan(first)
    return {
        group: mean_over_classes(first[tested & (groups == group)]) for group in sorted(set(groups.tolist()))
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
