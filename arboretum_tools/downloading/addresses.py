"""IP addresses: which are of the public internet, and which are this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from arboretum_tools.downloading.http1 import UntrustedError
from arboretum_tools.downloading.urls import AddressRules

# IPv6 addresses whose last 32 bits are one of IPv4: mapped and compatible (RFC 4291), translated (RFC 6052).
_EMBEDDING = tuple(ipaddress.IPv6Network(net) for net in ("::ffff:0:0/96", "::/96", "64:ff9b::/96"))


def is_public(address: str) -> bool:
    """Whether an IP address, written as digits, is one of the public internet, and so is any within it."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.is_loopback or parsed.is_unspecified or parsed.is_site_local:
            return False
        if parsed.sixtofour is not None:
            parsed = parsed.sixtofour
        elif any(parsed in net for net in _EMBEDDING):
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed.is_global and not parsed.is_multicast


def is_loopback(host: str) -> bool:
    """Whether a host, by name or as digits, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def public_only(rules: AddressRules, host: str, found: Sequence[str]) -> list[str]:
    """Those addresses of a photo host that may be asked: all behind an origin override, else the public ones.

    Other names, of a proxy, may lead anywhere.

    Args:
        rules: what the photo hosts are.
        host: the name, or an address as digits.
        found: what it leads to.

    Raises:
        UntrustedError: there are none but private ones.
    """
    if rules.origin is not None or host.lower() not in rules.hosts:
        return list(found)
    public = [address for address in found if is_public(address)]
    if found and not public:
        raise UntrustedError(f"{host} leads to the address {found[0]}, which is not public")
    return public
