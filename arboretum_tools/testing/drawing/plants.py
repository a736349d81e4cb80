"""Silhouettes of plants, fungi and lichens."""

from __future__ import annotations

from collections.abc import Callable

from arboretum_tools.testing.drawing.canvas import WHITE, Colour, Dice, Pen, darker, lighter, mix, polar
from arboretum_tools.testing.drawing.looks import Look

_BARK, _GREEN = (96, 76, 60), (84, 132, 62)


def _leaf(pen: Pen, long: float, wide: float, colour: Colour) -> None:
    pen.blob((0j, complex(long * 0.35, -wide), complex(long, 0), complex(long * 0.35, wide)), colour)
    pen.line((0j, complex(long * 0.9, 0)), 0.018, darker(colour, 0.3))


def _stem(pen: Pen, look: Look, dice: Dice, top: float) -> Pen:
    """Stem and leaves; returns the pen at the top."""
    green, sway = look("leaf", _GREEN), dice.between(-0.25, 0.25)
    pen.ribbon(
        (complex(-sway, 1.7), complex(0, 0.7), complex(sway * 0.5, top)),
        (0.08, 0.07, 0.06),
        darker(green, 0.15),
    )
    long, wide = look.number("leaf_long", 0.5, 0.9), look.number("leaf_wide", 0.1, 0.22)
    for y, degrees in ((1.15, -150), (1.2, -30), (0.75, -160), (0.82, -20)):
        _leaf(
            pen.at(complex(-sway * (y - 0.7), y), degrees=degrees + dice.between(-12, 12)),
            long * y * 0.9,
            wide,
            green,
        )
    return pen.at(complex(sway * 0.5, top), degrees=dice.between(-18, 18))


def _flower(pen: Pen, look: Look, dice: Dice) -> None:
    """One open flower: rays of the daisies, petals of the poppies, the lip of the orchids."""
    top = _stem(pen, look, dice, -0.25)
    bloom, petals, wide = look("bloom"), int(look.number("petals", 5, 14)), look.number("wide", 0.6)
    long, layers = look.number("long", 0.68, 0.85), int(look.number("layers", 1, 2))
    turn, tilt = dice.between(0, 60), dice.between(-0.05, 0.05)
    for layer in range(layers):
        share = 1 - 0.3 * layer
        for petal in range(petals):
            side = top.at(
                complex(tilt, 0),
                degrees=turn * look.number("turn", 1)
                + look.number("start", -90)
                + (petal + layer / 2) * 360 / petals,
            )
            reach, half = long * share, wide * share * 2.2 / petals
            side.blob(
                (
                    0.05 + 0j,
                    complex(reach * 0.6, -half),
                    complex(reach, -half * 0.4),
                    complex(reach, half * 0.4),
                    complex(reach * 0.6, half),
                ),
                mix(bloom, look("shade", darker(bloom, 0.25)), 0.25 + 0.5 * (petal % 2)),
            )
    if look.has("spur", 0.1):
        for degrees in (-110, -70, -90):
            top.at(0j, degrees=degrees).ribbon((0j, 0.85 + 0j), (0.24, 0.06), look("spur"))
    if look.has("lip", 0.1):
        top.blob((-0.2 + 0j, 0.2 + 0j, 0.32 + 0.42j, 0j + 0.62j, -0.32 + 0.42j), look("lip"))
    centre = look.number("centre", 0.12, 0.26)
    top.disc(0j, centre, look("centre", (232, 190, 60)))
    for speck in range(9):
        top.disc(polar(centre * 0.7, speck * 40), centre * 0.16, darker(look("centre", (232, 190, 60)), 0.35))


def _head(pen: Pen, look: Look, dice: Dice) -> None:
    """Many small flowers in a ball, or on a flat umbel."""
    top, flat = _stem(pen, look, dice, -0.1), look.number("flat", 0, 1)
    bloom, size = look("bloom"), look.number("size", 0.1, 0.15)
    rays = int(look.number("rays", 7, 11))
    for ray in range(rays):
        degrees = -90 + (ray - (rays - 1) / 2) * (140 if flat > 0.5 else 360) / rays
        for reach in (0.85, 0.6, 0.36):
            tip = polar(reach * (0.75 if flat <= 0.5 else 1), degrees + reach * 20)
            if flat > 0.5:
                tip = complex(tip.real, tip.imag * 0.4 - 0.35)
                top.line((0j, tip), 0.02, look("leaf", _GREEN))
            top.disc(tip, size, darker(bloom, 0.15))
            top.disc(tip - 0.02j, size * 0.7, lighter(bloom, 0.2))
            if look.has("centre", 0.3):
                top.disc(tip, size * 0.3, look("centre"))


def _spike(pen: Pen, look: Look, dice: Dice) -> None:
    """Flowers up a stem: bells of the foxglove, the short head of the plantain."""
    _stem(pen, look, dice, -1.0)
    bloom, rows, bell = look("bloom"), int(look.number("rows", 6, 11)), look.number("bell", 0.14, 0.26)
    low, droop = look.number("low", 0.45), look.number("droop", 30)
    sway = dice.between(-0.15, 0.15)
    for row in range(rows):
        share = row / rows
        foot = complex(sway * (1 - share), -1.05 + share * (low + 1.05))
        for degrees in (180 - droop, droop, 90):
            flower, size = pen.at(foot, degrees=degrees), bell * (0.55 + share * 0.6)
            flower.ribbon(
                (0j, complex(size * 1.7, 0)),
                (size * 0.7, size * 1.3),
                mix(bloom, WHITE, 0.12 * (degrees == 90)),
            )
            flower.oval(complex(size * 1.7, 0), size * 0.22, size * 0.6, look("mouth", darker(bloom, 0.35)))


def _twig(pen: Pen, look: Look, dice: Dice) -> None:
    """Leaves on a twig, lobed or plain or fans; fruit where there is some."""
    pen = pen.at(0j, degrees=dice.between(-15, 15))
    pen.ribbon((-1.8 + 0.9j, -0.6 + 0.3j, 0.9 - 0.6j), (0.14, 0.09, 0.04), look("bark", _BARK))
    lobes, fan, long = int(look.number("lobes", 1, 5.9)), look.number("fan", 0), look.number("long", 0.8, 1.0)
    wide, green = look.number("wide", 0.18, 0.3), look("leaf", _GREEN)
    for index in range(6):
        foot = complex(-1.2 + index * 0.42, 0.6 - index * 0.25)
        leaf = pen.at(foot, degrees=(-95 if index % 2 else 40) + dice.between(-18, 18))
        tone = lighter(green, dice.between(0, 0.16))
        if fan:
            leaf.blob((0j, 0.75 - 0.5j, 0.9 - 0.2j, 0.7 + 0j, 0.9 + 0.2j, 0.75 + 0.5j), tone)
        elif look.number("oak", 0):
            for lobe in range(4):
                leaf.oval(complex(0.2 + lobe * 0.2, 0), 0.15, 0.26 - abs(lobe - 1.5) * 0.06, tone)
            leaf.line((0j, 0.9 + 0j), 0.02, darker(tone, 0.3))
        else:
            for lobe in range(lobes):
                _leaf(
                    leaf.at(0.1 + 0j, degrees=(lobe - (lobes - 1) / 2) * 36),
                    long * (1 - 0.12 * abs(lobe - (lobes - 1) / 2)),
                    wide,
                    tone,
                )
        if look.has("fruit", 0.3) and index in (1, 3, 4):
            for x in (-0.1, 0.08):
                leaf.oval(complex(x, 0.16 + x * 0.4), 0.1, look.number("fruit", 0.1, 0.16), look("fruit"))


def _frond(pen: Pen, look: Look, dice: Dice) -> None:
    """The feather of a fern, or needles around a branch."""
    green, needles, sway = look("leaf", _GREEN), look.number("needles", 0), dice.between(-0.2, 0.2)
    steps, long = int(look.number("steps", 10, 16)), look.number("long", 0.6, 0.9)
    top = complex(sway, -1.15)
    pen.ribbon((complex(-sway, 1.8), 0.3j, top), (0.1, 0.07, 0.03), look("bark", darker(green, 0.3)))
    for step in range(steps):
        share = step / steps
        foot = complex(-sway * (1 - share) + sway * share, 1.35 - share * 2.5)
        for degrees in (-150, -30):
            side = pen.at(foot, degrees=degrees + dice.between(-4, 4))
            reach = long if needles else long * (1.08 - share)
            if needles:
                for lean in (-16, 8, 30):
                    side.line(
                        (0j, polar(reach, lean if degrees > -90 else -lean)),
                        0.028,
                        lighter(green, 0.1 * (step % 3)),
                    )
            else:
                _leaf(side, reach, look.number("wide", 0.06, 0.11), lighter(green, 0.1 * (step % 2)))
    if look.has("fruit", 0.2):
        for x in (-0.16, 0.2):
            pen.oval(complex(x, 0.2 + x), 0.15, 0.24, look("fruit"))


def _cactus(pen: Pen, look: Look, dice: Dice) -> None:
    green = look("leaf", (96, 130, 84))
    for x, low, high in ((-0.62, 0.2, dice.between(-0.7, -0.3)), (0.62, 0.4, dice.between(-0.6, -0.1))):
        pen.ribbon(
            (complex(0, low + 0.3), complex(x * 0.8, low + 0.2), complex(x, low - 0.2), complex(x, high)),
            (0.3, 0.28, 0.28, 0.24),
            darker(green, 0.12),
        )
    pen.ribbon((1.8j, 0.5j, -1.05j), (0.52, 0.52, 0.42), green)
    for x in (-0.16, -0.05, 0.06, 0.17):
        pen.line((complex(x, 1.8), complex(x * 0.8, -1.0)), 0.03, darker(green, 0.4))
    for x in (-0.14, 0, 0.14):
        pen.disc(complex(x, -1.08), 0.09, look("bloom", WHITE))


def _rosette(pen: Pen, look: Look, dice: Dice) -> None:
    """Leaves from the ground: straps of welwitschia, hearts of wild ginger, traps of the flytrap."""
    green, count, trap = look("leaf", _GREEN), int(look.number("leaves", 7)), look.number("trap", 0)
    for index in range(count):
        degrees = -90 + (index - (count - 1) / 2) * 190 / count + dice.between(-8, 8)
        leaf = pen.at(0.6j, degrees=degrees)
        if trap:
            leaf.ribbon((0j, 0.6 + 0j), (0.08, 0.18), green)
            for side in (-1, 1):
                leaf.oval(
                    complex(0.85, side * 0.13),
                    0.26,
                    0.13,
                    mix(green, look("bloom"), 0.4 if side > 0 else 0.9),
                    degrees=side * 14,
                )
                for tooth in range(5):
                    foot = complex(0.65 + tooth * 0.1, side * 0.24)
                    leaf.line((foot, foot + 0.13j * side), 0.025, green)
        else:
            _leaf(
                leaf, look.number("long", 1.2), look.number("wide", 0.25), lighter(green, 0.12 * (index % 2))
            )
    if not trap and look.has("bloom", 0):
        pen.disc(0.62j, 0.2, look("bloom"))


def _moss(pen: Pen, dice: Dice) -> None:
    moss = (62, 78, 40)
    pen.shape([*(complex(x / 2, 0.84 + 0.08 * dice.number()) for x in range(-6, 7)), 4 + 3j, -4 + 3j], moss)
    for _ in range(20):
        foot = complex(dice.between(-2, 2), dice.between(0.86, 1.1))
        pen.line((foot, foot - dice.between(0.08, 0.22) * 1j), 0.025, lighter(moss, dice.number() * 0.3))


def _mushroom(pen: Pen, look: Look, dice: Dice) -> None:
    """A cap on a stem, often with a smaller one beside."""
    wide, high, thick = (
        look.number("wide", 0.55, 0.9),
        look.number("high", 0.35, 0.75),
        look.number("thick", 0.2, 0.42),
    )
    cap, stem, funnel = look("cap"), look("stem", (232, 222, 200)), look.number("funnel", 0)
    beside = complex(dice.choose((-1, 1)) * dice.between(0.75, 1.0), 0.42)
    small = pen.at(beside, scale=dice.between(0.4, 0.6))
    for one in (small, pen.at(0j, degrees=dice.between(-8, 8))) if dice.chance(0.6) else (pen,):
        one.ribbon((-0.1j, 0.4j, 1.0j), (thick * 0.85, thick * 0.85, thick * look.number("base", 1.3)), stem)
        one.line((thick * 0.25 + 0.1j, thick * 0.3 + 0.9j), 0.05, darker(stem, 0.15))
        if look.has("net", 0):
            one.ribbon((0.7j, 1.0j), (thick * 1.5, thick * 1.7), look("net"))
        if look.has("ring", 0.3):
            one.oval(0.26j, thick * 0.75, 0.08, look("ring", lighter(stem, 0.4)))
        if funnel:
            one.blob(
                (
                    complex(-wide, -0.42),
                    complex(0, -0.3),
                    complex(wide, -0.42),
                    thick * 0.4 + 0.3j,
                    -thick * 0.4 + 0.3j,
                ),
                cap,
            )
            for x in (-0.6, -0.3, 0, 0.3, 0.6):
                one.line((complex(x * wide, -0.32), complex(x * 0.2, 0.25)), 0.03, darker(cap, 0.3))
            one.oval(-0.42j, wide, 0.12, lighter(cap, 0.25))
            continue
        one.oval(0.02j, wide * 0.94, 0.13, look("gills", darker(stem, 0.2)))
        drop = look.number("drop", 0)
        one.blob(
            (
                complex(-wide, 0.03 + drop),
                complex(-wide * 0.76, -high * 0.62),
                complex(0, -high),
                complex(wide * 0.76, -high * 0.62),
                complex(wide, 0.03 + drop),
                complex(0, 0.05 + drop * 0.7),
            ),
            cap,
        )
        one.oval(
            complex(-wide * 0.35, -high * 0.6), wide * 0.25, high * 0.14, lighter(cap, 0.25), degrees=-30
        )
        for row in range(int(look.number("scales", 0))):
            for x in (-0.6, -0.2, 0.2, 0.6):
                one.line(
                    (
                        complex(x * wide, -high * 0.7 + row * 0.22),
                        complex(x * wide * 1.15, -high * 0.7 + row * 0.22 + 0.12),
                    ),
                    0.05,
                    darker(cap, 0.25),
                )
        if look.has("wart", 0.25):
            for x, y in (
                (-0.62, 0.3),
                (-0.3, 0.6),
                (0.05, 0.8),
                (0.4, 0.55),
                (0.7, 0.22),
                (0.1, 0.35),
                (-0.25, 0.2),
                (0.42, 0.14),
            ):
                one.oval(complex(x * wide, -y * high), 0.075, 0.055, look("wart", WHITE))
        if look.number("pits", 0):
            for x, y in (
                (-0.5, 0.25),
                (0, 0.2),
                (0.5, 0.25),
                (-0.28, 0.55),
                (0.28, 0.55),
                (0, 0.8),
                (-0.7, -0.02),
                (0.7, -0.02),
                (0, -0.05),
            ):
                one.oval(complex(x * wide * 0.9, -y * high), 0.09, 0.1, darker(cap, 0.5))
    _moss(pen, dice)


def _bracket(pen: Pen, look: Look, dice: Dice) -> None:
    """Shelves on a trunk."""
    pen.shape((-2.4 - 3j, -0.5 - 3j, -0.42 + 3j, -2.4 + 3j), _BARK)
    for x in range(6):
        pen.line((complex(-0.7 - x * 0.3, -3), complex(-0.65 - x * 0.3, 3)), 0.03, darker(_BARK, 0.3))
    cap, rim, deep = look("cap"), look("rim", lighter(look("cap"), 0.5)), look.number("deep", 0.12, 0.4)
    rings = int(look.number("rings", 2, 5))
    for y, size in ((-0.66, 0.85), (0.62, 1.05), (-0.02, 1.25)):
        shelf = pen.at(complex(-0.52, y), degrees=dice.between(-6, 6), scale=size * dice.between(0.9, 1.05))
        shelf.blob(
            (-0.1 - 0.16j, 0.5 - 0.22j, 1.0 + 0.04j, complex(0.6, 0.1 + deep), complex(-0.1, 0.1 + deep)),
            look("under", darker(cap, 0.45)),
        )
        for ring in range(rings + 1):
            share = 1 - ring / (rings + 1.5)
            colour = (rim, cap, look("zone", darker(cap, 0.35)))[0 if ring == 0 else 1 + ring % 2]
            shelf.blob(
                (
                    -0.1 - 0.14j * share,
                    0.5 * share - 0.24j * share,
                    complex(share, 0),
                    0.6 * share + 0.14j * share,
                    -0.1 + 0.12j * share,
                ),
                colour,
            )


def _lichen(pen: Pen, look: Look, dice: Dice) -> None:
    """A crust of lobes on a stone, or a small grey bush."""
    pen.blob((-1.6 - 0.7j, 0.2 - 1.1j, 1.6 - 0.6j, 1.5 + 0.8j, -0.2 + 1.1j, -1.5 + 0.7j), (112, 108, 104))
    cap, bush = look("cap"), look.number("bush", 0)
    for branch in range(22 if bush else 0):
        tip = polar(dice.between(0.7, 1.0), branch * 17)
        for lean in (-0.14, 0.14):
            pen.line((tip * 0.15, tip * 0.6, tip + tip * 1j * lean), 0.05, lighter(cap, 0.1 * (branch % 3)))
    for ring in () if bush else (0.95, 0.7, 0.42):
        for lobe in range(14):
            centre = polar(ring * 0.72, lobe * 26 + dice.between(-9, 9))
            pen.oval(centre, 0.24 * ring + 0.06, 0.14, lighter(cap, (1 - ring) * 0.5), degrees=lobe * 26)
            pen.disc(centre * 1.12, 0.05, look("cup", darker(cap, 0.3)))


def _ball(pen: Pen, look: Look, dice: Dice) -> None:
    """No cap: a puffball, the icicles of lion's mane, cups, ears, arms of a stinkhorn."""
    body, arms, cups, hair = (
        look("cap"),
        int(look.number("arms", 0)),
        look.number("cups", 0),
        int(look.number("hair", 0)),
    )
    for arm in range(arms):
        pen.ribbon(
            (0.7j, polar(0.6, -150 + arm * 30) + 0.4j, polar(1.1, -160 + arm * 35) + 0.3j),
            (0.3, 0.2, 0.05),
            mix(body, darker(body, 0.4), 0.3 * (arm % 2)),
        )
    for x, y, size in ((-0.5, 0.2, 0.5), (0.55, 0.05, 0.45), (0.05, 0.5, 0.55)) if cups else ():
        pen.oval(complex(x, y + 0.08), size, size * 0.8, look("under", darker(body, 0.4)))
        pen.oval(complex(x, y - 0.06), size * 0.92, size * cups * dice.between(0.9, 1.1), body)
        pen.oval(complex(x, y - 0.02), size * 0.6, size * cups * 0.6, darker(body, 0.2))
    if not arms and not cups:
        pen.blob((-0.8 + 0.2j, -0.5 - 0.6j, 0.1 - 0.75j, 0.75 - 0.3j, 0.75 + 0.5j, 0.75j, -0.7 + 0.6j), body)
        pen.oval(-0.25 - 0.35j, 0.3, 0.18, lighter(body, 0.4), degrees=-30)
    for strand in range(hair):
        foot = complex(-0.75 + strand % 12 * 0.135, -0.35 + strand // 12 * 0.3)
        pen.ribbon(
            (foot, foot + complex(dice.between(-0.05, 0.05), 0.42)),
            (0.09, 0.02),
            darker(body, 0.1 * (strand % 3)),
        )
    _moss(pen, dice)


PLANTS: dict[str, Callable[[Pen, Look, Dice], None]] = {
    "flower": _flower,
    "head": _head,
    "spike": _spike,
    "twig": _twig,
    "frond": _frond,
    "cactus": _cactus,
    "rosette": _rosette,
    "mushroom": _mushroom,
    "bracket": _bracket,
    "lichen": _lichen,
    "ball": _ball,
}
