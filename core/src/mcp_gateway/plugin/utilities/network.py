"""Checks of addresses that a server must not lead the gateway to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_METADATA = frozenset({"fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"})
"""Where clouds keep the credentials of their machines, beside the link-local 169.254.169.254."""


def is_link_local(address: str) -> bool:
    """Whether an IP address is link-local or a cloud's metadata service.

    Clouds serve the credentials of their machines there.

    An IPv6 address that stands for an IPv4 one counts as that. What is no address is not.
    """
    found = _parse_address(address)
    return found is not None and (found.is_link_local or str(found) in _METADATA)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    An IPv6 address that stands for an IPv4 one counts as that. What is no address is not.
    """
    found = _parse_address(address)
    return found is not None and found.is_global


def _parse_address(address: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, unwrapping an IPv4 one in IPv6 form."""
    from ipaddress import IPv6Address, ip_address  # the API itself needs it for nothing else

    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        # RFC 6052: a translator hands the last 32 bits on, into the very network that it stands in.
        translated = ip_address(int(found) & 0xFFFFFFFF) if found.exploded.startswith("0064:ff9b:0000:") else None
        return found.ipv4_mapped or found.sixtofour or translated or found
    return found
