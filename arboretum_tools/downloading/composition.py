"""Of which classes and under which licences the photos are that a download asks for: for `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping

from arboretum_tools.photos.photo_plan import PhotoSource

#: What stands for photos whose licence the metadata do not tell.
UNKNOWN = "unknown"


def composition_of(photos: PhotoSource) -> tuple[int, Mapping[str, int]] | None:
    """Number of classes, and photos by licence, most first; None where that is not known."""
    classes = photos.count_classes()
    if classes is None:
        return None
    counted = {name or UNKNOWN: count for name, count in photos.count_by("license")}
    return classes, dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))
