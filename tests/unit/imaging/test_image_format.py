"""Whole images are known by their bytes, and nothing else passes for one."""

from __future__ import annotations

import contextlib
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from arboretum_tools.imaging.image_format import MOST_SCANS, ImageInfo, NotWholeError, inspect, scan_damage
from arboretum_tools.imaging.images import UndecodableImageError, open_image
from arboretum_tools.imaging.pixel_damage import pixel_damage

RULES = settings(deadline=None, derandomize=True, max_examples=200)

MODES = {
    "jpeg": ("L", "RGB", "CMYK"),
    "png": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "gif": ("L", "P", "RGB"),
    "webp": ("RGB", "RGBA"),
}


def drawn(kind: str, mode: str = "RGB", size: tuple[int, int] = (37, 23), **options: object) -> bytes:
    noise = random.Random(f"{kind}{mode}{size}").randbytes(size[0] * size[1] * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, noise).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


VARIANTS = [
    *((kind, mode, {}) for kind, modes in MODES.items() for mode in modes),
    ("jpeg", "RGB", {"progressive": True}),
    ("jpeg", "RGB", {"restart_marker_blocks": 1}),
    ("jpeg", "RGB", {"comment": b"\xff\xd9 not the end \xff\xd9"}),
    ("webp", "RGB", {"lossless": True}),
    ("webp", "RGB", {"lossless": True, "exif": b"Exif\0\0more"}),
]
IDS = [f"{kind}-{mode}-{'-'.join(options)}" for kind, mode, options in VARIANTS]


@pytest.mark.parametrize(("kind", "mode", "options"), VARIANTS, ids=IDS)
def test_every_image_that_pillow_writes_is_whole_and_has_its_size(kind, mode, options):
    for size in ((1, 1), (37, 23), (300, 2)):
        assert inspect(drawn(kind, mode, size, **options)) == ImageInfo(kind, *size)


@pytest.mark.parametrize(("kind", "mode", "options"), VARIANTS, ids=IDS)
def test_an_image_cut_off_at_any_byte_is_not_whole(kind, mode, options):
    data = drawn(kind, mode, (16, 11), **options)
    for length in range(len(data)):
        with pytest.raises(NotWholeError):
            inspect(data[:length])


def test_a_thumbnail_with_its_own_end_does_not_end_the_photo():
    thumbnail = drawn("jpeg", size=(8, 8))
    photo = drawn("jpeg", exif=b"Exif\0\0" + thumbnail)
    assert inspect(photo) == ImageInfo("jpeg", 37, 23)
    with pytest.raises(NotWholeError):
        inspect(photo[: photo.index(thumbnail) + len(thumbnail)])


@pytest.mark.parametrize("kind", MODES)
def test_a_few_bytes_of_filling_at_the_end_are_accepted_and_other_bytes_are_not(kind):
    data = drawn(kind)
    assert inspect(data + b"\0\0\r\n") == inspect(data)
    for more in (b"<html>", bytes(1000), data):
        if kind == "jpeg" and more == data:
            continue  # two photos in one file (MPO): it ends as a photo does
        with pytest.raises(NotWholeError):
            inspect(data + more)


def test_animated_images_have_the_size_of_their_canvas():
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "blue", "green")]
    for kind in ("gif", "webp"):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
        assert inspect(buffer.getvalue()) == ImageInfo(kind, 20, 10)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>', "XML"),
        (b"\n<!DOCTYPE html><html>", "HTML"),
        (b'{"error": "gone"}', "JSON"),
        (b"\xff\xd8", "cut off"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "not a webp"),
        (b"BM" + bytes(60), "not a JPEG"),
    ],
)
def test_what_is_no_image_is_told_in_words(body, message):
    with pytest.raises(NotWholeError, match=message):
        inspect(body)


def test_the_suffix_goes_by_the_format():
    assert [ImageInfo(kind, 1, 1).ext for kind in MODES] == ["jpg", "png", "gif", "webp"]


@RULES
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF", b""]), st.binary(max_size=200)
)
def test_random_bytes_are_told_apart_without_a_crash(magic, rest):
    try:
        info = inspect(magic + rest)
    except NotWholeError:
        return
    assert info.width >= 1
    assert info.height >= 1


@RULES
@given(st.sampled_from(sorted(MODES)), st.integers(0, 10_000), st.integers(0, 255))
def test_one_changed_byte_never_crashes(kind, at, value):
    data = bytearray(drawn(kind))
    data[at % len(data)] = value
    with contextlib.suppress(NotWholeError):
        inspect(bytes(data))


SIDES = st.integers(0, 2**32 - 1) | st.sampled_from([1, 10, 13_377, 13_378, 65_535, 65_536, 2**31 - 1, 2**31])


def claiming(kind: str, width: int, height: int) -> bytes:
    """A small whole file of a format whose header claims a size, as far as the format can say it."""
    data = bytearray(drawn(kind))
    if kind == "png":
        data[16:24] = width.to_bytes(4) + height.to_bytes(4)
    elif kind == "gif":
        data[6:10] = (width % 2**16).to_bytes(2, "little") + (height % 2**16).to_bytes(2, "little")
    elif kind == "jpeg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = (height % 2**16).to_bytes(2) + (width % 2**16).to_bytes(2)
    else:
        size = (max(width - 1, 0) % 2**24).to_bytes(3, "little") + (max(height - 1, 0) % 2**24).to_bytes(
            3, "little"
        )
        body = b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + size + bytes(data[12:])
        data = bytearray(b"RIFF" + len(body).to_bytes(4, "little") + body)
    return bytes(data)


@RULES
@given(st.sampled_from(sorted(MODES)), SIDES, SIDES)
def test_whatever_size_a_header_claims_fits_an_index_and_a_reader(kind, width, height):
    try:
        info = inspect(claiming(kind, width, height))
    except NotWholeError:
        return
    assert min(info.width, info.height) >= 1
    assert max(info.width, info.height) <= 65_535
    assert info.width * info.height <= 178_956_970


@pytest.mark.parametrize(
    ("kind", "width", "height"),
    [
        ("png", 2**31, 10),
        ("png", 65_536, 1),
        ("jpeg", 65_535, 65_535),
        ("gif", 13_378, 13_378),
        ("webp", 1, 2**24),
    ],
)
def test_an_image_larger_than_readers_take_is_refused(kind, width, height):
    with pytest.raises(
        NotWholeError, match=f"too many pixels: a {kind} of {width} x {height}; at most 65,535 a side"
    ):
        inspect(claiming(kind, width, height))


@pytest.mark.parametrize("kind", MODES)
def test_the_largest_image_that_readers_take_is_taken(kind):
    assert inspect(claiming(kind, 13_377, 13_377)) == ImageInfo(kind, 13_377, 13_377)


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"exif": b"Exif\0\0" + drawn("jpeg")}],
)
@pytest.mark.parametrize("mode", MODES["jpeg"])
def test_the_markers_of_a_sound_jpeg_are_in_order(mode, options):
    data = drawn("jpeg", mode, **options)
    for photo in (data, data + b"\0\r\n", data + data):
        assert scan_damage(photo) == ""


@pytest.mark.parametrize(
    ("marker", "message"),
    [(b"\xff\xd3", "out of order"), (b"\xff\xd9", "before the end"), (b"\xff\x07", "cannot be")],
)
def test_a_marker_that_cannot_be_among_the_pixels_is_found(marker, message):
    for options in ({}, {"restart_marker_blocks": 1}):
        data = drawn("jpeg", **options)
        at = data.index(b"\xff\xda") + 40
        broken = data[:at] + marker + data[at + 2 :]
        assert inspect(broken) == ImageInfo("jpeg", 37, 23)
        assert message in scan_damage(broken)


@RULES
@given(st.integers(0, 10_000), st.binary(max_size=4))
def test_damaged_markers_never_crash(at, other):
    data = drawn("jpeg", restart_marker_blocks=1)
    at %= len(data)
    assert isinstance(scan_damage(data[:at] + other + data[at + 1 :]), str)


@pytest.mark.parametrize("start_of_frame", [0xC2, 0xCA])
def test_a_jpeg_of_more_scans_than_anybody_makes_is_never_decoded(start_of_frame):
    """Each scan takes a decoder a walk over all pixels; 1.5 kB hold one for 13,376 x 13,376 of them."""
    sound = drawn("JPEG", progressive=True)
    assert inspect(sound).width == 37
    last = sound.rindex(b"\xff\xda")
    end = sound.rindex(b"\xff\xd9")
    body = sound[:last] + sound[last:end] * MOST_SCANS + sound[end:]
    body = body.replace(b"\xff\xc2", bytes([0xFF, start_of_frame]), 1)
    with pytest.raises(NotWholeError, match="scans; at most 100 are taken"):
        inspect(body)
    assert "scans" in pixel_damage(body)
    if start_of_frame == 0xC2:
        with pytest.raises(UndecodableImageError, match="scans are more than 100"):
            open_image(body, name="it")
