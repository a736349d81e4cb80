"""An object of a bucket as a file that is read in pieces: by ranges, through the cache of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from arboretum_tools.store.storage import Place

if TYPE_CHECKING:
    from arboretum_tools.store.storage.cache import Cache
    from arboretum_tools.store.storage.objects import Objects

# What is asked for at one time: bounds memory, and keeps a line busy.
_WINDOW_BYTES, _WINDOW_PLACES = 16 * 2**20, 256

# What is read ahead of who goes through a file, and what may lie between two images in a tar.
_AHEAD_BYTES, _PADDING = 8 * 2**20, 512


class RemoteFile:
    """An object, read by ranges and through the cache."""

    __slots__ = ("_ahead", "_cache", "_end", "_name", "_objects", "_size", "_version")

    def __init__(self, objects: Objects, cache: Cache, name: str, size: int, version: str) -> None:
        self._objects = objects
        self._cache = cache
        self._name = name
        self._size = size
        self._version = version
        # Where the last read ended, and what was read ahead from where.
        self._end = -1
        self._ahead = (0, b"")

    def read(self, offset: int, *sizes: int) -> list[bytes]:
        """Pieces one behind the other; who reads a file from front to back gets more at a time."""
        size = sum(sizes)
        begin, ready = self._ahead
        if not begin <= offset <= offset + size <= begin + len(ready):
            begin = offset
            if 0 <= offset - self._end < _PADDING and offset < self._size:
                (ready,) = self._objects.ranges(self._name, [self._inside((offset, max(size, _AHEAD_BYTES)))])
                self._ahead = begin, ready
            else:
                (ready,) = self._fetched([(offset, size)])
        self._end = offset + size
        pieces, start = [], offset - begin
        for size in sizes:
            pieces.append(ready[start : start + size])
            start += size
        return pieces

    def read_many(self, places: Sequence[Place], before: int) -> Iterator[tuple[bytes, bytes]]:
        """Places a window at a time."""
        for window in _windows(places):
            ranges = [(offset - before, before + size) for offset, size in window]
            for data in self._fetched(ranges):
                yield data[:before], data[before:]

    def read_into(
        self, places: Sequence[Place], before: bytearray, into: Sequence[memoryview]
    ) -> Iterator[int]:
        """Places a window at a time, each copied once."""
        pieces = self.read_many(places, len(before))
        for (head, data), memory in zip(pieces, into, strict=True):
            before[: len(head)] = head
            memory[: len(data)] = data
            yield len(head) + len(data)

    def _inside(self, place: Place) -> Place:
        offset, size = place
        return offset, max(0, min(size, self._size - offset))

    def _fetched(self, places: Sequence[Place]) -> list[bytes]:
        """Bytes at some places, as many as the file has there; from the cache where it has them."""
        cache = self._cache
        inside = [self._inside(place) for place in places]
        found = [cache.piece(self._version, *place) if place[1] else b"" for place in inside]
        missing = [number for number, data in enumerate(found) if data is None]
        if missing:
            fetched = self._objects.ranges(self._name, [inside[number] for number in missing])
            for number, data in zip(missing, fetched, strict=True):
                cache.keep_piece(self._version, inside[number][0], data)
                found[number] = data
        return [data or b"" for data in found]


def _windows(places: Sequence[Place]) -> Iterator[list[Place]]:
    window: list[Place] = []
    held = 0
    for place in places:
        if window and (len(window) == _WINDOW_PLACES or held + place[1] > _WINDOW_BYTES):
            yield window
            window, held = [], 0
        window.append(place)
        held += place[1]
    if window:
        yield window
