"""What belongs to the handshake era only: events that a client can ask for again, and ignorance of the modern era."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import JSONRPCMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS


class Past(EventStore):
    """Keeps the events of all streams in memory."""

    def __init__(self) -> None:
        self._events: dict[str, tuple[str, JSONRPCMessage | None]] = {}
        self._numbers = count(1)

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event; return its id."""
        number = str(next(self._numbers))
        self._events[number] = (stream_id, message)
        return number

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send all later events of the same stream again; return the stream's id."""
        if last_event_id not in self._events:
            return None
        stream = self._events[last_event_id][0]
        for number, (stream_id, message) in list(self._events.items()):
            if stream_id == stream and int(number) > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, number))
        return stream


def without_modern_requests(app: Any) -> Any:
    """Answer modern requests as servers do that were written before them: what has no session is a bad request."""
    error = {"code": -32600, "message": "Bad Request: Missing session ID"}
    body = json.dumps({"jsonrpc": "2.0", "id": "server-error", "error": error}).encode()

    async def past(scope: Any, receive: Any, send: Any) -> None:
        version = dict(scope.get("headers") or ()).get(b"mcp-protocol-version", b"").decode("latin-1")
        if version not in MODERN_PROTOCOL_VERSIONS:
            await app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return past
