"""Private names of the MCP SDK that the client side relies on.

A release of the SDK may change them without notice, so the dependency has an upper bound. `tests/test_sdk.py` shows
what breaks then.
"""

from __future__ import annotations

from mcp.client._transport import Transport, TransportStreams

__all__ = ["Transport", "TransportStreams"]
