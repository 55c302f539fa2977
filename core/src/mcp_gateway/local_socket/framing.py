"""Messages on the local socket: JSON-RPC 2.0, a line each, bounded.

The first request is `hello`, with the version of the protocol and, over loopback, the key.
"""

from __future__ import annotations

import json
from typing import Any

from anyio import EndOfStream
from anyio.abc import ByteReceiveStream
from anyio.streams.buffered import BufferedByteReceiveStream

VERSION = 1
"""The version of the protocol; a gateway of another one refuses, and says which it has."""

MAX_REQUEST = 1 << 20
"""How many bytes a request may have."""

MAX_ANSWER = 64 << 20
"""How many bytes an answer may have: as results of tools may."""

Json = dict[str, Any]


class Malformed(Exception):
    """What came is no message."""


class MessageReader:
    """Reads messages from a stream."""

    def __init__(self, stream: ByteReceiveStream, max_bytes: int) -> None:
        """Read lines of at most `max_bytes` bytes."""
        self._stream, self._max_bytes = BufferedByteReceiveStream(stream), max_bytes

    async def read(self) -> Json | None:
        """Return the next message; None at the end.

        Raises:
            Malformed: it is too long, or no JSON object.

        """
        from anyio import DelimiterNotFound, IncompleteRead

        try:
            line = await self._stream.receive_until(b"\n", self._max_bytes)
        except DelimiterNotFound:
            raise Malformed(f"a message has more than {self._max_bytes} bytes") from None
        except (EndOfStream, IncompleteRead):
            return None
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            raise Malformed("a line is no JSON") from None
        if not isinstance(message, dict):
            raise Malformed("a line is no JSON object")
        return message


def encode_message(message: Json) -> bytes:
    """Return a message as a line."""
    return json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n"
