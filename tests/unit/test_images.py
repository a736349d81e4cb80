import io
import warnings

import pytest
from PIL import Image

from arboretum_tools.images import UndecodableImageError, decode_rgb, open_image, tile, to_jpeg
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


@pytest.mark.parametrize("side", [60, 80])
def test_a_decompression_bomb_is_an_error_and_not_a_warning(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(Image.new("1", (side, side)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3_000)  # warned from 55 x 55, refused from 78 x 78
    with warnings.catch_warnings(action="ignore"), pytest.raises(UndecodableImageError):
        open_image(data, name="photo 7")
