"""Photos that are shrunk as they come, and those that cannot be."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from arboretum_tools.downloading.resize import Resize
from arboretum_tools.errors import UsageError
from arboretum_tools.imaging import image_format
from arboretum_tools.store.shards.record import PhotoRecord


def drawn(width: int, height: int, kind: str = "JPEG", **more) -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert("RGB").save(buffer, kind, **more)
    return buffer.getvalue()


def record_of(photo_id: int, data: bytes) -> PhotoRecord:
    return PhotoRecord.of_image(photo_id, data, image_format.inspect(data), etag="e")


def transformed(resize: Resize, *bodies: bytes):
    return [resize.apply(record_of(n, data), data) for n, data in enumerate(bodies, start=1)]


def test_a_larger_photo_becomes_a_jpeg_and_a_smaller_one_stays():
    large, small, png = drawn(200, 100), drawn(90, 50), drawn(64, 128, "PNG")
    (shrunk, jpeg), kept, (was_png, of_png) = transformed(Resize(64), large, small, png)
    assert jpeg is not None
    assert (shrunk.width, shrunk.height, shrunk.format, shrunk.member) == (128, 64, "jpeg", "1.jpg")
    assert (shrunk.size_bytes, shrunk.sha256) == (len(jpeg), hashlib.sha256(jpeg).hexdigest())
    assert (shrunk.source_bytes, shrunk.source_sha256) == (len(large), hashlib.sha256(large).hexdigest())
    assert image_format.inspect(jpeg) == image_format.ImageInfo("jpeg", 128, 64)
    # Never enlarged, and no second loss for nothing.
    assert (kept[0].member, kept[0].sha256, kept[1]) == ("2.jpg", hashlib.sha256(small).hexdigest(), small)
    # Its shorter side has 64 pixels already.
    assert (was_png.member, of_png) == ("3.png", png)


def test_another_format_becomes_a_jpeg_under_its_suffix():
    [(record, data)] = transformed(Resize(32, "lanczos"), drawn(64, 128, "PNG"))
    assert record.member == "1.jpg"
    assert image_format.inspect(data) == image_format.ImageInfo("jpeg", 32, 64)


def test_what_cannot_be_decoded_is_invalid_and_says_why():
    broken = bytearray(drawn(64, 64, "PNG"))
    # Inside the compressed pixels: the chunks are whole, their check sum is not.
    broken[60] ^= 0xFF
    [(record, data), (good, _)] = transformed(Resize(32), bytes(broken), drawn(64, 64))
    assert data is None
    assert (record.status, record.member, record.sha256, record.size_bytes) == ("invalid", None, None, None)
    assert "photo 1 cannot be decoded" in record.error
    assert record.source_bytes == len(broken)
    assert good.status == "ok"


def test_a_decompression_bomb_is_invalid_and_never_decoded():
    buffer = io.BytesIO()
    Image.new("1", (14_000, 14_000)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < 100_000
    bomb = buffer.getvalue()

    # A download refuses it by its header, before it comes here.
    claimed = PhotoRecord.of_image(1, bomb, image_format.ImageInfo("png", 14_000, 14_000))
    record, data = Resize(64).apply(claimed, bomb)
    assert (record.status, data) == ("invalid", None)
    assert "14000 x 14000 pixels are more than" in record.error


def test_a_large_image_leaks_no_warning_of_pillow(capfd):
    buffer = io.BytesIO()
    Image.new("1", (10_000, 9_000)).save(buffer, "PNG")
    [(record, _)] = transformed(Resize(64), buffer.getvalue())
    assert (record.status, record.height) == ("ok", 64)
    assert capfd.readouterr().err == ""


def test_threads_make_the_same_of_a_photo_as_one_after_the_other():
    bodies = [drawn(300 + n, 200) for n in range(24)]
    expected = [transformed(Resize(64), body)[0][1] for body in bodies]
    with ThreadPoolExecutor(4) as pool:
        came = [one[1] for one in pool.map(lambda body: transformed(Resize(64), body)[0], bodies)]
    assert came == expected


@pytest.mark.parametrize("wrong", [(8,), (256, "bicubic"), (256, "area", 101), (4096,)])
def test_a_resize_out_of_its_bounds_is_refused(wrong):
    with pytest.raises(UsageError):
        Resize(*wrong)
