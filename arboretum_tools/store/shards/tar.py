"""Tar entries of our own: 512 bytes of ustar header, the body, zeros up to the next block.

The layout is POSIX.1-1988 ustar (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html,
"ustar Interchange Format"). Owner, mode and time are fixed, so the same bodies give the same bytes, and the
offset of a body is known as it is written. One header costs a tenth of what `tarfile` takes for it.
"""

from __future__ import annotations

#: Everything in a tar file begins at a multiple of this many bytes.
BLOCK = 512

#: Two zero blocks end a tar file.
END = bytes(2 * BLOCK)

#: The longest name that fits without the prefix field, and the largest body, in bytes.
MAX_NAME = 100
MAX_SIZE = 8**11 - 1

# Field widths in order: name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link name 100,
# magic 6, version 2, user 32, group 32, device numbers 8 + 8, prefix 155, and 12 bytes of filling.
_MODE_UID_GID = b"0000644\x00" + b"0000000\x00" * 2
_MTIME = b"00000000000\x00"
_TAIL = b"0" + bytes(100) + b"ustar\x00" + b"00" + bytes(32 + 32) + b"0000000\x00" * 2 + bytes(155 + 12)
_CHECKSUM = slice(148, 156)
# From the type of the entry, a file, to the end of the magic.
_AGREED = _TAIL[: 263 - 156]
# The checksum field itself counts as eight spaces.
_FIXED_SUM = sum(_MODE_UID_GID) + sum(_MTIME) + sum(_TAIL) + 8 * ord(" ")


def header(name: str, size_bytes: int) -> bytes:
    """The 512 bytes that stand before a body.

    Args:
        name: ASCII, 1 to 100 characters, no NUL.
        size_bytes: length of the body, 0 to 8 GiB - 1.

    Raises:
        ValueError: the name or the size does not fit.
    """
    encoded = name.encode("ascii")
    if not 0 < len(encoded) <= MAX_NAME or b"\0" in encoded:
        raise ValueError(f"{name!r} cannot be the name of a tar entry")
    if not 0 <= size_bytes <= MAX_SIZE:
        raise ValueError(f"{name!r} of {size_bytes} bytes does not fit into a tar entry")
    size = b"%011o\x00" % size_bytes
    checksum = b"%06o\x00 " % (_FIXED_SUM + sum(encoded) + sum(size))
    return b"".join((encoded.ljust(MAX_NAME, b"\0"), _MODE_UID_GID, size, _MTIME, checksum, _TAIL))


def padding(size_bytes: int) -> bytes:
    """The zeros that follow a body of `size_bytes`."""
    return bytes(-size_bytes % BLOCK)


def entry_bytes(size_bytes: int) -> int:
    """Bytes that an entry takes in the file: header, body and padding."""
    return BLOCK + size_bytes + -size_bytes % BLOCK


def agrees(block: bytes | bytearray, name_start: bytes, size_bytes: int) -> bool:
    """Whether a block is a header of ours whose name begins so and whose body has this size.

    A tenth of the cost of `parse`, because the checksum is not computed: for the common case, that all is
    well. Where it says False, `parse` says why; another program's header may still be a good one.
    """
    return (
        len(block) == BLOCK
        and block.startswith(name_start)
        and block[124:136] == b"%011o\x00" % size_bytes
        and block[156:263] == _AGREED
    )


def parse(block: bytes) -> tuple[str, int]:
    """Name and size of the regular file whose header `block` is.

    Raises:
        ValueError: these 512 bytes are not the header of a regular file.
    """
    if len(block) != BLOCK or block[257:262] != b"ustar":
        raise ValueError("no ustar header")
    if block[156:157] not in (b"0", b"\0"):
        raise ValueError("not the header of a regular file")
    found = sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")
    if found != int(block[_CHECKSUM].strip(b"\0 ") or b"0", 8):
        raise ValueError("a tar header with a wrong checksum")
    name = block[:MAX_NAME].split(b"\0", 1)[0].decode("ascii")
    return name, int(block[124:136].strip(b"\0 ") or b"0", 8)
