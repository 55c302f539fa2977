"""Addresses of this machine, and URLs that lead to this gateway."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

RESOLVE_SECONDS = 1.0
"""How long the name of a host may take to resolve."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Place:
    """Host, port and path of a URL."""

    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Place | None:
        """Return the place of a URL; None if it has none."""
        try:
            parts = urlsplit(url.strip())
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme.lower(), 0)
        except ValueError:
            return None
        host = _normalize_host(parts)
        return cls(host, port, unquote(parts.path).rstrip("/")) if host and port else None


def leads_to(url: str, endpoints: Iterable[str], local_names: frozenset[str] = frozenset()) -> bool:
    """Whether a URL leads to one of this gateway's endpoints.

    An endpoint with an address is everything at its port; one with a name is also its path, since a proxy may have
    others beside it. `local_names` are further names of this machine.
    """
    place = Place.of(url)
    if place is None:
        return False
    listening = [end for end in map(Place.of, endpoints) if end is not None]
    return any(_is_same(place, end, local_names) for end in listening)


def _is_same(place: Place, end: Place, local_names: frozenset[str]) -> bool:
    if place.port != end.port:
        return False
    listening = _parse_address(end.host)
    if listening is None:
        return (place.host, place.path) == (end.host, end.path)
    if place.host in local_names:
        return True
    return any(_answers_at(address, listening) for address in _resolve(place))


def _answers_at(address: tuple[Address, Any], listening: Address) -> bool:
    """Whether what listens at one address is reached by another."""
    found, socket_address = address
    if found.is_unspecified:  # connecting to 0.0.0.0 leads to this machine
        found, socket_address = (_loopback(found.version), (str(_loopback(found.version)), 0))
    if not listening.is_unspecified:
        return found == listening
    return (listening.version == 6 or found.version == 4) and _is_local(found, socket_address)  # noqa: PLR2004  # IP


def _is_local(address: Address, socket_address: Any) -> bool:
    """Whether an address is this machine's: a socket can have it."""
    if address.is_loopback:
        return True
    if address.is_multicast or str(address) == "255.255.255.255":
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # IP
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((socket_address[0], 0, *socket_address[2:]))
    except OSError:
        return False
    return True


def _loopback(version: int) -> Address:
    return ipaddress.ip_address("127.0.0.1" if version == 4 else "::1")  # noqa: PLR2004  # IP


def _resolve(place: Place) -> list[tuple[Address, Any]]:
    """Return the addresses of a host that are found in time."""
    if place.host == "localhost" or place.host.endswith(".localhost"):  # RFC 6761, section 6.3
        return [(_loopback(version), (str(_loopback(version)), 0)) for version in (4, 6)]
    found: list[tuple[Address, Any]] = []

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        for *_, socket_address in answers:
            if (address := _parse_address(str(socket_address[0]))) is not None:
                found.append((address, socket_address))

    # In a thread that nobody waits for: a name server may not answer for half a minute.
    thread = threading.Thread(target=resolve, name="resolve a server's host", daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    return list(found)


def _parse_address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _normalize_host(parts: SplitResult) -> str:
    host = unquote(parts.hostname or "").rstrip(".").lower()
    try:
        return host if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError:
        return host
