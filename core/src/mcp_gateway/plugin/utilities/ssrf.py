"""SSRF guard against link-local and metadata addresses.

No URL may lead to the metadata services of clouds, which serve the machine's credentials, whatever its name resolves
to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_gateway.plugin.errors import ServerUnavailable
from mcp_gateway.plugin.utilities.network import is_link_local

ResolveFn = Callable[[str], Awaitable[list[str]]]
"""Returns the addresses of a name."""


class LinkLocalAddress(ServerUnavailable):
    """A link-local server address without `allow_link_local`."""


async def resolve_host(host: str) -> list[str]:
    """Return the IP addresses of a host name.

    The list is empty if the name cannot be resolved; the connection then fails with a better error.
    """
    # The event loop is not loaded by what only declares plugins.
    import asyncio
    import socket

    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # An odd host name is a UnicodeError.
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True)
class SsrfGuard:
    """SSRF guard of names before, and addresses after connecting.

    Both are checked, because a name may resolve to another address the second time (DNS rebinding).
    """

    resolve: ResolveFn = resolve_host

    async def check_name(self, host: str) -> None:
        """Check a host name before connecting to it.

        Raises:
            LinkLocalAddress: it resolves to a link-local address.

        """
        for address in await self.resolve(host.strip("[]")):
            check_address(address)

    async def on_trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Check each connection that an HTTP client opens (httpx's `trace` extension)."""
        if event == "connection.connect_tcp.started":
            await self.check_name(str(info["host"]))
        # DNS rebinding: the name may have resolved to another address than when it was checked.
        elif event == "connection.connect_tcp.complete":
            stream = info["return_value"]
            peer = stream.get_extra_info("server_addr")
            try:
                check_address(str(peer[0]) if peer else "")
            except LinkLocalAddress:
                await stream.aclose()
                raise


def check_address(address: str) -> None:
    """Check that an address is not link-local.

    Raises:
        LinkLocalAddress: it is.

    """
    if is_link_local(address):
        raise LinkLocalAddress(
            "its address is link-local, where clouds keep credentials; if that is meant, allow_link_local",
            permanent=True,
        )
