"""What the refusals of two transports say together."""

from __future__ import annotations

from mcp.shared.exceptions import MCPError

from mcp_gateway.client.errors import status_of_rejection
from mcp_gateway.plugin import GatewayError, TransportFault


def is_unsupported(error: BaseException) -> bool:
    """Whether a transport says that the server does not speak it."""
    return isinstance(error, MCPError) and error.code == TransportFault.UNSUPPORTED


def add_hint(refusal: MCPError, hint: str) -> MCPError:
    """Return a refusal that says how to install another transport."""
    if not hint:
        return refusal
    return MCPError(refusal.code, f"{refusal.message}; another transport may reach it: {hint}", refusal.error.data)


def add_alternative(refusal: MCPError, name: str, error: BaseException) -> Exception:
    """Return why neither transport reaches a server.

    If the alternative's credentials were rejected, it is the right one.
    """
    if isinstance(error, MCPError):
        if status_of_rejection(error) is not None:
            return error
        words = error.message
    else:
        words = str(error) if isinstance(error, GatewayError) else type(error).__name__
    return MCPError(refusal.code, f"{refusal.message}; nor does {name!r} reach it: {words}", refusal.error.data)
