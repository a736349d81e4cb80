"""The proxy that the environment names for a host: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from arboretum_tools.downloading.network.addresses import is_loopback
from arboretum_tools.errors import BadInputError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Attributes:
        url: scheme, host and port; never with name and password, so that it may be printed and stored.
        authorization: what it is told as `Proxy-Authorization`; None where no name is given.
    """

    url: str
    authorization: str | None = field(default=None, repr=False)


def proxy_for(url: str) -> Proxy | None:
    """The proxy through which an address is to be asked; None = directly, as this machine itself always is.

    Raises:
        BadInputError: the environment names something that is no proxy, or one that is not spoken to.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    # NO_PROXY may name a host with its port or without.
    if is_loopback(host) or proxy_bypass(host) or proxy_bypass(parts.netloc):
        return None
    named = getproxies()
    address = named.get(parts.scheme) or named.get("all")
    return _parse(address, parts.scheme) if address else None


def _parse(address: str, scheme: str) -> Proxy:
    # As curl takes it: `host:port` is a proxy that is spoken to over http.
    address = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not host.isascii() or any(c.isspace() for c in host):
        raise _refused(scheme, "is not an address")
    if parts.scheme not in _PORTS:
        raise _refused(scheme, f"is asked by {parts.scheme!r}, which is not spoken here")
    position = f"[{host}]" if ":" in host else host
    url = f"{parts.scheme}://{position}:{port or _PORTS[parts.scheme]}"
    if parts.username is None and parts.password is None:
        return Proxy(url)
    secret = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    return Proxy(url, f"Basic {base64.b64encode(secret).decode()}")


def _refused(scheme: str, why: str) -> BadInputError:
    # Without the value, which may hold a password.
    return BadInputError(
        f"the proxy that the environment names for {scheme} {why}; nothing was asked through it",
        hint=f"Give ${scheme.upper()}_PROXY as http://host:port, or unset it (and $ALL_PROXY).",
    )
