"""Private names of the MCP SDK that the client side relies on.

A release of the SDK may change them without notice, so the dependency has an upper bound. `tests/test_sdk.py` shows
what breaks then, also for the private methods that `TaggingTransport` and `LimitedSessionManager` override.
"""

from __future__ import annotations

from mcp.client._transport import Transport, TransportStreams
from mcp.shared._context_streams import ContextSendStream, create_context_streams
from mcp.shared._httpx_utils import next_request_within_origin
from mcp.shared._stream_protocols import WriteStream

__all__ = [
    "ContextSendStream",
    "Transport",
    "TransportStreams",
    "WriteStream",
    "create_context_streams",
    "next_request_within_origin",
]
