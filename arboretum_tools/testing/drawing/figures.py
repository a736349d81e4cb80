"""Draws the silhouettes of `figures.txt`, statement by statement; what they mean is said at its top."""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple

from arboretum_tools.testing.drawing.canvas import BLACK, WHITE, Colour, Dice, Pen, hexed, mix
from arboretum_tools.testing.drawing.looks import Look

_COLOUR = re.compile(r"(?P<part>#?\w+)(?:\?(?P<chance>\d*))?(?:(?P<sign>[-+~])(?P<share>\d+))?")
_TERM = re.compile(r"([-+]?)(~?)([^-+~]+)")


class _Statement(NamedTuple):
    kind: str
    words: tuple[str, ...]
    options: dict[str, str]


@cache
def figures() -> dict[str, tuple[_Statement, ...]]:
    """The statements of every figure, by its name."""
    text = (resources.files(__package__) / "figures.txt").read_text(encoding="utf-8")
    found: dict[str, list[_Statement]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            statements = found[line.strip("[]")] = []
        elif line and not line.startswith(";"):
            kind, *words = line.split()
            flags = dict.fromkeys((word for word in words if word in ("sides", "along")), "1")
            options = dict(word.split("=", 1) for word in words if "=" in word) | flags
            plain = tuple(word for word in words if "=" not in word and word not in flags)
            statements.append(_Statement(kind, plain, options))
    return {name: tuple(statements) for name, statements in found.items()}


@cache
def _terms(text: str) -> tuple[tuple[float, bool, tuple[tuple[str, bool], ...]], ...]:
    """A sum of products: (number, whether it is a bound of chance, names and whether they divide)."""
    terms = []
    for sign, chance, product in _TERM.findall(text):
        number, names = -1.0 if sign == "-" else 1.0, []
        for operator, factor in re.findall(r"(^|[*/])([^*/]+)", product):
            if re.fullmatch(r"[\d.]+", factor):
                number = number / float(factor) if operator == "/" else number * float(factor)
            else:
                names.append((factor, operator == "/"))
        terms.append((number, bool(chance), tuple(names)))
    return tuple(terms)


def draw_figure(name: str, pen: Pen, look: Look, dice: Dice) -> None:
    """Draws one individual of a taxon.

    Args:
        name: the figure of the taxon.
        pen: where 0 is the middle and 1 about half of the figure.
        look: colours and proportions of the taxon.
        dice: what differs from photo to photo.
    """
    _Drawing(pen, look, dice).run(name)


class _Drawing:
    def __init__(self, pen: Pen, look: Look, dice: Dice) -> None:
        self._pen, self._look, self._dice = pen, look, dice
        self._values: dict[str, float] = {}
        self._defaults: dict[str, str] = {}
        self._frames = {".": [pen]}
        self._spine: list[complex] = []

    def run(self, name: str) -> None:
        for kind, words, options in figures()[name]:
            if kind == "stop":
                if self._number(words[0]):
                    return
            elif kind == "draw":
                _Drawing(self._pen, self._look, self._dice).run(words[0])
            elif kind == "spine":
                self._spine = self._points(words)
            elif kind == "colour":
                self._defaults |= options
            elif kind in ("let", "whole", "roll", "set"):
                for key, value in options.items():
                    self._values[key] = self._declared(kind, key, value)
            elif self._meets(options):
                pens = self._pens(options)
                if kind == "frame":
                    self._frames[words[0]] = list(pens)
                    continue
                for one in pens:
                    self._shape(one, kind, words)

    def _declared(self, kind: str, key: str, value: str) -> float:
        if kind == "set":
            return self._number(value)
        low, *high = (float(bound) for bound in value.split(":"))
        if kind == "roll":
            return self._dice.between(low, high[0])
        number = self._look.number(key, low, *high)
        return float(int(number)) if kind == "whole" else number

    def _number(self, text: str) -> float:
        total = 0.0
        for number, chance, names in _terms(text):
            product = self._dice.between(-number, number) if chance else number
            for name, divides in names:
                value = self._values[name] if name in self._values else self._look.number(name, 0)
                product = product / value if divides else product * value
            total += product
        return total

    def _pair(self, text: str) -> complex:
        x, y = text.split(",")
        return complex(self._number(x), self._number(y))

    def _points(self, words: tuple[str, ...]) -> list[complex]:
        return self._spine if words == ("spine",) else [self._pair(word) for word in words]

    def _has(self, part: str) -> bool:
        found = _COLOUR.fullmatch(part)
        assert found is not None
        return found["chance"] is None or self._look.has(found["part"], int(found["chance"] or 35) / 100)

    def _meets(self, options: dict[str, str]) -> bool:
        asked = {
            "if": lambda text: self._number(text) != 0,
            "not": lambda text: self._number(text) == 0,
            "odd": lambda text: int(self._number(text)) % 2 == 1,
            "positive": lambda text: all(self._number(one) > 0 for one in text.split(",")),
            "has": self._has,
        }
        return all(asked[key](value) for key, value in options.items() if key in asked)

    def _pens(self, options: dict[str, str]) -> Iterator[Pen]:
        """The pen of every repetition; the values of the repetition hold until the next is asked for."""
        for at, degrees in self._repetitions(options):
            point = at + self._pair(options["at"]) if "at" in options else at
            for frame in options.get("in", ".").split(","):
                for pen in self._frames[frame]:
                    for side in (pen.mirrored(), pen) if "sides" in options else (pen,):
                        turn = degrees + self._number(options.get("turn", "0"))
                        scale = self._number(options.get("size", "1"))
                        yield side.at(point, degrees=turn, scale=scale)

    def _repetitions(self, options: dict[str, str]) -> Iterator[tuple[complex, float]]:
        count = int(self._number(options.get("n") or options.get("m") or "1"))
        pairs = [pair.split(",") for pair in options.get("each", "0,0").split(";")]
        if "each" in options and "m" not in options:
            pairs = pairs[: count if "n" in options else None]
            rounds = list(enumerate(pairs))
            count = len(pairs)
        else:
            rounds = [(i, pair) for i in range(count) for pair in pairs]
        across = int(options.get("across", "1"))
        for i, (x, y) in rounds:
            u = (2 * i + 1) / count - 1
            self._values |= {"x": float(x), "y": float(y), "i": i, "s": i / count, "u": u}
            self._values |= {"w": math.sqrt(1 - u * u), "k": 1 - i % 2 * 2, "c": i % across, "r": i // across}
            yield self._on_spine(i, count) if "along" in options else (0j, 0.0)

    def _on_spine(self, i: int, count: int) -> tuple[complex, float]:
        """Where mark i lies, and which way the spine runs there."""
        low, share = divmod((i + 0.7) / (count + 1) * (len(self._spine) - 1), 1)
        ahead = self._spine[int(low) + 1] - self._spine[int(low)]
        return self._spine[int(low)] + ahead * share, math.degrees(cmath.phase(ahead))

    def _colour(self, text: str) -> Colour:
        turns = text.split("|")
        found = _COLOUR.fullmatch(turns[int(self._values.get("i", 0)) % len(turns)])
        assert found is not None
        part = found["part"]
        if part.startswith("#"):
            colour = hexed(part[1:])
        else:
            default = self._defaults.get(part)
            colour = self._look(part, None if default is None else self._colour(default))
        share = int(found["share"] or 0) / 100
        if found["sign"] == "~":
            share = self._dice.between(0, share)
        return mix(colour, BLACK if found["sign"] == "-" else WHITE, share) if share else colour

    def _shape(self, pen: Pen, kind: str, words: tuple[str, ...]) -> None:
        part, first, *rest = words
        if not self._has(part.partition("|")[0]):
            return
        colour = self._colour(part)
        if kind in ("line", "ribbon"):
            points = self._points(tuple(rest))
            widths = [self._number(width) for width in first.split(",")]
            if kind == "line":
                pen.line(points, widths[0], colour)
            else:
                pen.ribbon(points, widths, colour)
        elif kind in ("blob", "poly"):
            points = self._points((first, *rest))
            (pen.blob if kind == "blob" else pen.shape)(points, colour)
        elif kind == "leaf":
            size = self._pair(first)
            long, half = size.real, 1j * size.imag
            pen.blob((0j, 0.35 * long - half, long, 0.35 * long + half), colour)
            pen.line((0j, 0.9 * long + 0j), 0.018, mix(colour, BLACK, 0.3))
        elif kind == "oval":
            axes = self._pair(rest[0])
            degrees = self._number(rest[1]) if len(rest) > 1 else 0
            pen.oval(self._pair(first), axes.real, axes.imag, colour, degrees=degrees)
        else:
            centre, radius = self._pair(first), self._number(rest[0])
            pen.disc(centre, radius, colour)
            if kind == "eye":
                pen.disc(centre, radius * 0.7, BLACK)
                pen.disc(centre + radius * (0.3 - 0.35j), radius * 0.3, WHITE)
