"""IP addresses: which are of the public internet, and which are this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from arboretum_tools.download.http1 import UntrustedError
from arboretum_tools.download.urls import AddressRules


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
