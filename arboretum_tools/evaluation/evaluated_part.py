"""The part of a split that predictions answer: its photos, their classes, and which of them are one draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arboretum_tools.errors import SplitError
from arboretum_tools.evaluation.measures.intervals import Sample
from arboretum_tools.evaluation.predictions import PredictionsError
from arboretum_tools.split.components import components, joined_groups
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
        draws: int64, shape (4, photos): what tells draws apart within a class: whether the photo is a draw of
            its own, and the number of it or of its observation (observer); and where its group is joined with
            others because they show the same, what stands for them: alone or not, and number; else -1, 0.
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
    draws: NDArray[np.int64]
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
        draws = np.stack([~known, groups, *_joined(opened, rows, labels)]).astype(np.int64)
        return cls(
            split=opened,
            name=part,
            rows=rows,
            classes=classes,
            photo_ids=ids,
            labels=labels,
            draws=draws,
            sample=_sample(labels, draws),
            grouped_by=column.removesuffix("_id") if known.any() else "photo",
            shots=np.array([row["shot"] if trained else NO_BAND for row in classes]),
        )

    @classmethod
    def pooled(cls, parts: Sequence[EvaluatedPart]) -> EvaluatedPart:
        """The parts of several splits of the same classes as one; what is in several of them is one draw.

        Raises:
            PredictionsError: they are not of the same classes with as many photos in train and in the part.
        """
        first = parts[0]
        for other in parts[1:]:
            if apart := _apart(first, other):
                raise PredictionsError(
                    f"the splits {first.split.name} and {other.split.name} are not of one set: {apart}",
                    hint="make-split --seeds 0,1,2 makes splits of the same classes and counts. Compare "
                    "others one by one.",
                )
        labels = np.concatenate([part.labels for part in parts])
        draws = np.concatenate([part.draws for part in parts], axis=1)
        return replace(
            first,
            photo_ids=np.concatenate([part.photo_ids for part in parts]),
            labels=labels,
            draws=draws,
            sample=_sample(labels, draws),
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


def _apart(first: EvaluatedPart, other: EvaluatedPart) -> str:
    """What sets two splits apart that are to be pooled; "" where nothing does."""
    if first.split.sha256 == other.split.sha256:
        return "they are the same split"
    for name, what in (("class_key", "classes"), ("n_train", "train photos"), (f"n_{first.name}", "photos")):
        if [row[name] for row in first.classes] != [row[name] for row in other.classes]:
            return f"they have other {what}"
    if first.split.meta.get("group_by") != other.split.meta.get("group_by"):
        return "they are grouped by other things"
    return ""


def _joined(split: Split, rows: pa.Table, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """What stands for the group of each photo that is joined with others, shape (2, photos); else -1, 0."""
    found = np.stack([np.full(len(labels), -1), np.zeros(len(labels), np.int64)]).astype(np.int64)
    group_by = split.meta.get("group_by")
    by_class = group_by == "observer-per-species"
    first = joined_groups(split.joined, by_class=by_class)
    if not first:
        return found
    group, alone = rows["photo_id"].to_numpy(), np.zeros(len(labels), dtype=bool)
    if group_by in ("observation", "observer-per-species"):
        column = rows["observer_id" if by_class else "observation_id"]
        alone = column.is_null().to_numpy()
        group = np.where(alone, group, column.fill_null(0).to_numpy())
    keys = split.classes["class_key"].to_pylist()
    for row in np.flatnonzero(np.isin(group, [number for *_, number in first])).tolist():
        own = (keys[labels[row]] if by_class else None, bool(alone[row]), int(group[row]))
        if own in first:
            found[:, row] = first[own][1:]
    return found


def _sample(labels: NDArray[np.int64], draws: NDArray[np.int64]) -> Sample:
    """Which photos are one draw: those of one group, and those whose groups are joined."""
    sample, joined = Sample.of(labels, *draws[:2]), draws[2] >= 0
    if not joined.any():
        return sample
    what = np.stack([labels, *draws[2:]])[:, joined]
    _, number = np.unique(what, axis=1, return_inverse=True)
    groups = sample.num_groups
    pairs = zip(sample.groups[joined].tolist(), (groups + number.reshape(-1)).tolist(), strict=True)
    smallest = np.arange(groups)
    for group, members in components(pairs).items():
        if group < groups:
            smallest[group] = min(members)
    _, merged = np.unique(smallest[sample.groups], return_inverse=True)
    return Sample(labels, merged.reshape(-1).astype(np.int64))
