"""Drawn photos and copies of them, to measure what finds near-duplicates and what it takes for them.

Four kinds of picture: a scene full of detail; small birds on plain skies; boats on seas below a horizon;
subjects on white. Two pictures of a kind share its colours and layout, and show another subject.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

#: Pixels of a side of every picture.
SIDE = 300

Picture = bytes


def scene(number: int) -> Picture:
    """A texture with coarse and fine detail, and a few shapes."""
    rng = _rng(0, number)
    coarse = _texture(rng, 1.2)
    layers = [
        128
        + rng.uniform(20, 45) * (coarse * rng.uniform(0.6, 1) + _texture(rng, 1.2) / 2)
        + rng.uniform(-30, 30)
        for _ in range(3)
    ]
    image = _image(np.stack(layers, -1))
    for _ in range(int(rng.integers(1, 5))):
        _shape(image, rng, rng.uniform(0.08, 0.3), rng.integers(0, 255, 3), rng.uniform(0.2, 0.8, 2))
    return _jpeg(image, 92)


def sky(number: int) -> Picture:
    """A plain gradient with a small dark bird anywhere in its middle half."""
    rng = _rng(1, number)
    top = rng.uniform(90, 200)
    column = np.linspace(top, top + rng.uniform(10, 50), SIDE)[:, None] * np.ones((1, SIDE))
    image = _image(_blue(column) + rng.normal(0, 2, (SIDE, SIDE, 3)))
    size, turn, left, right = rng.uniform(0.03, 0.1) * SIDE, rng.uniform(-0.6, 0.6), *rng.uniform(0.7, 1.4, 2)
    one, two, tail = *rng.uniform(-0.9, 0.6, 2), rng.uniform(0.3, 0.6)
    outline = [
        (-left, one),
        (-0.3, -0.15),
        (0, -0.25),
        (0.3, -0.15),
        (right, two),
        (0.25, 0.2),
        (0, tail),
        (-0.25, 0.2),
    ]
    center, grey = rng.uniform(0.25, 0.75, 2) * SIDE, int(rng.integers(10, 80))
    points = [
        (
            center[0] + size * (x * np.cos(turn) - y * np.sin(turn)),
            center[1] + size * (x * np.sin(turn) + y * np.cos(turn)),
        )
        for x, y in outline
    ]
    ImageDraw.Draw(image).polygon(points, fill=(grey, grey, grey))
    return _jpeg(image, 92)


def sea(number: int) -> Picture:
    """Waves below a level horizon, and something dark near it."""
    rng = _rng(2, number)
    horizon = int(SIDE * rng.uniform(0.3, 0.6))
    grey = np.zeros((SIDE, SIDE))
    grey[:horizon] = np.linspace(rng.uniform(150, 200), rng.uniform(190, 235), horizon)[:, None]
    waves = np.clip(_texture(rng, 0.9), -3, 3)[horizon:] * rng.uniform(4, 12)
    grey[horizon:] = rng.uniform(60, 120) + waves
    image = _image(_blue(grey) + rng.normal(0, 2, (SIDE, SIDE, 3)))
    center = (rng.uniform(0.2, 0.8), horizon / SIDE + rng.uniform(-0.05, 0.25))
    _shape(image, rng, rng.uniform(0.03, 0.1), rng.integers(0, 90, 3), center)
    return _jpeg(image, 92)


def white(number: int) -> Picture:
    """One subject in the middle of a white background."""
    rng = _rng(3, number)
    image = _image(np.full((SIDE, SIDE, 3), rng.uniform(235, 255)) + rng.normal(0, 1, (SIDE, SIDE, 3)))
    _shape(image, rng, rng.uniform(0.15, 0.4), rng.integers(0, 200, 3), rng.uniform(0.42, 0.58, 2))
    return _jpeg(image, 92)


#: What draws a picture of each kind by its number.
KINDS: Mapping[str, Callable[[int], Picture]] = {"scene": scene, "sky": sky, "sea": sea, "white": white}

#: The copies that `copies` makes.
HOW = ("shift", "crop", "mirrored", "rotated", "jpeg", "resized", "burst")


def copies(picture: Picture, number: int) -> dict[str, Picture]:
    """Copies of a picture, by how they were made (HOW).

    `shift` by 3 % of a side, `crop` to 90 % of both sides, `mirrored` left to right, `rotated` by 2 degrees,
    `jpeg` at quality 60, `resized` to half, `burst`: shifted by 2 %, cropped by 3 %, another exposure, noise.
    """
    rng = _rng(4, number)
    image = Image.open(io.BytesIO(picture))
    margin = int(0.04 * SIDE)
    turned = image.rotate(float(rng.choice([-2, 2])), Image.Resampling.BICUBIC)
    burst = np.asarray(_cropped(_shifted(image, rng, 0.02), rng, 0.97), np.float64) * rng.uniform(0.85, 1.15)
    return {
        "shift": _jpeg(_shifted(image, rng, 0.03), 90),
        "crop": _jpeg(_cropped(image, rng, 0.9), 90),
        "mirrored": _jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 90),
        "rotated": _jpeg(turned.crop((margin, margin, SIDE - margin, SIDE - margin)), 90),
        "jpeg": _jpeg(image, 60),
        "resized": _jpeg(image.resize((SIDE // 2, SIDE // 2)), 90),
        "burst": _jpeg(_image(burst + rng.normal(0, 5, burst.shape)), 85),
    }


def _rng(kind: int, number: int) -> np.random.Generator:
    return np.random.default_rng([kind, number])


def _texture(rng: np.random.Generator, slope: float) -> NDArray[np.float64]:
    """Noise whose amplitude falls with the frequency, as in photos."""
    rows, columns = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    spectrum = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    found = np.fft.irfft2(spectrum / frequency**slope, (SIDE, SIDE))
    return np.asarray((found - found.mean()) / found.std())


def _blue(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([grey * 0.75, grey * 0.92, np.minimum(255, grey * 1.12)], -1)


def _image(pixels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _shape(
    image: Image.Image, rng: np.random.Generator, radius: float, color: NDArray[np.int64], center: object
) -> None:
    x, y = np.asarray(center, np.float64)
    corners = int(rng.integers(5, 9))
    angles, radii = np.sort(rng.uniform(0, 2 * np.pi, corners)), radius * rng.uniform(0.35, 1, corners)
    points = [
        (float(x + r * np.cos(a)) * SIDE, float(y + r * np.sin(a)) * SIDE)
        for a, r in zip(angles, radii, strict=True)
    ]
    red, green, blue = color.tolist()
    ImageDraw.Draw(image).polygon(points, fill=(red, green, blue))


def _shifted(image: Image.Image, rng: np.random.Generator, share: float) -> Image.Image:
    angle, room = rng.uniform(0, 2 * np.pi), 20
    wide = np.pad(np.asarray(image), ((room, room), (room, room), (0, 0)), mode="reflect")
    down, right = (room + round(share * SIDE * f(angle)) for f in (np.sin, np.cos))
    return Image.fromarray(wide[down : down + SIDE, right : right + SIDE])


def _cropped(image: Image.Image, rng: np.random.Generator, share: float) -> Image.Image:
    left, top = rng.uniform(0, 1 - share, 2) * SIDE
    return image.crop((int(left), int(top), int(left + share * SIDE), int(top + share * SIDE)))


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
