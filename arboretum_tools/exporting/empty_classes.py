"""Classes without a photo in a part: found, refused, or left out with the others numbered anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from arboretum_tools.errors import ExportError
from arboretum_tools.identity import folder_names
from arboretum_tools.samples import Samples
from arboretum_tools.split.manifest import Split

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
        "--parts, or make the split with more photos a class in each part.",
    )


def without(
    split: Split, parts: Mapping[str, Samples], dropped: set[int]
) -> tuple[Split, dict[str, Samples]]:
    """The split and its samples without some classes, the others numbered 0, 1, ... in their old order.

    `folder` is made anew with the new label; all other columns of the classes stay as the split has them.

    Raises:
        ExportError: no class would be left.
    """
    kept = [label for label in range(split.num_classes) if label not in dropped]
    if not kept:
        raise ExportError(
            f"every class of {split.name} lacks photos in some part; nothing was written",
            hint="Export fewer parts by --parts, or download the rest of the split.",
        )
    classes = split.classes.take(pa.array(kept))
    folders = folder_names(classes["name"].to_pylist())
    for column, values in (("label", pa.array(range(len(kept)), pa.int32())), ("folder", pa.array(folders))):
        at = classes.schema.get_field_index(column)
        classes = classes.set_column(at, classes.schema.field(at), values)
    new_label = np.full(split.num_classes, -1, np.int32)
    new_label[kept] = np.arange(len(kept), dtype=np.int32)
    return replace(split, classes=classes), {
        part: _relabelled(samples, new_label) for part, samples in parts.items()
    }


def _relabelled(samples: Samples, new_label: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Samples:
    labels = new_label[samples.labels]
    # Labels keep their order, so the photos stay sorted by (label, photo_id).
    return samples.only(labels >= 0, labels[labels >= 0])
