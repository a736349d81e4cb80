"""Draws the photos that the origin server serves. Nothing here is a photograph.

The taxon gives silhouette, colours and pattern (`looks.csv`); the photo id gives individual, pose, scale,
surroundings and light. So photos of one species look alike, no two photos are equal, and the same photo has
the same bytes in every run of one environment (another Pillow or libjpeg may encode differently).
"""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.testing.drawing.canvas import WHITE, Colour, Dice, Pen, hsl, mix, polar
from arboretum_tools.testing.drawing.figures import draw_figure
from arboretum_tools.testing.drawing.looks import Look, moods, traits
from arboretum_tools.testing.subjects import Photo

_FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP"}

#: Shapes of photos whose catalogue does not say: width over height.
_RATIOS = (4 / 3, 4 / 3, 3 / 2, 3 / 4, 1.0)

#: Up to this long edge in pixels, pictures are drawn at twice the size and scaled down, for smooth edges.
_SMOOTHED_UP_TO = 1024

#: The ground is sketched in so many columns, so many times larger, and scaled up, which blurs it.
_TINY, _SKETCH = 28, 4


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

    canvas = _ground(photo.subject.group, width, height, zoom, dice)
    pixels = min(width, height * 1.15) * zoom * dice.between(0.36, 0.46)
    middle = complex(width * dice.between(0.45, 0.55), height * dice.between(0.47, 0.55)) * zoom
    taxon = traits(photo.subject)
    swing = taxon.number("swing", 6)
    turn = polar(pixels, dice.between(-swing, swing))
    pen = Pen(ImageDraw.Draw(canvas), middle, turn, dice.chance(0.5))
    draw_figure(taxon.figure, pen, Look(taxon, dice), dice)
    return _light(canvas.reduce(zoom) if zoom > 1 else canvas, dice)


def _ground(group: str, width: int, height: int, zoom: int, dice: Dice) -> Image.Image:
    """Out-of-focus surroundings in the colours of one of the group's moods, `zoom` times as large."""
    shift, tint = dice.between(-0.08, 0.08), hsl(dice.between(0, 360), 0.4, 0.5)
    above, below = (
        mix(mix(colour, WHITE, shift), tint, 0.12) for colour in dice.choose(moods(group) or moods("unknown"))
    )
    sky = Image.new("RGB", (1, 4))
    for y in range(4):
        sky.putpixel((0, y), mix(above, below, y / 3))
    tiny_height = max(8, round(_TINY * height / width))
    sketch = sky.resize((_TINY * _SKETCH, tiny_height * _SKETCH), Image.Resampling.BILINEAR)
    canvas = ImageDraw.Draw(sketch)

    def spot(radius: float, lowest: float, colour: Colour) -> None:
        x, y, size = dice.between(0, sketch.width), dice.between(0, lowest), radius * _SKETCH
        canvas.ellipse((x - size, y - size, x + size, y + size), fill=colour)

    for _ in range(int(dice.between(5, 11))):
        colour = mix(above, below, dice.between(-0.8, 1.8))
        spot(dice.between(0.8, 4.5), sketch.height, mix(colour, tint, 0.1))
    if dice.chance(0.3):
        spot(2, sketch.height / 2, mix(above, WHITE, 0.7))
    soft = sketch.reduce(_SKETCH).resize((width, height), Image.Resampling.BICUBIC)
    # It holds no detail, so scaling it up smoothly to what is averaged down again would be work for nothing.
    return soft.resize((width * zoom, height * zoom), Image.Resampling.NEAREST) if zoom > 1 else soft


def _light(image: Image.Image, dice: Dice) -> Image.Image:
    """The picture under the light of the hour: brighter or darker, warmer or cooler."""
    exposure, warmth, contrast = dice.between(0.88, 1.1), dice.between(-0.07, 0.08), dice.between(0.94, 1.08)
    gains = (exposure * contrast * (1 + share) for share in (warmth, 0.0, -warmth))
    offset = 128 * (1 - contrast)
    return image.point(
        [min(255, max(0, round(level * gain + offset))) for gain in gains for level in range(256)]
    )
