"""The classes of an export: those without a photo, and what is counted of each once photos are left out.

Losses and samplers take class counts from `classes.parquet` and expect labels that descend with them. So
counts, bands and the order are those of what is written, and those of the split stand beside them under other
names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arboretum_tools.errors import ExportError
from arboretum_tools.samples import Samples
from arboretum_tools.split.files.manifest import PARTS, Split
from arboretum_tools.taxa.bands import shot_band
from arboretum_tools.taxa.identity import folder_names

#: What `classes.parquet` of an export also has as the split says it.
OF_SPLIT = ("label", "n_train", "n_val", "n_test", "shot")

# Names in an error: enough to see what kind of classes they are.
_NAMED = 10


def empty_classes(split: Split, parts: Mapping[str, Samples]) -> dict[str, list[int]]:
    """Labels of the classes without a photo, by part; parts that have all classes are not named."""
    empty = {
        part: np.flatnonzero(np.bincount(samples.labels, minlength=split.num_classes) == 0).tolist()
        for part, samples in parts.items()
    }
    return {part: labels for part, labels in empty.items() if labels}


def refuse_empty(split: Split, empty: Mapping[str, list[int]], format_name: str) -> None:
    """Refuses classes without a photo.

    Raises:
        ExportError: names up to ten of them a part.
    """
    if not empty:
        return
    names = split.classes["name"].to_pylist()
    text = "; ".join(
        f"{len(labels):,} of {split.num_classes:,} have none in {part}: "
        + ", ".join(names[label] for label in labels[:_NAMED])
        + (", ..." if len(labels) > _NAMED else "")
        for part, labels in empty.items()
    )
    raise ExportError(
        f"the readers of {format_name} need a photo of every class in every part; {text}; nothing was "
        "written",
        hint="Leave these classes out and number the others anew by --drop-classes, export fewer parts by "
        "--parts, or make the split with more photos per class in each part.",
    )


def without(
    split: Split, parts: Mapping[str, Samples], dropped: set[int]
) -> tuple[Split, dict[str, Samples]]:
    """The split and its samples without some classes, the others numbered 0, 1, ... in their old order.

    `folder` is made anew with the new label; the other columns stay.

    Raises:
        ExportError: no class would be left.
    """
    kept = [label for label in range(split.num_classes) if label not in dropped]
    if not kept:
        raise ExportError(
            f"every class of {split.name} lacks photos in some part; nothing was written",
            hint="Export fewer parts by --parts, or download the rest of the split.",
        )
    return _renumbered(split, parts, kept)


def beside(split: Split) -> Split:
    """The split with what it says of label, counts and band a second time, as `split_label` and so on."""
    classes = split.classes
    for column in OF_SPLIT:
        classes = classes.append_column(f"split_{column}", classes[column])
    return replace(split, classes=classes)


def as_written(
    split: Split, parts: Mapping[str, Samples], repeated: Mapping[str, NDArray[np.int64]]
) -> tuple[Split, dict[str, Samples]]:
    """The split and its samples with counts, bands and order of what is written.

    Labels are numbered anew, by photos of train descending, then class_key, where the split's are numbered
    so; those of a published split stay as published, and so do all where train is not written.

    Args:
        split: with the classes of the samples.
        parts: the samples.
        repeated: positions of samples that are written once more, by part.
    """
    counts = {part: np.zeros(split.num_classes, np.int64) for part in PARTS}
    for part, samples in parts.items():
        again = samples.labels[repeated[part]] if part in repeated else samples.labels[:0]
        counts[part] = np.bincount(np.concatenate([samples.labels, again]), minlength=split.num_classes)
    classes = split.classes
    keys = [key.encode() for key in classes["class_key"].to_pylist()]
    labels = list(range(split.num_classes))
    before = classes["n_train"].to_pylist()
    for part in PARTS:
        classes = _with(classes, f"n_{part}", pa.array(counts[part]))
    if "train" in parts:
        classes = _with(classes, "shot", pa.array([shot_band(n) for n in counts["train"].tolist()]))
        if labels == sorted(labels, key=lambda label: (-before[label], keys[label])):
            labels.sort(key=lambda label: (-counts["train"][label], keys[label]))
    return _renumbered(replace(split, classes=classes), parts, labels)


def _renumbered(
    split: Split, parts: Mapping[str, Samples], order: list[int]
) -> tuple[Split, dict[str, Samples]]:
    """The split and its samples with these labels as 0, 1, ...; samples of others are left out."""
    if order == list(range(split.num_classes)):
        return split, dict(parts)
    classes = split.classes.take(pa.array(order))
    classes = _with(classes, "label", pa.array(range(len(order)), pa.int32()))
    classes = _with(classes, "folder", pa.array(folder_names(classes["name"].to_pylist())))
    new_label = np.full(split.num_classes, -1, np.int32)
    new_label[order] = np.arange(len(order), dtype=np.int32)
    renamed = {}
    for part, samples in parts.items():
        labels = new_label[samples.labels]
        # The photos stay in the order of the split.
        renamed[part] = samples.only(labels >= 0, labels[labels >= 0])
    return replace(split, classes=classes), renamed


def _with(classes: pa.Table, column: str, values: pa.Array) -> pa.Table:
    at = classes.schema.get_field_index(column)
    return classes.set_column(at, classes.schema.field(at), values.cast(classes.schema.field(at).type))
