"""A question to a host on its way: when it is given up, and what may come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aiohttp import StreamReader
    from aiohttp.client_proto import ResponseHandler

#: So many bytes have to come while patience lasts, or all of an answer that has fewer.
LEAST_BYTES = 2**14


class WireError(Exception):
    """No whole answer came; the text says why. Internal: ends as the photo's error."""


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
        etag: header as it came, bytes that are not UTF-8 as lone surrogates; so are the next three. None =
            not sent.
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


class Exchange:
    """One question on its way.

    Attributes:
        protocol: of its connection.
        until: the loop's time at which it is too late.
        heard_at: the loop's time at which something of the answer came last, or it was asked.
        body: that is being read; None before the headers have come.
        came: bytes of the body that had come by `heard_at`.
        held_up: whether it is not read on for want of memory; the clock stands still then.
        patience_s: seconds in which `LEAST_BYTES` have to come.
        lost_at: the loop's time at which patience ends.
        enough: bytes of the body that have to have come by then.
    """

    __slots__ = (
        "body",
        "came",
        "enough",
        "heard_at",
        "held_up",
        "lost_at",
        "patience_s",
        "protocol",
        "until",
    )

    def __init__(self, protocol: ResponseHandler, until: float, patience_s: float, now: float) -> None:
        self.protocol = protocol
        self.until = until
        self.patience_s = patience_s
        self.lost_at = now + patience_s
        self.enough = LEAST_BYTES
        self.heard_at = now
        self.body: StreamReader | None = None
        self.came = 0
        self.held_up = False

    def fail(self, error: Exception) -> None:
        """Ends it with an error, in whatever it waits for."""
        self.protocol.set_exception(error)
        if self.body is not None:
            self.body.set_exception(error)

    def go_on(self, began: float, now: float) -> None:
        """Reads on after it was held up, from `began` to `now`; the clock stood still."""
        self.held_up = False
        self.heard_at = now
        self.until += now - began
        self.lost_at += now - began

    def look(self, now: float, read_s: float) -> None:
        """Gives up where it is too late, or where too little came.

        Args:
            now: the loop's time.
            read_s: seconds without a byte after which it is given up.
        """
        if self.held_up:
            return
        body = self.body
        if body is not None and body.total_bytes != self.came:
            self.came, self.heard_at = body.total_bytes, now
        if self.came >= self.enough and now >= self.lost_at:
            self.enough, self.lost_at = self.came + LEAST_BYTES, now + self.patience_s
        broken = self.protocol.exception()
        if now >= self.until:
            self.fail(TimeoutError())
        elif now - self.heard_at > read_s:
            self.fail(WireError(f"nothing came within {read_s:g} s"))
        elif now >= self.lost_at and self.came < self.enough:
            self.fail(TimeoutError(f"next to nothing came within {self.patience_s:.3g} s"))
        elif body is not None and broken is not None and not body.is_eof() and body.exception() is None:
            # What is no chunk is not told to a body that is being read: it would wait for ever.
            body.set_exception(broken)
