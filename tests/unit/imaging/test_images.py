import io
import warnings

import numpy as np
import pytest
from PIL import Image

from arboretum_tools.imaging.image_format import jpeg_turn
from arboretum_tools.imaging.images import (
    UndecodableImageError,
    cut_out,
    decode_rgb,
    open_image,
    shrink,
    tile,
    to_jpeg,
)
from arboretum_tools.testing.tiny import tiny_image


def saved(image: Image.Image, format: str, **options: object) -> bytes:  # noqa: A002
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "WEBP"])
def test_every_format_of_a_store_opens_and_becomes_a_jpeg(format_name: str) -> None:
    data = tiny_image(7, format_name)
    assert open_image(data, name="photo 7").format == format_name
    jpeg, width, height = to_jpeg(data, name="photo 7")
    assert (width, height) == (32, 24)
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    data = saved(Image.new("L", (8, 8), 200).convert(mode), "PNG")
    assert decode_rgb(data, name="it").mode == "RGB"
    assert tile(data, (5, 4), name="it").size == (5, 4)


def test_clear_pixels_become_white() -> None:
    clear = saved(Image.new("RGBA", (8, 8), (10, 20, 30, 0)), "PNG")
    assert decode_rgb(clear, name="it").getpixel((3, 3)) == (255, 255, 255)


def test_an_image_on_its_side_is_turned_upright() -> None:
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    exif = image.getexif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to show it
    data = saved(image, "JPEG", exif=exif)
    assert decode_rgb(data, name="it").size == (20, 40)
    assert to_jpeg(data, name="it")[1:] == (20, 40)


@pytest.mark.parametrize("area", [True, False])
@pytest.mark.parametrize("turn", range(1, 9))
def test_shrunk_and_turned_upright(turn: int, area: bool) -> None:
    image = Image.new("RGB", (80, 40), (255, 255, 255))
    image.paste((255, 0, 0), (0, 0, 40, 20))
    exif = image.getexif()
    exif[0x0112] = turn
    data = saved(image, "JPEG", exif=exif, quality=95, subsampling=0)
    made = shrink(data, name="it", shorter_side=20, area=area, quality=95)
    assert made is not None
    small, requested = decode_rgb(made[0], name="it"), decode_rgb(data, name="it")
    assert made[1:] == small.size == tuple(side // 2 for side in requested.size)
    width, height = small.size
    for x, y in ((5, 5), (width - 6, 5), (5, height - 6), (width - 6, height - 6)):
        # Red or white, where the whole image shown upright is.
        assert (small.getpixel((x, y))[1] < 128) == (requested.getpixel((2 * x, 2 * y))[1] < 128)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_every_format_is_shrunk_to_a_jpeg(kind: str) -> None:
    data = saved(Image.radial_gradient("L").resize((300, 201)), kind)
    made = shrink(data, name="it", shorter_side=100, area=True, quality=90)
    assert made is not None
    assert made[1:] == (149, 100)
    assert Image.open(io.BytesIO(made[0])).format == "JPEG"


def test_a_shrunk_image_is_the_mean_of_areas() -> None:
    # From a size that no whole factor leads from; Pillow's BOX would take rows whole or not at all.
    stripes = Image.new("L", (500, 375))
    for x in range(0, 500, 2):
        stripes.paste(255, (x, 0, x + 1, 375))
    made = shrink(saved(stripes, "PNG"), name="it", shorter_side=256, area=True, quality=100)
    assert made is not None
    grey = Image.open(io.BytesIO(made[0])).convert("L")
    assert abs(sum(grey.tobytes()) / (grey.width * grey.height) - 127.5) < 2
    assert max(grey.tobytes()) < 200
    assert min(grey.tobytes()) > 55


def test_an_image_is_never_enlarged_but_decoded_all_the_same() -> None:
    data = saved(Image.new("RGB", (100, 64)), "PNG")
    assert shrink(data, name="it", shorter_side=64, area=True, quality=90) is None
    with pytest.raises(UndecodableImageError):
        shrink(data[:60], name="it", shorter_side=64, area=True, quality=90)


def test_a_tile_is_cut_around_the_middle() -> None:
    image = Image.new("RGB", (400, 100), (0, 0, 255))
    image.paste((255, 0, 0), (150, 0, 250, 100))
    small = tile(saved(image, "JPEG", quality=95), (50, 50), name="it")
    red, _, blue = small.getpixel((25, 25))
    assert red > 200
    assert blue < 60


@pytest.mark.parametrize(
    "data", [b"", b"<?xml version='1.0'?>", b"\x00\x00\x01\x00", b"%PDF-1.7", b"BM" + bytes(60)]
)
def test_what_is_no_image_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(UndecodableImageError, match="photo 12 cannot be decoded"):
        open_image(data, name="photo 12")


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_a_cut_image_is_refused_when_it_is_decoded(format_name: str) -> None:
    data = tiny_image(7, format_name)
    with pytest.raises(UndecodableImageError):
        decode_rgb(data[: len(data) * 2 // 3], name="photo 7")


def test_a_large_image_is_no_warning_and_a_decompression_bomb_is_an_error() -> None:
    with warnings.catch_warnings(action="error"):
        # Pillow's own open would warn of this one.
        assert open_image(saved(Image.new("1", (10_000, 10_000)), "PNG"), name="photo 7").width == 10_000
        with pytest.raises(UndecodableImageError, match="14000 x 14000 pixels are more than 178,956,970"):
            open_image(saved(Image.new("1", (14_000, 14_000)), "PNG"), name="photo 7")


def test_sixteen_bits_of_grey_are_scaled() -> None:
    ramp = Image.fromarray(np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16))
    data = saved(ramp, "PNG")
    assert Image.open(io.BytesIO(data)).mode.startswith("I")
    rgb = np.asarray(decode_rgb(data, name="it"))
    assert np.array_equal(rgb[..., 0].ravel(), np.arange(256))
    jpeg = np.asarray(decode_rgb(to_jpeg(data, name="it")[0], name="it")).astype(int)
    assert np.abs(jpeg[..., 0].ravel() - np.arange(256)).max() <= 4


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("little", [True, False])
def test_the_turn_of_a_jpeg_is_read_without_its_pixels(turn: int, little: bool) -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif.endian = "<" if little else ">"
    exif[0x010F] = "a maker"
    exif[0x0112] = turn
    assert jpeg_turn(saved(image, "JPEG", exif=exif)) == turn
    assert jpeg_turn(saved(image, "JPEG")) == 1
    assert jpeg_turn(saved(image, "JPEG", exif=exif)[:40]) in (1, turn)


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_a_part_is_cut_out_of_the_image_as_it_is_to_be_seen(turn: int) -> None:
    """Four quarters of one colour each, stored in any way; the part asked for is of the upright image."""
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)]
    upright = Image.new("RGB", (800, 400))
    for number, color in enumerate(colors):
        upright.paste(color, (400 * (number % 2), 200 * (number // 2), 400 * (number % 2) + 400, 400))
    back = {
        1: None,
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright if back[turn] is None else upright.transpose(back[turn])
    exif = stored.getexif()
    exif[0x0112] = turn
    data = saved(stored, "JPEG", exif=exif, quality=95, subsampling=0)
    for number, color in enumerate(colors):
        seen: list[tuple[int, int]] = []

        def choose(width: int, height: int, number: int = number, seen: list = seen):
            seen.append((width, height))
            left, top = number % 2 / 2, number // 2 / 2
            return left + 0.1, top + 0.1, left + 0.4, top + 0.4

        part = cut_out(data, choose, 16, name="it")
        assert seen == [(800, 400)]
        assert part.size == (16, 16)
        assert all(
            abs(a - b) < 12 for pixel in part.getcolors(256) for a, b in zip(pixel[1], color, strict=True)
        )
