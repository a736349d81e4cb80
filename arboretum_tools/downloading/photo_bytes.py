"""How many bytes a photo has on average, before any has come: by its number of pixels.

A photo has about 0.48 bytes a pixel: 90 kB at 500 x 375, as measured on the bucket. Where the metadata tell
width and height, its pixels at the size asked for follow; where they do not, a long edge is taken to have 4/3
of the short one, as most photos have it.
"""

from __future__ import annotations

from dataclasses import dataclass

from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.photos.photo_plan import PhotoSource

#: Bytes of a medium photo on average, 500 x 375 pixels.
MEDIUM_BYTES = 90_000

_BYTES_A_PIXEL = MEDIUM_BYTES / (500 * 375)


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixels of a photo on average.

    Attributes:
        came: at the size asked for.
        kept: of these, what is kept when photos are shrunk; the same where they are not.
    """

    came: float
    kept: float

    @property
    def came_bytes(self) -> int:
        """About so many bytes come."""
        return round(self.came * _BYTES_A_PIXEL)

    @property
    def kept_bytes(self) -> int:
        """About so many are kept."""
        return round(self.kept * _BYTES_A_PIXEL)


def typical_pixels(size: str, shorter_side: int | None = None) -> Pixels:
    """Pixels of a photo of which nothing is known.

    Args:
        size: one of `vocab.PHOTO_SIZES`.
        shorter_side: that photos are shrunk to; None = they are not.
    """
    return _scaled(4 * PHOTO_SIZES[size], 3 * PHOTO_SIZES[size], size, shorter_side)


def mean_pixels(photos: PhotoSource, size: str, shorter_side: int | None = None) -> Pixels | None:
    """Pixels of a photo on average; None where no width and height is known.

    Photos without are taken to be typical.

    Args:
        photos: a selection, a split or a plan.
        size: one of `vocab.PHOTO_SIZES`.
        shorter_side: that photos are shrunk to; None = they are not.
    """
    typical = typical_pixels(size, shorter_side)
    came = kept = 0.0
    all_photos = known = 0
    for width, height, number in photos.count_by("width", "height"):
        pixels = typical
        # Untrusted: a side of 0 tells nothing.
        if width and height and min(width, height) > 0:
            known += number
            pixels = _scaled(width, height, size, shorter_side)
        came, kept = came + number * pixels.came, kept + number * pixels.kept
        all_photos += number
    return Pixels(came / all_photos, kept / all_photos) if known else None


def _scaled(width: int, height: int, size: str, shorter_side: int | None) -> Pixels:
    """Pixels of an original of this width and height at a size."""
    edge = PHOTO_SIZES[size]
    scale = min(1.0, edge / max(width, height))
    came, short = width * height * scale**2, min(width, height) * scale
    if size == "square":
        came, short = float(edge * edge), float(edge)
    return Pixels(came, came * min(1.0, shorter_side / short) ** 2 if shorter_side else came)
