"""Tar members that differ in nothing but the key before their suffix, built at the cost of a few bytes each.

An export writes `<key>.cls`, `<key>.txt` and ten captions for every photo of a class, the same bodies each
time. What does not depend on the key, which is nearly all of a header and the whole body, is made once.
"""

from __future__ import annotations

from collections.abc import Sequence

from arboretum_tools.store.shards import tar

# Where the checksum stands in a ustar header.
_SUM, _SUM_END = 148, 156


class Members:
    """Some members of a sample: their suffixes and bodies, which many samples share."""

    def __init__(self, members: Sequence[tuple[str, bytes]]) -> None:
        self._members = tuple(members)
        self._cut: dict[int, list[tuple[bytes, int, bytes]]] = {}

    def parts(self, key: str) -> list[bytes]:
        """The bytes of the members under a key, in pieces to be written one after the other.

        Args:
            key: ASCII, without a dot: readers take the name up to its first dot as the key.
        """
        name = key.encode("ascii")
        if (cut := self._cut.get(len(name))) is None:
            cut = self._cut[len(name)] = [
                _cut(len(name), suffix, len(body), body + tar.padding(len(body)))
                for suffix, body in self._members
            ]
        key_sum = sum(name)
        parts: list[bytes] = []
        for before, fixed_sum, after in cut:
            parts += (name, before, b"%06o\0 " % (fixed_sum + key_sum), after)
        return parts


def _cut(key_length: int, suffix: str, size_bytes: int, body: bytes) -> tuple[bytes, int, bytes]:
    """A header and its body around the key and the checksum, and the checksum without the key."""
    key = "0" * key_length
    header = tar.header(f"{key}.{suffix}", size_bytes)
    checksum = int(header[_SUM : _SUM_END - 2], 8)
    return header[key_length:_SUM], checksum - sum(key.encode("ascii")), header[_SUM_END:] + body


def member(name: str, body: bytes) -> tuple[bytes, bytes, bytes]:
    """One member as header, body and padding."""
    return tar.header(name, len(body)), body, tar.padding(len(body))
