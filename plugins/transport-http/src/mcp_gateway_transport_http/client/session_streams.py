"""Session streams with the request id on every message.

A server sends its requests and notifications on the stream of the response to a request. The SDK's transport does not
pass on which request that was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import httpx2
from mcp.client.streamable_http import StreamableHTTPTransport
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCNotification, RequestId, jsonrpc_message_adapter
from pydantic_core import from_json

from mcp_gateway.plugin import replace_lone_surrogates
from mcp_gateway_transport_http._sdk import ContextSendStream, TransportStreams, create_context_streams
from mcp_gateway_transport_http.client.http_errors import ErrorMappingClient
from mcp_gateway_transport_http.client.refusals import SESSION_CODE, session_loss_of
from mcp_gateway_transport_http.client.response_bodies import error_message
from mcp_gateway_transport_http.fast_path.connection_pool import Connections
from mcp_gateway_transport_http.fast_path.raw_channel import RawChannel
from mcp_gateway_transport_http.jsonrpc import is_message

log = logging.getLogger(__name__)

_CANCEL_SECONDS = 1.0
"""How long a server may take to end the stream of a cancelled request."""


@dataclass(frozen=True, slots=True)
class _TaggingStream:
    """A write stream that tags messages with their request's id.

    The request is the one with the SSE stream that the messages came on.
    """

    stream: ContextSendStream[SessionMessage | Exception]
    request_id: RequestId

    async def send(self, item: SessionMessage | Exception) -> None:
        if isinstance(item, SessionMessage) and item.metadata is None:
            item.metadata = ServerMessageMetadata(related_request_id=self.request_id)
        await self.stream.send(item)


class TaggingTransport(StreamableHTTPTransport):
    """The SDK's transport with the request id on every message.

    The request is the one with the SSE stream that the message came on.
    """

    def __init__(self, url: str, *, max_sse_event_size: int | None) -> None:
        """Create a transport to the server at `url`."""
        super().__init__(url, max_sse_event_size=max_sse_event_size)
        self.skipped = Skipped(url)

    def _consume_modern_cancellation(self, session_message: SessionMessage) -> bool:
        """Close the stream of a cancelled request, in either era.

        The server may never end it.
        """
        message = session_message.message
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            request_id = cancelled_request_id_from_params(message.params)
            post = self._in_flight_posts.get(request_id) if request_id is not None else None
            if post is not None:
                # The SDK closes it only in the modern era; a handshake-era stream would stay open for ever.
                asyncio.get_running_loop().call_later(_CANCEL_SECONDS, post.scope.cancel)
        return super()._consume_modern_cancellation(session_message)

    async def _handle_sse_event(
        self,
        sse: httpx2.ServerSentEvent,
        read_stream_writer: ContextSendStream[SessionMessage | Exception],
        original_request_id: RequestId | None = None,
        resumption_callback: Callable[[str], Awaitable[None]] | None = None,
    ) -> bool:
        if sse.event == "message" and sse.data and not is_message(sse.data):
            whole = replace_lone_surrogates(sse.data.encode()).decode()
            if not is_message(whole):
                self.skipped.count()
                return False
            sse = httpx2.ServerSentEvent(sse.event, whole, sse.id, sse.retry)
        if sse.data and original_request_id is not None:
            sse = self._mark_session_loss(sse)
        writer = (
            read_stream_writer
            if original_request_id is None
            else _TaggingStream(read_stream_writer, original_request_id)
        )
        return await super()._handle_sse_event(sse, writer, original_request_id, resumption_callback)  # type: ignore[arg-type]  # it is only used to send

    def _mark_session_loss(self, sse: httpx2.ServerSentEvent) -> httpx2.ServerSentEvent:
        """Return an event; a lost session becomes its own error."""
        if SESSION_CODE not in (data := sse.data.encode(errors="replace")):
            return sse
        lost = session_loss_of(data, self.session_id)
        if lost is None:
            return sse
        written = error_message(lost.fault, lost.message, dict(lost.data)).decode()
        return httpx2.ServerSentEvent(sse.event, written, sse.id, sse.retry)


@asynccontextmanager
async def open_tagged_streams(
    url: str, client: ErrorMappingClient, connections: Connections | None, head: bytes, max_bytes: int
) -> AsyncIterator[TransportStreams]:
    """Open the streams of a session; terminate the session on exit.

    They are the streams of the SDK's `streamable_http_client`.

    Plain requests go by `connections`, if there are any, and begin with `head`. `client` bounds
    what is read to `max_bytes`; the SDK counts some more.
    """
    transport = TaggingTransport(url, max_sse_event_size=2 * max_bytes)
    incoming_writer, incoming = create_context_streams[SessionMessage | Exception](0)
    outgoing, outgoing_reader = create_context_streams[SessionMessage](0)
    async with incoming_writer, incoming, outgoing, outgoing_reader, anyio.create_task_group() as tasks:

        def start_get_stream() -> None:
            tasks.start_soon(transport.handle_get_stream, client, incoming_writer)

        tasks.start_soon(
            transport.post_writer, client, outgoing_reader, incoming_writer, outgoing, start_get_stream, tasks
        )

        def session() -> Mapping[str, str]:
            named = {} if transport.session_id is None else {"mcp-session-id": transport.session_id}
            # Load balancers keep a session at one replica by a cookie.
            cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
            return {**named, "cookie": cookies} if cookies else named

        async def on_event(event: bytes, request_id: int) -> None:
            try:
                parsed = from_json(
                    replace_lone_surrogates(event), cache_strings="keys"
                )  # validate_json takes five times as much memory
                message = jsonrpc_message_adapter.validate_python(parsed, by_name=False)
            except ValueError:
                transport.skipped.count()
                return
            await _TaggingStream(incoming_writer, request_id).send(SessionMessage(message))

        try:
            if connections is None:
                yield incoming, outgoing
            else:
                yield incoming, RawChannel(outgoing, connections, head, session, on_event, lambda: client.is_upgraded)
        finally:
            if transport.session_id:
                await transport.terminate_session(client)
            tasks.cancel_scope.cancel()


class Skipped:
    """Counter of events that are not messages; logs powers of ten."""

    def __init__(self, url: str) -> None:
        """Keep only the host of the URL, which may contain a secret."""
        self._host = urlsplit(url).hostname
        self._count, self._next = 0, 1

    def count(self) -> None:
        """Count an event; log it at powers of ten."""
        self._count += 1
        if self._count == self._next:
            self._next *= 10
            log.warning("invalid event skipped", extra={"host": self._host, "events": self._count})
