"""Plants and fungi."""

from __future__ import annotations

from arboretum_tools.testing.drawing.canvas import WHITE, Colour, Dice, Pen, darker, hsl, lighter, mix, polar
from arboretum_tools.testing.subjects import Subject

_LEAFY = {"Pinopsida", "Polypodiopsida", "Cycadopsida", "Gnetopsida"}
_TREES = {"Fagales", "Sapindales", "Ginkgoales", "Saxifragales"}


def plant(subject: Subject, pen: Pen, dice: Dice) -> None:
    """Draws the plant: needles or fronds, a leafy twig, a spike, or an open flower."""
    look = Dice("plant", subject.name)
    green = hsl(look.between(78, 140), look.between(0.25, 0.5), look.between(0.26, 0.42))
    sway = dice.between(-0.25, 0.25)
    if subject.class_name in _LEAFY:
        _frond(pen, look, green, sway)
    elif subject.order in _TREES:
        _twig(pen, look, green, sway)
    else:
        petal = hsl(
            look.choose((0, 18, 46, 54, 205, 265, 290, 320, 340)),
            look.between(0.55, 0.9),
            look.between(0.5, 0.72),
        )
        petal = WHITE if look.chance(0.18) else petal
        form = look.choose(("flower", "flower", "flower", "spike", "umbel"))
        if form == "spike":
            _spike(pen, look, green, petal, sway)
        elif form == "umbel":
            _umbel(pen, look, green, petal, sway)
        else:
            _flower(pen, look, green, petal, sway, dice)


def _stem(pen: Pen, green: Colour, top: complex, sway: float) -> None:
    pen.ribbon((complex(sway, 2.2), complex(sway * 0.6, 0.9), top), (0.1, 0.08, 0.055), darker(green, 0.15))


def _leaf(pen: Pen, length: float, width: float, green: Colour) -> None:
    pen.blob((0j, complex(length * 0.45, -width), complex(length, 0), complex(length * 0.45, width)), green)
    pen.line((0j, complex(length * 0.95, 0)), 0.016, lighter(green, 0.25))


def _flower(pen: Pen, look: Dice, green: Colour, petal: Colour, sway: float, dice: Dice) -> None:
    petals, length, width = (
        look.choose((4, 5, 5, 6, 8, 13, 21)),
        look.between(0.55, 0.82),
        look.between(0.1, 0.34),
    )
    width = min(width, 2.2 / petals)
    heart = look.choose(((240, 196, 60), (150, 96, 40), (96, 60, 92), (224, 216, 120), (60, 44, 40)))
    heart_radius = look.between(0.1, 0.3)
    pointed = look.chance(0.4)
    _stem(pen, green, -0.2j, sway)
    for degrees, y in ((-150, 1.0), (-30, 1.2), (-160, 1.5)):
        _leaf(
            pen.at(complex(sway * 0.6, y), degrees=degrees + look.between(-20, 20)),
            look.between(0.6, 1.0),
            0.16,
            green,
        )
    head = pen.at(-0.25j, degrees=dice.between(0, 90))
    for layer, colour in ((1.0, darker(petal, 0.16)), (0.92, petal)):
        offset = 180 / petals if layer == 1.0 else 0
        for index in range(petals):
            leaf = head.at(0j, degrees=360 / petals * index + offset)
            tip = complex(length * layer, 0)
            broad = complex(length * layer * 0.62, width)
            outline = (0j, broad.conjugate(), tip, broad) if pointed else (
                0j, broad.conjugate(), tip - complex(0, width * 0.5), tip + complex(0, width * 0.5), broad
            )  # fmt: skip
            leaf.blob(outline, colour)
            if layer < 1:
                leaf.line((complex(heart_radius, 0), complex(length * 0.62, 0)), 0.018, darker(petal, 0.22))
    head.disc(0j, heart_radius, heart)
    for index in range(12):
        head.disc(polar(heart_radius * 0.72, index * 30), 0.025, lighter(heart, 0.4))
    head.disc(0j, heart_radius * 0.45, darker(heart, 0.25))


def _spike(pen: Pen, look: Dice, green: Colour, petal: Colour, sway: float) -> None:
    _stem(pen, green, complex(-sway, -1.0), sway)
    for degrees, y in ((-150, 1.0), (-30, 0.9), (-160, 1.4), (-20, 1.3)):
        _leaf(pen.at(complex(sway * 0.5, y), degrees=degrees), look.between(0.6, 0.9), 0.15, green)
    rows, bell = int(look.between(7, 11)), look.between(0.14, 0.24)
    for row in range(rows):
        share = row / rows
        centre = complex(-sway * (1 - share) + sway * 0.4 * share, -1.0 + share * 1.5)
        size = bell * (0.4 + share * 0.9)
        for x in (-1.1, 1.1, 0.0):
            flower = pen.at(centre + complex(x * size, abs(x) * 0.05), degrees=90 - x * 34)
            tone = petal if x else lighter(petal, 0.15)
            flower.blob(
                (
                    -0.2 * size + 0j,
                    complex(0.6, -0.6) * size,
                    complex(1.4, -0.7) * size,
                    complex(1.4, 0.7) * size,
                    complex(0.6, 0.6) * size,
                ),
                tone,
            )
            flower.oval(1.35 * size + 0j, 0.22 * size, 0.55 * size, darker(petal, 0.3))


def _umbel(pen: Pen, look: Dice, green: Colour, petal: Colour, sway: float) -> None:
    _stem(pen, green, 0.3j, sway)
    for lean, y in ((-155, 1.1), (-25, 1.3)):
        for part in (-24, 0, 24):
            _leaf(pen.at(complex(sway * 0.6, y), degrees=lean + part), 0.6, 0.1, green)
    size = look.between(0.09, 0.14)
    for ray in range(9):
        degrees = -90 + (ray - 4) * look.between(15, 19)
        for reach in (0.62, 0.86, 1.06):
            tip = 0.3j + polar(reach, degrees)
            pen.line((0.3j, tip), 0.018, green)
            pen.disc(tip, size, darker(petal, 0.12))
            pen.disc(tip - 0.02j, size * 0.72, lighter(petal, 0.15))
            pen.disc(tip, size * 0.22, (230, 196, 80))


def _twig(pen: Pen, look: Dice, green: Colour, sway: float) -> None:
    bark = hsl(28, 0.25, 0.3)
    pen.ribbon((-2 + 0.9j, complex(-0.6, 0.3 + sway), 0.9 - 0.7j), (0.14, 0.09, 0.04), bark)
    lobes, autumn = look.choose((1, 3, 5)), look.chance(0.35)
    leaf_colour = hsl(look.between(12, 46), 0.7, 0.48) if autumn else green
    fruit = hsl(look.choose((0, 20, 36, 270)), 0.6, 0.42)
    for index in range(6):
        share = index / 5
        foot = complex(-1.3 + 2.1 * share, 0.62 - 1.24 * share + sway * 0.5)
        leaf = pen.at(foot, degrees=(-95 if index % 2 else 40) + look.between(-18, 18))
        tone = mix(leaf_colour, lighter(leaf_colour, 0.3), look.number() * 0.6)
        for lobe in range(lobes):
            _leaf(
                leaf.at(0.1 + 0j, degrees=(lobe - lobes // 2) * 34),
                0.85 - 0.1 * abs(lobe - lobes // 2),
                0.26 if lobes == 1 else 0.16,
                tone,
            )
        if index in (1, 3):
            leaf.disc(-0.06 + 0.16j, 0.12, fruit)
            leaf.disc(-0.09 + 0.12j, 0.035, lighter(fruit, 0.5))


def _frond(pen: Pen, look: Dice, green: Colour, sway: float) -> None:
    needles = look.chance(0.5)
    spine = [complex(-0.2 - sway, 1.8), complex(0, 0.6), complex(sway, -0.4), complex(0.5 + sway, -1.15)]
    pen.ribbon(spine, (0.09, 0.06, 0.05, 0.02), darker(green, 0.35) if needles else darker(green, 0.15))
    steps = 22 if needles else 13
    for step in range(steps):
        share = step / steps
        at = min(int(share * 3), 2)
        foot = spine[at] + (spine[at + 1] - spine[at]) * (share * 3 - at)
        length = (0.55 if needles else 0.85 * (1.05 - share)) + 0.02
        for degrees in (-140, -10):
            side = pen.at(foot, degrees=degrees + share * 24)
            if needles:
                side.line((0j, complex(length, 0)), 0.022, lighter(green, 0.12 * (step % 3)))
            else:
                _leaf(side, length, 0.085, lighter(green, 0.08 * (step % 2)))


def fungus(subject: Subject, pen: Pen, dice: Dice) -> None:
    """Draws the fungus: brackets on wood, a lichen, or caps on stems in the moss."""
    look = Dice("fungus", subject.name)
    cap = hsl(look.choose((4, 18, 26, 34, 44, 52, 280)), look.between(0.25, 0.8), look.between(0.38, 0.66))
    if subject.class_name == "Lecanoromycetes":
        _lichen(pen, look, cap)
    elif subject.order in ("Polyporales", "Auriculariales", "Schizophyllales"):
        _brackets(pen, look, cap)
    else:
        moss = hsl(dice.between(70, 110), 0.35, dice.between(0.22, 0.34))
        ground = [complex(x / 2, 0.78 + 0.08 * dice.number()) for x in range(-6, 7)]
        if dice.chance(0.7):
            _mushroom(
                pen.at(
                    complex(dice.choose((-1, 1)) * dice.between(0.7, 1.0), 0.35),
                    scale=dice.between(0.4, 0.62),
                ),
                subject,
                cap,
            )
        _mushroom(pen.at(0j, degrees=dice.between(-8, 8)), subject, cap)
        pen.shape([*ground, 4 + 3j, -4 + 3j], moss)
        for _ in range(26):
            foot = complex(dice.between(-2, 2), dice.between(0.82, 1.1))
            pen.line(
                (foot, foot + complex(dice.between(-0.06, 0.06), -dice.between(0.08, 0.24))),
                0.022,
                lighter(moss, dice.number() * 0.3),
            )


def _mushroom(pen: Pen, subject: Subject, cap: Colour) -> None:
    look = Dice("mushroom", subject.name)
    stem = mix((236, 226, 204), cap, look.between(0, 0.3))
    wide, high, flat = look.between(0.55, 0.95), look.between(0.4, 0.8), look.between(-0.02, 0.1)
    thick, ring, warts = look.between(0.2, 0.42), look.chance(0.5), look.chance(0.4)
    pen.ribbon((-0.1j, 0.4j, 0.95j), (thick * 0.8, thick * 0.85, thick * 1.25), stem)
    pen.ribbon(
        (0.06 - 0.1j, 0.07 + 0.4j, 0.1 + 0.95j), (thick * 0.2, thick * 0.22, thick * 0.3), darker(stem, 0.14)
    )
    gills = darker(stem, 0.22)
    pen.oval(complex(0, -0.02), wide * 0.94, 0.13, gills)
    for gill in range(-6, 7):
        pen.line(
            (complex(gill * wide * 0.03, 0.02), complex(gill * wide * 0.14, 0.1 - abs(gill) * 0.014)),
            0.012,
            darker(gills, 0.3),
        )
    if ring:
        pen.blob(
            (
                complex(-thick * 0.55, 0.2),
                complex(0, 0.16),
                complex(thick * 0.55, 0.2),
                complex(thick * 0.6, 0.3),
                complex(-thick * 0.6, 0.3),
            ),
            lighter(stem, 0.4),
        )
    dome = (
        complex(-wide, 0.02),
        complex(-wide * 0.74, -high * 0.6),
        complex(0, -high),
        complex(wide * 0.74, -high * 0.6),
        complex(wide, 0.02),
        complex(wide * 0.4, flat - 0.02),
        complex(-wide * 0.4, flat - 0.02),
    )
    pen.blob(dome, cap)
    pen.blob(
        (
            complex(-wide * 0.7, -high * 0.35),
            complex(-wide * 0.4, -high * 0.75),
            complex(0, -high * 0.86),
            complex(-wide * 0.25, -high * 0.5),
        ),
        lighter(cap, 0.25),
    )
    if warts:
        for x, y in (
            (-0.6, 0.3),
            (-0.3, 0.6),
            (0.05, 0.8),
            (0.4, 0.55),
            (0.68, 0.25),
            (0.1, 0.35),
            (-0.22, 0.2),
            (0.42, 0.16),
        ):
            pen.oval(complex(x * wide, -y * high), 0.06, 0.045, WHITE)


def _brackets(pen: Pen, look: Dice, cap: Colour) -> None:
    bark = hsl(26, 0.2, 0.27)
    pen.shape((-2.4 - 3j, -0.5 - 3j, -0.42 + 3j, -2.4 + 3j), bark)
    for x in range(6):
        pen.curve(
            (complex(-0.7 - x * 0.3, -2), complex(-0.62 - x * 0.3, 0), complex(-0.74 - x * 0.3, 2)),
            0.03,
            darker(bark, 0.3),
        )
    rings = [
        mix(cap, look.choose((WHITE, (60, 44, 36), (196, 150, 96))), look.between(0.15, 0.6))
        for _ in range(4)
    ]
    for y, size in ((-0.62, 0.8), (0.5, 1.05), (-0.05, 1.25)):
        shelf = pen.at(complex(-0.5, y), scale=size)
        shelf.blob((-0.1 - 0.12j, 0.5 - 0.2j, 1.0 + 0.04j, 0.62 + 0.2j, -0.1 + 0.2j), darker(cap, 0.45))
        for ring, colour in zip((1.0, 0.8, 0.58, 0.36), (cap, *rings), strict=False):
            shelf.blob(
                (
                    -0.1 - 0.12j,
                    0.5 * ring - 0.22j * ring,
                    1.0 * ring + 0j,
                    0.6 * ring + 0.13j * ring,
                    -0.1 + 0.1j,
                ),
                colour,
            )


def _lichen(pen: Pen, look: Dice, cap: Colour) -> None:
    pen.blob((-1.6 - 0.7j, 0.2 - 1.1j, 1.6 - 0.6j, 1.5 + 0.8j, -0.2 + 1.1j, -1.5 + 0.7j), hsl(30, 0.06, 0.42))
    for ring in (0.95, 0.7, 0.42):
        colour = lighter(cap, (1 - ring) * 0.5)
        for lobe in range(14):
            centre = polar(ring * 0.72, lobe * 360 / 14 + look.between(-10, 10))
            pen.oval(centre, 0.24 * ring + 0.06, 0.13, colour, degrees=lobe * 360 / 14)
            pen.disc(centre * 1.12, 0.045, darker(cap, 0.3))
