"""A process that shrinks photos: bodies come in at a socket, JPEGs go out, in turn.

Decoders have had defects that
a crafted file could use; here one costs a process, not the download.
"""

from __future__ import annotations

import hashlib
import socket
from contextlib import suppress

from arboretum_tools.images import UndecodableImageError, shrink
from arboretum_tools.resize import Resize
from arboretum_tools.resize.messages import ANSWER, KEPT, REQUEST, SHRUNK, UNDECODABLE
from arboretum_tools.subprocesses import began


def serve(end: socket.socket, resize: Resize) -> None:
    """Answers requests until the other end is closed."""
    with suppress(ConnectionError), end, end.makefile("rb", buffering=2**18) as stream:
        while len(header := stream.read(REQUEST.size)) == REQUEST.size:
            photo_id, length = REQUEST.unpack(header)
            if len(body := stream.read(length)) < length:
                return
            end.sendall(_answer(photo_id, body, resize))


def _answer(photo_id: int, body: bytes, resize: Resize) -> bytes:
    try:
        shrunk = shrink(
            body,
            name=f"photo {photo_id}",
            shorter_side=resize.shorter_side,
            area=resize.filter == "area",
            quality=resize.quality,
        )
    except UndecodableImageError as error:
        message = error.message.encode("utf-8", "replace")
        return ANSWER.pack(UNDECODABLE, 0, 0, b"", len(message)) + message
    if shrunk is None:
        return ANSWER.pack(KEPT, 0, 0, b"", 0)
    jpeg, width, height = shrunk
    return ANSWER.pack(SHRUNK, width, height, hashlib.sha256(jpeg).digest(), len(jpeg)) + jpeg


if __name__ == "__main__":
    _end, _told = began()
    serve(_end, Resize(**_told))
