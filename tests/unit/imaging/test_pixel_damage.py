"""Damage among the pixels: what a decoder warns of, which Pillow drops."""

import io
import random

import pytest
from PIL import Image

from arboretum_tools.imaging.image_format import inspect
from arboretum_tools.imaging.images import decode_rgb
from arboretum_tools.imaging.pixel_damage import pixel_damage

WRITTEN = [
    ("RGB", "JPEG", {}),
    ("RGB", "JPEG", {"progressive": True}),
    ("RGB", "JPEG", {"restart_marker_blocks": 1}),
    ("RGB", "JPEG", {"comment": b"\xff\xd9"}),
    ("L", "JPEG", {}),
    ("CMYK", "JPEG", {}),
    ("RGB", "PNG", {}),
    ("P", "GIF", {}),
    ("RGB", "WEBP", {}),
]


def drawn(mode: str, form: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    noise = random.Random(f"{mode}{form}").randbytes(size[0] * size[1] * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, noise).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("mode", "form", "options"), WRITTEN, ids=str)
def test_a_sound_image_has_none(mode, form, options):
    assert pixel_damage(drawn(mode, form, **options)) == ""


@pytest.mark.parametrize(("mode", "form", "options"), WRITTEN[:5], ids=str)
def test_of_flipped_bits_a_part_is_seen_of_which_pillow_sees_almost_none(mode, form, options):
    whole = drawn(mode, form, **options)
    chance, scan, seen, by_pillow = random.Random(1), whole.index(b"\xff\xda") + 14, 0, 0
    for _ in range(100):
        data = bytearray(whole)
        data[chance.randrange(scan, len(whole) - 2)] ^= 1 << chance.randrange(8)
        seen += bool(pixel_damage(bytes(data)))
        try:
            decode_rgb(bytes(data), name="it")
        except Exception:  # noqa: BLE001 - whatever it raises is a finding
            by_pillow += 1
    assert seen >= 10
    assert by_pillow < seen / 2


def test_a_png_that_cannot_be_decoded_is_damaged():
    data = bytearray(drawn("RGB", "PNG"))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    inspect(bytes(data))
    assert "cannot be" in pixel_damage(bytes(data))
