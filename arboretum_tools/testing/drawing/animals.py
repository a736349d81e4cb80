"""Reptiles and molluscs, and the thing that is drawn where nothing is known."""

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

_SNAKES = {
    "Colubridae",
    "Natricidae",
    "Viperidae",
    "Elapidae",
    "Pythonidae",
    "Boidae",
    "Anguidae",
    "Typhlopidae",
}


def reptile(subject: Subject, pen: Pen, dice: Dice) -> None:
    """Draws the reptile from above: a turtle, a snake, or something with four legs."""
    look = Dice("reptile", subject.name)
    main = hsl(look.choose((28, 40, 60, 85, 110, 150)), look.between(0.2, 0.6), look.between(0.3, 0.5))
    accent = look.choose((darker(main, 0.55), lighter(main, 0.5), (214, 176, 60), (190, 70, 40)))
    turned = pen.at(0j, degrees=dice.between(-40, 40))
    bend = dice.choose((-1, 1)) * dice.between(0.6, 1.0)
    if subject.order == "Testudines":
        _turtle(turned, look, main, accent)
    elif subject.family in _SNAKES:
        _snake(turned, look, main, accent, bend)
    else:
        _lizard(turned, look, main, accent, bend, heavy=subject.order == "Crocodylia")


def _turtle(pen: Pen, look: Dice, main: Colour, accent: Colour) -> None:
    skin = mix(main, accent, 0.35)
    for side in (pen, pen.mirrored()):
        side.blob((0.4 - 0.42j, 0.8 - 0.72j, 0.92 - 0.5j, 0.6 - 0.2j), skin)
        side.blob((0.42 + 0.36j, 0.74 + 0.6j, 0.66 + 0.76j, 0.36 + 0.56j), skin)
    pen.shape((-0.06 + 0.6j, 0.06 + 0.6j, 1.02j), skin)
    pen.blob((-0.15 - 0.6j, -0.17 - 0.92j, -1.08j, 0.17 - 0.92j, 0.15 - 0.6j), skin)
    for side in (pen, pen.mirrored()):
        side.curve((0.06 - 0.66j, 0.1 - 0.9j, 0.03 - 1.04j), 0.025, accent)
        side.eye(0.12 - 0.94j, 0.045)
    wide = look.between(0.6, 0.72)
    shell = (
        -0.72j,
        complex(wide * 0.8, -0.5),
        complex(wide, 0.05),
        complex(wide * 0.75, 0.55),
        0.72j,
        complex(-wide * 0.75, 0.55),
        complex(-wide, 0.05),
        complex(-wide * 0.8, -0.5),
    )
    pen.blob(shell, darker(main, 0.4))
    pen.blob([point * 0.9 for point in shell], main)
    ring = lighter(main, 0.18)
    for y in (-0.42, 0.0, 0.42):
        for size, colour in ((0.22, accent), (0.18, ring)):
            pen.shape([complex(0, y) + polar(size, corner * 60) for corner in range(6)], colour)
    for side in (pen, pen.mirrored()):
        for y in (-0.24, 0.2):
            for size, colour in ((0.21, accent), (0.165, ring)):
                side.shape(
                    [complex(wide * 0.58, y) + polar(size, corner * 60 + 30) for corner in range(6)], colour
                )


def _snake(pen: Pen, look: Dice, main: Colour, accent: Colour, bend: float) -> None:
    spine = [
        -1.3 + 0.5j,
        -0.9 - 0.35j * bend,
        -0.4 + 0.45j * bend,
        0.1 - 0.4j * bend,
        0.6 + 0.3j * bend,
        0.98 - 0.22j * bend,
    ]
    width = look.between(0.17, 0.27)
    pen.ribbon(
        [point + 0.05 + 0.07j for point in spine],
        (0.02, width * 0.8, width, width, width * 0.7),
        (70, 64, 54),
    )
    pen.ribbon(spine, (0.02, width * 0.8, width, width * 1.05, width * 0.7), darker(main, 0.2))
    pen.ribbon(spine, (0.01, width * 0.5, width * 0.66, width * 0.7, width * 0.4), main)
    style = look.choose(("stripes", "saddles", "zigzag"))
    if style == "stripes":
        pen.curve(spine, 0.035, accent)
    else:
        for index in range(len(spine) - 1):
            for step in range(4):
                point = spine[index] + (spine[index + 1] - spine[index]) * (step + 0.5) / 4
                drift = 0.05 * (-1) ** step if style == "zigzag" else 0
                pen.oval(point + drift * 1j, width * 0.3, width * 0.22, accent)
    head = pen.at(spine[-1], degrees=-34 * bend)
    head.line((0.16 + 0j, 0.34 + 0j), 0.014, (170, 40, 40))
    head.blob(
        (-0.16 - 0.08j, 0.04 - 0.13j, 0.22 - 0.04j, 0.22 + 0.04j, 0.04 + 0.13j, -0.16 + 0.08j),
        darker(main, 0.1),
    )
    for y in (-0.08, 0.08):
        head.eye(complex(0.08, y), 0.032, (200, 150, 50))


def _lizard(pen: Pen, look: Dice, main: Colour, accent: Colour, bend: float, *, heavy: bool) -> None:
    width = 0.46 if heavy else look.between(0.24, 0.36)
    tail = [0.25j, 0.26 * bend + 0.6j, -0.2 * bend + 1.05j, 0.1 * bend + 1.4j]
    for side, lead in ((pen, 0.08), (pen.mirrored(), -0.08)):
        for y, foot in ((-0.34 + lead, -0.62), (0.2 - lead, 0.5)):
            ankle = complex(0.56, (y + foot) / 2 - 0.06)
            side.line((complex(0.08, y), complex(0.4, y * 0.9), ankle), width * 0.26, darker(main, 0.15))
            for toe in (-50, -15, 20):
                side.line((ankle, ankle + polar(0.17, toe + foot * 40)), 0.022, darker(main, 0.3))
    pen.ribbon(tail, (width * 0.72, width * 0.5, width * 0.28, 0.02), darker(main, 0.12))
    pen.ribbon((-0.5j, -0.1j, 0.32j), (width * 0.7, width, width * 0.7), main)
    pen.ribbon((-0.5j, -0.1j, 0.32j), (width * 0.2, width * 0.36, width * 0.2), lighter(main, 0.16))
    if look.chance(0.5):
        for side in (pen, pen.mirrored()):
            side.curve((0.1 - 0.5j, complex(width * 0.36, -0.1), 0.08 + 0.3j), 0.03, accent)
    else:
        for step in range(8):
            pen.oval(complex(0, -0.42 + step * 0.1), width * (0.34 - abs(step - 3.5) * 0.04), 0.024, accent)
    for step in range(5):
        pen.oval(tail[0] + (tail[1] - tail[0]) * step / 5, width * 0.22, 0.02, accent)
    snout = -1.22j if heavy else -0.96j
    pen.blob(
        (
            -0.12 - 0.46j,
            -0.19 - 0.66j,
            -0.08 + snout * 0.94,
            snout,
            0.08 + snout * 0.94,
            0.19 - 0.66j,
            0.12 - 0.46j,
        ),
        mix(main, accent, 0.12),
    )
    for side in (pen, pen.mirrored()):
        side.eye(0.13 - 0.72j, 0.045, (214, 160, 60))


def mollusc(subject: Subject, pen: Pen, dice: Dice) -> None:
    """Draws the mollusc: a shell of two valves, an octopus, a slug or a snail."""
    look = Dice("mollusc", subject.name)
    main = hsl(look.choose((18, 30, 38, 46, 60, 340)), look.between(0.25, 0.65), look.between(0.42, 0.68))
    band = look.choose((darker(main, 0.5), (92, 60, 40), WHITE))
    if subject.class_name == "Bivalvia":
        _valve(pen.at(0j, degrees=dice.between(-60, 60)), look, main, band)
    elif subject.class_name == "Cephalopoda":
        _octopus(pen.at(0j, degrees=dice.between(-25, 25)), look, main)
    else:
        _snail(
            pen,
            look,
            main,
            band,
            dice,
            shell=subject.family not in ("Arionidae", "Limacidae", "Agriolimacidae"),
        )


def _valve(pen: Pen, look: Dice, main: Colour, band: Colour) -> None:
    long, ribs = look.between(0.8, 1.25), int(look.between(7, 15))
    outline = (
        0.75j,
        complex(-long * 0.7, 0.2),
        complex(-long * 0.82, -0.35),
        complex(-long * 0.3, -0.8),
        complex(long * 0.3, -0.8),
        complex(long * 0.82, -0.35),
        complex(long * 0.7, 0.2),
    )
    pen.blob([point + 0.06 + 0.09j for point in outline], (96, 88, 72))
    pen.shape((-0.3 + 0.55j, 0.3 + 0.55j, 0.34 + 0.86j, -0.34 + 0.86j), darker(main, 0.25))
    foot = 0.75j
    for size in (1.0, 0.8, 0.6, 0.4):
        colour = main if size in (1.0, 0.6) else mix(main, band, 0.4)
        pen.blob([foot + (point - foot) * size for point in outline], colour)
    for rib in range(ribs):
        degrees = -90 + (rib - (ribs - 1) / 2) * 104 / ribs
        pen.line((foot - 0.08j, foot + polar(1.36, degrees)), 0.026, lighter(main, 0.35))


def _octopus(pen: Pen, look: Dice, main: Colour) -> None:
    for arm in range(8):
        side = -1 if arm < 4 else 1
        reach = arm % 4
        points = (
            complex(side * 0.1, 0.1),
            complex(side * (0.3 + 0.2 * reach), 0.5 - reach * 0.1),
            complex(side * (0.3 + 0.24 * reach), 0.95 - reach * 0.2),
            complex(side * (0.55 + 0.24 * reach), 1.0 - reach * 0.3),
        )
        pen.ribbon(points, (0.26, 0.2, 0.12, 0.02), darker(main, 0.08 * (arm % 3)))
        for point in points[1:3]:
            pen.disc(point, 0.035, lighter(main, 0.45))
    pen.blob((-0.3 + 0.2j, -0.46 - 0.3j, -0.34 - 0.78j, -0.92j, 0.34 - 0.78j, 0.46 - 0.3j, 0.3 + 0.2j), main)
    pen.blob((-0.3 - 0.3j, -0.26 - 0.66j, 0 - 0.76j, -0.06 - 0.4j), lighter(main, 0.18))
    for _ in range(9):
        pen.disc(
            complex(look.between(-0.3, 0.3), look.between(-0.74, -0.2)),
            look.between(0.025, 0.06),
            darker(main, 0.3),
        )
    for x in (-0.2, 0.2):
        pen.disc(complex(x, 0.0), 0.09, lighter(main, 0.4))
        pen.eye(complex(x, 0.0), 0.065, (226, 190, 80))


def _snail(pen: Pen, look: Dice, main: Colour, band: Colour, dice: Dice, *, shell: bool) -> None:
    ground = hsl(dice.between(30, 110), 0.3, 0.36)
    pen.ribbon((-3 + 0.86j, 0.84j, 3 + 0.88j), (0.34, 0.3, 0.34), ground)
    body = main if not shell else hsl(look.between(26, 46), look.between(0.12, 0.3), look.between(0.42, 0.62))
    lift = dice.between(-0.1, 0.08)
    pen.blob(
        (
            -1.15 + 0.7j,
            -0.5 + 0.44j,
            0.4 + 0.4j,
            0.82 + complex(0, 0.02 + lift),
            1.1 + complex(0, 0.02 + lift),
            1.12 + complex(0, 0.28 + lift),
            0.86 + 0.68j,
        ),
        body,
    )
    pen.line((-1.1 + 0.71j, 0.86 + 0.71j), 0.045, darker(body, 0.3))
    for x, reach in ((0.98, 0.42), (1.08, 0.34)):
        tip = complex(x + 0.16, 0.08 + lift - reach)
        pen.line((complex(x, 0.1 + lift), tip), 0.035, body)
        pen.disc(tip, 0.045, BLACK)
    if not shell:
        pen.blob((0.1 + 0.42j, 0.5 + 0.34j, 0.72 + 0.3j, 0.6 + 0.56j, 0.2 + 0.58j), lighter(body, 0.15))
        for _ in range(12):
            pen.oval(
                complex(look.between(-0.8, 0.6), look.between(0.48, 0.62)), 0.06, 0.022, darker(body, 0.4)
            )
        return
    size = look.between(0.6, 0.74)
    centre = complex(-0.14, 0.5 - size * 0.86)
    pen.blob(
        [centre + polar(size, degrees) * (1.06 if degrees == 45 else 1) for degrees in range(0, 360, 45)],
        darker(main, 0.18),
    )
    banded = look.chance(0.7)
    spiral = [centre + polar(size * (0.93 - 0.055 * step), 60 - step * 42) for step in range(16)]
    pen.disc(centre, size * 0.9, main)
    pen.oval(centre + complex(-0.2, -0.26) * size, size * 0.34, size * 0.22, lighter(main, 0.3), degrees=-40)
    if banded:
        pen.curve([centre + (point - centre) * 0.86 for point in spiral], size * 0.1, band)
    pen.curve(spiral, size * 0.055, darker(main, 0.5))


def unnamed(pen: Pen, dice: Dice) -> None:
    """Draws a pebble: what is there when no catalogue says what the photo shows."""
    colour = hsl(dice.between(0, 360), 0.14, dice.between(0.4, 0.6))
    pen.blob([polar(dice.between(0.7, 1.0), degrees) for degrees in range(0, 360, 45)], darker(colour, 0.2))
    pen.blob([polar(dice.between(0.4, 0.7), degrees) - 0.1 - 0.14j for degrees in range(0, 360, 45)], colour)
    for _ in range(10):
        pen.disc(dice.point(0.5, 0.5), dice.between(0.02, 0.06), lighter(colour, 0.25))
