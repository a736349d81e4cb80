"""Birds, from the side: perched, swimming, wading, and owls from the front."""

from __future__ import annotations

from dataclasses import dataclass

from arboretum_tools.testing.drawing.canvas import BLACK, WHITE, Colour, Dice, Pen, darker, hsl, lighter, mix
from arboretum_tools.testing.subjects import Subject

_GREY: Colour = (138, 142, 146)
_BROWN: Colour = (128, 92, 62)
_RUFOUS: Colour = (176, 92, 48)
_BUFF: Colour = (222, 196, 154)
_SLATE: Colour = (92, 108, 126)
_ORANGE: Colour = (228, 122, 48)
_YELLOW: Colour = (238, 200, 66)
_HORN: Colour = (84, 78, 74)


@dataclass(frozen=True, slots=True)
class Plumage:
    """Colours and proportions of a species.

    Attributes:
        back: back and tail.
        breast: breast and belly.
        head: head and nape.
        wing: wing.
        beak: beak.
        legs: legs.
        marks: of `bib`, `mask`, `cap`, `crest`, `spots`, `bars`, `collar`, `eyebrow`.
        beak_length: 1 = a finch's.
        tail_length: 1 = a sparrow's.
        plump: 1 = a sparrow.
        upright: how far it sits up, in degrees.
        hooked: whether the beak bends down at its tip.
    """

    back: Colour
    breast: Colour
    head: Colour
    wing: Colour
    beak: Colour = _HORN
    legs: Colour = _HORN
    marks: frozenset[str] = frozenset()
    beak_length: float = 1.0
    tail_length: float = 1.0
    plump: float = 1.0
    upright: float = 10.0
    hooked: bool = False


def _marks(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: The birds that people meet first in the bundled sample, in colours near their own. All others get
#: colours that follow from their name.
_KNOWN: dict[str, Plumage] = {
    "Passer domesticus": Plumage(
        _BROWN, (206, 196, 182), (150, 112, 80), (138, 90, 54), marks=_marks("bib cap bars")
    ),
    "Turdus merula": Plumage(
        (40, 38, 40), (48, 46, 48), (36, 34, 36), (32, 30, 32), _ORANGE, tail_length=1.2
    ),
    "Erithacus rubecula": Plumage(
        (132, 118, 92), (222, 112, 52), (206, 104, 52), (122, 106, 80), plump=1.15, marks=_marks("cap")
    ),
    "Cardinalis cardinalis": Plumage(
        (182, 44, 40),
        (212, 56, 48),
        (214, 48, 42),
        (158, 40, 40),
        _ORANGE,
        marks=_marks("crest mask"),
        tail_length=1.3,
    ),
    "Anas platyrhynchos": Plumage(
        (150, 140, 130), (142, 98, 72), (28, 110, 76), (132, 122, 114), _YELLOW, _ORANGE, _marks("collar")
    ),
    "Ardea herodias": Plumage(
        (124, 140, 160), (196, 202, 208), (226, 228, 228), (104, 120, 142), _YELLOW, marks=_marks("cap")
    ),
    "Branta canadensis": Plumage(
        (128, 108, 88), (196, 182, 162), (34, 32, 34), (112, 94, 76), BLACK, BLACK, _marks("bib")
    ),
    "Cyanocitta cristata": Plumage(
        (74, 122, 188),
        (226, 228, 230),
        (88, 134, 198),
        (58, 106, 178),
        BLACK,
        marks=_marks("crest bars collar"),
        tail_length=1.3,
    ),
    "Sturnus vulgaris": Plumage(
        (48, 56, 62),
        (58, 52, 74),
        (42, 58, 58),
        (64, 54, 46),
        _YELLOW,
        marks=_marks("spots"),
        tail_length=0.7,
    ),
    "Buteo jamaicensis": Plumage(
        (116, 84, 58),
        (232, 220, 200),
        (132, 96, 66),
        (104, 74, 52),
        _HORN,
        _YELLOW,
        _marks("spots"),
        1,
        1,
        1.1,
        38,
        True,
    ),
    "Ardea alba": Plumage(WHITE, WHITE, WHITE, (236, 236, 230), _YELLOW, BLACK),
    "Corvus corax": Plumage(
        (36, 38, 46), (42, 44, 52), (32, 34, 42), (28, 30, 40), BLACK, BLACK, beak_length=1.8, tail_length=1.2
    ),
    "Parus major": Plumage(
        (122, 142, 84),
        (236, 208, 76),
        (34, 36, 42),
        (98, 122, 142),
        BLACK,
        marks=_marks("cheek bars"),
        plump=1.1,
    ),
    "Turdus migratorius": Plumage(
        (98, 92, 88), (204, 98, 52), (52, 48, 48), (104, 98, 92), _YELLOW, tail_length=1.2, upright=22
    ),
    "Haliaeetus leucocephalus": Plumage(
        (70, 52, 42), (78, 58, 46), WHITE, (60, 44, 36), _YELLOW, _YELLOW, frozenset(), 1.7, 1, 1.15, 42, True
    ),
    "Cygnus olor": Plumage(WHITE, WHITE, WHITE, (238, 238, 234), _ORANGE, BLACK, _marks("mask")),
    "Alcedo atthis": Plumage(
        (42, 150, 196),
        (230, 128, 56),
        (36, 124, 174),
        (30, 116, 160),
        BLACK,
        _ORANGE,
        _marks("cheek"),
        3.0,
        0.45,
        1.05,
        25,
    ),
    "Strix aluco": Plumage((134, 98, 66), (214, 190, 156), (146, 108, 74), (116, 82, 54), _YELLOW),
    "Upupa epops": Plumage(
        (216, 158, 108),
        (226, 172, 122),
        (220, 158, 104),
        (44, 40, 42),
        _HORN,
        marks=_marks("crest bars"),
        beak_length=3.2,
    ),
    "Sitta canadensis": Plumage(
        (110, 136, 162),
        (216, 146, 96),
        (44, 46, 54),
        (98, 122, 150),
        marks=_marks("eyebrow"),
        tail_length=0.5,
        beak_length=1.4,
    ),
    "Archilochus colubris": Plumage(
        (78, 142, 84),
        (226, 226, 218),
        (70, 132, 78),
        (74, 88, 82),
        BLACK,
        marks=_marks("ruby"),
        beak_length=3.6,
        tail_length=0.7,
        upright=32,
    ),
}

_SWIMMERS = {"Anseriformes", "Gaviiformes", "Podicipediformes", "Suliformes"}
_WADERS = {"Pelecaniformes", "Phoenicopteriformes", "Ciconiiformes", "Gruiformes", "Struthioniformes"}


def bird(subject: Subject, pen: Pen, dice: Dice) -> None:
    """Draws the bird in the pose of its order."""
    plumage = _KNOWN.get(subject.name) or _imagined(subject)
    if subject.order == "Strigiformes":
        _owl(plumage, pen, dice)
    elif subject.order in _SWIMMERS:
        _swimmer(subject, plumage, pen.at(0.24j), dice)
    elif subject.order in _WADERS:
        _wader(plumage, pen.at(0.08j, scale=0.86), dice)
    else:
        _perched(plumage, pen, dice)


def _imagined(subject: Subject) -> Plumage:
    """Plumage that follows from the name."""
    dice = Dice("plumage", subject.name)
    main = dice.choose((_GREY, _BROWN, _RUFOUS, _SLATE, BLACK, hsl(dice.between(0, 360), 0.5, 0.45)))
    accent = dice.choose((WHITE, _BUFF, _RUFOUS, hsl(dice.between(0, 360), 0.6, 0.55), _YELLOW))
    raptor = subject.order in ("Accipitriformes", "Falconiformes")
    marks = {mark for mark in ("bib", "mask", "cap", "crest", "spots", "bars", "collar") if dice.chance(0.28)}
    return Plumage(
        back=main,
        breast=accent,
        head=dice.choose((main, darker(main, 0.4), accent, mix(main, accent, 0.5))),
        wing=dice.choose((darker(main, 0.3), lighter(main, 0.2), darker(main, 0.6))),
        beak=dice.choose((_HORN, _YELLOW, _ORANGE, BLACK)),
        legs=dice.choose((_HORN, _ORANGE, _YELLOW)),
        marks=frozenset(marks),
        beak_length=1.4 if raptor else dice.between(0.8, 2.6),
        tail_length=dice.between(0.6, 1.6),
        plump=dice.between(0.9, 1.15),
        upright=40 if raptor else dice.between(4, 30),
        hooked=raptor or subject.order == "Psittaciformes",
    )


def _perched(plumage: Plumage, pen: Pen, dice: Dice) -> None:
    perch = 0.66
    bark = hsl(dice.between(18, 40), 0.22, dice.between(0.22, 0.42))
    tilt = dice.between(-0.12, 0.12)
    branch = [
        -3 + (perch + 3 * tilt) * 1j,
        -1 + (perch + tilt) * 1j,
        perch * 1j,
        3 + (perch - 2.4 * tilt) * 1j,
    ]
    pen.ribbon(branch, (0.22, 0.16, 0.13, 0.09), bark)
    pen.ribbon([point - 0.035j for point in branch], (0.06, 0.04, 0.03, 0.02), lighter(bark, 0.25))
    if dice.chance(0.6):
        leaf = hsl(dice.between(70, 130), 0.38, dice.between(0.3, 0.45))
        for _ in range(int(dice.between(1, 4))):
            x = dice.between(-1.6, 1.6)
            twig = pen.at(
                complex(x, perch - tilt * x), degrees=dice.choose((-60, 60)) + dice.between(-25, 25)
            )
            twig.blob((0, 0.16 - 0.09j, 0.36 + 0j, 0.16 + 0.09j), leaf)
    for x in (-0.02, 0.14):
        pen.line((complex(x, 0.26), complex(x + 0.03, perch - 0.04)), 0.035, plumage.legs)
        pen.line((complex(x - 0.05, perch - 0.04), complex(x + 0.12, perch - 0.04)), 0.045, plumage.legs)
    body = pen.at(0j, degrees=-plumage.upright + dice.between(-6, 6))
    _body(plumage, body)
    _head(plumage, body.at(0.44 - 0.42j, degrees=plumage.upright * 0.8 + dice.between(-14, 10)))


def _body(plumage: Plumage, pen: Pen) -> None:
    plump, tail = plumage.plump, plumage.tail_length
    tail_end = -0.42 - 0.5 * tail
    pen.shape(
        (-0.3 - 0.06j, -0.3 + 0.16j, complex(tail_end, 0.38), complex(tail_end - 0.06, 0.24)),
        darker(plumage.back, 0.25),
    )
    outline = (
        0.6 - 0.3j, 0.56 - 0.1j, 0.4 + 0.24j * plump, -0.02 + 0.38j * plump, -0.42 + 0.2j,
        -0.5 + 0.04j, -0.12 - 0.28j, 0.2 - 0.5j, 0.42 - 0.56j,
    )  # fmt: skip
    pen.blob(outline, plumage.back)
    belly = (
        0.58 - 0.28j,
        0.55 - 0.08j,
        0.39 + 0.22j * plump,
        -0.02 + 0.36j * plump,
        -0.38 + 0.19j,
        -0.06 + 0.06j,
        0.3 - 0.16j,
    )
    pen.blob(belly, plumage.breast)
    pen.blob(
        (0.5 - 0.02j, 0.36 + 0.2j * plump, -0.02 + 0.33j * plump, 0.1 + 0.2j, 0.34 + 0.06j),
        lighter(plumage.breast, 0.22),
    )
    if "spots" in plumage.marks:
        speck = darker(plumage.breast, 0.6) if sum(plumage.breast) > 360 else lighter(plumage.breast, 0.6)
        for row in range(4):
            for column in range(4):
                pen.disc(
                    complex(0.46 - column * 0.15 - row * 0.03, -0.08 + row * 0.1 + column * 0.03), 0.02, speck
                )
    wing = (0.26 - 0.2j, 0.02 - 0.3j, -0.36 - 0.04j, -0.76 + 0.24j, -0.36 + 0.2j, 0.06 + 0.13j)
    pen.blob(wing, plumage.wing)
    pen.curve((0.12 - 0.2j, -0.2 - 0.1j, -0.55 + 0.14j), 0.025, lighter(plumage.wing, 0.22))
    pen.curve((0.14 - 0.04j, -0.16 + 0.06j, -0.6 + 0.2j), 0.025, darker(plumage.wing, 0.35))
    if "bars" in plumage.marks:
        pen.curve((0.06 - 0.24j, 0.04 - 0.06j, -0.04 + 0.1j), 0.05, WHITE)
        pen.curve((-0.14 - 0.16j, -0.14 - 0.02j, -0.2 + 0.12j), 0.035, WHITE)


def _head(plumage: Plumage, pen: Pen) -> None:
    """A head around 0, radius about a quarter, looking right."""
    length = 0.16 * plumage.beak_length
    height = 0.075 if plumage.beak_length < 2.5 else 0.045
    tip = 0.24 + length + (0.09j if plumage.hooked else 0.02j)
    if "crest" in plumage.marks:
        pen.blob(
            (0.1 - 0.2j, -0.08 - 0.24j, -0.3 - 0.42j, -0.24 - 0.12j, -0.06 - 0.04j),
            darker(plumage.head, 0.12),
        )
    pen.blob(
        (
            0.18 - complex(0, height + 0.02),
            0.24 + length * 0.5 - complex(0, height * 0.7),
            tip,
            0.18 + complex(0, height),
        ),
        plumage.beak,
    )
    pen.line((0.16 + 0.015j, tip), 0.014, darker(plumage.beak, 0.45))
    pen.blob(
        (0.25 - 0.02j, 0.14 - 0.2j, -0.08 - 0.23j, -0.26 - 0.06j, -0.22 + 0.16j, 0.02 + 0.25j, 0.2 + 0.14j),
        plumage.head,
    )
    if "cheek" in plumage.marks:
        pen.oval(-0.03 + 0.09j, 0.14, 0.09, WHITE, degrees=-12)
    if "bib" in plumage.marks:
        bib = BLACK if sum(plumage.head) > 200 else WHITE
        pen.blob((0.21 + 0.08j, 0.08 + 0.08j, -0.04 + 0.2j, 0.1 + 0.26j), bib)
    if "ruby" in plumage.marks:
        pen.blob((0.22 + 0.06j, 0 + 0.08j, -0.12 + 0.24j, 0.1 + 0.28j), (204, 36, 72))
    if "cap" in plumage.marks:
        pen.blob(
            (0.22 - 0.07j, 0.14 - 0.2j, -0.08 - 0.235j, -0.26 - 0.06j, -0.1 - 0.11j),
            darker(plumage.back, 0.25),
        )
    if "eyebrow" in plumage.marks:
        pen.curve((0.22 - 0.1j, -0.02 - 0.13j, -0.25 - 0.06j), 0.06, WHITE)
    if "mask" in plumage.marks:
        pen.blob((0.26 + 0j, 0.14 - 0.09j, 0.02 + 0j, 0.14 + 0.13j, 0.22 + 0.1j), BLACK)
    if "collar" in plumage.marks:
        pen.curve(
            (-0.25 + 0.16j, -0.02 + 0.26j, 0.2 + 0.19j), 0.05, WHITE if sum(plumage.head) < 400 else BLACK
        )
    pen.eye(0.1 - 0.04j, 0.05, _BROWN)


def _water(pen: Pen, level: float, dice: Dice) -> Colour:
    colour = hsl(dice.between(180, 215), dice.between(0.15, 0.35), dice.between(0.42, 0.62))
    pen.shape((-5 + level * 1j, 5 + level * 1j, 5 + 4j, -5 + 4j), colour)
    for _ in range(9):
        x, y = dice.between(-2, 2), level + 0.06 + dice.between(0, 0.8)
        pen.line((complex(x, y), complex(x + dice.between(0.2, 0.7), y)), 0.018, lighter(colour, 0.3))
    return colour


def _swimmer(subject: Subject, plumage: Plumage, pen: Pen, dice: Dice) -> None:
    water = _water(pen, 0.2, dice)
    pen.oval(0.02 + 0.44j, 0.72, 0.1, darker(mix(water, plumage.breast, 0.3), 0.25))
    neck = {"Cygnus": 0.75, "Branta": 0.5, "Anser": 0.45}.get(subject.name.split(" ")[0], 0.22)
    pen.blob((-0.98 - 0.02j, -0.6 + 0.02j, -0.5 + 0.3j), darker(plumage.back, 0.1))
    pen.blob(
        (0.62 - 0.12j, 0.72 + 0.12j, 0.4 + 0.4j, -0.4 + 0.4j, -0.84 + 0.12j, -0.5 - 0.14j, 0.1 - 0.14j),
        plumage.back,
    )
    pen.blob((0.62 - 0.1j, 0.71 + 0.12j, 0.42 + 0.38j, 0.1 + 0.38j, 0.3 + 0.06j), plumage.breast)
    lean = dice.between(-0.06, 0.08)
    top = complex(0.6 + lean, -0.2 - neck)
    pen.ribbon(
        (0.46 + 0.1j, complex(0.66, -0.08), complex(0.5, -0.2 - neck * 0.55), top),
        (0.4, 0.24, 0.19, 0.26),
        plumage.head,
    )
    pen.blob((0.24 - 0.06j, -0.2 - 0.18j, -0.78 - 0.02j, -0.4 + 0.2j, 0.1 + 0.2j), plumage.wing)
    pen.curve((0.1 + 0.04j, -0.2 - 0.02j, -0.6 + 0.04j), 0.03, lighter(plumage.wing, 0.3))
    pen.curve((0.1 + 0.13j, -0.2 + 0.1j, -0.5 + 0.1j), 0.03, darker(plumage.wing, 0.25))
    _head(plumage, pen.at(top, degrees=dice.between(-8, 10), scale=0.85))
    pen.line((-1.1 + 0.41j, 1.0 + 0.41j), 0.025, lighter(water, 0.35))


def _wader(plumage: Plumage, pen: Pen, dice: Dice) -> None:
    water = _water(pen, 0.72, dice)
    for x, bend in ((-0.12, 0.05), (0.06, -0.06)):
        pen.line((complex(x, 0.1), complex(x + bend, 0.55), complex(x, 1.02)), 0.045, plumage.legs)
        pen.line((complex(x - 0.16, 1.03), complex(x + 0.16, 1.03)), 0.02, lighter(water, 0.4))
    body = pen.at(-0.06 - 0.02j, degrees=dice.between(-16, -4))
    body.shape((-0.4 - 0.04j, -0.86 + 0.18j, -0.74 + 0.26j, -0.36 + 0.16j), darker(plumage.back, 0.2))
    body.blob((0.42 - 0.14j, 0.38 + 0.12j, 0 + 0.26j, -0.46 + 0.14j, -0.5 + 0j, -0.1 - 0.22j), plumage.back)
    body.blob((0.4 - 0.06j, 0.37 + 0.12j, 0.02 + 0.25j, -0.3 + 0.16j, 0.1 + 0.06j), plumage.breast)
    head = complex(dice.between(0.42, 0.62), dice.between(-1.0, -0.86))
    pen.ribbon((0.14 - 0.06j, 0.46 - 0.24j, 0.22 - 0.58j, head), (0.4, 0.2, 0.12, 0.15), plumage.head)
    body.blob((0.2 - 0.14j, -0.06 - 0.2j, -0.66 + 0.14j, -0.2 + 0.18j, 0.16 + 0.08j), plumage.wing)
    body.curve((0.1 - 0.08j, -0.2 - 0.04j, -0.5 + 0.1j), 0.025, lighter(plumage.wing, 0.3))
    top = pen.at(head, degrees=dice.between(-6, 16), scale=0.55)
    top.shape((0.14 - 0.12j, 0.14 + 0.12j, 0.95 + 0.08j), plumage.beak)
    top.line((0.2 + 0j, 0.9 + 0.07j), 0.02, darker(plumage.beak, 0.35))
    top.blob((0.24 - 0.02j, 0.08 - 0.19j, -0.24 - 0.08j, -0.16 + 0.16j, 0.14 + 0.14j), plumage.head)
    if "cap" in plumage.marks:
        top.blob((0.2 - 0.08j, -0.1 - 0.2j, -0.7 + 0.12j, -0.16 - 0.06j), BLACK)
    top.eye(0.1 - 0.05j, 0.065, _YELLOW)


def _owl(plumage: Plumage, pen: Pen, dice: Dice) -> None:
    bark = hsl(dice.between(18, 40), 0.22, dice.between(0.22, 0.36))
    pen.ribbon((-3 + 0.8j, 0 + 0.76j, 3 + 0.7j), (0.26, 0.2, 0.14), bark)
    pen.shape((-0.2 + 0.6j, 0.2 + 0.6j, 0.16 + 1.15j, -0.16 + 1.15j), darker(plumage.back, 0.3))
    pen.blob(
        (-0.46 - 0.2j, -0.5 + 0.3j, -0.26 + 0.76j, 0.26 + 0.76j, 0.5 + 0.3j, 0.46 - 0.2j, 0 - 0.4j),
        plumage.back,
    )
    pen.blob(
        (-0.3 - 0.1j, -0.32 + 0.3j, -0.18 + 0.68j, 0.18 + 0.68j, 0.32 + 0.3j, 0.3 - 0.1j), plumage.breast
    )
    for row in range(4):
        for column in range(-2, 3):
            foot = complex(column * 0.11 + (row % 2) * 0.03, 0.08 + row * 0.14)
            pen.line((foot, foot + 0.09j), 0.028, darker(plumage.back, 0.25))
    for side in (pen, pen.mirrored()):
        side.blob((0.34 - 0.06j, 0.54 + 0.2j, 0.4 + 0.62j, 0.3 + 0.3j), plumage.wing)
    head = pen.at(dice.between(-0.06, 0.06) - 0.42j, degrees=dice.between(-16, 16))
    head.blob(
        (-0.44 + 0j, -0.32 - 0.34j, 0 - 0.42j, 0.32 - 0.34j, 0.44 + 0j, 0.28 + 0.3j, 0 + 0.36j, -0.28 + 0.3j),
        plumage.head,
    )
    for side in (head, head.mirrored()):
        side.oval(0.18 + 0j, 0.2, 0.24, lighter(plumage.breast, 0.2))
        side.oval(0.18 + 0j, 0.16, 0.19, mix(plumage.breast, plumage.head, 0.35))
        side.disc(0.17 - 0.01j, 0.09, plumage.beak)
        side.eye(0.17 - 0.01j, 0.085, BLACK)
        side.line((0.04 + 0.7j + 0.42j, 0.22 + 0.7j + 0.42j), 0.07, plumage.legs)
    head.blob((-0.06 + 0.06j, 0 + 0.02j, 0.06 + 0.06j, 0 + 0.24j), plumage.beak)
