"""IP addresses: which are of the public internet, and which are this machine."""

from __future__ import annotations

import ipaddress


def is_public(address: str) -> bool:
    """Whether an IP address, written as digits, is one of the public internet."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_global and not parsed.is_multicast


def is_loopback(host: str) -> bool:
    """Whether a host, by name or as digits, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
