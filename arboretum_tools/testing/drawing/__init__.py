"""Draws the photos that the origin server serves. Nothing here is a photograph.

The taxon gives silhouette, colours and pattern; the photo id gives pose, scale, surroundings and light.
So photos of one species look alike, no two photos are equal, and the same photo has the same bytes in
every run of one environment (another Pillow or libjpeg may encode differently).
"""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.testing.drawing.animals import mollusc, reptile, unnamed
from arboretum_tools.testing.drawing.birds import bird
from arboretum_tools.testing.drawing.canvas import Dice, Pen, polar
from arboretum_tools.testing.drawing.insects import arachnid, insect
from arboretum_tools.testing.drawing.plants import fungus, plant
from arboretum_tools.testing.drawing.scene import background, light
from arboretum_tools.testing.subjects import Photo

_FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP"}

_FIGURES = {
    "Aves": bird,
    "Insecta": insect,
    "Arachnida": arachnid,
    "Reptilia": reptile,
    "Plantae": plant,
    "Fungi": fungus,
    "Mollusca": mollusc,
}

#: Shapes of photos whose catalogue does not say: width over height.
_RATIOS = (4 / 3, 4 / 3, 3 / 2, 3 / 4, 1.0)

#: Up to this long edge in pixels, pictures are drawn at twice the size and scaled down, for smooth edges.
_SMOOTHED_UP_TO = 1024


def render(photo: Photo, photo_id: int, size: str, ext: str) -> bytes:
    """The file that an image host would hold for a photo at one size.

    Args:
        photo: what it shows; its width and height give the shape.
        photo_id: which photo of it.
        size: one of `PHOTO_SIZES`; `square` is cropped to its middle.
        ext: jpg, jpeg, png, gif or webp in lower case; gives the format.
    """
    image = draw(photo, photo_id, size)
    file = io.BytesIO()
    if ext in ("jpg", "jpeg"):
        image.save(file, "JPEG", quality=86)
    elif ext == "gif":
        image.quantize(128).save(file, "GIF")
    else:
        image.save(file, _FORMATS[ext])
    return file.getvalue()


def draw(photo: Photo, photo_id: int, size: str) -> Image.Image:
    """The picture itself, RGB, its long edge as `PHOTO_SIZES` says."""
    dice = Dice("photo", photo_id)
    ratio = photo.width / photo.height if photo.width and photo.height else dice.choose(_RATIOS)
    if size == "square":
        ratio = 1.0
    edge = PHOTO_SIZES[size]
    width, height = (edge, max(1, round(edge / ratio))) if ratio >= 1 else (max(1, round(edge * ratio)), edge)
    zoom = 2 if edge <= _SMOOTHED_UP_TO else 1

    subject = photo.subject
    canvas = background(subject.group, width, height, zoom, dice)
    pixels = min(width, height * 1.15) * zoom * dice.between(0.36, 0.46)
    middle = complex(width * dice.between(0.45, 0.55), height * dice.between(0.47, 0.55)) * zoom
    pen = Pen(ImageDraw.Draw(canvas), middle, polar(pixels, dice.between(-4, 4)), dice.chance(0.5))
    figure = _FIGURES.get(subject.group)
    if figure is None:
        unnamed(pen, dice)
    else:
        figure(subject, pen, dice)
    if zoom > 1:
        canvas = canvas.reduce(zoom)
    return light(canvas, dice)
