"""Insects and arachnids, from above."""

from __future__ import annotations

from arboretum_tools.testing.drawing.canvas import (
    BLACK,
    WHITE,
    Colour,
    Dice,
    Pen,
    darker,
    hsl,
    lighter,
    mix,
    polar,
)
from arboretum_tools.testing.subjects import Subject

_CHITIN: Colour = (44, 36, 34)


def insect(subject: Subject, pen: Pen, dice: Dice) -> None:
    """Draws the insect in the build of its order, on a leaf."""
    _leaf(pen, dice)
    turned = pen.at(0j, degrees=dice.between(-50, 50))
    look = Dice("insect", subject.name)
    if subject.order == "Lepidoptera":
        _butterfly(turned, look, dice)
    elif subject.order == "Odonata":
        _dragonfly(turned, look)
    elif subject.order in ("Hymenoptera", "Diptera"):
        _bee(turned, look)
    elif subject.order in ("Orthoptera", "Mantodea", "Phasmida", "Dermaptera"):
        _cricket(turned, look)
    else:
        _beetle(turned, look)


def _leaf(pen: Pen, dice: Dice) -> None:
    green = hsl(dice.between(75, 140), dice.between(0.25, 0.45), dice.between(0.3, 0.46))
    leaf = pen.at(dice.point(0.2, 0.2), degrees=dice.between(0, 180), scale=dice.between(1.25, 1.6))
    leaf.blob((-1.3 + 0j, -0.6 - 0.62j, 0.4 - 0.6j, 1.35 + 0j, 0.4 + 0.6j, -0.6 + 0.62j), green)
    leaf.line((-1.3 + 0j, 1.3 + 0j), 0.035, lighter(green, 0.22))
    for x in (-0.9, -0.5, -0.1, 0.3, 0.7):
        end = complex(x + 0.32, 0.52 - abs(x) * 0.26)
        for tip in (end, end.conjugate()):
            leaf.line((complex(x, 0), tip), 0.016, lighter(green, 0.16))


def _legs(pen: Pen, colour: Colour, *, reach: float = 0.55, width: float = 0.035) -> None:
    for side in (pen, pen.mirrored()):
        for start, knee, foot in (
            (0.16 - 0.22j, 0.38 - 0.36j, complex(reach - 0.06, -0.58)),
            (0.18 - 0.05j, 0.44 - 0.06j, complex(reach + 0.08, 0.02)),
            (0.16 + 0.12j, 0.4 + 0.24j, complex(reach, 0.56)),
        ):
            side.line((start, knee, foot), width, colour)


def _antennae(pen: Pen, length: float, colour: Colour) -> None:
    for side in (pen, pen.mirrored()):
        side.curve((0.05 + 0j, complex(0.12, -length * 0.6), complex(0.26, -length)), 0.026, colour)
        side.disc(complex(0.26, -length), 0.03, colour)


def _butterfly(pen: Pen, look: Dice, dice: Dice) -> None:
    main = hsl(look.between(0, 360), look.between(0.25, 0.8), look.between(0.4, 0.72))
    edge = look.choose((BLACK, darker(main, 0.7), darker(main, 0.45)))
    accent = look.choose((WHITE, lighter(main, 0.6), hsl(look.between(0, 360), 0.7, 0.6)))
    tails = look.chance(0.35)
    spots, bands, eyespots, fore = (
        int(look.between(2, 6)),
        look.chance(0.5),
        look.chance(0.45),
        look.between(0.85, 1.1),
    )
    spread = dice.between(0.72, 1.0)
    for side in (pen, pen.mirrored()):

        def at(point: complex) -> complex:
            return complex(point.real * spread, point.imag)

        hind = [at(p) for p in (0.04 + 0.06j, 0.62 + 0.02j, 0.8 + 0.4j, 0.52 + 0.78j, 0.2 + 0.66j)]
        front = [
            at(p)
            for p in (
                0.04 - 0.06j,
                0.5 - 0.62j * fore,
                1.02 - 0.72j * fore,
                1.0 - 0.3j,
                0.66 + 0.1j,
                0.1 + 0.12j,
            )
        ]
        if tails:
            side.blob((at(0.42 + 0.6j), at(0.56 + 1.1j), at(0.62 + 0.6j)), edge)
        for wing, pivot in ((hind, 0.42 + 0.36j), (front, 0.56 - 0.28j)):
            middle = at(pivot)
            side.blob(wing, edge)
            side.blob([middle + (p - middle) * 0.86 for p in wing], main)
            side.blob([middle + (p - middle) * 0.5 for p in wing], lighter(main, 0.18))
            if bands:
                side.line((at(0.08 + pivot.imag * 0.2j), middle + (wing[2] - middle) * 0.7), 0.035, edge)
        for spot in range(spots):
            side.disc(at(0.95 - 0.04 * spot - (0.62 - spot * 0.15) * 1j), 0.04, accent)
            side.disc(at(polar(0.42, 10 + spot * 22) + 0.36 + 0.34j), 0.035, accent)
        if eyespots:
            for centre in (0.72 - 0.42j, 0.56 + 0.44j):
                side.disc(at(centre), 0.12, edge)
                side.disc(at(centre), 0.085, accent)
                side.disc(at(centre), 0.045, BLACK)
    pen.oval(0.02j, 0.07, 0.42, darker(edge, 0.2))
    pen.disc(-0.42j, 0.08, darker(edge, 0.2))
    _antennae(pen.at(-0.44j), 0.42, darker(edge, 0.2))


def _dragonfly(pen: Pen, look: Dice) -> None:
    main = hsl(look.between(0, 360), 0.6, 0.45)
    gauze = (214, 224, 226)
    for side in (pen, pen.mirrored()):
        for tip, back in ((1.15 - 0.42j, 1.05 - 0.2j), (1.1 + 0.16j, 0.98 + 0.34j)):
            side.blob((0.08 - 0.16j, tip, tip + 0.04 + 0.08j, back, 0.1 + 0.02j), gauze)
            side.line((0.08 - 0.12j, tip), 0.016, darker(gauze, 0.45))
            side.line((0.1 - 0.06j, (tip + back) / 2), 0.01, darker(gauze, 0.3))
            side.oval(tip - 0.1 + 0.04j, 0.05, 0.025, darker(main, 0.5))
    pen.ribbon((0.1j, 0.6j, 1.15j), (0.16, 0.1, 0.12), main)
    for segment in range(7):
        y = 0.22 + segment * 0.13
        pen.line((complex(-0.05, y), complex(0.05, y)), 0.025, darker(main, 0.55))
    pen.oval(-0.12j, 0.15, 0.26, darker(main, 0.15))
    for side in (pen, pen.mirrored()):
        side.oval(0.1 - 0.44j, 0.11, 0.13, lighter(main, 0.2), degrees=-20)
        side.disc(0.13 - 0.48j, 0.03, WHITE)


def _bee(pen: Pen, look: Dice) -> None:
    band = hsl(look.between(34, 52), look.between(0.6, 0.9), look.between(0.45, 0.6))
    dark = look.choose((BLACK, (70, 48, 32), (52, 44, 40)))
    plump, stripes = look.between(0.28, 0.4), int(look.between(3, 6))
    _legs(pen, dark)
    for side in (pen, pen.mirrored()):
        side.blob((0.1 - 0.22j, 0.74 - 0.16j, 0.92 + 0.14j, 0.62 + 0.28j), (222, 226, 224))
        side.blob((0.1 - 0.14j, 0.5 + 0.16j, 0.52 + 0.42j, 0.28 + 0.3j), (206, 212, 212))
        side.line((0.1 - 0.2j, 0.88 + 0.1j), 0.014, (150, 152, 150))
    pen.blob(
        (
            complex(-plump, 0.3),
            -0.16 - 0.04j,
            0.16 - 0.04j,
            complex(plump, 0.3),
            0.14 + 0.76j,
            0.86j,
            -0.14 + 0.76j,
        ),
        band,
    )
    for stripe in range(stripes):
        y = 0.12 + stripe * 0.62 / stripes
        half = plump * (1 - abs(y - 0.34) * 1.1)
        pen.curve((complex(-half, y), complex(0, y + 0.05), complex(half, y)), 0.3 / stripes, dark)
    pen.oval(-0.2j, plump * 0.85, 0.24, mix(band, dark, look.between(0.2, 0.7)))
    pen.oval(-0.26j, plump * 0.5, 0.1, lighter(band, 0.25))
    pen.oval(-0.5j, 0.18, 0.13, dark)
    for side in (pen, pen.mirrored()):
        side.oval(0.14 - 0.5j, 0.06, 0.1, look.choose((_CHITIN, (120, 60, 44))), degrees=12)
    _antennae(pen.at(-0.58j), 0.3, dark)


def _beetle(pen: Pen, look: Dice) -> None:
    main = hsl(
        look.choose((6, 14, 28, 40, 90, 150, 200, 280)), look.between(0.35, 0.8), look.between(0.3, 0.5)
    )
    mark = look.choose((BLACK, lighter(main, 0.6), darker(main, 0.7)))
    wide, long, spots = look.between(0.42, 0.62), look.between(0.55, 0.8), int(look.between(0, 5))
    striped = spots == 0
    _legs(pen, _CHITIN, reach=0.72, width=0.05)
    _antennae(pen.at(-0.66j), look.between(0.25, 0.6), _CHITIN)
    pen.oval(-0.6j, 0.2, 0.16, _CHITIN)
    pen.blob(
        (complex(-wide * 0.85, -0.22), -0.26 - 0.56j, 0.26 - 0.56j, complex(wide * 0.85, -0.22), -0.1j),
        darker(main, 0.5),
    )
    shell = (
        -0.22j,
        complex(wide, -0.1),
        complex(wide * 0.95, long * 0.55),
        complex(0, long),
        complex(-wide * 0.95, long * 0.55),
        complex(-wide, -0.1),
    )
    pen.blob(shell, main)
    for side in (pen, pen.mirrored()):
        side.blob(
            (
                complex(wide * 0.25, -0.06),
                complex(wide * 0.7, 0),
                complex(wide * 0.6, 0.26),
                complex(wide * 0.25, 0.14),
            ),
            lighter(main, 0.25),
        )
        for spot in range(spots):
            side.disc(complex(wide * (0.3 + 0.38 * (spot % 2)), -0.02 + spot * long * 0.2), wide * 0.15, mark)
        if striped:
            for x in (0.3, 0.62):
                side.curve(
                    (
                        complex(wide * x, -0.1),
                        complex(wide * x, long * 0.4),
                        complex(wide * x * 0.4, long * 0.85),
                    ),
                    0.03,
                    mark,
                )
    pen.line((-0.2j, complex(0, long)), 0.025, darker(main, 0.65))


def _cricket(pen: Pen, look: Dice) -> None:
    main = hsl(look.choose((28, 40, 75, 95, 110)), look.between(0.25, 0.55), look.between(0.32, 0.5))
    for side in (pen, pen.mirrored()):
        side.ribbon((0.14 + 0.05j, 0.56 - 0.34j), (0.12, 0.07), darker(main, 0.15))
        side.line((0.56 - 0.34j, 0.62 + 0.72j), 0.035, darker(main, 0.3))
        side.line((0.12 - 0.34j, 0.4 - 0.5j, 0.5 - 0.78j), 0.035, darker(main, 0.3))
        side.line((0.12 - 0.18j, 0.42 - 0.14j, 0.62 - 0.3j), 0.035, darker(main, 0.3))
        side.curve((0.06 - 0.72j, 0.3 - 1.1j, 0.7 - 1.2j), 0.018, _CHITIN)
    pen.ribbon((-0.42j, 0.2j, 0.95j), (0.3, 0.32, 0.08), main)
    pen.blob(
        (-0.16 - 0.3j, 0.16 - 0.3j, 0.13 + 0.5j, 0.82j, -0.13 + 0.5j), lighter(main, look.between(0.1, 0.3))
    )
    pen.line((-0.26j, 0.8j), 0.018, darker(main, 0.4))
    pen.blob((-0.19 - 0.5j, 0.19 - 0.5j, 0.18 - 0.24j, -0.18 - 0.24j), darker(main, 0.12))
    pen.oval(-0.62j, 0.17, 0.15, main)
    for side in (pen, pen.mirrored()):
        side.disc(0.13 - 0.68j, 0.055, BLACK)


def arachnid(subject: Subject, pen: Pen, dice: Dice) -> None:
    """Draws the arachnid: a scorpion, or a spider in its web."""
    look = Dice("arachnid", subject.name)
    main = hsl(look.choose((10, 24, 36, 46, 80, 0)), look.between(0.2, 0.75), look.between(0.25, 0.55))
    turned = pen.at(0j, degrees=dice.between(-40, 40))
    if subject.order == "Scorpiones":
        _scorpion(turned, main)
        return
    if subject.order == "Araneae":
        _web(pen.at(dice.point(0.15, 0.15), degrees=dice.between(0, 40)))
    _spider(turned, main, look, harvestman=subject.order == "Opiliones")


def _web(pen: Pen) -> None:
    silk = (176, 184, 180)
    for spoke in range(12):
        pen.line((0j, polar(2.6, spoke * 30)), 0.008, silk)
    for ring in range(1, 8):
        pen.line([polar(ring * 0.26, spoke * 30) for spoke in range(13)], 0.006, silk)


def _spider(pen: Pen, main: Colour, look: Dice, *, harvestman: bool) -> None:
    accent = look.choose((WHITE, (236, 204, 70), BLACK, lighter(main, 0.6), (190, 40, 36)))
    abdomen = 0.26 if harvestman else look.between(0.3, 0.46)
    reach = 1.25 if harvestman else look.between(0.75, 1.05)
    width = 0.025 if harvestman else look.between(0.045, 0.08)
    banded = look.chance(0.5)
    for side in (pen, pen.mirrored()):
        for degrees, share in ((-66, 1.0), (-26, 0.86), (18, 0.82), (58, 1.05)):
            knee, foot = polar(reach * 0.52 * share, degrees - 14), polar(reach * share, degrees + 8)
            side.line((0.08 - 0.12j, knee - 0.12j, foot - 0.06j), width, darker(main, 0.3))
            if banded:
                side.disc(knee - 0.12j, width * 0.75, accent)
                side.disc((knee + foot) / 2 - 0.09j, width * 0.6, accent)
    pen.oval(-0.2j, 0.2, 0.24, darker(main, 0.25))
    pen.oval(complex(0, abdomen + 0.02), abdomen * 0.82, abdomen, main)
    pen.oval(complex(-abdomen * 0.25, abdomen * 0.75), abdomen * 0.3, abdomen * 0.4, lighter(main, 0.2))
    style = look.choose(("bands", "cross", "spots", "stripe"))
    middle = complex(0, abdomen)
    if style == "bands":
        for step in (-0.5, -0.1, 0.3):
            half = abdomen * 0.7 * (1 - abs(step) * 0.6)
            pen.curve(
                (
                    middle + complex(-half, abdomen * step),
                    middle + complex(0, abdomen * (step + 0.12)),
                    middle + complex(half, abdomen * step),
                ),
                0.06,
                accent,
            )
    elif style == "cross":
        for step in range(5):
            pen.disc(middle + complex(0, abdomen * (step * 0.3 - 0.7)), 0.045, accent)
        for x in (-0.4, -0.2, 0.2, 0.4):
            pen.disc(middle + complex(abdomen * x, -abdomen * 0.3), 0.04, accent)
    elif style == "spots":
        for side in (pen, pen.mirrored()):
            for step in range(3):
                side.disc(middle + complex(abdomen * 0.35, abdomen * (step * 0.42 - 0.4)), 0.06, accent)
    else:
        pen.ribbon(
            (middle - abdomen * 0.8j, middle + abdomen * 0.8j), (abdomen * 0.5, abdomen * 0.15), accent
        )
    for side in (pen, pen.mirrored()):
        side.disc(0.06 - 0.38j, 0.035, BLACK)
        side.disc(0.12 - 0.33j, 0.022, BLACK)


def _scorpion(pen: Pen, main: Colour) -> None:
    for side in (pen, pen.mirrored()):
        for y in (-0.2, -0.04, 0.12, 0.26):
            side.line(
                (complex(0.1, y), complex(0.42, y - 0.04), complex(0.6, y + 0.16)), 0.04, darker(main, 0.2)
            )
        side.curve((0.12 - 0.34j, 0.46 - 0.42j, 0.42 - 0.72j), 0.075, main)
        side.blob(
            (0.42 - 0.68j, 0.56 - 0.86j, 0.48 - 1.12j, 0.42 - 0.92j, 0.34 - 1.08j, 0.3 - 0.84j),
            darker(main, 0.1),
        )
    tail = (0.4j, 0.75j, 0.3 + 1.0j, 0.56 + 0.72j, 0.44 + 0.44j)
    pen.ribbon(tail, (0.2, 0.13, 0.12, 0.11, 0.03), darker(main, 0.1))
    pen.blob((-0.2 - 0.4j, 0.2 - 0.4j, 0.26 + 0.1j, 0.46j, -0.26 + 0.1j), main)
    for y in (-0.18, -0.04, 0.1, 0.24):
        pen.curve((complex(-0.23, y), complex(0, y + 0.04), complex(0.23, y)), 0.022, darker(main, 0.4))
