"""Silhouettes of animals, each about 2 units wide; proportions come from the table."""

from __future__ import annotations

import math
from collections.abc import Callable

from arboretum_tools.testing.drawing.canvas import BLACK, WHITE, Dice, Pen, darker, lighter, mix, polar
from arboretum_tools.testing.drawing.looks import Look

_TWIG = (104, 82, 62)


def _sides(pen: Pen) -> tuple[Pen, Pen]:
    """The left half and the right half of what is seen from above."""
    return pen.mirrored(), pen


def _bird(pen: Pen, look: Look, dice: Dice) -> None:
    """From the side, facing right."""
    neck, leg = look.number("neck", 0, 0.15), look.number("leg", 0.15, 0.4)
    tall = neck + leg
    pen = pen.at(complex(-0.05, (neck - leg) * 0.35), scale=1 / (0.95 + 0.42 * tall))
    body = look("body")
    shade, plump = darker(body, 0.25), look.number("plump", 0.36, 0.46)
    trunk = pen.at(0j, degrees=-look.number("upright", 22, 32) - dice.between(-5, 5))
    legs = look("leg", (88, 70, 58))
    for x in (-0.1, 0.12):
        pen.line((complex(x, 0.2), complex(x + 0.03, 0.4 + leg)), 0.05, legs)
        pen.line((complex(x - 0.08, 0.42 + leg), complex(x + 0.16, 0.42 + leg)), 0.05, legs)
    if look.number("perch", 1):
        pen.ribbon((-1.6 + (0.5 + leg) * 1j, (0.48 + leg) * 1j, 1.6 + (0.42 + leg) * 1j), (0.12, 0.08), _TWIG)
    tail, tail_wide = look.number("tail", 0.45, 0.8), look.number("fan", 0.14, 0.3)
    trunk.ribbon((-0.5 - 0.02j, complex(-0.65 - tail, 0.06)), (0.3, tail_wide), look("tail", shade))
    trunk.oval(-0.05 + 0j, 0.68, plump, body)
    trunk.oval(0.1 + 0.13j, 0.5, plump * 0.72, look("belly", lighter(body, 0.45)))
    if look.has("breast"):
        trunk.oval(0.34 + 0.02j, 0.3, plump * 0.8, look("breast"))
    for spot in range(int(look.number("spots", 0))):
        trunk.disc(complex(-0.3 + spot % 5 * 0.2, 0.02 + spot // 5 * 0.11), 0.035, look("spot", shade))
    wing = look("wing", shade)
    trunk.blob((0.32 - 0.22j, 0.3 + 0.1j, -0.2 + 0.2j, -0.95 + 0.08j, -0.5 - 0.2j), wing)
    for feather in range(4):
        foot = complex(0.1 - feather * 0.16, -0.04 + feather * 0.03)
        trunk.line((foot, foot - 0.34 + 0.1j), 0.025, darker(wing, 0.3))
    if look.has("bar"):
        trunk.ribbon((0.16 - 0.2j, 0.05 + 0.0j, 0.0 + 0.16j), (0.1, 0.1), look("bar", WHITE))
    size = look.number("head", 0.25, 0.31)
    shoulder = 0.38 - 0.24j - look.number("upright", 22) * 0.004
    middle = shoulder + complex(0.16 + neck * dice.between(0.05, 0.3), -0.2 - neck)
    head = look("head", body)
    bend = complex(look.number("bend", 0.1) * neck, 0)
    pen.ribbon(
        (0.28 - 0.02j, shoulder - neck * 0.3j + bend, middle),
        (0.5 - 0.1 * neck, 0.24, 0.22),
        look("neck", head),
    )
    if look.has("ring", 0.15):
        pen.oval(shoulder + (middle - shoulder) * 0.3, 0.2, 0.06, look("ring", WHITE), degrees=20)
    face = pen.at(middle, degrees=dice.between(-10, 8), scale=size / 0.28)
    crest = look.number("crest", 0)
    for feather in range(4 if crest else 0):
        face.ribbon(
            (-0.05 - 0.12j, -0.1 + polar(0.2 + crest, -115 - feather * 20)), (0.2, 0.04), look("crest", head)
        )
    bill, deep, hook = (
        look.number("bill", 0.2, 0.4),
        look.number("deep", 0.07, 0.14),
        look.number("hook", 0, 0.1),
    )
    beak, tip = look("bill", (70, 66, 62)), complex(0.22 + bill, 0.05 + hook)
    face.disc(0j, 0.28, head)
    face.shape(
        (
            0.2 + (0.03 - deep) * 1j,
            complex(0.2 + bill * 0.7, 0.02 - deep * 0.7),
            tip,
            0.2 + (0.05 + deep) * 1j,
        ),
        beak,
    )
    if look.has("tip", 0):
        face.shape(
            (tip, tip + complex(-bill * 0.4, -deep), tip + complex(-bill * 0.4, deep * 0.6)), look("tip")
        )
    if look.has("cap"):
        face.blob((-0.28 + 0j, -0.18 - 0.24j, 0.1 - 0.27j, 0.25 - 0.06j), look("cap"))
    if look.has("mask", 0.25):
        face.oval(0.12 + 0.03j, 0.17, 0.12, look("mask"))
    if look.has("cheek", 0.25):
        face.oval(-0.03 + 0.1j, 0.17, 0.11, look("cheek"))
    if look.has("throat", 0.2):
        face.oval(0.06 + 0.24j, 0.2, 0.1, look("throat"))
    if look.has("disc", 0):
        face.oval(0.05 + 0.02j, 0.23, 0.23, look("disc"))
        face.eye(-0.08 - 0.02j, 0.08)
    face.eye(0.11 - 0.05j, look.number("eye", 0.055), look("eye", BLACK))


def _butterfly(pen: Pen, look: Look, dice: Dice) -> None:
    """From above, wings spread."""
    wing, edge = look("wing"), look("border", darker(look("wing"), 0.5))
    back = look("hind", wing)
    spread, slim, border = (
        dice.between(-9, 9),
        look.number("slim", 0.95, 1.15),
        look.number("border", 0.08, 0.2),
    )
    fore = [z * slim for z in (0.05 - 0.1j, 0.3 - 0.62j, 0.9 - 0.92j, 1.05 - 0.66j, 0.86 - 0.2j, 0.5 + 0.1j)]
    hind = (0.05 - 0.05j, 0.6 - 0.02j, 0.86 + 0.3j, 0.66 + 0.72j, 0.3 + 0.78j, 0.08 + 0.45j)
    dots, spots = int(look.number("dots", 0)), int(look.number("spots", 0))
    for side in _sides(pen):
        half = side.at(0j, degrees=spread)
        tails = look.number("tails", 0)
        if tails:
            half.ribbon(
                (0.45 + 0.6j, 0.5 + 0.8j, complex(0.42 + 0.2 * tails, 0.75 + tails)), (0.24, 0.1), back
            )
        for points, colour in ((hind, back), (fore, wing)):
            half.blob(points, edge)
            middle = sum(points) / len(points)
            half.blob([middle + (z - middle) * (1 - border) - 0.03 for z in points], colour)
            if look.number("veins", 0):
                for end in points[1:-1]:
                    half.line((points[0], (points[0] + middle) / 2, end * 0.96), 0.032, edge)
        if look.has("tip", 0.3):
            half.blob((fore[2], fore[3], fore[3] * 0.84 + 0.2j, fore[2] * 0.66), look("tip"))
        if look.has("band", 0.35):
            half.ribbon((0.36 - 0.6j, 0.55 - 0.36j, 0.78 - 0.14j), (0.14, 0.14), look("band"))
        if look.has("rim", 0.2):
            half.ribbon((0.84 + 0.36j, 0.62 + 0.68j, 0.3 + 0.74j), (0.13, 0.13), look("rim"))
        for dot in range(dots):
            share = dot / max(1, dots - 1)
            half.disc(
                0.97 - 0.7j - share * 0.06 + share * 0.6j
                if share < 0.55
                else 0.8 + (share - 0.5) * (-0.8 + 1j) + 0.3j,
                0.042,
                look("dot", WHITE),
            )
        for spot in range(spots):
            half.disc(
                (0.52 - 0.42j, 0.7 - 0.3j, 0.48 + 0.26j, 0.3 - 0.3j, 0.78 - 0.6j)[spot % 5],
                0.085,
                look("spot", BLACK),
            )
        if look.has("eye", 0.3):
            for centre in (0.72 - 0.62j, 0.52 + 0.42j):
                half.disc(centre, 0.17, look("ring", (236, 206, 96)))
                half.disc(centre, 0.11, look("eye"))
                half.disc(centre + 0.03 - 0.03j, 0.04, WHITE)
        side.line((-0.42j, 0.1 - 0.66j, 0.24 - 0.82j), 0.022, BLACK)
    thick = look.number("thick", 0.07)
    pen.oval(0.14j, thick, 0.48, look("body", (48, 40, 36)))
    pen.disc(-0.36j, thick * 1.15, look("head", darker(look("body", (48, 40, 36)), 0.3)))


def _legs(pen: Pen, look: Look, dice: Dice, reach: float, y: float) -> None:
    for side in _sides(pen):
        for row, degrees in enumerate((-40, 5, 48)):
            foot = complex(0.15, y + row * 0.22)
            knee = foot + polar(reach * 0.55, degrees + dice.between(-9, 9))
            side.line((foot, knee, knee + polar(reach * 0.5, degrees + 34)), 0.05, look("leg", BLACK))


def _beetle(pen: Pen, look: Look, dice: Dice) -> None:
    """From above, also bugs and earwigs."""
    wide, long = look.number("wide", 0.4, 0.62), look.number("long", 0.66, 0.86)
    pen = pen.at(0.08j, degrees=dice.between(-50, 50))
    _legs(pen, look, dice, wide * 0.75 + 0.25, -0.3)
    wing, spot = look("wing"), look("spot", BLACK)
    neck, head = look("neck", darker(wing, 0.5)), look("head", BLACK)
    jaws, claws = look.number("jaws", 0), look.number("claws", 0)
    for side in _sides(pen):
        side.line((0.1 - long * 0.95j, 0.3 - long * 1.2j, 0.52 - long * 1.26j), 0.03, look("leg", BLACK))
        if jaws:
            side.ribbon(
                (0.08 - long * 1j, 0.3 - (long + 0.24) * 1j, 0.1 - (long + jaws) * 1j),
                (0.14, 0.1, 0.04),
                look("jaw", head),
            )
        if claws:
            side.ribbon(
                (0.05 + long * 0.9j, 0.2 + (long + 0.15) * 1j, 0.04 + (long + claws) * 1j),
                (0.1, 0.04),
                look("leg"),
            )
    pen.oval(-long * 0.86j, wide * 0.42, 0.17, head)
    shoulders = look.number("shoulders", 0.78)
    pen.blob(
        [
            complex(x * wide * shoulders, y * long)
            for x, y in ((-0.7, -0.88), (0.7, -0.88), (1.1, -0.48), (0, -0.3), (-1.1, -0.48))
        ],
        neck,
    )
    if look.has("cheek", 0.2):
        for side in _sides(pen):
            side.oval(complex(wide * shoulders * 0.72, -long * 0.66), 0.1, 0.12, look("cheek", WHITE))
    shield = look.number("shield", 0)
    pen.oval(0.14j, wide, long * 0.8, wing)
    pen.oval(complex(-wide * 0.3, -0.2), wide * 0.3, long * 0.3, lighter(wing, 0.14))
    for bar in range(int(look.number("stripes", 0))):
        x = (bar - (look.number("stripes", 0) - 1) / 2) * 1.7 / look.number("stripes", 1) * wide
        bow = math.sqrt(max(0.05, 1 - (x / wide) ** 2)) * long * 0.76
        pen.line((complex(x, 0.14 - bow), complex(x, 0.14 + bow)), 0.075, look("stripe", BLACK))
    if shield:
        pen.shape(
            (complex(-wide * 0.7, -long * 0.4), complex(wide * 0.7, -long * 0.4), 0.14j + long * shield * 1j),
            look("shield", darker(wing, 0.15)),
        )
    else:
        pen.line((-long * 0.46j, 0.14j + long * 0.8j), 0.03, darker(wing, 0.55))
    spots, size = int(look.number("spots", 0)), look.number("size", 0.1)
    rows = (
        (0.45, -0.14),
        (0.62, 0.3),
        (0.34, 0.5),
        (0.3, 0.1),
        (0.74, 0.02),
        (0.5, 0.7),
        (0.16, 0.32),
        (0.2, -0.3),
        (0.12, 0.76),
    )
    for side in _sides(pen):
        for x, y in rows[: spots // 2]:
            side.disc(complex(x * wide * 1.02, 0.02 + y * long), size, spot)
        if look.has("tuft", 0):
            for y in (0.0, 0.25, 0.5):
                side.disc(complex(wide * 0.96, y), 0.09, look("tuft"))
    if spots % 2:
        pen.disc(-long * 0.34j, size * 1.1, spot)


def _bee(pen: Pen, look: Look, dice: Dice) -> None:
    """From above: bees, wasps, flies, hover flies."""
    pen = pen.at(0j, degrees=dice.between(-60, 60))
    plump, fur = look.number("plump", 0.26, 0.44), look.number("fur", 0)
    _legs(pen, look, dice, 0.8, -0.35)
    dark, light = look("body"), look("stripe", darker(look("body"), 0.6))
    pen.oval(0.42j, plump, 0.58, dark)
    bars = int(look.number("bars", 4))
    for bar in range(bars):
        y = -0.36 + 0.76 * (bar + 0.5) / bars
        half = plump * math.sqrt(max(0.04, 1 - (y / 0.58) ** 2)) * 0.99
        pen.line(
            (complex(-half, 0.42 + y), complex(half, 0.42 + y)),
            0.72 / bars * look.number("broad", 0.5),
            light,
        )
    if look.has("tail", 0.2):
        pen.oval(0.86j, plump * 0.66, 0.16, look("tail"))
    chest = look("chest", dark)
    for hair in range(28 if fur else 0):
        pen.line((-0.32j, -0.32j + polar(plump + 0.1 * fur, hair * 13)), 0.04, chest)
    pen.oval(-0.34j, plump * 0.9, 0.34, chest)
    if look.has("collar", 0.2):
        pen.oval(-0.5j, plump * 0.78, 0.12, look("collar"))
    pen.oval(-0.76j, 0.22, 0.17, look("head", BLACK))
    pale = look("wing", (214, 220, 224))
    for side in _sides(pen):
        side.disc(0.16 - 0.8j, look.number("eyes", 0.08), look("eye", darker(look("head", BLACK), 0.5)))
        side.line((0.06 - 0.9j, 0.2 - 1.12j), 0.03, BLACK)
        lift = look.number("sweep", 38) + dice.between(-8, 8)
        side.at(0.16 - 0.4j, degrees=lift).oval(0.46 + 0j, 0.5, 0.17, mix(pale, dark, 0.12))
        side.at(0.16 - 0.4j, degrees=lift).line((0j, 0.9 + 0j), 0.016, darker(pale, 0.4))


def _dragonfly(pen: Pen, look: Look, dice: Dice) -> None:
    """From above."""
    pen = pen.at(-0.1j, degrees=dice.between(-45, 45))
    body, thin = look("body"), look.number("thin", 0.08, 0.14)
    pale = look("wing", (222, 228, 230))
    for side in _sides(pen):
        for foot, degrees in ((-0.34j, -14), (-0.18j, look.number("sweep", 14))):
            wing = side.at(foot, degrees=degrees + dice.between(-5, 5))
            wing.blob((0.04 + 0j, 0.6 - 0.12j, 1.1 - 0.04j, 1.0 + 0.12j, 0.4 + 0.14j), pale)
            wing.line((0j, 1.08 - 0.02j), 0.02, darker(pale, 0.45))
            wing.disc(0.95 - 0.04j, 0.04, look("dot", BLACK))
            wing.oval(0.16 + 0.02j, 0.12, 0.06, look("root", pale))
    pen.ribbon((-0.1j, 0.4j, 1.1j), (thin * 1.7, thin * 2.2 * look.number("broad", 0.8), thin), body)
    for ring in range(6):
        pen.line(
            (complex(-thin * 0.8, ring * 0.18), complex(thin * 0.8, ring * 0.18)),
            0.03,
            look("stripe", darker(body, 0.5)),
        )
    pen.oval(-0.32j, 0.16, 0.28, look("chest", body))
    for side in _sides(pen):
        side.disc(0.1 - 0.66j, 0.13, look("eye", darker(body, 0.4)))


def _hopper(pen: Pen, look: Look, dice: Dice) -> None:
    """From the side: grasshoppers, crickets, mantids, stick insects."""
    body, deep, lift = look("body"), look.number("deep", 0.22, 0.3), look.number("lift", 0)
    leg, jump = look("leg", darker(body, 0.25)), look.number("jump", 0.7)
    head = complex(0.75, -0.15 - lift)
    for x in (-0.2, 0.15, 0.45):
        pen.line(
            (complex(x, 0.0), complex(x + dice.between(-0.3, 0.3), 0.35), complex(x * 1.5, 0.72)), 0.05, leg
        )
    for bow in (0.3, 0.5):
        pen.line(
            (head, head + complex(0.3, -bow), head + complex(look.number("feeler", 0.7), -bow * 0.9)),
            0.025,
            leg,
        )
    pen.ribbon(
        (-0.95 + 0.1j, -0.4 + 0.05j, 0.2 - 0.02j, head), (deep * 0.5, deep * 1.2, deep, deep * 0.75), body
    )
    pen.ribbon(
        (-1.0 - 0.08j, -0.3 - 0.12j, 0.3 - 0.08j),
        (0.04, deep * look.number("wings", 0.7), deep * 0.4),
        look("wing", darker(body, 0.2)),
    )
    pen.oval(head, deep * 0.62, deep * 0.7, look("head", body))
    pen.eye(head + 0.06 - 0.05j, 0.05)
    if jump:
        pen.ribbon((-0.05 + 0.1j, -0.45 - jump * 0.6j), (0.22, 0.08), darker(body, 0.12))
        pen.line((-0.45 - jump * 0.6j, -0.85 + 0.7j), 0.05, leg)
    if lift:
        pen.ribbon((head - 0.1 + 0.2j, head + 0.3 + 0.3j, head + 0.12 - 0.05j), (0.14, 0.05), leg)


def _spider(pen: Pen, look: Look, dice: Dice) -> None:
    """From above: spiders, harvestmen, ticks, scorpions."""
    pen = pen.at(0j, degrees=dice.between(-40, 40), scale=0.92)
    body, reach, stout = look("body"), look.number("reach", 0.8, 1.15), look.number("stout", 0.05, 0.1)
    leg, rings = look("leg", darker(body, 0.3)), look.has("rings", 0.3)
    for side in _sides(pen):
        for row, degrees in enumerate((-66, -28, 22, 60)):
            foot = complex(0.08, -0.3 + row * 0.07)
            knee = foot + polar(reach * 0.55, degrees + dice.between(-8, 8))
            tip = knee + polar(reach * 0.55, degrees + (24 if degrees > 0 else -24))
            side.line((foot, knee, tip), stout, leg)
            for share in (0.3, 0.7) if rings else ():
                side.line(
                    (knee + (tip - knee) * share, knee + (tip - knee) * (share + 0.18)), stout, look("rings")
                )
        if look.number("claws", 0):
            side.ribbon((0.12 - 0.4j, 0.5 - 0.55j, 0.46 - 0.85j), (0.12, 0.12), body)
            side.oval(0.42 - 0.98j, 0.13, 0.22, body)
            side.ribbon((0.36 - 1.1j, 0.3 - 1.32j), (0.1, 0.03), leg)
    long, wide = look.number("long", 0.36, 0.5), look.number("wide", 0.28, 0.42)
    if look.number("sting", 0):
        tail = (0.5j, 0.95j, 0.25 + 1.25j, 0.6 + 1.1j, 0.62 + 0.75j)
        pen.ribbon(tail, (0.26, 0.18, 0.16, 0.14, 0.04), body)
    pen.oval(
        -0.3j, look.number("chest", 0.22), look.number("chest", 0.22) * 1.15, look("chest", darker(body, 0.3))
    )
    pen.oval(complex(0, long * 0.75), wide, long, body)
    bars = int(look.number("bars", 0))
    for bar in range(bars):
        y = (2 * (bar + 0.5) / bars - 1) * 0.85
        half = wide * math.sqrt(1 - y * y) * 0.97
        pen.line(
            (complex(-half, long * (0.75 + y)), complex(half, long * (0.75 + y))),
            long / bars * 0.9,
            look("stripe", BLACK),
        )
    if look.has("cross", 0.2):
        for x, y in ((0, 0.3), (0, 0.55), (0, 0.85), (0, 1.1), (-0.4, 0.55), (0.4, 0.55)):
            pen.oval(complex(x * wide, y * long), 0.055, 0.075, look("cross", WHITE))
    if look.has("glass", 0):
        pen.shape(
            [
                complex(x * wide, y * long)
                for x, y in ((-0.5, 0.4), (0.5, 0.4), (0.12, 0.8), (0.5, 1.2), (-0.5, 1.2), (-0.12, 0.8))
            ],
            look("glass"),
        )
    for side in _sides(pen):
        for spot in range(int(look.number("spots", 0)) // 2):
            side.disc(complex(wide * 0.48, long * (0.3 + spot * 0.4)), 0.06, look("spot", BLACK))
        side.disc(0.08 - 0.46j, look.number("eyes", 0.035), look("eye", (20, 20, 20)))


def _marks(pen: Pen, look: Look, spine: list[complex], wide: float) -> None:
    """Stripes along or spots and bars across a long body."""
    stripes, marks = int(look.number("stripes", 0)), int(look.number("spots", 0))
    for stripe in range(stripes):
        off = (stripe - (stripes - 1) / 2) * wide / max(1, stripes) * 1j
        pen.ribbon([z + off for z in spine], (wide * 0.16, wide * 0.16, 0.02), look("stripe"))
    for mark in range(marks):
        at = (mark + 0.7) / (marks + 1) * (len(spine) - 1)
        low = int(at)
        ahead = spine[low + 1] - spine[low]
        centre = spine[low] + ahead * (at - low)
        shift = (0.25 if mark % 2 else -0.25) * wide * look.number("zigzag", 0) * 1j * ahead / abs(ahead)
        pen.oval(
            centre + shift,
            wide * 0.34,
            wide * look.number("broad", 0.3),
            look("spot"),
            degrees=math.degrees(math.atan2(ahead.imag, ahead.real)),
        )


def _snake(pen: Pen, look: Look, dice: Dice) -> None:
    wide, wave = look.number("wide", 0.18, 0.26), dice.between(0.34, 0.5)
    body = look("body")
    spine = [complex(1.05 - 0.3 * i, wave * math.sin(i * 1.35 + 0.5) * min(1, 0.3 + i / 3)) for i in range(8)]
    pen.ribbon([z + 0.05j for z in spine], (wide, wide * 1.2, wide, 0.03), darker(body, 0.45))
    pen.ribbon(spine, (wide * 0.8, wide * 1.15, wide, 0.03), body)
    _marks(pen, look, spine, wide)
    hood = look.number("hood", 0)
    if hood:
        pen.oval(spine[0] - 0.2 + 0.02j, 0.26, hood, lighter(body, 0.15), degrees=-25)
    head = pen.at(spine[0], degrees=dice.between(-15, 15))
    head.line((0.2 + 0j, 0.42 + 0j, 0.5 - 0.05j), 0.02, (170, 40, 50))
    head.oval(0.08 + 0j, 0.2, wide * 0.62, look("head", body))
    if look.has("collar", 0.2):
        head.oval(-0.12 + 0j, 0.07, wide * 0.6, look("collar"))
    head.eye(0.12 - 0.04j, 0.035)


def _lizard(pen: Pen, look: Look, dice: Dice) -> None:
    """From above, or nearly: lizards, and crocodiles with a long snout."""
    wide, snout = look.number("wide", 0.22, 0.32), look.number("snout", 0.2)
    body, bend = look("body"), dice.between(-0.25, 0.25)
    spine = [
        0.55 + 0.05j,
        0.2 + 0j,
        -0.2 + bend * 0.2j,
        complex(-0.7, bend),
        complex(-1.25, bend * 0.2 - 0.1),
    ]
    for side, up in ((0.4, -1), (0.4, 1), (-0.25, -1), (-0.25, 1)):
        foot = complex(side, up * (0.3 + wide * 0.5) + dice.between(-0.06, 0.06))
        pen.ribbon(
            (complex(side - 0.05, 0), foot, foot + 0.2 + 0.02j * up), (0.12, 0.07, 0.05), darker(body, 0.2)
        )
    pen.ribbon(spine, (wide * 0.8, wide * 1.3, wide * 1.1, wide * 0.5, 0.03), body)
    if look.number("spikes", 0):
        for spike in range(9):
            x = 0.5 - spike * 0.14
            pen.shape(
                (
                    complex(x, -wide * 0.5),
                    complex(x - 0.13, -wide * 0.5),
                    complex(x - 0.1, -wide * 0.5 - 0.14),
                ),
                look("spike", darker(body, 0.3)),
            )
    _marks(pen, look, spine[:4], wide)
    head = pen.at(0.62 + 0.04j, degrees=dice.between(-14, 14))
    head.blob(
        (
            -0.15 - wide * 0.5j,
            0.1 - wide * 0.5j,
            complex(0.1 + snout, -0.05),
            complex(0.1 + snout, 0.05),
            0.1 + wide * 0.5j,
            -0.15 + wide * 0.5j,
        ),
        look("head", body),
    )
    if look.has("throat", 0.2):
        head.oval(0.0 + wide * 0.75j, 0.13, 0.13, look("throat"))
    for y in (-0.3, 0.3):
        head.eye(complex(0.08, y * wide), 0.04)


def _turtle(pen: Pen, look: Look, dice: Dice) -> None:
    """From above."""
    shell, skin = look("shell"), look("body")
    pen = pen.at(-0.1 + 0j, degrees=dice.between(-20, 20))
    flipper, high = look.number("flipper", 0), look.number("high", 0.56, 0.66)
    for x, y, turn in ((0.45, -0.5, -50), (0.45, 0.5, 50), (-0.5, -0.45, -130), (-0.5, 0.45, 130)):
        reach = 0.24 + flipper * (0.4 if x > 0 else 0.1)
        pen.oval(
            complex(x, y) + polar(flipper * 0.25, turn),
            reach,
            0.13,
            skin,
            degrees=turn + flipper * (60 if x * y < 0 else -60),
        )
    pen.ribbon((-0.7 + 0j, -1.02 + 0.05j), (0.12, 0.02), skin)
    pen.ribbon((0.6 + 0j, 1.0 + 0j), (0.24, 0.24), skin)
    pen.oval(1.02 + 0j, 0.2, 0.16, look("head", skin))
    for y in (-0.05, 0.05) if look.has("stripe") else ():
        pen.line((complex(0.8, y * 1.6), complex(1.18, y)), 0.045, look("stripe"))
    if look.has("ear", 0):
        for y in (-0.1, 0.1):
            pen.oval(complex(0.96, y), 0.11, 0.05, look("ear"))
    pen.oval(0j, 0.8, high, look("rim", darker(shell, 0.35)))
    pen.oval(0j, 0.7, high - 0.1, shell)
    line, spot = look("line", darker(shell, 0.45)), look.has("spot", 0.3)
    for x in (-0.5, -0.17, 0.17, 0.5):
        pen.line(
            (
                complex(x, -high * 0.8 + abs(x) * 0.3),
                complex(x * 0.8, 0),
                complex(x, high * 0.8 - abs(x) * 0.3),
            ),
            0.035,
            line,
        )
    for y in (-0.2, 0.2):
        pen.line((complex(-0.62, y), complex(0.62, y)), 0.035, line)
    for x in (-0.34, 0, 0.34) if spot else ():
        for y in (-0.34, 0, 0.34):
            pen.oval(complex(x, y * high / 0.6), 0.09, 0.05, look("spot"), degrees=40 * y * x * 9)
    pen.eye(1.1 - 0.08j, 0.035)


def _snail(pen: Pen, look: Look, dice: Dice) -> None:
    """Snails, limpets, whelks by `spire`; slugs without a shell; a nautilus with arms."""
    skin, shell, spire = look("body", (150, 132, 104)), look("shell"), look.number("spire", 0)
    stretch = dice.between(0.92, 1.1)
    if look.number("arms", 0):
        for arm in range(8):
            pen.ribbon(
                (0.4 + 0.3j, 0.8 + (0.1 + arm * 0.06) * 1j, complex(1.1 - arm * 0.07, 0.2 + arm * 0.11)),
                (0.1, 0.04),
                skin,
            )
    elif look.number("foot", 1):
        pen.blob(
            (
                -1.1 * stretch + 0.62j,
                -0.3 + 0.36j,
                0.5 + 0.34j,
                0.95 * stretch + 0.1j,
                1.15 * stretch + 0.3j,
                0.9 + 0.62j,
            ),
            skin,
        )
        for x, y in ((1.06, -0.32), (1.26, -0.22)):
            pen.line((0.98 * stretch + 0.2j, complex(x * stretch, y)), 0.05, skin)
            pen.disc(complex(x * stretch, y), 0.05, darker(skin, 0.5))
    if look.number("naked", 0):
        pen.blob((-1.15 * stretch + 0.6j, -0.5 + 0.2j, 0.3 + 0.14j, 0.85 + 0.3j, 0.6 + 0.56j), skin)
        pen.blob(
            (0.05 + 0.16j, 0.3 + 0.1j, 0.66 + 0.28j, 0.5 + 0.42j, 0.1 + 0.38j),
            look("mantle", darker(skin, 0.2)),
        )
        for spot in range(int(look.number("spots", 0))):
            pen.oval(
                complex(-0.8 + spot % 7 * 0.22, 0.3 + spot // 7 * 0.11), 0.06, 0.035, look("spot", BLACK)
            )
        pen.line((-1.1 + 0.62j, 0.9 + 0.62j), 0.04, look("rim", darker(skin, 0.4)))
        return
    band, bands = look("band", darker(shell, 0.45)), int(look.number("bands", 0, 4))
    if spire:
        for whorl in range(5):
            share = 1 - whorl / 5
            pen.oval(
                complex(-0.05 - whorl * 0.17 * spire, -0.05 - whorl * 0.1 * spire),
                0.16 + 0.42 * share,
                0.14 + 0.42 * share,
                mix(shell, band, 0.35 if whorl % 2 else 0),
                degrees=30,
            )
            for line in range(bands):
                centre = complex(-0.05 - whorl * 0.17 * spire, -0.05 - whorl * 0.1 * spire)
                pen.line(
                    (
                        centre + polar(0.3 * share, -50 + line * 30),
                        centre + polar(0.5 * share, -40 + line * 30),
                    ),
                    0.04,
                    band,
                )
        pen.oval(0.28 + 0.26j, 0.16, 0.22, darker(shell, 0.6), degrees=-30)
        return
    centre = -0.12 - 0.08j
    pen.disc(centre, 0.66, darker(shell, 0.3))
    pen.disc(centre, 0.62, shell)
    turns = [centre + polar(0.6 * (1 - step / 27), step * 34 + 20) for step in range(26)]
    for line in range(bands):
        pen.line([centre + (z - centre) * (0.94 - line * 0.13) for z in turns[:16]], 0.06, band)
    pen.line(turns, 0.045, darker(shell, 0.5))


def _shell(pen: Pen, look: Look, dice: Dice) -> None:
    """A bivalve, or a limpet seen from above: ribs from the hinge."""
    shell, long, ribs = look("shell"), look.number("long", 0.8, 1.1), int(look.number("ribs", 4, 11))
    pen = pen.at(0j, degrees=dice.between(-25, 25))
    hinge, round_ = complex(0, 0.62), look.number("even", 0.75)
    edge = [
        polar(long, degrees).real * (1 - 0.3 * (1 - round_)) + 1j * polar(0.85 * round_, degrees).imag - 0.02j
        for degrees in range(-200, 30, 23)
    ]
    if look.has("ear", 0):
        pen.shape((-0.4 + 0.42j, 0.4 + 0.42j, 0.34 + 0.75j, -0.34 + 0.75j), look("ear"))
    pen.blob([*edge, hinge], darker(shell, 0.35))
    pen.blob([z * 0.95 for z in (*edge, hinge)], shell)
    for ring in (0.75, 0.5):
        pen.line([hinge + (z - hinge) * ring for z in edge[1:-1]], 0.04, look("ring", darker(shell, 0.25)))
    for rib in range(ribs):
        end = (
            edge[1 + round(rib * (len(edge) - 3) / max(1, ribs - 1))]
            if ribs < 9
            else polar(0.74 * long, -195 + rib * 210 / max(1, ribs - 1)) * round_
        )
        pen.line((hinge * 0.9, end * 0.94), 0.05, look("rib", darker(shell, 0.3)))
    if look.has("lip", 0):
        pen.line([z * (0.92 + 0.08 * (i % 2)) for i, z in enumerate(edge)], 0.13, look("lip"))


def _octopus(pen: Pen, look: Look, dice: Dice) -> None:
    body, arms, long = look("body"), look.number("arms", 8), look.number("long", 0.5)
    for arm in range(int(arms)):
        side = (arm - (arms - 1) / 2) / arms * 2
        tip = complex(side * 1.15, 0.75 - abs(side) * 0.3 + dice.between(-0.15, 0.15))
        pen.ribbon(
            (complex(side * 0.2, 0.0), complex(side * 0.7, 0.55), tip, tip + complex(0.16 * side, -0.2)),
            (0.2, 0.13, 0.07, 0.02),
            body,
        )
    if look.has("fin", 0):
        pen.oval(-0.45j, 0.5, long + 0.12, look("fin"))
    pen.oval(complex(0, -0.4), 0.4, long, body)
    for spot in range(int(look.number("spots", 0, 12))):
        centre = complex(-0.24 + spot % 4 * 0.16, -0.75 + spot // 4 * 0.22)
        pen.oval(centre, 0.07, 0.06, look("spot", lighter(body, 0.4)))
        pen.disc(centre, 0.03, body)
    for x in (-0.2, 0.2):
        pen.disc(complex(x, -0.02), 0.09, WHITE)
        pen.oval(complex(x, -0.02), 0.07, 0.03, BLACK)


ANIMALS: dict[str, Callable[[Pen, Look, Dice], None]] = {
    "bird": _bird,
    "butterfly": _butterfly,
    "beetle": _beetle,
    "bee": _bee,
    "dragonfly": _dragonfly,
    "hopper": _hopper,
    "spider": _spider,
    "snake": _snake,
    "lizard": _lizard,
    "turtle": _turtle,
    "snail": _snail,
    "shell": _shell,
    "octopus": _octopus,
}
