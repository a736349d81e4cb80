"""Whether bytes are one whole image, told from the bytes alone: type by magic number, start, end, size.

Nothing is decoded: a JPEG costs a few microseconds. What this finds is a body that is cut off, that is
something else than an image, or that lies about its type. Damage in the middle of the pixels it cannot find.

Conventions: JPEG ITU-T T.81 annex B (SOI, marker segments, EOI); PNG https://www.w3.org/TR/png-3/ (chunks,
IEND); GIF89a (https://www.w3.org/Graphics/GIF/spec-gif89a.txt, blocks, trailer 3B); WebP RFC 9649 (RIFF
length, VP8, VP8L, VP8X).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from arboretum_metadata.vocab import MAX_PIXELS

#: No image has more pixels on one side; JPEG and GIF cannot have more.
MAX_SIDE = 65_535

#: Scans of a progressive JPEG. Encoders make about ten; each takes a decoder a walk over all pixels, though
#: it may have but a thousand bytes, so that 64 MiB of them would hold one for an hour.
MOST_SCANS = 100

#: Bytes that some cameras and editors leave after the end of an image, and how many of them are accepted.
_FILLING = b"\0 \t\r\n"
_MOST_FILLING = 64


class ImageInfo(NamedTuple):
    """What the header of a whole image says.

    Attributes:
        format: jpeg, png, gif or webp.
        width: pixels, 1 or more, before any EXIF rotation.
        height: pixels, 1 or more, before any EXIF rotation.
    """

    format: str
    width: int
    height: int

    @property
    def ext(self) -> str:
        """The suffix of a file of this format: jpg, png, gif or webp."""
        return "jpg" if self.format == "jpeg" else self.format


class NotWholeError(ValueError):
    """Bytes that are not one whole image; the text says why. Internal: never leaves a download."""


def inspect(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Format and size of the image that `data` is, from its first byte to its last.

    Args:
        data: the bytes.
        max_pixels: how many it may have in all.

    Raises:
        NotWholeError: `data` is cut off, is no JPEG, PNG, GIF or WebP, or says that it is larger than
            `MAX_SIDE` or `max_pixels` allow.
    """
    for magic, read in _READERS:
        if data.startswith(magic):
            try:
                info = read(data)
            except IndexError:
                raise NotWholeError(f"cut off after {len(data)} bytes") from None
            if info.width < 1 or info.height < 1:
                raise NotWholeError(f"a {info.format} without pixels ({info.width} x {info.height})")
            if max(info.width, info.height) > MAX_SIDE or info.width * info.height > max_pixels:
                raise NotWholeError(
                    f"too many pixels: a {info.format} of {info.width} x {info.height}; at most "
                    f"{MAX_SIDE:,} a side and {max_pixels:,} in all are taken"
                )
            return info
    raise NotWholeError(_what_else(data))


def _jpeg(data: bytes) -> ImageInfo:
    end = len(_trimmed(data))
    # An entropy-coded FF is followed by a stuffed 00, so FF D9 is always the marker, never pixels.
    if data[end - 2 : end] != b"\xff\xd9":
        raise NotWholeError(f"a jpeg without its end-of-image marker, cut off after {len(data)} bytes")
    width = height = 0
    progressive = False
    at = 2
    while True:
        if data[at] != 0xFF:
            raise NotWholeError(f"a jpeg with no marker where one must be, at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF:  # filling before a marker
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # TEM, RSTn, SOI stand alone
            at += 2
        elif marker in _SOF:
            height = data[at + 5] << 8 | data[at + 6]
            width = data[at + 7] << 8 | data[at + 8]
            progressive = marker in _PROGRESSIVE
            at += 2 + _u16(data, at + 2)
        elif marker == 0xDA:
            if at + 2 + _u16(data, at + 2) > end - 2:
                raise NotWholeError("a jpeg that ends before its pixels")
            if not width:
                raise NotWholeError("a jpeg whose pixels begin before its size is told")
            if progressive and (scans := count_scans(data, at)) > MOST_SCANS:
                raise NotWholeError(f"a jpeg of {scans:,} scans; at most {MOST_SCANS} are taken")
            return ImageInfo("jpeg", width, height)
        elif marker == 0xD9:
            raise NotWholeError("a jpeg without pixels")
        else:
            at += 2 + _u16(data, at + 2)


def count_scans(data: bytes, at: int = 0) -> int:
    """Scans of a JPEG from a byte on: among pixels, an FF that is none has a 00 behind it."""
    return data.count(b"\xff\xda", at)


# EXIF 2.3: where the turn of an image stands.
_EXIF, _ORIENTATION = b"Exif\0\0", 0x0112


def jpeg_turn(data: bytes) -> int:
    """The EXIF orientation of a JPEG, 1 to 8; 1, upright, where none is told.

    1 to 8 as in EXIF 2.3, tag 0x0112. Segments are read up to the pixels, and no pixel is.
    """
    at = 2
    try:
        while data[at] == 0xFF and data[at + 1] != 0xDA:
            length = _u16(data, at + 2)
            if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == _EXIF:
                return _turn(data[at + 10 : at + 2 + length])
            at += 2 + length
    except (IndexError, NotWholeError):
        return 1
    return 1


def _turn(tiff: bytes) -> int:
    """The orientation of the first directory of a TIFF header."""
    step = -1 if tiff[:2] == b"II" else 1  # little- or big-endian

    def number(start: int, end: int) -> int:
        return int.from_bytes(tiff[start:end][::step])

    at = number(4, 8)
    for _ in range(number(at, at + 2)):
        if number(at + 2, at + 4) == _ORIENTATION:
            turn = number(at + 10, at + 12)
            return turn if 1 <= turn <= 8 else 1
        at += 12
    return 1


# Start-of-frame markers; C4, C8 and CC in between mean other things.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})


def _u16(data: bytes, at: int) -> int:
    length = data[at] << 8 | data[at + 1]
    if length < 2:
        raise NotWholeError(f"a jpeg with an impossible segment length at byte {at}")
    return length


# In entropy-coded data an FF is followed by a stuffed 00, by a restart marker, or by the next segment.
_MARKER = re.compile(rb"\xff+([^\x00\xff])")


def scan_damage(data: bytes) -> str:
    """What is wrong with the markers in and behind the pixels of a whole JPEG, in words; "" where nothing is.

    Decoders pass over such faults in silence. Restart markers must count 0 to 7, over and over, from the
    start of each scan; what follows must be a segment; and after the end only a second photo may come (MPO).
    A flipped bit of the pixels mostly makes other pixels and no other marker: that cannot be seen.
    """
    at = 2
    restarts = in_scan = False
    expected = 0
    try:
        while True:
            found = _MARKER.search(data, at) if in_scan else _MARKER.match(data, at)
            if found is None:
                return f"a jpeg with no marker where one must be, at byte {at}"
            marker, at = found[1][0], found.end()
            if 0xD0 <= marker <= 0xD7:
                if not (in_scan and restarts and marker == 0xD0 + expected % 8):
                    return f"a jpeg with a restart marker out of order, at byte {at}"
                expected += 1
            elif marker == 0xD9:
                rest = data[at:]
                second = rest.startswith(b"\xff\xd8") or not rest.strip(_FILLING)
                return "" if second else f"a jpeg that ends at byte {at}, before the end of its data"
            elif marker < 0xC0 or marker == 0xD8:
                return f"a jpeg with a marker that cannot be there, at byte {at}"
            else:
                length = _u16(data, at)
                if marker == 0xDD:
                    restarts = data[at + 2 : at + 4] != b"\0\0"
                in_scan, expected = marker == 0xDA, 0
                at += length
    except (IndexError, NotWholeError):
        return f"a jpeg whose segments do not fit together, at byte {at}"


def _png(data: bytes) -> ImageInfo:
    at = 8
    width = height = 0
    seen_pixels = False
    while True:
        length = int.from_bytes(data[at : at + 4])
        kind = data[at + 4 : at + 8]
        after = at + 12 + length
        if len(kind) < 4 or after > len(data):
            raise NotWholeError(f"a png cut off after {len(data)} bytes")
        if kind == b"IHDR":
            width, height = int.from_bytes(data[at + 8 : at + 12]), int.from_bytes(data[at + 12 : at + 16])
        elif kind == b"IDAT":
            seen_pixels = True
        elif kind == b"IEND":
            if not seen_pixels:
                raise NotWholeError("a png without pixels")
            _refuse_more(data, after, "png")
            return ImageInfo("png", width, height)
        at = after


def _gif(data: bytes) -> ImageInfo:
    width, height = data[6] | data[7] << 8, data[8] | data[9] << 8
    at = 13 + _color_table(data[10])
    seen_pixels = False
    while True:
        block = data[at]
        if block == 0x3B:
            if not seen_pixels:
                raise NotWholeError("a gif without pixels")
            _refuse_more(data, at + 1, "gif")
            return ImageInfo("gif", width, height)
        if block == 0x21:  # extension: label, sub-blocks
            at += 2
        elif block == 0x2C:  # image: 9 bytes of descriptor, colour table, code size, sub-blocks
            seen_pixels = True
            at += 11 + _color_table(data[at + 9])
        else:
            raise NotWholeError(f"a gif with an unknown block at byte {at}")
        while data[at]:
            at += 1 + data[at]
        at += 1


def _color_table(packed: int) -> int:
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _webp(data: bytes) -> ImageInfo:
    if data[8:12] != b"WEBP":
        raise NotWholeError("a RIFF file that is not a webp")
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise NotWholeError(f"a webp cut off after {len(data)} of {end} bytes")
    _refuse_more(data, end + end % 2, "webp")
    if end < 30:
        raise NotWholeError("a webp without pixels")
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    else:
        raise NotWholeError("a webp of an unknown kind")
    return ImageInfo("webp", width, height)


_READERS: tuple[tuple[bytes, Callable[[bytes], ImageInfo]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"RIFF", _webp),
)


def _trimmed(data: bytes) -> bytes:
    """`data` without the few bytes of filling that may follow its end."""
    if data[-1] not in _FILLING:  # nearly always, and then nothing is copied
        return data
    return data[:-_MOST_FILLING] + data[-_MOST_FILLING:].rstrip(_FILLING)


def _refuse_more(data: bytes, end: int, name: str) -> None:
    rest = data[end : end + _MOST_FILLING + 1]
    if len(rest) > _MOST_FILLING or rest.strip(_FILLING):
        raise NotWholeError(f"a {name} followed by something else at byte {end}")


def _what_else(data: bytes) -> str:
    if not data:
        return "an empty body"
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<?xml", b"<error")):
        return "an XML document, not an image"
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not an image"
    if start.startswith((b"{", b"[")):
        return "a JSON document, not an image"
    if any(magic.startswith(data[:8]) for magic, _ in _READERS):
        return f"cut off after {len(data)} bytes"
    return f"not a JPEG, PNG, GIF or WebP (it begins {data[:8].hex(' ')})"
