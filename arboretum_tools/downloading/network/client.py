"""Asking hosts over HTTP: one question, one bounded answer. The only module of the library with aiohttp.

aiohttp makes the connections (names, addresses in turn, TLS, tunnels of proxies) and reads what comes (its
parser is C). Its `ClientSession` is left out: what that does for a request (cookies, headers, redirects,
traces, one object for the request and one for its answer) costs more than all that is done with the photo,
and it takes an answer that nobody asked for as the one to the next question.

The server is untrusted. What comes is bounded, never unzipped, and redirects are left to the caller.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from multidict import CIMultiDict
from yarl import URL

from arboretum_tools.downloading.network.addresses import is_public
from arboretum_tools.downloading.network.body_memory import SMALL_BYTES, BodyMemory
from arboretum_tools.downloading.network.exchange import (
    Exchange,
    Reply,
    UnreachedError,
    UntrustedError,
    WireError,
)
from arboretum_tools.downloading.network.proxy import Proxy
from arboretum_tools.downloading.network.urls import AddressRules, base_url_of
from arboretum_tools.errors import BadInputError
from arboretum_tools.store.shards.layout import MAX_IMAGE_BYTES
from arboretum_tools.wording import one_line

#: Seconds for a connection to a host, its TLS handshake included.
CONNECT_S = 10.0

#: The body of an error is read up to here, so that its connection can be used again; above, it is closed.
ERROR_BODY_BYTES = 2**16

# Of a body, so much is read ahead at least before the host has to wait: more than a medium photo.
_BUFFER_BYTES = 2**18

# Seconds for which the addresses of a name are believed.
_NAMES_S = 300

# A connection that nobody asked for so long has probably been closed by the host, in seconds.
_IDLE_S = 15.0

# So often time-outs are looked after, in seconds. A timer for each question costs ten times as much.
_SWEEP_S = 0.1

# So many answers with a status of 1xx are passed over before the one that counts.
_MOST_INTERIM = 20

# A proxy that wants to know who asks.
_UNAUTHORIZED = 407


class _Endpoint:
    """One `scheme://host[:port]` as it is asked, through one proxy or none.

    Attributes:
        name: for messages, and in front of every address of it.
        proxy: through which it is asked.
        request: of which aiohttp makes connections.
        start: of the first line of a request, before its path.
        tail: of a request, from behind its path.
        idle: connections that wait to be asked, the last used at the end, and the loop's time of that.
    """

    def __init__(
        self, name: str, proxy: Proxy | None, headers: Mapping[str, str], tls: ssl.SSLContext | None
    ) -> None:
        """Opens nothing.

        Raises:
            UnreachedError: its host is not a name.
        """
        self.name = name
        self.proxy = proxy
        self.start, self.idle = "GET ", list[tuple[Connection, float]]()
        fields = {"Host": urlsplit(name).netloc} | dict(headers)
        login: dict[str, str] = {}
        if proxy is not None and proxy.authorization is not None:
            login = {"Proxy-Authorization": proxy.authorization}
        if proxy is not None and tls is None:
            # Asked of the proxy; over TLS only the tunnel is, and only the proxy may hear the password.
            self.start += name
            fields |= login
        self.tail = (
            " HTTP/1.1\r\n" + "".join(f"{field}: {value}\r\n" for field, value in fields.items()) + "\r\n"
        )
        try:
            self.request = aiohttp.ClientRequest(
                "GET",
                URL(f"{name}/", encoded=True),
                headers={"User-Agent": headers.get("User-Agent", "")},
                loop=asyncio.get_running_loop(),
                ssl=tls or True,
                proxy=URL(proxy.url) if proxy is not None else None,
                proxy_headers=CIMultiDict(login) if tls is not None else None,
            )
        except ValueError as error:
            raise UnreachedError(f"cannot connect to {name}: {_in_words(error)}") from error


class HttpClient:
    """Asks hosts, directly or through a proxy; an object of one event loop.

    Attributes:
        connected: whether any host, or a proxy for it, has accepted a connection yet.
        body_memory: whose `release` a task calls when it is done with a body; to ask again does so too.
    """

    def __init__(
        self, rules: AddressRules, headers: Mapping[str, str], *, read_s: float, connections: int
    ) -> None:
        """Opens nothing yet.

        Args:
            rules: which hosts are photo hosts, so that they must not lead to private addresses.
            headers: of every request, beside `Host`.
            read_s: seconds without a byte after which an answer is given up.
            connections: above so many, those that wait on other hosts are closed first.
        """
        self.connected = False
        self.body_memory = BodyMemory()
        self._headers = headers
        self._read_s = read_s
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._tls: ssl.SSLContext | None = None
        self._endpoints: dict[tuple[str, Proxy | None], _Endpoint] = {}
        self._under_way: set[Exchange] = set()
        self._connector = aiohttp.TCPConnector(
            limit=0, resolver=_PublicResolver(rules), ttl_dns_cache=_NAMES_S
        )
        self._connect = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    async def get(
        self, target: str, until: float, proxy: Proxy | None = None, *, patience_s: float = float("inf")
    ) -> Reply:
        """What the host answers; a redirect is not followed.

        Args:
            target: an address that passed the rules, after any origin override.
            until: the loop's time at which it is too late.
            proxy: through which the host is asked; None = directly.
            patience_s: an answer is given up if within so many seconds neither all of it comes nor
                `LEAST_BYTES` of its body, at first or at any time after.

        Raises:
            TimeoutError: it is too late, or patience ended; then it says so.
            WireError: no whole answer came.
            BadInputError: the proxy wants a name and password, or others than it was given; or this process
                may not open so many connections.
        """
        self.body_memory.release()
        name = base_url_of(target)
        endpoint = self._endpoints.get((name, proxy)) or self._endpoint(name, proxy)
        request = f"{endpoint.start}{target[len(name) :]}{endpoint.tail}".encode("ascii")
        while True:
            connection, kept = self._kept(endpoint), True
            if connection is None:
                async with asyncio.timeout_at(until):
                    connection, kept = await self._connected(endpoint), False
            try:
                reply = await self._ask(endpoint, connection, request, until, patience_s)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                # Closed by the host while it waited. A GET may be repeated (RFC 9112, 9.3.1); each such
                # connection is used up by it, so this comes to a new one in the end.
                if not kept:
                    raise WireError("the host closed the connection without an answer") from error
            else:
                if reply.status == _UNAUTHORIZED and proxy is not None:
                    raise _refusal(proxy)
                return reply

    async def close(self) -> None:
        """Closes every connection."""
        self._sweeper.cancel()
        for endpoint in self._endpoints.values():
            for connection, _ in endpoint.idle:
                connection.close()
        self._endpoints.clear()
        await self._connector.close()
        # The loop closes the sockets in its next turn.
        await asyncio.sleep(0)

    async def _ask(
        self, endpoint: _Endpoint, connection: Connection, request: bytes, until: float, patience_s: float
    ) -> Reply:
        """Sends a request and reads the whole answer; the connection is kept or closed.

        Raises:
            ServerDisconnectedError: the connection ended before an answer; so does ClientOSError.
            WireError: it ended too early, or something else than an answer came.
            TimeoutError: it is too late.
        """
        protocol, transport = connection.protocol, connection.transport
        assert protocol is not None
        assert transport is not None
        protocol.set_response_params(
            read_until_eof=True, auto_decompress=False, read_timeout=None, read_bufsize=_BUFFER_BYTES
        )
        exchange = Exchange(protocol, until, patience_s, self._loop.time())
        self._under_way.add(exchange)
        again = False
        try:
            transport.write(request)
            for _ in range(_MOST_INTERIM + 1):
                message, exchange.body = await protocol.read()
                if message.code == 101 or not 100 <= message.code < 200:
                    break
            if not 200 <= message.code <= 999:
                raise WireError(f"HTTP {message.code}, which was not asked for")
            body = await self._body(message, exchange)
            # What follows an answer was not asked for, and would be taken for the next one.
            again = body is not None and not protocol.should_close
        except HttpProcessingError as error:
            what = error.message.partition("\n")[0].rstrip(":")[:200]
            raise WireError(f"what came is not an answer of HTTP/1.1: {what}") from error
        except aiohttp.ClientPayloadError as error:
            raise WireError("the connection ended before the whole body had come") from error
        finally:
            self._under_way.discard(exchange)
            if again:
                endpoint.idle.append((connection, self._loop.time()))
            else:
                connection.close()
        headers = message.headers
        return Reply(
            message.code,
            body if message.code == 200 else b"",
            headers.get(hdrs.ETAG),
            headers.get(hdrs.LOCATION),
            headers.get(hdrs.RETRY_AFTER),
            headers.get(hdrs.CONTENT_ENCODING),
        )

    async def _body(self, message: RawResponseMessage, exchange: Exchange) -> bytes | None:
        """The body of an answer; None where it is not read to its end."""
        stream = exchange.body
        assert stream is not None
        most = MAX_IMAGE_BYTES if message.code == 200 else ERROR_BODY_BYTES
        told = message.headers.get(hdrs.CONTENT_LENGTH)
        length = int(told) if told is not None else None
        if message.code in (204, 304):
            return b""
        if length is None and not message.chunked and message.code != 200:
            # An error that only the end of the connection would end is not waited for.
            return None
        if length is not None and length > most:
            return None
        # Of many pieces that are joined at last, the allocator would keep as much again.
        body = bytearray()
        reserved = False
        while not stream.at_eof():
            if stream.exception() is None and not stream.is_eof():
                if broken := exchange.protocol.exception():
                    raise broken
                if length is not None and length <= _BUFFER_BYTES:
                    # Nearly always: one turn for all of it.
                    await stream.wait_eof()
                    return stream.read_nowait()
            if not reserved and max(len(body), length or 0) > SMALL_BYTES:
                # Of one that does not tell its length, as much as it may come to have.
                await self._reserve(exchange, length or most)
                reserved = True
                # Much may have happened meanwhile.
                continue
            piece = await stream.readany()
            if len(body) + len(piece) > most:
                return None
            if len(piece) == length:
                return piece
            body += piece
        return bytes(body)

    async def _reserve(self, exchange: Exchange, size_bytes: int) -> None:
        """Waits for the memory of a large body; the host waits too, and is not blamed."""
        began = self._loop.time()
        exchange.held_up = True
        try:
            await self.body_memory.reserve(size_bytes)
        finally:
            exchange.go_on(began, self._loop.time())

    def _endpoint(self, name: str, proxy: Proxy | None) -> _Endpoint:
        tls = name.startswith("https:")
        if tls and self._tls is None:
            # Whom we trust: the certificates of the system, or of $SSL_CERT_FILE and $SSL_CERT_DIR.
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        endpoint = _Endpoint(name, proxy, self._headers, self._tls if tls else None)
        self._endpoints[name, proxy] = endpoint
        return endpoint

    def _kept(self, endpoint: _Endpoint) -> Connection | None:
        """A connection that may be asked again: nothing came over it since its last answer."""
        while endpoint.idle:
            connection, used_at = endpoint.idle.pop()
            protocol = connection.protocol
            if (
                protocol is not None
                and protocol.is_connected()
                and not protocol.should_close
                and self._loop.time() - used_at < _IDLE_S
                and not _readable(connection.transport)
            ):
                return connection
            connection.close()
        return None

    async def _connected(self, endpoint: _Endpoint) -> Connection:
        waiting = [one for other in self._endpoints.values() for one, _ in other.idle]
        if len(waiting) + len(self._under_way) >= self._connections:
            for one in waiting:
                one.close()
        try:
            connection = await self._connector.connect(endpoint.request, [], self._connect)
        except (aiohttp.ClientError, OSError) as error:
            # The name may lead elsewhere by now.
            self._connector.clear_dns_cache()
            raise _no_connection(endpoint, error) from error
        self.connected = True
        return connection

    def _sweep(self) -> None:
        """Gives up on answers of which nothing came for too long; one timer for all connections."""
        now = self._loop.time()
        for exchange in tuple(self._under_way):
            exchange.look(now, self._read_s)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)


def _readable(transport: asyncio.Transport | None) -> bool:
    """Whether something came, or the host ended the connection, that the loop has not yet looked at."""
    assert transport is not None
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))


class _PublicResolver(AbstractResolver):
    """Resolves names, and refuses photo hosts that lead to loopback, private or link-local addresses.

    Other names pass: a proxy that the environment names may well be private, and so may an origin override.
    """

    def __init__(self, rules: AddressRules) -> None:
        self._hosts = frozenset[str]() if rules.origin is not None else rules.hosts
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`; of a photo host, those that are public.

        Raises:
            UntrustedError: it has only others.
            OSError: it has none, or is not a name.
        """
        try:
            found = await self._resolver.resolve(host, port, family)
        except UnicodeError as error:
            # A label that is empty or too long.
            raise OSError(str(error)) from error
        if host.lower() not in self._hosts:
            return found
        public = [one for one in found if is_public(one["host"])]
        if found and not public:
            raise UntrustedError(f"{host} leads to the address {found[0]['host']}, which is not public")
        return public

    async def close(self) -> None:
        """Closes nothing: the resolver has no connection."""


def _no_connection(endpoint: _Endpoint, error: Exception) -> Exception:
    """What is to be raised where aiohttp could not make a connection."""
    name, proxy = endpoint.name, endpoint.proxy
    if isinstance(error, aiohttp.ClientHttpProxyError) and proxy is not None:
        if error.status == _UNAUTHORIZED:
            return _refusal(proxy)
        host = urlsplit(name).hostname
        return UnreachedError(f"the proxy {proxy.url} gives no connection to {host}: HTTP {error.status}")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        why = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else one_line(cause)
        return UntrustedError(f"the certificate of {error.host} is not trusted: {why.rstrip('.')[:200]}")
    # Within the tunnel of a proxy it is the host that is spoken to.
    asked = proxy.url if proxy is not None and not isinstance(error, aiohttp.ClientSSLError) else name
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno in (
        errno.EMFILE,
        errno.ENFILE,
    ):
        # No fault of the host or of the photos, each of which would end as failed.
        return BadInputError(
            f"no further connection to {asked} can be opened: {error.os_error.strerror}; what came is kept",
            hint="Allow more open files (`ulimit -n`), or use fewer --connections.",
        )
    reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(reason, TimeoutError):
        return UnreachedError(f"cannot connect to {asked}: no connection within {CONNECT_S:g} s")
    return UnreachedError(f"cannot connect to {asked}: {_in_words(reason)}")


def _refusal(proxy: Proxy) -> BadInputError:
    if proxy.authorization is None:
        what = "wants to know who asks"
    else:
        what = "does not know the name and password that the environment gives"
    return BadInputError(
        f"the proxy {proxy.url} {what} (HTTP {_UNAUTHORIZED}); what came is kept",
        hint="Write them into the variable: $HTTPS_PROXY=http://name:password@host:port.",
    )


def _in_words(error: BaseException) -> str:
    return one_line(error)[:200] or type(error).__name__
