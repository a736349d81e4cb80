"""Shrinking photos as they come."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

from arboretum_metadata.vocab import RESIZE_FILTERS
from arboretum_tools.errors import UsageError
from arboretum_tools.store.shards.record import PhotoRecord

#: Quality of the JPEGs.
QUALITY = 90

# A shorter side below this is no photo any more; above, no size of iNaturalist's has it.
_LEAST, _MOST = 16, 2048


@dataclass(frozen=True, slots=True)
class Resize:
    """How photos are shrunk before they are stored; never enlarged.

    Attributes:
        shorter_side: pixels of the shorter side; a photo whose shorter side is no longer than this stays as
            it came.
        filter: one of `RESIZE_FILTERS`.
        quality: of the JPEGs, 1 to 100.
    """

    shorter_side: int
    filter: str = "area"
    quality: int = QUALITY

    def __post_init__(self) -> None:
        if not _LEAST <= self.shorter_side <= _MOST:
            raise UsageError(
                f"the shorter side of a resized photo must be {_LEAST} to {_MOST} pixels, "
                f"not {self.shorter_side}"
            )
        if self.filter not in RESIZE_FILTERS:
            raise UsageError(
                f"{self.filter!r} is not a filter to resize with",
                hint=f"There are {' and '.join(RESIZE_FILTERS)}.",
            )
        if not 1 <= self.quality <= 100:
            raise UsageError(f"the quality of a JPEG is 1 to 100, not {self.quality}")

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able: what `store.json` holds."""
        return asdict(self)

    def apply(self, record: PhotoRecord, data: bytes) -> tuple[PhotoRecord, bytes | None]:
        """A photo as it is to be stored; `invalid` where it cannot be decoded.

        Most of it runs without Python's lock, so several threads do several photos at a time.

        Args:
            record: of a whole image, as it came.
            data: its bytes.
        """
        # Not before it is needed: it costs the import of Pillow.
        from arboretum_tools.imaging.images import UndecodableImageError, shrink

        try:
            shrunk = shrink(
                data,
                name=f"photo {record.photo_id}",
                shorter_side=self.shorter_side,
                area=self.filter == "area",
                quality=self.quality,
            )
        except UndecodableImageError as error:
            undecodable = replace(
                record,
                status="invalid",
                error=error.message,
                member=None,
                size_bytes=None,
                sha256=None,
                width=None,
                height=None,
                format=None,
            )
            return undecodable, None
        if shrunk is None:
            return record, data
        jpeg, width, height = shrunk
        resized = replace(
            record,
            member=f"{record.photo_id}.jpg",
            size_bytes=len(jpeg),
            sha256=hashlib.sha256(jpeg).hexdigest(),
            width=width,
            height=height,
            format="jpeg",
        )
        return resized, jpeg
