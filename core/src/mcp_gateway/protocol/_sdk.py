"""Private names of the MCP SDK that the core relies on.

A release of the SDK may change them without notice, so the dependency has an upper bound.
`core/tests/protocol/test_sdk.py` shows what breaks then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.client._transport import Transport
from mcp.shared._stream_protocols import ReadStream, WriteStream

if TYPE_CHECKING:
    # The SDK's server is slow to import, and is loaded only after the first handshake.
    from mcp.server.connection import Connection
    from mcp.server.session import ServerSession
    from mcp.shared.dispatcher import DispatchContext

__all__ = ["ReadStream", "Transport", "WriteStream", "connection_of", "request_outbound_of"]


def connection_of(session: ServerSession) -> Connection:
    """Return the connection of a session, with its state and exit stack."""
    return session._connection  # noqa: SLF001  # the SDK has no other way to it


def request_outbound_of(session: ServerSession) -> DispatchContext[Any]:
    """Return the channel onto the stream of the current request."""
    return session._request_outbound  # noqa: SLF001  # the SDK has no other way to it
