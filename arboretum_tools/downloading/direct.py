"""Asking hosts without a proxy: names to addresses, connections kept for the next photo, time-outs."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from arboretum_tools.downloading.addresses import public_only
from arboretum_tools.downloading.http1 import (
    Connection,
    ReadBuffer,
    Reply,
    StaleError,
    UnreachedError,
    UntrustedError,
    WireError,
)
from arboretum_tools.downloading.urls import AddressRules, base_url_of
from arboretum_tools.errors import BadInputError
from arboretum_tools.tables import one_line

#: Seconds for a connection to one address, its TLS handshake included.
CONNECT_S = 10.0

# While there are others to try, one that does not answer is given up sooner: IPv6 that leads nowhere, mostly.
_FIRST_CONNECT_S = 2.0

# As long as the addresses of a name are believed, in seconds.
_NAMES_S = 300.0

# A connection that nobody asked for so long has probably been closed by the host, in seconds.
_IDLE_S = 15.0


# So often time-outs are looked after, in seconds. A timer for each question costs ten times as much.
_SWEEP_S = 0.1


class _Endpoint:
    """One `scheme://host[:port]`: its addresses, and its connections that wait to be asked."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(endpoint)
        self.name = endpoint
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.tls = parts.scheme == "https"
        fields = {"Host": parts.netloc} | dict(headers)
        self.tail = (
            " HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        )
        # The one that was asked last is at the end.
        self.idle: list[Connection] = []
        self.addresses: list[str] = []
        self.believed_until = float("-inf")
        self.looking = asyncio.Lock()


class DirectClient:
    """Asks hosts over connections of its own; an object of one event loop.

    Attributes:
        connected: whether any host has accepted a connection yet.
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
        self._rules = rules
        self._connections = connections
        self._headers = headers
        self._read_s = read_s
        self._loop = asyncio.get_running_loop()
        self._buffer = ReadBuffer()
        self._endpoints: dict[str, _Endpoint] = {}
        self._open: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    async def get(self, target: str, until: float) -> Reply:
        """What the host answers; a redirect is not followed.

        Args:
            target: an address that passed the rules, after any origin override.
            until: the loop's time at which it is too late.

        Raises:
            TimeoutError: it is too late.
            WireError: no whole answer came.
            BadInputError: this process may not open so many connections.
        """
        name = base_url_of(target)
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            endpoint = self._endpoints[name] = _Endpoint(name, self._headers)
        request = f"GET {target[len(name) :]}{endpoint.tail}".encode("ascii")
        while True:
            connection, kept = self._kept(endpoint), True
            if connection is None:
                async with asyncio.timeout_at(until):
                    connection, kept = await self._connect(endpoint), False
            self._open.add(connection)
            try:
                return await connection.ask(request, until)
            except StaleError:
                # Closed by the host while it waited. A GET may be repeated (RFC 9112, 9.3.1); each such
                # connection is used up by it, so this comes to a new one in the end.
                if not kept:
                    raise
            finally:
                self._open.discard(connection)
                if connection.usable:
                    endpoint.idle.append(connection)

    async def close(self) -> None:
        """Closes every connection."""
        self._sweeper.cancel()
        for connection in (
            *self._open,
            *(one for endpoint in self._endpoints.values() for one in endpoint.idle),
        ):
            connection.close()
        self._endpoints.clear()
        # The loop closes the sockets in its next turn.
        await asyncio.sleep(0)

    def _kept(self, endpoint: _Endpoint) -> Connection | None:
        while endpoint.idle:
            connection = endpoint.idle.pop()
            if connection.usable and self._loop.time() - connection.heard_at < _IDLE_S:
                return connection
            connection.close()
        return None

    async def _connect(self, endpoint: _Endpoint) -> Connection:
        waiting = [one for other in self._endpoints.values() for one in other.idle]
        if len(waiting) + len(self._open) >= self._connections:
            for one in waiting:
                one.close()
        addresses = await self._addresses(endpoint)
        context = self._context() if endpoint.tls else None
        for at, address in enumerate(addresses):
            last = at == len(addresses) - 1
            try:
                async with asyncio.timeout(CONNECT_S if last else _FIRST_CONNECT_S):
                    _, connection = await self._loop.create_connection(
                        lambda: Connection(self._loop, self._buffer),
                        address,
                        endpoint.port,
                        ssl=context,
                        server_hostname=endpoint.host if context else None,
                    )
            except (OSError, TimeoutError) as error:
                if not last:
                    # Not tried again until the name is looked up anew.
                    if address in endpoint.addresses and len(endpoint.addresses) > 1:
                        endpoint.addresses.remove(address)
                    continue
                endpoint.believed_until = float("-inf")
                raise _no_connection(endpoint, error) from error
            self.connected = True
            if address in endpoint.addresses:
                # The next connection goes to another of the host's machines.
                endpoint.addresses.remove(address)
                endpoint.addresses.append(address)
            return connection
        raise UnreachedError(f"cannot connect to {endpoint.name}: its name has no address")

    async def _addresses(self, endpoint: _Endpoint) -> list[str]:
        """The addresses of a host, the one that is to be tried first in front.

        Raises:
            UnreachedError: its name has none.
            UntrustedError: it has only private ones.
        """
        async with endpoint.looking:
            if self._loop.time() >= endpoint.believed_until:
                try:
                    found = await self._loop.getaddrinfo(
                        endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                    )
                # The second one is of a name that is none, such as one with an empty label.
                except (OSError, UnicodeError) as error:
                    raise _no_connection(endpoint, error) from error
                addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
                endpoint.addresses = public_only(self._rules, endpoint.host, addresses)
                endpoint.believed_until = self._loop.time() + _NAMES_S
            return list(endpoint.addresses)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context()
        return self._tls

    def _sweep(self) -> None:
        """Gives up on answers of which nothing came for too long; one timer for all connections."""
        now = self._loop.time()
        for connection in tuple(self._open):
            if now >= connection.until:
                connection.fail(TimeoutError())
            elif now - connection.heard_at > self._read_s:
                connection.fail(WireError(f"nothing came within {self._read_s:g} s"))
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)


def _no_connection(endpoint: _Endpoint, error: Exception) -> Exception:
    """What is to be raised where no connection could be made."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        # No fault of the host or of the photos, each of which would end as failed.
        return BadInputError(
            f"no further connection to {endpoint.name} can be opened: {error.strerror}; what came is kept",
            hint="Allow more open files (`ulimit -n`), or use fewer --connections.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return UntrustedError(untrusted(endpoint.host, error))
    reason = one_line(error)[:200] or f"no connection within {CONNECT_S:g} s"
    return UnreachedError(f"cannot connect to {endpoint.name}: {reason}")


def tls_context() -> ssl.SSLContext:
    """Whom we trust: the certificates of the system, or those that SSL_CERT_FILE and SSL_CERT_DIR name."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def untrusted(host: str, error: ssl.SSLCertVerificationError) -> str:
    """Why a certificate is not trusted: that it is of another host, expired, or nobody's whom we trust."""
    return f"the certificate of {host} is not trusted: {error.verify_message.rstrip('.')[:200]}"
