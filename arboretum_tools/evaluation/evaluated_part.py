"""The part of a split that predictions answer: its photos, their classes, and which of them are one draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arboretum_tools.errors import SplitError
from arboretum_tools.evaluation.measures.intervals import Sample
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.taxa.bands import BANDS

#: Shot band of every class of a split without a train part.
NO_BAND = "no shot band"

# Which column says what was photographed together; a photo without a value is a draw of its own.
_COLUMNS = {"observer-per-species": "observer_id"}


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedPart:
    """Photos that are predicted.

    Attributes:
        split: that they belong to.
        name: of the part.
        rows: of the part, as in its file.
        classes: the rows of classes.parquet, in label order.
        photo_ids: int64, shape (photos,).
        labels: int64, shape (photos,): the true class of each photo.
        sample: which photos are one draw.
        grouped_by: what makes them one draw: observation, observer or photo.
        shots: shape (C,): the shot band of each class, NO_BAND without a train part.
    """

    split: Split
    name: str
    rows: pa.Table
    classes: list[Mapping[str, Any]]
    photo_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    sample: Sample
    grouped_by: str
    shots: NDArray[np.str_]

    @classmethod
    def of(cls, split: Split | str | Path, part: str) -> EvaluatedPart:
        """A part of a split, or of its folder.

        Raises:
            SplitError: the split cannot be read, has no such part, or no photo in it.
        """
        opened = split if isinstance(split, Split) else open_split(split)
        part = opened.part_named(part)
        rows = opened.part(part)
        if not rows.num_rows:
            raise SplitError(f"the part {part} of {opened.name} has no photos to evaluate")
        ids, labels = rows["photo_id"].to_numpy(), rows["label"].to_numpy().astype(np.int64)
        classes = opened.classes.to_pylist()
        trained = "train" in opened.parts
        column = _COLUMNS.get(opened.meta.get("group_by", ""), "observation_id")
        known = rows[column].is_valid().to_numpy()
        groups = np.where(known, rows[column].fill_null(0).to_numpy(), ids)
        return cls(
            split=opened,
            name=part,
            rows=rows,
            classes=classes,
            photo_ids=ids,
            labels=labels,
            sample=Sample.of(labels, (~known).astype(np.int64), groups),
            grouped_by=column.removesuffix("_id") if known.any() else "photo",
            shots=np.array([row["shot"] if trained else NO_BAND for row in classes]),
        )

    @property
    def bands(self) -> tuple[str, ...]:
        """The shot bands that are reported: none without a train part."""
        return () if NO_BAND in self.shots else BANDS

    def means_over_classes(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """The means over classes that papers report, each with the photos that it is made of."""
        yield "class_balanced", np.ones(len(self.labels), dtype=bool)
        for band in self.bands:
            yield band, self.shots[self.labels] == band
