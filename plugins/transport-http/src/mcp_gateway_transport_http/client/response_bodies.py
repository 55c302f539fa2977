"""Limited bodies of responses that the SDK's client reads.

They are read in steps, between which other tasks run.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from mcp_gateway.plugin import TransportFault
from mcp_gateway_transport_http.client.response_limits import PIECE_BYTES, LimitExceeded, Turns, too_long
from mcp_gateway_transport_http.fast_path.sse import SseParser

_OF_THE_BODY = frozenset({"content-length", "content-encoding", "transfer-encoding"})


async def read_body(response: httpx2.Response, max_bytes: int) -> bytes:
    """Read a body to its end.

    Raises:
        LimitExceeded: the body has more than `max_bytes` bytes, or more than one content coding.

    """
    body = bytearray()
    async for piece in _steps(response):
        body += piece
        if len(body) > max_bytes:
            raise too_long("its answer", max_bytes)
    return bytes(body)


def with_body(response: httpx2.Response, content: bytes = b"", status: int | None = None) -> httpx2.Response:
    """Return a response with another body in place of its own."""
    found = httpx2.Response(
        response.status_code if status is None else status,
        headers=_headers(response),
        content=content,
        request=response.request,
    )
    found.next_request = response.next_request
    return found


def with_events(response: httpx2.Response, max_bytes: int) -> httpx2.Response:
    """Return a response with events of at most `max_bytes` each."""
    return httpx2.Response(
        response.status_code,
        headers=_headers(response),
        stream=_EventBody(response, max_bytes),
        request=response.request,
    )


class _EventBody(httpx2.AsyncByteStream):
    """The events of a response, parsed and encoded again.

    The SDK's parser has no limits, so it gets only events that passed those of this parser.
    """

    def __init__(self, response: httpx2.Response, max_bytes: int) -> None:
        self._response, self._max_bytes = response, max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        events, last, retry = SseParser(self._max_bytes), None, SseParser().retry_delay
        try:
            async for piece in _steps(self._response, rest=True):
                for event in events.parse(piece):
                    if events.last_event_id != last:
                        last = events.last_event_id
                        yield b"id: %b\n" % (last or "").encode("latin-1")
                    yield b"".join([*(b"data: %b\n" % line for line in event.split(b"\n")), b"\n"])
                if (events.last_event_id, events.retry_delay) != (last, retry):  # from an event without data
                    last, retry = events.last_event_id, events.retry_delay
                    yield b"id: %b\nretry: %d\n\n" % ((last or "").encode("latin-1"), retry * 1000)
        except LimitExceeded as error:
            yield b"\n\ndata: %b\n\n" % error_message(TransportFault.UNREACHABLE, str(error), {"status": 502})

    async def aclose(self) -> None:
        await self._response.aclose()


async def _steps(response: httpx2.Response, *, rest: bool = False) -> AsyncIterator[bytes]:
    """Return a body in small pieces, yielding to other tasks on time.

    Without that, a response that always has data ready would block the event loop.
    """
    if "," in response.headers.get("content-encoding", ""):
        raise LimitExceeded("its answer is compressed more than once, though nobody asked for that")
    turns = Turns(rest=rest)
    async for part in response.aiter_bytes():
        for start in range(0, len(part), PIECE_BYTES):
            yield part[start : start + PIECE_BYTES]
            await turns.pass_on()


def error_message(fault: TransportFault, message: str, data: dict[str, Any]) -> bytes:
    """Encode a JSON-RPC error without a request id."""
    error = {"code": int(fault), "message": message, "data": data}
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()


def _headers(response: httpx2.Response) -> list[tuple[str, str]]:
    return [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_BODY]
