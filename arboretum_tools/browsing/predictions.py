"""What a model made of the photos of a part: right and wrong by class, band and rank; what is confused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arboretum_metadata.vocab import CLASS_RANKS
from arboretum_tools.errors import UsageError
from arboretum_tools.evaluation.evaluated_part import EvaluatedPart
from arboretum_tools.evaluation.predictions import read_predictions
from arboretum_tools.split.files.manifest import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows and columns of a table of confusions.
_MOST_GROUPS = 24

_MOST_PAIRS, _MOST_ERRORS, _MOST_CLASSES = 60, 200, 2_000


def class_names(classes: Sequence[Mapping[str, Any]]) -> list[list[str | None]]:
    """Scientific and common name of each class; None for a common name that is another class's too."""
    times = Counter(row["common_name"] for row in classes)
    return [[row["name"], row["common_name"] if times[row["common_name"]] == 1 else None] for row in classes]


@dataclass(frozen=True, slots=True, eq=False)
class PredictedPart:
    """Predictions beside the truth.

    Attributes:
        name: of the file.
        part: that was predicted, and its classes.
        predicted: int64, one per photo: the first class, -1 where there is no prediction.
        confidence: float64, one per photo: its probability; None where it is not known.
    """

    name: str
    part: EvaluatedPart
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64] | None

    @classmethod
    def read(cls, split: Split, part: str, file: str | Path) -> PredictedPart:
        """The predictions of a file for a part; photos without one count as wrong.

        Raises:
            PredictionsError: the file does not answer the photos of the part.
            SplitError: the split has no such part.
        """
        evaluated = EvaluatedPart.of(split, part)
        found = read_predictions(file, evaluated.photo_ids, len(evaluated.classes), missing="wrong")
        return cls(Path(file).name, evaluated, found.top[:, 0], found.confidence)

    def summary(self) -> dict[str, Any]:
        """Shares of right photos: of all, by band; the classes, worst first; pairs and errors."""
        labels, predicted = self.part.labels, self.predicted
        right = labels == predicted
        classes = len(self.part.classes)
        total = np.bincount(labels, minlength=classes)
        hits = np.bincount(labels[right], minlength=classes)
        wrong = Counter(zip(labels[~right].tolist(), predicted[~right].tolist(), strict=True))
        most_taken_for: dict[int, tuple[int, int]] = {}
        for (truth, other), count in wrong.most_common():
            most_taken_for.setdefault(truth, (other, count))
        shown = np.flatnonzero(total)
        with np.errstate(invalid="ignore"):
            share = hits / np.maximum(total, 1)
        order = shown[np.lexsort((shown, -total[shown], share[shown]))][:_MOST_CLASSES]
        bands = []
        for band in self.part.bands:
            of_band = shown[self.part.shots[shown] == band]
            if len(of_band):
                bands.append([band, len(of_band), int(total[of_band].sum()), float(share[of_band].mean())])
        return {
            "file": self.name,
            "part": self.part.name,
            "photos": len(labels),
            "right": int(right.sum()),
            "class_mean": float(share[shown].mean()),
            "bands": bands,
            "classes": [
                {
                    "label": label,
                    "photos": int(total[label]),
                    "right": int(hits[label]),
                    "band": str(self.part.shots[label]),
                    "taken_for": most_taken_for.get(label),
                }
                for label in order.tolist()
            ],
            "pairs": self._pairs(wrong),
            "errors": self._errors(right),
            "sure": self.confidence is not None,
            "names": dict(enumerate(class_names(self.part.classes))),
        }

    def _pairs(self, wrong: Counter[tuple[int, int]]) -> list[dict[str, Any]]:
        """Pairs of classes by how often one is taken for the other, either way."""
        both: Counter[tuple[int, int]] = Counter()
        for (truth, other), count in wrong.items():
            if other >= 0:
                both[min(truth, other), max(truth, other)] += count
        return [
            {"labels": pair, "wrong": [wrong[pair], wrong[pair[::-1]]]}
            for pair, _ in sorted(both.items(), key=lambda item: (-item[1], item[0]))[:_MOST_PAIRS]
        ]

    def _errors(self, right: NDArray[np.bool_]) -> list[dict[str, Any]]:
        """Wrong photos, the most confident first; without confidences, those of the largest classes."""
        wrong = np.flatnonzero(~right & (self.predicted >= 0))
        if self.confidence is not None:
            wrong = wrong[np.argsort(-self.confidence[wrong], kind="stable")]
        return [
            {
                "photo_id": int(self.part.photo_ids[photo]),
                "label": int(self.part.labels[photo]),
                "predicted": int(self.predicted[photo]),
                "confidence": None if self.confidence is None else float(self.confidence[photo]),
            }
            for photo in wrong[:_MOST_ERRORS].tolist()
        ]

    def pair(self, first: int, second: int) -> dict[str, list[int]]:
        """Photos of two look-alikes: those of one that are taken for the other, and the other way round."""
        labels, predicted = self.part.labels, self.predicted
        ids = self.part.photo_ids
        return {
            "first_as_second": ids[(labels == first) & (predicted == second)].tolist(),
            "second_as_first": ids[(labels == second) & (predicted == first)].tolist(),
        }

    def confusion(self, rank: str) -> dict[str, Any]:
        """Photos by what they show and what they are taken for, the groups with most wrong photos.

        Args:
            rank: `species` for the classes themselves, or a rank above.

        Raises:
            UsageError: there is no such rank.
        """
        ranks = ("species", *(name for name in CLASS_RANKS if name != "species"), "class")
        if rank not in ranks:
            raise UsageError(f"there is no rank {rank!r} of classes", hint=f"There are {', '.join(ranks)}.")
        column = "name" if rank == "species" else rank
        names = [str(row[column] or f"(no {rank})") for row in self.part.classes]
        shown_as = dict(zip(names, class_names(self.part.classes), strict=True)) if rank == "species" else {}
        known, number = np.unique(np.array([*names, "(no prediction)"]), return_inverse=True)
        truth, guess = number[self.part.labels], number[self.predicted]
        wrong = np.bincount(truth[truth != guess], minlength=len(known))
        wrong += np.bincount(guess[truth != guess], minlength=len(known))
        there = np.bincount(truth, minlength=len(known)) + np.bincount(guess, minlength=len(known))
        order = np.lexsort((np.arange(len(known)), -there, -wrong))
        shown = [int(group) for group in order[:_MOST_GROUPS] if there[group]]
        place = np.full(len(known), -1)
        place[shown] = np.arange(len(shown))
        table = np.zeros((len(shown), len(shown)), np.int64)
        both = (place[truth] >= 0) & (place[guess] >= 0)
        np.add.at(table, (place[truth[both]], place[guess[both]]), 1)
        return {
            "rank": rank,
            "ranks": ranks,
            "names": [shown_as.get(name, [name, None]) for name in known[shown].tolist()],
            "table": table.tolist(),
            "groups": int(np.count_nonzero(there)),
        }
