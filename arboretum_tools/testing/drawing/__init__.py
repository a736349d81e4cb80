"""Draws the photos that the origin server serves. Nothing here is a photograph.

The taxon gives silhouette, colours and pattern (`looks.csv`); the photo id gives individual, pose, scale,
surroundings and light. So photos of one species look alike, no two photos are equal, and the same photo has
the same bytes in every run of one environment (another Pillow or libjpeg may encode differently).
"""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.testing.drawing.animals import ANIMALS
from arboretum_tools.testing.drawing.canvas import Colour, Dice, Pen, hsl, lighter, mix, polar
from arboretum_tools.testing.drawing.looks import Look, traits
from arboretum_tools.testing.drawing.plants import PLANTS
from arboretum_tools.testing.subjects import Photo

_FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP"}

#: Shapes of photos whose catalogue does not say: width over height.
_RATIOS = (4 / 3, 4 / 3, 3 / 2, 3 / 4, 1.0)

#: Up to this long edge in pixels, pictures are drawn at twice the size and scaled down, for smooth edges.
_SMOOTHED_UP_TO = 1024

#: The ground is sketched in so many columns, so many times larger, and scaled up, which blurs it.
_TINY, _SKETCH = 28, 4

#: Hue, saturation and lightness of the surroundings far above and far below: several moods a group.
_MOODS = {
    "Aves": ((205, 0.5, 0.8, 90, 0.25, 0.7), (95, 0.25, 0.5, 75, 0.3, 0.62), (32, 0.5, 0.76, 38, 0.6, 0.84)),
    "Insecta": (
        (85, 0.35, 0.55, 95, 0.35, 0.42),
        (48, 0.4, 0.66, 60, 0.28, 0.5),
        (160, 0.2, 0.55, 150, 0.2, 0.4),
    ),
    "Arachnida": ((145, 0.12, 0.66, 155, 0.14, 0.5), (85, 0.18, 0.7, 90, 0.15, 0.55)),
    "Reptilia": (
        (36, 0.45, 0.72, 32, 0.4, 0.6),
        (45, 0.1, 0.68, 45, 0.06, 0.55),
        (80, 0.2, 0.56, 40, 0.25, 0.5),
    ),
    "Plantae": (
        (110, 0.2, 0.4, 120, 0.25, 0.28),
        (190, 0.3, 0.77, 95, 0.25, 0.5),
        (105, 0.12, 0.3, 120, 0.15, 0.22),
    ),
    "Fungi": ((85, 0.18, 0.3, 28, 0.3, 0.23), (70, 0.16, 0.42, 28, 0.32, 0.28)),
    "Mollusca": ((190, 0.3, 0.72, 45, 0.3, 0.72), (100, 0.18, 0.5, 110, 0.16, 0.36)),
    "": ((210, 0.1, 0.72, 210, 0.06, 0.58),),
}


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
    figure = ANIMALS.get(taxon.figure) or PLANTS.get(taxon.figure) or _unknown
    figure(pen, Look(taxon, dice), dice)
    return _light(canvas.reduce(zoom) if zoom > 1 else canvas, dice)


def _unknown(pen: Pen, _look: Look, dice: Dice) -> None:
    """A rounded card with a question mark."""
    pen.oval(0j, 0.8, 0.8, (232, 232, 228))
    hook = (-0.3 - 0.3j, -0.2 - 0.5j, 0.05 - 0.55j, 0.3 - 0.3j, 0.1 + 0j, 0.25j)
    pen.at(0j, scale=dice.between(0.8, 1)).ribbon(hook, (0.14, 0.14), (110, 114, 122))
    pen.disc(0.45j, 0.09, (110, 114, 122))


def _ground(group: str, width: int, height: int, zoom: int, dice: Dice) -> Image.Image:
    """Out-of-focus surroundings in the colours of one of the group's moods, `zoom` times as large."""
    mood = dice.choose(_MOODS.get(group, _MOODS[""]))
    shift = dice.between(-0.06, 0.06)
    tint = hsl(dice.between(0, 360), 0.4, 0.5)
    above, below = (
        mix(hsl(hue, saturation, lightness + shift), tint, 0.12)
        for hue, saturation, lightness in (mood[:3], mood[3:])
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
        spot(2, sketch.height / 2, lighter(above, 0.7))
    soft = sketch.reduce(_SKETCH).resize((width, height), Image.Resampling.BICUBIC)
    # It holds no detail, so scaling it up smoothly to what is averaged down again would be work for nothing.
    return soft.resize((width * zoom, height * zoom), Image.Resampling.NEAREST) if zoom > 1 else soft


def _light(image: Image.Image, dice: Dice) -> Image.Image:
    """The picture under the light of the hour: brighter or darker, warmer or cooler."""
    exposure, warmth, contrast = dice.between(0.88, 1.1), dice.between(-0.07, 0.08), dice.between(0.94, 1.08)
    gain, offset = exposure * contrast, 128 * (1 - contrast)
    red, blue = gain * (1 + warmth), gain * (1 - warmth)
    return image.convert("RGB", (red, 0, 0, offset, 0, gain, 0, offset, 0, 0, blue, offset))
