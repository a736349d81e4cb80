"""Decoding, converting, shrinking and drawing images: the one module of the library that uses Pillow.

The bytes are untrusted. Pillow is handed a fixed list of formats, and an image of more pixels than a store
takes is an error here. Nothing in this module writes files.
"""

from __future__ import annotations

import functools
import io
import math
import time
import unicodedata
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import (
    GifImagePlugin,
    Image,
    ImageDraw,
    ImageFont,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from arboretum_metadata.vocab import MAX_PIXELS
from arboretum_tools.errors import BadInputError
from arboretum_tools.imaging.area import shrink_rows
from arboretum_tools.imaging.image_format import MOST_SCANS, count_scans
from arboretum_tools.imaging.jpeg_segments import SEGMENT_BYTES, printable, with_segments, xmp_segment

# The formats of an image store by their first bytes. Pillow's own `open` warns on standard error from half of
# our bound on, and a filter of warnings is of the whole process.
_OPENERS = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"GIF8", GifImagePlugin.GifImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
)

#: Quality of JPEGs that are made from another format: the loss cannot be seen, and no artefact of it
#: stands out at the sizes that models are trained at.
JPEG_QUALITY = 95

#: Formats that a drawn picture can be written in, by the suffix of its file.
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".pdf": "PDF"}

#: What transparent pixels become in a format without transparency.
BACKGROUND = (255, 255, 255)

# EXIF 2.3, tag 0x0112: how the stored rows and columns lie, and what makes them lie right.
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_LYING = (5, 6, 7, 8)

#: Red, green, blue, 0 to 255.
Color = tuple[int, int, int]

# What the font of Pillow cannot draw and NFKD does not take apart.
_PLAIN = str.maketrans(
    {"–": "-", "—": "-", "×": "x", "ʻ": "'", "ʼ": "'", "ß": "ss", "æ": "ae", "Æ": "Ae"}
    | {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "œ": "oe", "ı": "i", "þ": "th", "ð": "d"}
)


class UndecodableImageError(BadInputError):
    """Bytes that Pillow cannot decode as a JPEG, PNG, GIF or WebP, or more pixels than a store takes."""


def open_image(data: bytes, *, name: str) -> Image.Image:
    """An image whose pixels are decoded when they are first asked for.

    Args:
        data: the bytes of a JPEG, PNG, GIF or WebP file.
        name: what to call the image in an error, such as `photo 123`.

    Raises:
        UndecodableImageError: it is none of these, or has more pixels than `image_format.MAX_PIXELS`, or more
            scans than `image_format.MOST_SCANS`.
    """
    opener = next((opener for magic, opener in _OPENERS if data.startswith(magic)), None)
    if opener is None:
        raise _refused(name, "it is not a readable JPEG, PNG, GIF or WebP")
    try:
        image: Image.Image = opener(io.BytesIO(data))
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:
        raise _refused(name, "it is not a readable JPEG, PNG, GIF or WebP") from error
    if opener is JpegImagePlugin.JpegImageFile and (scans := count_scans(data)) > MOST_SCANS:
        raise _refused(name, f"{scans:,} scans are more than {MOST_SCANS}")
    if image.width * image.height > MAX_PIXELS:
        raise _refused(name, f"{image.width} x {image.height} pixels are more than {MAX_PIXELS:,}")
    return image


def load_pixels(image: Image.Image, *, name: str) -> None:
    """Decodes the pixels of an image that `open_image` opened.

    Raises:
        UndecodableImageError: they cannot be decoded.
    """
    _loaded(image, name)


def decode_rgb(data: bytes, *, name: str) -> Image.Image:
    """The whole image, decoded, upright, as RGB on white: what a training transform expects.

    Raises:
        UndecodableImageError: the bytes cannot be decoded.
    """
    return _rgb(ImageOps.exif_transpose(_loaded(open_image(data, name=name), name)))


def cut_out(
    data: bytes,
    choose: Callable[[int, int], tuple[float, float, float, float]],
    size: int,
    *,
    name: str,
) -> Image.Image:
    """A part of the image, upright, as RGB on white, shrunk or enlarged to `size` pixels squared.

    Args:
        data: the bytes of a JPEG, PNG, GIF or WebP file.
        choose: gets width and height of the upright image, and gives left, top, right and bottom of the part
            as shares of them.
        size: pixels of a side.
        name: what to call the image in an error, such as `photo 123`.

    Raises:
        UndecodableImageError: the bytes cannot be decoded.
    """
    image = open_image(data, name=name)
    width, height = image.size
    lies = image.getexif().get(_ORIENTATION, 1) in _LYING
    left, top, right, bottom = choose(*((height, width) if lies else (width, height)))
    # JPEG decodes at 1/2, 1/4 or 1/8 for less work; twice the wanted pixels keep the resampling clean.
    share = min(right - left, bottom - top)
    image.draft("RGB", (math.ceil(2 * size / share), math.ceil(2 * size / share)))
    upright = _rgb(ImageOps.exif_transpose(_loaded(image, name)))
    wide, high = upright.size
    box = (left * wide, top * high, min(1.0, right) * wide, min(1.0, bottom) * high)
    return upright.resize((size, size), Image.Resampling.BICUBIC, box=box)


def to_jpeg(data: bytes, *, name: str, shorter_side: int | None = None) -> tuple[bytes, int, int]:
    """The image as a JPEG, upright, transparent pixels white: its bytes, width and height.

    Args:
        data: the bytes of a JPEG, PNG, GIF or WebP file.
        name: what to call the image in an error, such as `photo 123`.
        shorter_side: shrink it so that its shorter side has this many pixels; a smaller image stays as it
            is. None = the size that it has.

    Raises:
        UndecodableImageError: the bytes cannot be decoded.
    """
    image = open_image(data, name=name)
    size = image.size
    if shorter_side is not None:
        # JPEG decodes at 1/2, 1/4 or 1/8 for less work; twice the wanted size keeps the resampling clean.
        scale = 2 * shorter_side / min(size)
        image.draft("RGB", (math.ceil(size[0] * scale), math.ceil(size[1] * scale)))
    image = _rgb(ImageOps.exif_transpose(_loaded(image, name)))
    if shorter_side is not None and min(size) > shorter_side:
        # The size before draft() decides, turned where the image lies on its side.
        wide, high = size if (image.width > image.height) == (size[0] > size[1]) else size[::-1]
        scale = shorter_side / min(size)
        requested = (max(1, round(wide * scale)), max(1, round(high * scale)))
        image = image.resize(requested, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue(), image.width, image.height


def shrink(
    data: bytes, *, name: str, shorter_side: int, area: bool, quality: int
) -> tuple[bytes, int, int] | None:
    """A smaller JPEG, upright, transparent pixels white: its bytes, width and height.

    Args:
        data: the bytes of a JPEG, PNG, GIF or WebP file.
        name: what to call the image in an error, such as `photo 123`.
        shorter_side: pixels that its shorter side is to have.
        area: whether a pixel is the mean of the area that it covers; else it is Lanczos's.
        quality: of the JPEG, 1 to 100; its colours are halved on both axes (4:2:0), as JPEGs of photos are.

    Returns:
        None where the shorter side has no more pixels than that already; it was decoded to be sure of it.

    Raises:
        UndecodableImageError: the bytes cannot be decoded.
    """
    image = open_image(data, name=name)
    full = image.size
    if min(full) <= shorter_side:
        _loaded(image, name)
        return None
    scale = shorter_side / min(full)
    requested = (max(1, round(full[0] * scale)), max(1, round(full[1] * scale)))
    # JPEG decodes at 1/2, 1/4 or 1/8 for less work. Twice the wanted size is within 0.1 dB of the whole one;
    # just the wanted size would lose 1.5 dB.
    image.draft("RGB", (2 * requested[0], 2 * requested[1]))
    pixels = _rgb(_loaded(image, name))
    small = _shrink_area(pixels, requested) if area else pixels.resize(requested, Image.Resampling.LANCZOS)
    # Turned last, when it is small; the tag that says so is of the image as it was opened.
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    if turn is not None:
        small = small.transpose(turn)
    out = io.BytesIO()
    small.save(out, format="JPEG", quality=quality)
    return out.getvalue(), small.width, small.height


def _shrink_area(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An RGB image shrunk by the mean of areas: the rows, then the columns as rows."""
    for count in reversed(size):
        pixels = np.asarray(image)
        rows = shrink_rows(pixels.reshape(len(pixels), -1), count)
        image = Image.fromarray(rows.reshape(count, -1, 3)).transpose(Image.Transpose.TRANSPOSE)
    return image


def tile(data: bytes, size: tuple[int, int], *, name: str) -> Image.Image:
    """The image as RGB, upright, cut around its middle and shrunk to exactly `size` (width, height).

    Raises:
        UndecodableImageError: the bytes cannot be decoded.
    """
    image = open_image(data, name=name)
    # JPEG decodes at 1/2, 1/4 or 1/8 for less work; twice the wanted size keeps the resampling clean, and
    # the longer side on both axes keeps it so when the image lies on its side.
    image.draft("RGB", (2 * max(size), 2 * max(size)))
    upright = _rgb(ImageOps.exif_transpose(_loaded(image, name)))
    return ImageOps.fit(upright, size, method=Image.Resampling.LANCZOS)


def thumbnail(data: bytes, longer_side: int, *, name: str) -> bytes:
    """The image as a small JPEG, upright, transparent pixels white; one that is smaller keeps its size.

    Args:
        data: the bytes of a JPEG, PNG, GIF or WebP file.
        longer_side: pixels that its longer side has at most.
        name: what to call the image in an error, such as `photo 123`.

    Raises:
        UndecodableImageError: the bytes cannot be decoded.
    """
    image = open_image(data, name=name)
    # JPEG decodes at 1/2, 1/4 or 1/8 for less work, at 1.5 times the wanted size or more.
    image.draft("RGB", (3 * longer_side // 2, 3 * longer_side // 2))
    upright = _rgb(ImageOps.exif_transpose(_loaded(image, name)))
    upright.thumbnail((longer_side, longer_side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    upright.save(out, format="JPEG", quality=82)
    return out.getvalue()


def with_credit(
    data: bytes,
    *,
    name: str,
    creator: str | None,
    rights: str | None,
    license_url: str | None,
    source: str,
    title: str,
) -> bytes:
    """A JPEG that says in its EXIF and XMP whom to credit; its pixels stay as they are.

    Args:
        data: the bytes of a JPEG.
        name: what to call the image in an error, such as `photo 123`.
        creator: who took it; None where it is not known.
        rights: the credit line; None where the licence is not known.
        license_url: address of the licence; None where it is not known.
        source: address of the photo's page; "" = none.
        title: what it shows.

    Raises:
        UndecodableImageError: it is not a readable JPEG.
    """
    image = open_image(data, name=name)
    if image.format != "JPEG":
        raise _refused(name, "it is not a JPEG")
    exif = image.getexif()
    texts = {_ARTIST: creator, _COPYRIGHT: rights, _DESCRIPTION: ", ".join(filter(None, (title, source)))}
    for tag, text in texts.items():
        if text is not None:
            exif[tag] = printable(text).encode()
    if len(told := exif.tobytes()) > SEGMENT_BYTES:
        # What the photo had is too much for one segment: whom to credit matters more.
        exif = Image.Exif()
        exif.update({tag: printable(text).encode() for tag, text in texts.items() if text is not None})
        told = exif.tobytes()
    return with_segments(data, [told, xmp_segment(creator, rights, license_url, source, title)])


# EXIF 2.3: tags of the first directory.
_DESCRIPTION, _ARTIST, _COPYRIGHT = 0x010E, 0x013B, 0x8298


def color_square(data: bytes, side: int, *, name: str) -> NDArray[np.uint8]:
    """What the image shows, upright, transparent pixels white: red, green and blue of `side` x `side` pixels.

    Whatever its shape, it is shrunk or enlarged to a square by the means of areas.

    Raises:
        UndecodableImageError: the bytes cannot be decoded.
    """
    image = open_image(data, name=name)
    image.draft("RGB", (side, side))
    upright = _rgb(ImageOps.exif_transpose(_loaded(image, name)))
    pixels = np.asarray(upright.resize((side, side), Image.Resampling.BOX))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _loaded(image: Image.Image, name: str) -> Image.Image:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _refused(name, str(error)) from error
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        # 16 bits of grey, which only PNGs have here: Pillow would cut them off at 255.
        grey = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((grey * 255 + 32_767) // 65_535).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    canvas = Image.new("RGB", layer.size, BACKGROUND)
    canvas.paste(layer, mask=layer.getchannel("A"))
    return canvas


def _refused(name: str, why: str) -> UndecodableImageError:
    return UndecodableImageError(
        f"{name} cannot be decoded: {why}",
        hint="The other photos are unharmed. Make the split or the selection without this one.",
    )


class Canvas:
    """An RGB picture to draw on: rectangles, text and photos, all coordinates in pixels from the top left.

    Text is drawn in the font that comes with Pillow, which has ASCII only: accents are left away, and what
    has no plain form becomes `?`.

    Attributes:
        size: (width, height).
    """

    def __init__(self, size: tuple[int, int], background: Color) -> None:
        self.size = size
        self._image = Image.new("RGB", size, background)
        self._draw = ImageDraw.Draw(self._image)

    def rectangle(self, box: tuple[float, float, float, float], fill: Color, *, radius: float = 0) -> None:
        """Fills a box (left, top, right, bottom), the right and bottom edges not included."""
        left, top, right, bottom = box
        self._draw.rounded_rectangle((left, top, right - 1, bottom - 1), radius, fill)

    def text(
        self,
        position: tuple[float, float],
        text: str,
        size: int,
        fill: Color,
        *,
        bold: bool = False,
        anchor: str = "ls",
    ) -> None:
        """Draws one line of text.

        Args:
            position: where the anchor is.
            text: what to draw.
            size: of the font.
            fill: colour.
            bold: drawn twice, a pixel apart; the font has one weight.
            anchor: which point `position` is, as Pillow names it: `ls` = left end of the baseline, `rs` = its
                right end.
        """
        plain = _plain(text)
        for shift in (0, 1) if bold else (0,):
            self._draw.text((position[0] + shift, position[1]), plain, fill, _font(size), anchor=anchor)

    def fitted(self, text: str, size: int, width: float) -> str:
        """As much of `text` as fits into `width`, with an ellipsis where something was cut off."""
        plain = _plain(text)
        if self.text_width(plain, size) <= width:
            return plain
        while plain and self.text_width(f"{plain}…", size) > width:
            plain = plain[:-1].rstrip()
        return f"{plain}…"

    def text_width(self, text: str, size: int) -> float:
        """Width of one line of text, in pixels."""
        return float(_font(size).getlength(_plain(text)))

    def photo(self, box: tuple[int, int, int, int], data: bytes, *, radius: int, name: str) -> None:
        """Draws an encoded image into a box (left, top, right, bottom) with round corners.

        Raises:
            UndecodableImageError: the bytes cannot be decoded.
        """
        size = (box[2] - box[0], box[3] - box[1])
        self._image.paste(tile(data, size, name=name), box[:2], _round_mask(size, radius))

    def encoded(self, form: str) -> bytes:
        """The picture in one of the formats of `PICTURES`."""
        out = io.BytesIO()
        # A PDF says when it was made; the same picture is to give the same file.
        never = time.gmtime(0)
        more = {"creationDate": never, "modDate": never, "resolution": 200} if form == "PDF" else {}
        self._image.save(out, format=form, quality=JPEG_QUALITY, **more)
        return out.getvalue()


def wrapped(text: str, size: int, width: float) -> list[str]:
    """Text in lines of at most `width` pixels, broken between words."""
    lines: list[str] = []
    line, used = "", 0.0
    space = float(_font(size).getlength(" "))
    for word in text.split():
        wide = float(_font(size).getlength(_plain(word)))
        if line and used + space + wide > width:
            lines.append(line)
            line, used = word, wide
        else:
            line, used = (f"{line} {word}", used + space + wide) if line else (word, wide)
    return [*lines, line] if line else lines


@functools.lru_cache(maxsize=8)
def _round_mask(size: tuple[int, int], radius: int) -> Image.Image:
    # Four times as large and shrunk: smooth corners.
    large = Image.new("L", (4 * size[0], 4 * size[1]))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, large.width - 1, large.height - 1), 4 * radius, 255)
    return large.resize(size, Image.Resampling.BOX)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow's wheels have FreeType"
    return font


def _plain(text: str) -> str:
    """`text` in the characters that the font has."""
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    kept = "".join(character for character in apart if not unicodedata.combining(character))
    drawable = (c if " " <= c <= "~" or c in "‘’“”…·" else "?" for c in kept)
    return "".join(drawable)
