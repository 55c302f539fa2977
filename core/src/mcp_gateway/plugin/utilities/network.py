"""Checks of IP addresses against server-side request forgery."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_METADATA = frozenset({"fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"})
"""Metadata services of clouds, which serve the machine's credentials, other than the link-local 169.254.169.254."""


def is_link_local(address: str) -> bool:
    """Whether an IP address is link-local or a cloud's metadata service.

    Clouds serve the credentials of their machines there. An IPv6 address that embeds an IPv4 one counts as that; text
    that is no address returns False.
    """
    found = _parse_address(address)
    return found is not None and (found.is_link_local or str(found) in _METADATA)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    An IPv6 address that embeds an IPv4 one counts as that; text that is no address returns False.
    """
    found = _parse_address(address)
    return found is not None and found.is_global


def _parse_address(address: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, unwrapping an IPv4 one in IPv6 form."""
    from ipaddress import IPv6Address, ip_address  # not needed by anything else in the plugin API

    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        # RFC 6052: a translator forwards to the IPv4 address in the last 32 bits, within its own network.
        translated = ip_address(int(found) & 0xFFFFFFFF) if found.exploded.startswith("0064:ff9b:0000:") else None
        return found.ipv4_mapped or found.sixtofour or translated or found
    return found
