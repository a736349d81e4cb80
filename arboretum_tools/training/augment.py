"""What a network is shown of a photo: crops, flips, RandAugment, erasing, Mixup and CutMix.

Randomness is of the photo: a generator seeded by run, epoch, photo and view draws everything, so a photo
looks the same whichever worker or machine prepares it, and in a resumed run as in an undisturbed one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody uses

from arboretum_tools.imaging.images import cut_out

#: Mean and standard deviation of red, green and blue over ImageNet, 0 to 1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Grey of what geometric operations uncover.
_FILL = (124, 116, 104)

_Operation = Callable[[Image.Image, float], Image.Image]


def _affine(a: float, b: float, c: float, d: float, image: Image.Image) -> Image.Image:
    """Shears by (a, c) and shifts by (b, d) shares of the side."""
    matrix = (1, a, b * image.width, c, 1, d * image.height)
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=_FILL
    )


# Strength is -1 to 1; those that have no sign take its size. Ranges are those of RandAugment as DeiT uses it,
# the "increasing" ones: the greater, the further from the photo.
_OPERATIONS: Sequence[_Operation] = (
    lambda image, _: ImageOps.autocontrast(image),
    lambda image, _: ImageOps.equalize(image),
    lambda image, _: ImageOps.invert(image),
    lambda image, s: image.rotate(30 * s, Image.Resampling.BICUBIC, fillcolor=_FILL),
    lambda image, s: ImageOps.posterize(image, 4 - int(4 * abs(s)) or 1),
    lambda image, s: ImageOps.solarize(image, 256 - int(256 * abs(s))),
    lambda image, s: image.point([min(255, v + int(110 * abs(s))) if v < 128 else v for v in range(256)] * 3),
    lambda image, s: ImageEnhance.Color(image).enhance(1 + 0.9 * s),
    lambda image, s: ImageEnhance.Contrast(image).enhance(1 + 0.9 * s),
    lambda image, s: ImageEnhance.Brightness(image).enhance(1 + 0.9 * s),
    lambda image, s: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * s),
    lambda image, s: _affine(0.3 * s, 0, 0, 0, image),
    lambda image, s: _affine(0, 0, 0.3 * s, 0, image),
    lambda image, s: _affine(0, 0.45 * s, 0, 0, image),
    lambda image, s: _affine(0, 0, 0, 0.45 * s, image),
)


def rand_augment(
    image: Image.Image,
    generator: random.Random,
    *,
    operations: int = 2,
    magnitude: float = 9,
    spread: float = 0.5,
) -> Image.Image:
    """RandAugment (Cubuk et al. 2020, arXiv 1909.13719) with the settings of DeiT, `rand-m9-mstd0.5-inc1`.

    Args:
        image: RGB.
        generator: draws the operations, their strength and sign.
        operations: how many are applied, each with probability 1/2, as in timm.
        magnitude: mean strength, of 10.
        spread: standard deviation of the strength.
    """
    for operation in generator.choices(_OPERATIONS, k=operations):
        strength = min(10.0, max(0.0, generator.gauss(magnitude, spread))) / 10
        signed = strength if generator.random() < 0.5 else -strength
        if generator.random() < 0.5:
            image = operation(image, signed)
    return image


def random_box(
    width: int, height: int, generator: random.Random, *, min_area: float
) -> tuple[float, float, float, float]:
    """A random part of an image: `min_area` to all of its area, 3:4 to 4:3 (Szegedy et al. 2015).

    Returns:
        Left, top, right, bottom as shares of the sides.
    """
    for _ in range(10):
        area = width * height * generator.uniform(min_area, 1)
        aspect = math.exp(generator.uniform(math.log(3 / 4), math.log(4 / 3)))
        across, down = math.sqrt(area * aspect) / width, math.sqrt(area / aspect) / height
        if across <= 1 and down <= 1:
            left, top = generator.uniform(0, 1 - across), generator.uniform(0, 1 - down)
            return left, top, left + across, top + down
    return middle_box(width, height, 1.0)


def middle_box(width: int, height: int, share: float) -> tuple[float, float, float, float]:
    """The square around the middle whose side is a share of the shorter side, as shares of the sides."""
    across, down = share * min(width, height) / width, share * min(width, height) / height
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2


@dataclass(frozen=True, slots=True)
class View:
    """One way of showing a photo.

    Attributes:
        size: pixels of a side.
        min_area: of the random crop; None = the middle of the photo, upright and unchanged, for val and test.
        strong: RandAugment as well.
        erasing: probability of a rectangle of noise.
        test_crop: share of the shorter side that the middle has.
    """

    size: int
    min_area: float | None = None
    strong: bool = False
    erasing: float = 0.0
    test_crop: float = 1.0

    def __call__(self, data: bytes, *, name: str, generator: random.Random) -> Tensor:
        """The photo as uint8 (3, size, size).

        Raises:
            UndecodableImageError: the bytes cannot be decoded.
        """
        min_area = self.min_area
        if min_area is None:
            return _pixels(cut_out(data, lambda w, h: middle_box(w, h, self.test_crop), self.size, name=name))
        image = cut_out(
            data, lambda w, h: random_box(w, h, generator, min_area=min_area), self.size, name=name
        )
        if generator.random() < 0.5:
            image = ImageOps.mirror(image)
        if self.strong:
            image = rand_augment(image, generator)
        pixels = _pixels(image)
        return erased(pixels, generator) if generator.random() < self.erasing else pixels


def _pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image).transpose(2, 0, 1).copy())


def erased(pixels: Tensor, generator: random.Random) -> Tensor:
    """A copy in which a rectangle of 2 % to a third of the area is noise (Zhong et al. 2020).

    Args:
        pixels: uint8 (3, H, W).
        generator: draws place, shape and noise.
    """
    _, height, width = pixels.shape
    pixels = pixels.clone()
    for _ in range(10):
        area = height * width * generator.uniform(0.02, 1 / 3)
        aspect = math.exp(generator.uniform(math.log(0.3), math.log(1 / 0.3)))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < h < height and 0 < w < width:
            top, left = generator.randrange(height - h), generator.randrange(width - w)
            noise = np.random.default_rng(generator.getrandbits(64)).normal(size=(3, h, w))
            colors = 255 * (np.reshape(MEAN, (3, 1, 1)) + np.reshape(DEVIATION, (3, 1, 1)) * noise)
            pixels[:, top : top + h, left : left + w] = torch.from_numpy(colors.clip(0, 255).astype(np.uint8))
            break
    return pixels


def normalized(pixels: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) as float32, relative to ImageNet's mean and deviation."""
    mean = torch.tensor(MEAN, device=pixels.device).mul(255)[:, None, None]
    deviation = torch.tensor(DEVIATION, device=pixels.device).mul(255)[:, None, None]
    return (pixels.float() - mean) / deviation


def smoothed(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Labels as shares (B, C): 1 - smoothing, and smoothing / C for every class."""
    return F.one_hot(labels, classes) * (1.0 - smoothing) + smoothing / classes


def mixed(
    images: Tensor, targets: Tensor, generator: random.Random, *, mixup: float, cutmix: float
) -> tuple[Tensor, Tensor]:
    """A batch mixed with itself in reverse order, by Mixup or CutMix; of both, one is drawn.

    Mixup: lambda * a + (1 - lambda) * b (Zhang et al. 2018, arXiv 1710.09412). CutMix: a rectangle of b in a,
    lambda the share of a that is left (Yun et al. 2019, arXiv 1905.04899). lambda is of Beta(alpha, alpha).

    Args:
        images: (B, 3, H, W), floating.
        targets: shares of the classes (B, C).
        generator: draws which, lambda and the place.
        mixup: alpha of Mixup; 0 = never.
        cutmix: alpha of CutMix; 0 = never.
    """
    if not mixup and not cutmix:
        return images, targets
    cut = bool(cutmix) and (not mixup or generator.random() < 0.5)
    alpha = cutmix if cut else mixup
    share = generator.betavariate(alpha, alpha)
    if cut:
        height, width = images.shape[2:]
        h, w = int(height * math.sqrt(1 - share)), int(width * math.sqrt(1 - share))
        y, x = generator.randrange(height), generator.randrange(width)
        top, bottom = max(0, y - h // 2), min(height, y + h // 2)
        left, right = max(0, x - w // 2), min(width, x + w // 2)
        share = 1 - (bottom - top) * (right - left) / (height * width)
        images = images.clone()
        images[:, :, top:bottom, left:right] = images.flip(0)[:, :, top:bottom, left:right]
    else:
        images = share * images + (1 - share) * images.flip(0)
    return images, share * targets + (1 - share) * targets.flip(0)
