"""What a network is shown."""

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image

from arboretum_tools.testing.tiny import tiny_image
from arboretum_tools.training.augment import (
    MEAN,
    View,
    erased,
    middle_box,
    mixed,
    normalized,
    rand_augment,
    random_box,
    smoothed,
)

pytestmark = pytest.mark.training


def test_random_crops_lie_in_the_image_and_have_the_asked_areas():
    generator = random.Random(0)
    for _ in range(500):
        left, top, right, bottom = random_box(400, 300, generator, min_area=0.2)
        assert 0 <= left < right <= 1 + 1e-9
        assert 0 <= top < bottom <= 1 + 1e-9
        assert 0.2 - 1e-9 <= (right - left) * (bottom - top) <= 1 + 1e-9
        aspect = (right - left) * 400 / ((bottom - top) * 300)
        assert 3 / 4 - 1e-9 <= aspect <= 4 / 3 + 1e-9
    # A strip has no part of these shapes that is large enough: the square in its middle.
    assert random_box(1000, 10, generator, min_area=0.9) == pytest.approx((0.495, 0, 0.505, 1))
    assert middle_box(200, 100, 0.5) == pytest.approx((0.375, 0.25, 0.625, 0.75))


def test_a_view_depends_on_its_generator_alone():
    view = View(24, 0.3, strong=True, erasing=0.5)
    data = tiny_image(12345, size=(64, 48))
    first = [view(data, name="photo", generator=random.Random(seed)) for seed in range(8)]
    again = [view(data, name="photo", generator=random.Random(seed)) for seed in range(8)]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({one.numpy().tobytes() for one in first}) == 8
    assert {(one.shape, one.dtype) for one in first} == {((3, 24, 24), torch.uint8)}


def test_val_and_test_see_the_middle_unchanged():
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    image.paste((0, 0, 255), (10, 0, 30, 20))
    out = io.BytesIO()
    image.save(out, "PNG")
    shown = View(10)(out.getvalue(), name="photo", generator=random.Random(0))
    # The filter of the outermost columns reaches beyond the part.
    assert (shown[:, :, 1:-1] == torch.tensor([0, 0, 255], dtype=torch.uint8)[:, None, None]).all()


def test_every_operation_of_rand_augment_gives_an_image_of_the_same_size():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    changed = 0
    for seed in range(200):
        found = rand_augment(noise, random.Random(seed))
        assert (found.size, found.mode) == ((30, 20), "RGB")
        changed += found.tobytes() != noise.tobytes()
    assert 120 < changed < 180  # two operations, each with probability 1/2: three quarters


def test_erasing_replaces_one_rectangle_by_noise():
    black = torch.zeros(3, 32, 32, dtype=torch.uint8)
    for seed in range(20):
        touched = (erased(black, random.Random(seed)) > 0).any(dim=0)
        rows, columns = touched.any(dim=1).nonzero().flatten(), touched.any(dim=0).nonzero().flatten()
        area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert 0.01 < area / 32**2 < 0.4
        assert touched.sum() / area > 0.9  # but for pixels that happen to be black
    assert not black.any()


def test_normalized_and_smoothed():
    grey = torch.tensor([round(255 * m) for m in MEAN], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert normalized(grey).abs().max() < 0.01
    found = smoothed(torch.tensor([1, 0]), 4, 0.1)
    torch.testing.assert_close(
        found, torch.tensor([[0.025, 0.925, 0.025, 0.025], [0.925, 0.025, 0.025, 0.025]])
    )


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_targets_are_mixed_as_the_images_are(mixup, cutmix):
    """Photos of one value each: the mean of a mixed photo says how much of which photo is in it."""
    values = torch.tensor([0.0, 1.0, 2.0, 3.0])
    images = values.view(4, 1, 1, 1).expand(4, 3, 16, 16)
    targets = torch.eye(4)
    shares = set()
    for seed in range(50):
        found, mixed_targets = mixed(images, targets, random.Random(seed), mixup=mixup, cutmix=cutmix)
        torch.testing.assert_close(mixed_targets.sum(dim=1), torch.ones(4))
        torch.testing.assert_close(found.mean(dim=(1, 2, 3)), mixed_targets @ values)
        shares.add(round(mixed_targets[0, 0].item(), 3))
    assert len(shares) > 10
    assert mixed(images, targets, random.Random(0), mixup=0, cutmix=0) == (images, targets)
