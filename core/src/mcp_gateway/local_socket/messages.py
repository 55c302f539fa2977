"""Messages on the local socket: JSON-RPC 2.0, a line each, bounded.

The first request is `hello`, with the version of the protocol. Over loopback both sides then prove that they know the
key (`proof.py`). After that there is one request at a time; whoever asks ends it by closing the connection.
"""

from __future__ import annotations

import json
from typing import Any

from anyio import EndOfStream
from anyio.abc import ByteReceiveStream
from anyio.streams.buffered import BufferedByteReceiveStream

VERSION = 2
"""The version of the protocol; a gateway of another one refuses, and says which it has."""

MAX_GREETING = 4096
"""How many bytes a message may have before the greeting is complete."""

MAX_REQUEST = 1 << 20
"""How many bytes a request may have."""

MAX_ANSWER = 64 << 20
"""How many bytes an answer may have: as results of tools may."""

Json = dict[str, Any]


class Malformed(Exception):
    """What came is no message."""


class TooLong(Malformed):
    """A message of more bytes than are read."""


class MessageReader:
    """Reads messages of at most `max_bytes` bytes from a stream."""

    def __init__(self, stream: ByteReceiveStream, max_bytes: int) -> None:
        """Read from `stream`."""
        self._stream, self.max_bytes = BufferedByteReceiveStream(stream), max_bytes

    async def read(self) -> Json | None:
        """Return the next message; None at the end.

        Raises:
            Malformed: it is too long, or no JSON object.

        """
        from anyio import DelimiterNotFound, IncompleteRead

        try:
            line: bytes | None = await self._stream.receive_until(b"\n", self.max_bytes)
        except DelimiterNotFound:
            line = None
        except (EndOfStream, IncompleteRead):
            return None
        if line is None or len(line) > self.max_bytes:  # one that came in a single piece is found nevertheless
            raise TooLong(f"a message has more than {self.max_bytes} bytes")
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
