"""What a decoder finds wrong with the pixels of an image: the one module that uses simplejpeg.

Pillow decodes a damaged JPEG without a word: libjpeg warns of it, goes on with other pixels, and Pillow drops
the warning. libjpeg-turbo by way of simplejpeg says the first one. It costs as little as a thumbnail, because
all bits are read and the pixels are made at an eighth of their size.

Nobody sees all damage. Of single bits flipped in the pixels, a part leaves a file that is a good JPEG of
other pixels (docs/benchmarks/reliability.md has the shares).
"""

from __future__ import annotations

import simplejpeg

from arboretum_tools.imaging.image_format import MOST_SCANS, count_scans, scan_damage
from arboretum_tools.imaging.images import UndecodableImageError, decode_rgb

# How warnings of libjpeg begin that mean damage; others are about oddities of who wrote the file, or ours for
# asking (a CMYK image as grey).
_DAMAGE = ("Corrupt JPEG data", "Premature end", "Inconsistent progression")


def pixel_damage(data: bytes) -> str:
    """What is wrong with the pixels of a whole image, in words; "" where nothing is seen.

    A JPEG is read by libjpeg-turbo, whose warnings count, and its markers are looked at; every image is
    decoded as readers do.

    Args:
        data: the bytes of a whole JPEG, PNG, GIF or WebP file.
    """
    if data.startswith(b"\xff\xd8"):
        if (scans := count_scans(data)) > MOST_SCANS:
            return f"a jpeg of {scans:,} scans, which nobody decodes in time"
        if damage := scan_damage(data) or _warning(data):
            return damage
    try:
        decode_rgb(data, name="the image")
    except UndecodableImageError as error:
        return error.message
    return ""


def _warning(jpeg: bytes) -> str:
    try:
        simplejpeg.decode_jpeg(jpeg, "GRAY", min_height=1, min_width=1, strict=True)
    except ValueError as error:
        said = str(error)
        return f"its pixels are damaged: {said}" if said.startswith(_DAMAGE) else ""
    return ""
