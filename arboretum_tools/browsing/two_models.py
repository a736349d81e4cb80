"""Two models over the same photos: where one is right and the other is not, by band, class and photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arboretum_tools.browsing.predictions import PredictedPart, class_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_PHOTOS, _MOST_CLASSES = 120, 2_000


@dataclass(frozen=True, slots=True, eq=False)
class TwoModels:
    """The predictions of two models for one part.

    Attributes:
        first: those of one model.
        second: those of the other, for the same photos in the same order.
    """

    first: PredictedPart
    second: PredictedPart

    def summary(self, bands: Sequence[str], labels: Sequence[int]) -> dict[str, Any]:
        """Photos that both, one or neither of them has right: of all, by band, by class; and which these are.

        Args:
            bands: only photos of classes of these shot bands are listed; none = of all.
            labels: the same for classes.
        """
        part = self.first.part
        right = [model.predicted == part.labels for model in (self.first, self.second)]
        # 0 = both, 1 = the first alone, 2 = the second alone, 3 = neither.
        outcome = np.where(right[0], np.where(right[1], 0, 1), np.where(right[1], 2, 3))
        counts = np.zeros((len(part.classes), 4), np.int64)
        np.add.at(counts, (part.labels, outcome), 1)
        apart = counts[:, 1] + counts[:, 2]
        # The classes in which the two differ most come first, whichever of them is better.
        order = np.lexsort((np.arange(len(apart)), -apart, -np.abs(counts[:, 1] - counts[:, 2])))
        shown = np.ones(len(part.labels), bool)
        if bands:
            shown &= np.isin(part.shots[part.labels], list(bands))
        if labels:
            shown &= np.isin(part.labels, list(labels))
        return {
            "models": [self.first.name, self.second.name],
            "part": part.name,
            "counts": counts.sum(axis=0).tolist(),
            "bands": [
                [band, *counts[part.shots == band].sum(axis=0).tolist()]
                for band in part.bands
                if counts[part.shots == band].any()
            ],
            "classes": [
                {"label": label, "band": str(part.shots[label]), "counts": counts[label].tolist()}
                for label in order[:_MOST_CLASSES].tolist()
                if apart[label]
            ],
            "photos": [
                self._photos(np.flatnonzero(shown & (outcome == 1)), self.second),
                self._photos(np.flatnonzero(shown & (outcome == 2)), self.first),
            ],
            "names": dict(enumerate(class_names(part.classes))),
        }

    def _photos(self, photos: NDArray[np.int64], wrong: PredictedPart) -> dict[str, Any]:
        """Photos and what one model takes them for, the surest first."""
        if wrong.confidence is not None:
            photos = photos[np.argsort(-wrong.confidence[photos], kind="stable")]
        return {
            "number": len(photos),
            "some": [
                {
                    "photo_id": int(wrong.part.photo_ids[photo]),
                    "label": int(wrong.part.labels[photo]),
                    "predicted": int(wrong.predicted[photo]),
                    "confidence": None if wrong.confidence is None else float(wrong.confidence[photo]),
                }
                for photo in photos[:_MOST_PHOTOS].tolist()
            ],
        }
