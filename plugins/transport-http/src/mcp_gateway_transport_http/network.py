"""Networks of clients."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

_NETWORK_BITS = 64
"""The prefix length of an IPv6 network, of which one person usually has all addresses."""


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return whom an address belongs to: itself, or its IPv6 network.

    An IPv6 address that embeds an IPv4 one counts as that.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _NETWORK_BITS), strict=False))
