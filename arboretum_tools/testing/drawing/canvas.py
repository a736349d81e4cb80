"""What every drawing is made with: repeatable dice, colours, and a pen in coordinates of its own.

Points are complex numbers: x to the right, y downwards, the figure about 2 units wide around 0. Complex
multiplication turns and scales them, which keeps a drawing of some forty shapes near a millisecond.
"""

from __future__ import annotations

import cmath
import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL import ImageDraw

T = TypeVar("T")

Colour = tuple[int, int, int]
Points = Sequence[complex]

BLACK: Colour = (24, 22, 24)
WHITE: Colour = (250, 249, 244)

_CIRCLE = [(math.cos(a * math.pi / 14), math.sin(a * math.pi / 14)) for a in range(28)]

# Weights of the four points around a piece of a Catmull-Rom spline, at each of five steps along it.
_WEIGHTS = [
    [w / 2 for w in (2 * t**2 - t - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)]
    for t in (step / 5 for step in range(5))
]


class Dice:
    """Numbers that look random and depend on `what` alone, the same on every machine."""

    def __init__(self, *what: object) -> None:
        self._seed = "\0".join(map(str, what)).encode()
        self._block = 0
        self._bytes = b""

    def number(self) -> float:
        """The next number, 0 <= x < 1, one of 65,536."""
        if not self._bytes:
            self._bytes = hashlib.sha256(self._seed + self._block.to_bytes(4, "big")).digest()
            self._block += 1
        pair, self._bytes = self._bytes[:2], self._bytes[2:]
        return int.from_bytes(pair, "big") / 65536

    def between(self, low: float, high: float) -> float:
        """The next number of the interval."""
        return low + (high - low) * self.number()

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.number() < probability

    def choose(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[int(self.number() * len(values))]


def hsl(hue: float, saturation: float, lightness: float) -> Colour:
    """A colour by hue (degrees), saturation and lightness (0 to 1)."""
    half = (1 - abs(2 * lightness - 1)) * saturation / 2
    turns = ((offset + hue / 30) % 12 for offset in (0, 8, 4))
    red, green, blue = (round(255 * (lightness - half * max(-1, min(k - 3, 9 - k, 1)))) for k in turns)
    return red, green, blue


def hexed(digits: str) -> Colour:
    """A colour by its six digits."""
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of the other colour in the one."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def polar(radius: float, degrees: float) -> complex:
    """A point by radius and angle; 0 degrees is to the right, 90 is down."""
    return cmath.rect(radius, math.radians(degrees))


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws in its own coordinates.

    Attributes:
        canvas: what is drawn on.
        origin: where 0 lies, in pixels.
        turn: pixels a unit as absolute value, rotation as angle.
        flipped: whether left and right change places.
    """

    canvas: ImageDraw.ImageDraw
    origin: complex
    turn: complex
    flipped: bool = False

    def at(self, point: complex, *, degrees: float = 0, scale: float = 1) -> Pen:
        """A pen whose 0 is at `point`, turned and scaled."""
        turn = polar(scale, -degrees if self.flipped else degrees)
        return replace(self, origin=self.place(point), turn=self.turn * turn)

    def mirrored(self) -> Pen:
        """A pen with left and right exchanged."""
        return replace(self, flipped=not self.flipped)

    def place(self, point: complex) -> complex:
        """Where a point lies, in pixels."""
        return self.origin + self.turn * (-point.conjugate() if self.flipped else point)

    def shape(self, points: Iterable[complex], colour: Colour) -> None:
        """A filled outline of straight lines."""
        self.canvas.polygon(self._pixels(points), fill=colour)

    def blob(self, points: Points, colour: Colour) -> None:
        """A filled, smooth outline through the points."""
        self.shape(_through([points[-1], *points, *points[:2]]), colour)

    def oval(
        self, centre: complex, across: float, along: float, colour: Colour, *, degrees: float = 0
    ) -> None:
        """A filled ellipse by its half axes, the first turned by `degrees`."""
        turn = polar(1, degrees)
        self.shape([centre + turn * complex(x * across, y * along) for x, y in _CIRCLE], colour)

    def disc(self, centre: complex, radius: float, colour: Colour) -> None:
        """A filled circle."""
        middle, pixels = self.place(centre), radius * abs(self.turn)
        box = (middle.real - pixels, middle.imag - pixels, middle.real + pixels, middle.imag + pixels)
        self.canvas.ellipse(box, fill=colour)

    def line(self, points: Points, width: float, colour: Colour) -> None:
        """A line of straight pieces."""
        pixels = max(1, round(width * abs(self.turn)))
        self.canvas.line(self._pixels(points), fill=colour, width=pixels, joint="curve")

    def ribbon(self, points: Points, widths: Sequence[float], colour: Colour) -> None:
        """A smooth band through the points, as wide at each as `widths` says."""
        spine = [*_through([points[0], *points, points[-1]]), points[-1]]
        last = len(spine) - 1
        left: list[complex] = []
        right: list[complex] = []
        for index, point in enumerate(spine):
            ahead = spine[min(index + 1, last)] - spine[max(index - 1, 0)]
            across = 1j * ahead / (abs(ahead) or 1)
            at = index / last * (len(widths) - 1)
            low = min(int(at), len(widths) - 2)
            half = (widths[low] + (widths[low + 1] - widths[low]) * (at - low)) / 2
            left.append(point + across * half)
            right.append(point - across * half)
        self.shape(left + right[::-1], colour)

    def _pixels(self, points: Iterable[complex]) -> list[tuple[float, float]]:
        return [(place.real, place.imag) for place in map(self.place, points)]


def _through(points: Points) -> list[complex]:
    """The smooth line from the second point to the last but one, as straight pieces, without its end."""
    fours = zip(points, points[1:], points[2:], points[3:], strict=False)
    return [a * p + b * q + c * r + d * s for p, q, r, s in fours for a, b, c, d in _WEIGHTS]
