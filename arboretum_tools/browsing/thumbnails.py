"""Small images, made when they are asked for, and kept as long as there is room for them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from arboretum_tools.store.reader import ImageStore

#: Longer sides that are made, in pixels.
SIDES = (96, 320)

#: Bytes of thumbnails that are kept: some 8,000 of them.
KEPT_BYTES = 128 * 2**20


class Thumbnails:
    """The thumbnails of a store, safe from several threads."""

    def __init__(self, store: ImageStore, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._bytes = 0
        self._most = kept_bytes
        self._lock = threading.Lock()

    def of(self, photo_id: int, shard: int, offset: int, size_bytes: int, *, side: int) -> bytes:
        """A JPEG of the photo at a place of the store, its longer side at most `side` pixels.

        Raises:
            StoreError: the tar is not there.
            VerificationError: tar and index do not agree.
            UndecodableImageError: the image cannot be decoded.
        """
        key = (shard, offset, side)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        # Pillow is loaded with the first image, not before the page stands.
        from arboretum_tools.imaging.images import thumbnail

        data = self._store.read_bytes(shard, offset, size_bytes, photo_id)
        small = thumbnail(data, side, name=f"photo {photo_id}")
        with self._lock:
            self._bytes += len(small) - len(self._kept.pop(key, b""))
            self._kept[key] = small
            while self._bytes > self._most:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return small
