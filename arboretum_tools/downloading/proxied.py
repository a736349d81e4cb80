"""Asking hosts through a proxy that the environment names. The only module that imports aiohttp."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from arboretum_tools.downloading.addresses import public_only
from arboretum_tools.downloading.direct import CONNECT_S, tls_context, untrusted
from arboretum_tools.downloading.http1 import (
    BUFFER_BYTES,
    ERROR_BODY_BYTES,
    Reply,
    UnreachedError,
    UntrustedError,
    WireError,
)
from arboretum_tools.downloading.proxy import Proxy
from arboretum_tools.downloading.urls import AddressRules
from arboretum_tools.errors import BadInputError
from arboretum_tools.store.layout import MAX_IMAGE_BYTES
from arboretum_tools.tables import one_line

# A proxy that wants to know who asks.
_UNAUTHORIZED = 407


# What a connection says of itself that the host has closed.
_CLOSED = (aiohttp.ClientOSError, ConnectionResetError, aiohttp.ServerDisconnectedError)


@dataclass
class _Way:
    """One request on its way; `kept` while it goes over a connection that was asked before."""

    kept: bool = False


class ProxiedClient:
    """Asks hosts through aiohttp, which knows proxies; an object of one event loop.

    Attributes:
        connected: whether any proxy or host has accepted a connection yet.
    """

    def __init__(
        self, rules: AddressRules, headers: Mapping[str, str], *, read_s: float, connections: int
    ) -> None:
        """Opens nothing yet.

        Args:
            rules: which hosts are photo hosts, so that they must not lead to private addresses.
            headers: of every request, beside `Host`.
            read_s: seconds without a byte after which an answer is given up.
            connections: how many are open at one time.
        """
        self.connected = False
        resolver = None if rules.origin else PublicResolver(rules)
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._note_connection)
        tracing.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections, resolver=resolver, ttl_dns_cache=300, ssl=tls_context()
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=read_s),
            headers=dict(headers),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=BUFFER_BYTES,
            trace_configs=[tracing],
        )

    async def get(self, target: str, until: float, proxy: Proxy) -> Reply:
        """What the host answers; a redirect is not followed.

        Args:
            target: an address that passed the rules, after any origin override.
            until: the loop's time at which it is too late.
            proxy: the proxy.

        Raises:
            TimeoutError: it is too late.
            WireError: no whole answer came.
            BadInputError: the proxy wants a name and password, or others than it was given.
        """
        # As it is, where yarl would write it anew.
        url = URL(target, encoded=True)
        login = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else None
        # Over https only the proxy may hear it, in the CONNECT that comes first.
        tunnel = url.scheme == "https"
        async with asyncio.timeout_at(until):
            while True:
                way = _Way()
                try:
                    async with self._session.get(
                        url,
                        allow_redirects=False,
                        proxy=proxy.url,
                        proxy_headers=login if tunnel else None,
                        headers=None if tunnel else login,
                        trace_request_ctx=way,
                    ) as response:
                        way.kept = False
                        if response.status == _UNAUTHORIZED:
                            raise _refusal(proxy)
                        return await _read(response)
                except _CLOSED as error:
                    # While it waited: as in direct.py, each connection that was kept is used up by it.
                    # aiohttp asks again once by itself, and that may be over another such connection.
                    if not way.kept or isinstance(error, aiohttp.ClientConnectorError):
                        raise _raised(error, url, proxy) from error
                except (aiohttp.ClientError, OSError) as error:
                    raise _raised(error, url, proxy) from error

    async def close(self) -> None:
        """Closes every connection."""
        await self._session.close()

    async def _note_connection(self, _: aiohttp.ClientSession, context: SimpleNamespace, *__: object) -> None:
        self.connected = True
        context.trace_request_ctx.kept = False


async def _note_reuse(_: aiohttp.ClientSession, context: SimpleNamespace, *__: object) -> None:
    context.trace_request_ctx.kept = True


async def _read(response: aiohttp.ClientResponse) -> Reply:
    headers = response.headers
    status, length = response.status, response.content_length
    body: bytes | None = b""
    if status != 200:
        # Read, so that its connection can be used again.
        if length is not None and length <= ERROR_BODY_BYTES:
            await response.read()
    elif length is None:
        body = await _read_bounded(response)
    else:
        body = await response.read() if length <= MAX_IMAGE_BYTES else None
    if body is None:
        # Closed, not read to its end.
        response.close()
    return Reply(
        status,
        body,
        headers.get("ETag"),
        headers.get("Location"),
        headers.get("Retry-After"),
        headers.get("Content-Encoding"),
    )


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """A body that does not tell its length; None if it is larger than any photo."""
    pieces: list[bytes] = []
    total = 0
    async for piece in response.content.iter_any():
        total += len(piece)
        if total > MAX_IMAGE_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _raised(error: Exception, url: URL, proxy: Proxy) -> Exception:
    """What is to be raised where aiohttp raised `error`."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        if error.status == _UNAUTHORIZED:
            return _refusal(proxy)
        return UnreachedError(f"the proxy {proxy.url} gives no connection to {url.host}: HTTP {error.status}")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return UntrustedError(_certificate(error))
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return UnreachedError(_in_words(error))
    return WireError(_in_words(error))


def _refusal(proxy: Proxy) -> BadInputError:
    if proxy.authorization is None:
        what = "wants to know who asks"
    else:
        what = "does not know the name and password that the environment gives"
    return BadInputError(
        f"the proxy {proxy.url} {what} (HTTP {_UNAUTHORIZED}); what came is kept",
        hint="Write them into the variable: $HTTPS_PROXY=http://name:password@host:port.",
    )


def _certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    return untrusted(error.host, cause) if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)


def _in_words(error: Exception) -> str:
    """What went wrong on the wire, without aiohttp's inner names."""
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection ended before the whole body had come"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the host closed the connection without an answer"
    reason = one_line(error)[:200] or type(error).__name__
    return reason if isinstance(error, aiohttp.ClientConnectionError) else f"{type(error).__name__}: {reason}"


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses photo hosts that lead to loopback, private or link-local addresses.

    Other names pass: a proxy that the environment names may well be private.
    """

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of `host`.

        Raises:
            UntrustedError: it has only others.
        """
        found = await self._resolver.resolve(host, port, family)
        allowed = set(public_only(self._rules, host, [one["host"] for one in found]))
        return [one for one in found if one["host"] in allowed]

    async def close(self) -> None:
        """Closes nothing: the resolver has no connection."""
        await self._resolver.close()
