"""A server between a client and another server, which passes everything on but where it is told to misbehave.

It stands before a real S3 server, so that what goes wrong goes wrong on the wire and the rest is real.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import STATUS_OF_KIND
from arboretum_tools.testing.server import LoopbackServer
from arboretum_tools.testing.wire import cut, error_xml, reset

# Of one connection, and not of what is asked over it.
_HOPS = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length"}


@dataclass(slots=True)
class Meddling:
    """What is done to some requests.

    Attributes:
        fault: of the kinds `server_error`, `unavailable`, `forbidden`, `not_found`, `throttled`, `reset` and
            `stall_before_headers`; with `times`, to the first so many.
        method: of the requests.
        path: a pattern that is found in their path and query.
        skip: so many of them are left alone first.
        after: whether the request is passed on first, so that only its answer is lost.
        played: how often it was done.
    """

    fault: Fault
    method: str = "PUT"
    path: str = ""
    after: bool = False
    skip: int = 0
    played: int = 0

    def __post_init__(self) -> None:
        if self.fault.kind not in (*STATUS_OF_KIND, "reset", "stall_before_headers"):
            raise ValueError(f"{self.fault.kind} is nothing that stands between a client and its server")

    def meets(self, request: web.Request) -> bool:
        """Whether it is done to a request, which is then counted."""
        if request.method != self.method or not re.search(self.path, request.path_qs):
            return False
        if self.fault.times is not None and self.played >= self.fault.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.played += 1
        return True


class Meddler(LoopbackServer):
    """Passes requests on to another server, in a thread of its own.

    Attributes:
        meddlings: what is done; the first that meets a request counts. May be changed at any time.
        requests: method and path of every request so far.
        on_request: called with the number of each request before it is passed on.
        dropped_headers: that are not passed on, in lower case, so that the other server does not know them.
    """

    def __init__(self, upstream: str) -> None:
        """Binds nothing yet.

        Args:
            upstream: the other server: scheme, host and port.
        """
        super().__init__("127.0.0.1", 0)
        self.meddlings: list[Meddling] = []
        self.requests: list[tuple[str, str]] = []
        self.on_request: Callable[[int], None] = lambda _: None
        self.dropped_headers: set[str] = set()
        self._upstream = upstream
        self._client: aiohttp.ClientSession | None = None

    def _route(self, app: web.Application) -> None:
        app.router.add_route("*", "/{rest:.*}", self._pass)
        app.cleanup_ctx.append(self._asking)

    async def _asking(self, _app: web.Application) -> AsyncIterator[None]:
        connections = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connections, auto_decompress=False) as self._client:
            yield

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        self.on_request(len(self.requests))
        meddling = next((one for one in self.meddlings if one.meets(request)), None)
        if meddling is None:
            return await self._forward(request)
        if meddling.after:
            await self._forward(request)
        kind = meddling.fault.kind
        if kind == "reset":
            return reset(request)
        if kind == "stall_before_headers":
            await self._stall()
            return cut(request)
        # What was sent is read first, as S3 does.
        await request.read()
        status = STATUS_OF_KIND[kind]
        return web.Response(
            status=status, body=error_xml(status, request.path), content_type="application/xml"
        )

    async def _forward(self, request: web.Request) -> web.Response:
        assert self._client is not None
        body = await request.read()
        left_out = _HOPS | self.dropped_headers
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in left_out]
        url = URL(self._upstream + request.raw_path, encoded=True)
        async with self._client.request(
            request.method, url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            back = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOPS]
            data = await answer.read()
            response = web.Response(status=answer.status, body=data)
            for name, value in back:
                response.headers[name] = value
            if request.method == "HEAD" and "Content-Length" in answer.headers:
                response.headers["Content-Length"] = answer.headers["Content-Length"]
            return response
