"""The error of a server that is a gateway in a loop."""

from __future__ import annotations

from mcp_gateway.loops.chain import LOOP, MAX_GATEWAYS
from mcp_gateway.plugin import ServerUnavailable


class GatewayLoop(ServerUnavailable):
    """A server that leads back to this gateway, or too far."""

    code = "gateway_loop"

    def __init__(self, reason: str, server: str = "") -> None:
        """Name the server; `words` explain the `reason`."""
        self.reason = reason
        self.words = (
            "it leads back to this gateway, which would be behind itself without end"
            if reason == LOOP
            else f"with it, more than {MAX_GATEWAYS} gateways would stand one behind another"
        )
        super().__init__(f"server {server!r} is left out: {self.words}", permanent=True)
