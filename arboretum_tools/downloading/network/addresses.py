"""IP addresses: which are of the public internet, and which are this machine."""

from __future__ import annotations

import ipaddress

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
