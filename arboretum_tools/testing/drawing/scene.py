"""What lies behind: soft, out-of-focus surroundings that belong to the group, and the light of the hour."""

from __future__ import annotations

from PIL import Image, ImageDraw

from arboretum_tools.testing.drawing.canvas import Colour, Dice, hsl, lighter, mix

#: Width in pixels of the background before it is scaled up; scaling up is what blurs it.
_TINY = 28

#: It is sketched so many times larger and averaged down first, or the edges of spots would show as steps.
_SKETCH = 4

#: Hues (degree), saturation and lightness of what is far above, far below, and of the spots between, by
#: group: several moods each.
_MOODS: dict[str, tuple[tuple[Colour, Colour, tuple[Colour, ...]], ...]] = {
    "Aves": (
        ((168, 205, 232), (222, 233, 226), ((150, 186, 140), (196, 214, 170), (236, 240, 228))),
        ((116, 150, 96), (166, 186, 120), ((92, 128, 78), (190, 204, 140), (214, 214, 170))),
        ((226, 196, 158), (240, 222, 190), ((206, 160, 110), (232, 208, 170), (180, 150, 110))),
        ((150, 164, 178), (206, 212, 214), ((128, 142, 150), (222, 226, 226), (170, 176, 170))),
    ),
    "Plantae": (
        ((92, 132, 84), (56, 92, 56), ((120, 160, 92), (70, 108, 62), (168, 190, 120))),
        ((176, 206, 214), (110, 146, 88), ((140, 172, 104), (92, 128, 74), (206, 218, 180))),
        ((70, 84, 66), (44, 58, 44), ((96, 112, 78), (60, 76, 54), (132, 138, 96))),
    ),
    "Insecta": (
        ((146, 180, 96), (96, 138, 70), ((176, 204, 118), (78, 118, 60), (208, 220, 150))),
        ((206, 190, 128), (150, 150, 88), ((226, 212, 160), (130, 138, 80), (186, 170, 104))),
        ((120, 160, 150), (82, 122, 104), ((150, 186, 168), (70, 104, 90), (196, 214, 190))),
    ),
    "Arachnida": (
        ((74, 92, 84), (48, 62, 58), ((96, 116, 100), (62, 78, 70), (128, 140, 116))),
        ((118, 128, 108), (82, 90, 76), ((140, 150, 124), (96, 104, 86), (166, 168, 140))),
    ),
    "Reptilia": (
        ((214, 188, 146), (186, 154, 112), ((228, 206, 170), (170, 136, 96), (202, 176, 134))),
        ((160, 158, 146), (126, 124, 114), ((178, 176, 164), (110, 108, 100), (146, 150, 128))),
        ((136, 152, 104), (152, 132, 92), ((164, 176, 124), (120, 108, 76), (186, 178, 132))),
    ),
    "Fungi": (
        ((72, 84, 58), (74, 56, 40), ((96, 108, 70), (58, 46, 34), (120, 98, 64))),
        ((110, 116, 84), (96, 72, 48), ((134, 140, 98), (78, 60, 42), (160, 128, 84))),
    ),
    "Mollusca": (
        ((150, 192, 200), (206, 196, 166), ((176, 208, 210), (226, 216, 188), (130, 168, 176))),
        ((120, 146, 104), (90, 110, 78), ((146, 170, 120), (76, 94, 66), (182, 192, 150))),
    ),
    "": (((176, 184, 192), (142, 150, 158), ((196, 202, 208), (128, 136, 144), (214, 216, 218))),),
}


def background(group: str, width: int, height: int, zoom: int, dice: Dice) -> Image.Image:
    """Out-of-focus surroundings in the colours of one of the group's moods.

    Args:
        group: one of the seven Arboretum groups, or "".
        width: of the picture in pixels.
        height: of the picture in pixels.
        zoom: how many times larger it is drawn than it will be.
        dice: chooses.
    """
    above, below, spots = dice.choose(_MOODS.get(group, _MOODS[""]))
    shift = dice.between(-0.12, 0.12)
    tint = hsl(dice.between(0, 360), 0.4, 0.5 + shift)
    above, below = mix(above, tint, 0.12), mix(below, tint, 0.12)
    tiny_height = max(8, round(_TINY * height / width))
    sky = Image.new("RGB", (1, 4))
    for y in range(4):
        sky.putpixel((0, y), mix(above, below, y / 3))
    sketch = sky.resize((_TINY * _SKETCH, tiny_height * _SKETCH), Image.Resampling.BILINEAR)
    canvas = ImageDraw.Draw(sketch)

    def spot(radius: float, lowest: float, colour: Colour) -> None:
        x, y, size = dice.between(0, sketch.width), dice.between(0, lowest), radius * _SKETCH
        canvas.ellipse((x - size, y - size, x + size, y + size), fill=colour)

    for _ in range(int(dice.between(5, 11))):
        spot(dice.between(0.8, 4.5), sketch.height, mix(dice.choose(spots), tint, 0.1))
    if dice.chance(0.3):
        spot(2, sketch.height / 2, lighter(above, 0.7))
    soft = sketch.reduce(_SKETCH).resize((width, height), Image.Resampling.BICUBIC)
    # It holds no detail, so scaling it up smoothly to what is averaged down again would be work for nothing.
    return soft.resize((width * zoom, height * zoom), Image.Resampling.NEAREST) if zoom > 1 else soft


def light(image: Image.Image, dice: Dice) -> Image.Image:
    """The picture under the light of the hour: brighter or darker, warmer or cooler."""
    exposure, warmth, contrast = dice.between(0.88, 1.1), dice.between(-0.07, 0.08), dice.between(0.94, 1.08)
    gain, offset = exposure * contrast, 128 * (1 - contrast)
    red, blue = gain * (1 + warmth), gain * (1 - warmth)
    return image.convert("RGB", (red, 0, 0, offset, 0, gain, 0, offset, 0, 0, blue, offset))
