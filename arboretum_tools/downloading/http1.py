"""HTTP/1.1 (RFC 9112) as far as a GET needs it: one connection, one question after the other.

The server is untrusted. What is not plainly an answer is an error and ends the connection: another status
line, folded or nameless header fields, two lengths, a length beside chunks. Everything that comes is bounded.

All connections of a loop read into one buffer, which is emptied before the next of them reads; so a body is
copied once on its way, and a connection that waits holds no memory.
"""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple, cast

from arboretum_tools.store.layout import MAX_IMAGE_BYTES

#: Status line and header fields of an answer, those of interim answers before it included, in bytes.
MAX_HEAD_BYTES = 2**16

#: The body of an error is read up to here, so that its connection can be used again; above, it is closed.
ERROR_BODY_BYTES = 2**16

#: What one read takes at most: more than a medium photo.
BUFFER_BYTES = 2**18

# Status line and fields: a name is a token, a value has no NUL and no line end (RFC 9110, 5.1 and 5.5).
# Possessive, so that hostile headers take no more than one pass.
_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\0\r\n]*+)?\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\0\r\n]*+\r\n)*+"
)
# Fields that a reply tells, in the order of its attributes; others that say where it ends.
_TOLD = (b"etag", b"location", b"retry-after", b"content-encoding")
_FIELD = re.compile(
    rb"\n(" + b"|".join(_TOLD) + rb"|content-length|transfer-encoding|connection):([^\r]*+)", re.IGNORECASE
)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\0\r\n]*)?")
_MAX_LINE = 1024


class WireError(Exception):
    """An answer that did not come, or is none; the text says why. Internal: ends as the photo's error."""


class StaleError(WireError):
    """A connection that was used before, and ended before the first byte of an answer: asked too late."""


class UnreachedError(WireError):
    """No connection: the name has no address, or nobody answers there."""


class UntrustedError(UnreachedError):
    """Who answers is not the host: a certificate that is not trusted, a name that leads to a private address.

    Nothing was asked of it, and to ask at once again changes nothing.
    """


class Reply(NamedTuple):
    """What a server answered.

    Attributes:
        status: HTTP status, 200 to 999.
        body: all of it; empty where the status is not 200; None where it is larger than any photo.
        etag: header as it came, bytes above 7E as lone surrogates; so are the next three. None = not sent.
        location: header.
        retry_after: header.
        encoding: the `Content-Encoding`.
    """

    status: int
    body: bytes | None
    etag: str | None = None
    location: str | None = None
    retry_after: str | None = None
    encoding: str | None = None


class ReadBuffer:
    """Memory that all connections of one loop read into, in turn."""

    __slots__ = ("array", "view")

    def __init__(self) -> None:
        self.array = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.array)


class Connection(asyncio.BufferedProtocol):
    """One connection, which is asked one question at a time.

    Attributes:
        heard_at: the loop's time at which something came last, or the question was asked.
        until: the loop's time until which there may be an answer.
        usable: whether it can be asked again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, buffer: ReadBuffer) -> None:
        self.heard_at = loop.time()
        self.until = float("inf")
        self.usable = False
        self._loop = loop
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._asked = 0
        self._reset()

    def _reset(self) -> None:
        self._head = bytearray()
        self._interim = 0
        # Of the answer; 0 until its headers have come.
        self._status = 0
        self._fields: dict[bytes, str] = {}
        self._again = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._most = 0
        # What is missing of a body that has told its length; None = until chunks or connection end.
        self._missing: int | None = None
        self._chunks: _Chunks | None = None

    async def ask(self, request: bytes, until: float) -> Reply:
        """Sends a request and gives the whole answer; on any error the connection is closed.

        Args:
            request: all of it.
            until: the loop's time at which it is too late; whoever made the connection looks after that.

        Raises:
            StaleError: the server had closed the connection before.
            WireError: it closed the connection too early, or sent something else than an answer.
        """
        assert self.usable, "a connection is asked one question at a time"
        assert self._transport is not None
        self._reset()
        self.usable = False
        self._asked += 1
        self._waiter = self._loop.create_future()
        self.heard_at = self._loop.time()
        self.until = until
        self._transport.write(request)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            if not self.usable:
                self.close()

    def close(self) -> None:
        """Ends the connection at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def fail(self, error: WireError | TimeoutError) -> None:
        """Ends the connection, and the question that is open, with an error."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        # Other loops than asyncio's have transports that are of none of its classes.
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def connection_lost(self, error: Exception | None) -> None:  # noqa: D102
        self.usable = False
        if self._waiter is None or self._waiter.done():
            return
        if not (self._status or self._head or self._interim):
            kind = StaleError if self._asked > 1 else WireError
            self.fail(kind("the host closed the connection without an answer"))
        elif not self._status:
            self.fail(WireError("the connection ended within the headers of the answer"))
        elif error is None and self._missing is None and self._chunks is None:
            self._finish(again=False)
        else:
            self.fail(WireError("the connection ended before the whole body had come"))

    def get_buffer(self, hint: int) -> memoryview:  # noqa: ARG002, D102 - a buffer of one size for all
        return self._buffer.view

    def buffer_updated(self, size: int) -> None:  # noqa: D102
        if self._waiter is None or self._waiter.done():
            # Nobody asked; what came would be taken for the next answer.
            self.close()
            return
        self.heard_at = self._loop.time()
        try:
            self._read(size)
        except WireError as error:
            self.fail(error)

    def _read(self, size: int) -> None:
        view = self._buffer.view[:size]
        if self._status:
            self._take(view)
            return
        if not self._head:
            # Nearly always: all headers, and the body or its beginning.
            end = self._buffer.array.find(b"\r\n\r\n", 0, size)
            if 0 <= end <= MAX_HEAD_BYTES - 4:
                head = bytes(view[: end + 2])
                if self._begin(head):
                    self._take(view[end + 4 :])
                    return
                view = view[end + 4 :]
        self._head += view
        while (end := self._head.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)) >= 0:
            begun = self._begin(bytes(self._head[: end + 2]))
            del self._head[: end + 4]
            if begun:
                self._take(memoryview(bytes(self._head)))
                return
        if len(self._head) >= MAX_HEAD_BYTES:
            raise WireError(f"headers of more than {MAX_HEAD_BYTES // 1024} KiB")

    def _begin(self, head: bytes) -> bool:
        """Reads the headers; False if they are those of an interim answer, after which another comes."""
        matched = _HEAD.fullmatch(head)
        if matched is None:
            raise WireError("what came is no answer of HTTP/1.1")
        status = int(matched[2])
        if status < 200:
            self._interim += len(head)
            if status == 101 or self._interim > MAX_HEAD_BYTES:
                raise WireError(f"HTTP {status}, which was not asked for")
            return False
        found = self._fields
        for name, value in _FIELD.findall(head):
            name, stated = name.lower(), value.strip(b" \t").decode("ascii", "surrogateescape")
            found[name] = f"{found[name]}, {stated}" if name in found else stated
        self._again = matched[1] == b"1" and "close" not in found.get(b"connection", "").lower()
        self._most = MAX_IMAGE_BYTES if status == 200 else ERROR_BODY_BYTES
        self._missing = _length(found)
        if b"transfer-encoding" in found:
            if found[b"transfer-encoding"].lower() != "chunked" or self._missing is not None:
                raise WireError("an answer whose end cannot be told")
            self._chunks = _Chunks()
        if status in (204, 304):
            self._missing, self._chunks = 0, None
        self._status = status
        return True

    def _take(self, data: memoryview) -> None:
        """Adds what came of the body."""
        missing = self._missing
        if self._chunks is not None:
            piece, extra = self._chunks.feed(data)
            ended = self._chunks.ended
        elif missing is None:
            piece, extra = bytes(data), False
            # An error that only the end of the connection would end is not waited for.
            ended = self._status != 200
        else:
            extra = len(data) > missing
            piece = bytes(data[:missing] if extra else data)
            self._missing = missing = missing - len(piece)
            ended = not missing
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size + (missing or 0) > self._most:
            self._finish(again=False, whole=False)
        elif ended:
            # What follows was not asked for, and would be taken for the next answer.
            told = self._chunks is not None or missing is not None
            self._finish(again=self._again and told and not extra)

    def _finish(self, *, again: bool, whole: bool = True) -> None:
        assert self._waiter is not None
        body: bytes | None = b""
        if self._status == 200:
            pieces = self._pieces
            body = (pieces[0] if len(pieces) == 1 else b"".join(pieces)) if whole else None
        self._pieces = []
        self.usable = again and self._transport is not None and not self._transport.is_closing()
        self._waiter.set_result(Reply(self._status, body, *map(self._fields.get, _TOLD)))
        if not self.usable:
            self.close()


def _length(found: dict[bytes, str]) -> int | None:
    """What `Content-Length` says; None where there is none."""
    stated = found.get(b"content-length")
    if stated is None:
        return None
    if len(stated) < 19 and stated.isascii() and stated.isdigit():
        return int(stated)
    # RFC 9112, 6.3: the same length twice may be taken as one, anything else is an error.
    values = {value.strip(" \t") for value in stated.split(",")}
    value = values.pop()
    if values or not (value.isascii() and value.isdigit() and len(value) < 19):
        raise WireError("an answer with a Content-Length that is none")
    return int(value)


class _Chunks:
    """Takes a chunked body apart (RFC 9112, 7.1); the trailer is thrown away.

    Attributes:
        ended: whether the last chunk and the trailer have come.
    """

    def __init__(self) -> None:
        self.ended = False
        self._raw = bytearray()
        # Of the chunk that is being read, its closing line end included; 0 = its size comes next.
        self._left = 0
        # More than 0 once the last chunk has come.
        self._trailer_bytes = 0

    def feed(self, data: memoryview) -> tuple[bytes, bool]:
        """The part of the body in what came, and whether something follows its end.

        Raises:
            WireError: it is not chunked.
        """
        raw = self._raw
        raw += data
        body = bytearray()
        while not self.ended:
            if self._left:
                # All but the line end, which may come later.
                piece = raw[: max(0, self._left - 2)]
                body += piece
                self._left -= len(piece)
                del raw[: len(piece)]
                if len(raw) < 2:
                    break
                if not raw.startswith(b"\r\n"):
                    raise WireError("a chunk that is longer than it says")
                del raw[:2]
                self._left = 0
            end = raw.find(b"\r\n", 0, _MAX_LINE)
            if end < 0:
                if len(raw) >= _MAX_LINE:
                    raise WireError("a chunk without a size")
                break
            line = bytes(raw[:end])
            del raw[: end + 2]
            if self._trailer_bytes:
                self._trailer_bytes += end
                if self._trailer_bytes > MAX_HEAD_BYTES:
                    raise WireError("a body whose trailer does not end")
                self.ended = not line
                continue
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise WireError("a chunk without a size")
            length = int(size[1], 16)
            if length:
                self._left = length + 2
            else:
                self._trailer_bytes = 1
        return bytes(body), bool(self.ended and raw)
