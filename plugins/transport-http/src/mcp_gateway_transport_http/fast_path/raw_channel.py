"""Raw request channel over HTTP.

Raw requests bypass the SDK, on connections of their own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from types import TracebackType
from typing import Self

from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent
from mcp_gateway_transport_http._sdk import WriteStream
from mcp_gateway_transport_http.client.redirects import MAX_REDIRECTS, follow_redirect
from mcp_gateway_transport_http.client.refusals import SESSION_CODE
from mcp_gateway_transport_http.client.response_limits import LimitExceeded, Turns
from mcp_gateway_transport_http.client.session_loss import MAX_WORDS
from mcp_gateway_transport_http.client.ssrf import LinkLocalAddress
from mcp_gateway_transport_http.fast_path.connection_pool import Connections
from mcp_gateway_transport_http.fast_path.http1_client import Connection
from mcp_gateway_transport_http.fast_path.in_flight import RawRequest, failure_of
from mcp_gateway_transport_http.fast_path.responses import (
    ConnectionLost,
    RawHttpResponse,
    check_session,
    extract_message,
    is_response,
)
from mcp_gateway_transport_http.fast_path.sse import SseParser

EventFn = Callable[[bytes, int], Awaitable[None]]
"""Takes a message that is not the response, and the id of the request on whose stream it came."""

_ILLEGAL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The terminator comes just behind the response; a stream that goes on is not waited for.
_DRAIN_SECONDS = 1.0
_SESSION = "mcp-session-id"


@dataclass(frozen=True, slots=True)
class _BrokenStream:
    """A stream that ended before its response.

    `last` is the id of the last event, `pause` the delay in seconds that the server asked for.
    """

    last_event_id: str
    retry_delay: float


@dataclass(slots=True)
class RawChannel:
    """A session's write stream that supports raw requests.

    `head` begins every request that `request_head` made; `session` returns the headers
    that the session has got meanwhile: its id, and cookies. `is_elsewhere` says whether the server
    has led the session to where these connections do not go.
    """

    stream: WriteStream[SessionMessage]
    connections: Connections
    head: bytes
    session: Callable[[], Mapping[str, str]]
    on_event: EventFn
    is_elsewhere: Callable[[], bool] = bool

    async def request_raw(self, message: bytes, request_id: int, headers: Mapping[str, str], seconds: float) -> bytes:
        """Send a request; return the response to it. See `SupportsRawRequest`."""
        if self.is_elsewhere():
            raise RequestNotSent("it has led the session elsewhere")
        deadline = asyncio.get_running_loop().time() + seconds
        message = b"content-length: %d\r\n\r\n%b" % (len(message), message)
        return await self._request(b"POST" + self._build_head(headers) + message, request_id, headers, deadline)

    def request_raw_nowait(
        self,
        message: bytes,
        request_id: int,
        headers: Mapping[str, str],
        seconds: float,
        done: Callable[[bytes | Exception], None],
    ) -> Callable[[], None] | None:
        """Send a request on a connection that is open; see `SupportsRawRequestNowait`."""
        connection = None if self.is_elsewhere() else self.connections.idle()
        if connection is None:
            return None
        try:
            head = self._build_head(headers)
        except RequestNotSent:
            self.connections.give_back(connection)
            return None
        written = b"POST%bcontent-length: %d\r\n\r\n%b" % (head, len(message), message)
        request = RawRequest(self, connection, written, request_id, headers, seconds, done)
        self.connections.outbox.requests_in_flight += 1
        connection.send(written, request.on_reply)
        return request.give_up

    async def _request(
        self,
        request: bytes,
        request_id: int,
        headers: Mapping[str, str],
        deadline: float,
        redirects: int = MAX_REDIRECTS,
    ) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            connection = self.connections.idle()
            if connection is None:
                connection = await asyncio.wait_for(self.connections.open(), deadline - loop.time())
        except (OSError, TimeoutError, LinkLocalAddress) as error:
            raise RequestNotSent(f"it cannot be connected to: {error}") from None
        # A closed connection ends both the request and the reading of its stream.
        timer = loop.call_at(deadline, connection.close)
        self.connections.outbox.requests_in_flight += 1
        try:
            reply = await connection.request(request)
            elsewhere = follow_redirect(request, reply, self.connections.origin) if redirects else None
            response = b"" if elsewhere is not None else await self._read_response(reply, request_id)
        except (ConnectionLost, LimitExceeded) as error:
            connection.close()
            # It was closed by the timer.
            if deadline <= loop.time():
                raise TimeoutError from None
            raise failure_of(error) from None
        # It came as a whole response: the connection is as good as before.
        except MCPError:
            self.release(connection)
            raise
        # Cancelled in the middle of a response, whose rest nobody will read.
        except BaseException:
            connection.close()
            raise
        finally:
            timer.cancel()
            self.connections.outbox.requests_in_flight -= 1
        if elsewhere is not None:
            self.release(connection)
            return await self._request(elsewhere, request_id, headers, deadline, redirects - 1)
        return await self._finish_stream(connection, response, request_id, headers, deadline)

    async def follow_redirect(
        self, connection: Connection, elsewhere: bytes, request_id: int, headers: Mapping[str, str], deadline: float
    ) -> bytes:
        """Send a request where the server has redirected it to."""
        self.release(connection)
        return await self._request(elsewhere, request_id, headers, deadline, MAX_REDIRECTS - 1)

    async def read_stream(
        self,
        connection: Connection,
        reply: RawHttpResponse,
        request_id: int,
        headers: Mapping[str, str],
        deadline: float,
    ) -> bytes:
        """Wait for the response in a stream of events."""
        try:
            response = await self._read_response(reply, request_id)
        except (ConnectionLost, LimitExceeded) as error:
            connection.close()
            raise failure_of(error) from None
        except MCPError:
            self.release(connection)
            raise
        except BaseException:
            connection.close()
            raise
        return await self._finish_stream(connection, response, request_id, headers, deadline)

    async def _finish_stream(
        self,
        connection: Connection,
        response: bytes | _BrokenStream,
        request_id: int,
        headers: Mapping[str, str],
        deadline: float,
    ) -> bytes:
        """Release the connection, or resume its broken stream.

        A broken stream is resumed on another connection. Returns the response.
        """
        if isinstance(response, _BrokenStream):
            connection.close()
            return await self._resume_stream(response, request_id, headers, deadline)
        self.release(connection)
        return response

    def release(self, connection: Connection) -> None:
        """Release a connection to the pool after its response.

        A stream that has not ended yet gets a second to end.
        """
        if connection.complete:
            self.connections.give_back(connection)
        else:
            asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self._on_stream_end, connection)

    async def _resume_stream(
        self, broken: _BrokenStream, request_id: int, headers: Mapping[str, str], deadline: float
    ) -> bytes:
        """Resume a stream that the server ended before the response.

        The GET has Last-Event-ID, and waits for the delay that the server asked for. Raises TimeoutError if
        that would exceed the deadline.
        """
        loop = asyncio.get_running_loop()
        if loop.time() + broken.retry_delay >= deadline:
            raise TimeoutError
        await asyncio.sleep(broken.retry_delay)
        request = b"GET" + self._build_head({**headers, "last-event-id": broken.last_event_id}) + b"\r\n"
        try:
            return await self._request(request, request_id, headers, deadline)
        except (RequestNotSent, MCPError) as error:  # whatever it says is about this request, not about the first one
            raise ConnectionDropped(f"it ended the stream without an answer, and then: {error}") from None

    def _build_head(self, headers: Mapping[str, str]) -> bytes:
        return self.head + _encode_headers((*headers.items(), *self.session().items()))

    def _on_stream_end(self, connection: Connection) -> None:
        """Return a connection to the pool if its stream has ended.

        A connection with a stream that goes on is closed.
        """
        if connection.complete:
            self.connections.give_back(connection)
        else:
            connection.close()

    async def _read_response(self, reply: RawHttpResponse, request_id: int) -> bytes | _BrokenStream:
        if reply.pieces is None:
            return self.response_from(reply)
        events, turns = SseParser(self.connections.max_bytes), Turns(rest=True)
        while (piece := await reply.pieces.get()) is not None:
            for event in events.parse(piece):
                if is_response(event, request_id):
                    return check_session(event, self.session().get(_SESSION))
                await self.on_event(event, request_id)
                await turns.pass_on()
            await turns.pass_on()
        if events.last_event_id is None:
            raise ConnectionLost("it ended the stream without an answer")
        return _BrokenStream(events.last_event_id, events.retry_delay)

    def response_from(self, reply: RawHttpResponse) -> bytes:
        """Return the JSON-RPC response of an HTTP response.

        The HTTP response must not be a stream of events.

        Raises:
            MCPError: it is none; the error is the one to answer with in the server's place.

        """
        is_plain = reply.status == HTTPStatus.OK and SESSION_CODE not in reply.body[:MAX_WORDS]
        return extract_message(reply, None if is_plain else self.session().get(_SESSION))

    # -- the SDK's write stream

    async def send(self, item: SessionMessage, /) -> None:
        """Send a message in the SDK's way."""
        await self.stream.send(item)

    async def aclose(self) -> None:
        """Close the stream."""
        await self.stream.aclose()

    async def __aenter__(self) -> Self:
        """Enter as the SDK's stream can be entered."""
        await self.stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Leave as the SDK's stream is left."""
        return await self.stream.__aexit__(kind, error, trace)


@lru_cache(maxsize=1024)
def _encode_headers(headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers]
    # A line break would begin a header or a request of somebody else (RFC 9110, section 5.5).
    if any(map(_ILLEGAL.search, lines)):
        raise RequestNotSent("a header cannot be written as it is")
    return "\r\n".join([*lines, ""]).encode("latin-1", "replace")
