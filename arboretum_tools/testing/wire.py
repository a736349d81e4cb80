"""What the origin server puts on the wire: the words of S3, and connections that end badly."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

#: When every drawn photo was last changed. Fixed, so that answers compare equal between runs.
LAST_MODIFIED = "Fri, 26 Jan 2024 00:00:00 GMT"

#: Content type by extension, lower case.
TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
}

_S3_ERRORS = {
    302: ("Found", "The resource is at another address."),
    403: ("AccessDenied", "Access Denied"),
    404: ("NoSuchKey", "The specified key does not exist."),
    416: ("InvalidRange", "The requested range is not satisfiable"),
    429: ("TooManyRequests", "Please reduce your request rate."),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    503: ("SlowDown", "Please reduce your request rate."),
}


def md5(body: bytes) -> str:
    """The MD5 of a body in hex, which S3 gives as ETag of what was uploaded in one part."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def error_xml(status: int, key: str) -> bytes:
    """The body that S3 sends with an error."""
    code, message = _S3_ERRORS[status]
    key = key.lstrip("/").replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
        f"<Key>{key}</Key></Error>"
    ).encode()


def range_of(request: web.Request, length: int) -> slice | None:
    """The one byte range asked for, within the body; None where it lies outside or is malformed."""
    try:
        asked = request.http_range
    except ValueError:
        return None
    start, stop, _ = asked.indices(length)
    return slice(start, stop) if start < stop else None


def cut(request: web.Request) -> web.StreamResponse:
    """Sends what was written and closes the connection, with no further word."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def reset(request: web.Request) -> web.StreamResponse:
    """Resets the connection: SO_LINGER of 0 seconds turns the close into a RST."""
    if request.transport is not None:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


def until_closed(request: web.Request, headers: Mapping[str, str], body: bytes) -> web.StreamResponse:
    """Answers as HTTP/1.0 servers did: no length, the end of the connection is the end of the body.

    Written past aiohttp, which would send a body of unknown length in chunks.
    """
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
    if request.transport is not None:
        request.transport.write(
            "\r\n".join([*lines, "", ""]).encode() + (b"" if request.method == "HEAD" else body)
        )
    return cut(request)
