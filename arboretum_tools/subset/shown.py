"""What a notebook shows of a subset: its tail and some of its photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arboretum_tools.display import notebook_views
from arboretum_tools.errors import ArboretumError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from arboretum_tools.subset.dataset import Subset

# Photos below the tail.
_SHOWN = 8


def card(subset: Subset) -> str:
    """Its tail, and photos from its head to its tail."""
    counts = np.bincount(subset.labels, minlength=subset.classes.num_rows).tolist()
    strip = notebook_views.strip(_thumbnails(subset, _spread(len(subset), _SHOWN)))
    return notebook_views.card(repr(subset), notebook_views.curve(counts), strip)


def photos(subset: Subset, n: int, by: str | None) -> notebook_views.View:
    """As many photos as are asked for; see `Subset.show`."""
    if n < 1:
        raise UsageError(f"n must be 1 or more, not {n}")
    if by not in (None, "class"):
        raise UsageError(f"photos cannot be shown by {by!r}", hint='There is by="class".')
    positions = _spread(len(subset), n) if by is None else _by_class(subset.labels, n)
    return notebook_views.View(notebook_views.strip(_thumbnails(subset, positions)))


def _spread(photos: int, n: int) -> NDArray[np.int64]:
    """Positions evenly over the subset, so that a sorted one shows its head and its tail."""
    return np.unique(np.linspace(0, photos - 1, min(n, photos)).round().astype(np.int64))


def _by_class(labels: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """The first photos of each class in turn, until there are so many; in the order of the classes."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    # Which one of its class each photo is.
    nth = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    chosen = np.lexsort((ordered, nth))[:n]
    return order[np.sort(chosen)]


def _thumbnails(subset: Subset, positions: NDArray[np.int64]) -> list[tuple[bytes, str]]:
    from arboretum_tools.imaging.images import thumbnail

    scientific, common = (subset.classes[name].to_pylist() for name in ("scientific_name", "common_name"))
    photos = []
    for position in positions.tolist():
        label = subset.labels[position]
        name = common[label] or scientific[label]
        try:
            small = thumbnail(subset.read_bytes(position), 120, name=f"photo {subset.photo_ids[position]}")
            photos.append((small, name))
        except ArboretumError as error:
            photos.append((b"", error.message))
    return photos
