"""HTTP/1.1 server protocol with a fast path before ASGI.

Raw calls are answered at the connection; all other requests go to the ASGI application.

Requests that may be plain calls are held until they are complete, and then answered, or handed on as
they came. Starting an ASGI application for each would cost as much as the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS
from starlette.types import Scope
from uvicorn.config import Config

from mcp_gateway.plugin import Principal, RawResponse, SupportsRawDispatch, SupportsStart, to_line
from mcp_gateway_transport_http._uvicorn import STATUS_LINE, ServerState
from mcp_gateway_transport_http.auth.bearer import BearerAuthMiddleware
from mcp_gateway_transport_http.fast_path.header_cache import Head, cacheable_head
from mcp_gateway_transport_http.fast_path.write_batch import WriteBatch
from mcp_gateway_transport_http.http1.bounded_protocol import BoundedProtocol
from mcp_gateway_transport_http.http1.connection_registry import ConnectionRegistry
from mcp_gateway_transport_http.http1.request_head import RequestHead
from mcp_gateway_transport_http.options import PATH

_URL = PATH.encode()
_LARGE = 64 << 10
"""From how many bytes on an answer is written beside its head rather than joined with it."""

# Two of them can be read in two ways: the middleware decides about those.
_ONCE = frozenset({b"authorization", b"host"})
_UNUSUAL = frozenset({b"origin", b"content-encoding", b"last-event-id", b"expect", b"upgrade"})


@dataclass(frozen=True, slots=True)
class FastPath:
    """State shared by all connections: raw dispatch, authentication, write buffer.

    `used` hears which handshake-era session was used, `may_use` says whether it is that of who
    sends a request; `longest` is the longest request in bytes that is held.
    """

    server: SupportsRawDispatch
    gate: BearerAuthMiddleware
    on_session_used: Callable[[str], None]
    may_use: Callable[[str, Scope], bool]
    max_request_bytes: int
    registry: ConnectionRegistry
    outbox: WriteBatch = field(default_factory=WriteBatch)

    def build_protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> FastPathProtocol:
        """Return the protocol of a new connection.

        uvicorn calls this method as it would the protocol class.
        """
        return FastPathProtocol(self, config, server_state, app_state, _loop)


class _RawCycle:
    """A fast-path request with the interface of uvicorn's cycle."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete", "session")

    def __init__(self, session: str | None, *, keep_alive: bool) -> None:
        self.session = session
        self.keep_alive, self.response_complete, self.disconnected = keep_alive, False, False
        self.message_event = _NullEvent


class _NullEvent:
    """A message event without waiters."""

    @staticmethod
    def set() -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _BufferedRequest:
    """A buffered request: headers, principal and partial body."""

    names: Mapping[str, str]
    principal: Principal | None
    body: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class _CachedHead:
    """A cached request header block and its parsed headers.

    The headers were parsed from exactly these bytes.
    """

    head: Head
    names: Mapping[str, str]


class FastPathProtocol(BoundedProtocol):
    """A connection that answers plain calls itself."""

    def __init__(
        self,
        front: FastPath,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        """Begin unconnected."""
        super().__init__(front.registry, config, server_state, app_state, loop)
        self._front = front
        self._buffered: _BufferedRequest | None = None
        self._turn: _RawCycle | None = None
        self._answering: asyncio.Task[None] | None = None
        self._begun: SupportsStart | None = None
        self._cached_head: _CachedHead | None = None

    def data_received(self, data: bytes) -> None:
        """Handle received bytes: match the cached head, else parse.

        A raw call with the head of the request before is answered without parsing its headers.
        """
        if self._cached_head is None or not self.is_ready() or not self._dispatch_cached(data, self._cached_head):
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the raw call in progress, except in a session.

        The response to a handshake-era request is kept for a later resumption of its stream.
        """
        # In the modern era a closed stream is a cancellation (specification 2026-07-28, transports).
        if self._turn is not None and not self._turn.session:
            if self._answering is not None:
                self._answering.cancel()
            if self._begun is not None:
                self._begun.cancel()
                self._finish_raw_call(self._begun)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close after what is answered already was sent."""
        self._front.outbox.flush()
        super().shutdown()

    # -- what is told of a request

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._cached_head = None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold a request that may be a plain call."""
        if self.url == _URL and (held := self._hold()) is not None:
            self.on_admitted()
            self._buffered = held
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Collect the body of a request that is held."""
        if self._buffered is None:
            super().on_body(body)
            return
        self._buffered.body.extend(body)
        if len(self._buffered.body) > self._front.max_request_bytes:
            self._replay_to_asgi()

    def on_message_complete(self) -> None:
        """Handle the end of a message: answer a buffered raw call.

        Any other buffered request is handed to ASGI.
        """
        if self._buffered is None:
            super().on_message_complete()
            return
        held, message = self._buffered, bytes(self._buffered.body)
        answering = self._front.server.dispatch_raw(message, held.names, held.principal)
        if answering is None:
            self._replay_to_asgi()
            super().on_message_complete()
            return
        self._buffered, head = None, cast("RequestHead", self.parser)
        # Tokens of OAuth expire: a head with one must be checked each time.
        may_come_again = head.keep_alive and self._front.gate.is_constant and len(message) < _LARGE
        known = cacheable_head(head.raw + message, message) if may_come_again else None
        self._cached_head = None if known is None else _CachedHead(known, held.names)
        self._start_raw_call(answering, held.names, keep_alive=head.keep_alive)

    # -- plain calls

    def _dispatch_cached(self, data: bytes, known: _CachedHead) -> bool:
        """Answer a raw call that has the cached head.

        Returns whether it is one. `data` must be one whole request.
        """
        start = known.head.body_offset(data)
        length = len(data) - start
        if not start or length > self._front.max_request_bytes:
            return False
        names = {**known.names, "content-length": str(length)}
        answering = self._front.server.dispatch_raw(data[start:], names, None)
        if answering is not None:
            self._start_raw_call(answering, names, keep_alive=True)
        return answering is not None

    def _start_raw_call(self, answering: Awaitable[RawResponse], names: Mapping[str, str], *, keep_alive: bool) -> None:
        if session := names.get("mcp-session-id"):
            self._front.on_session_used(session)
        self._turn = turn = _RawCycle(session, keep_alive=keep_alive)
        self.cycle = turn  # type: ignore[assignment]  # requests behind it wait for it
        self.stop_waiting()
        self._front.outbox.requests_in_flight += 1
        begun = cast("SupportsStart", answering) if hasattr(answering, "start") else None
        if begun is not None and begun.start(partial(self._on_result, turn)):
            self._begun = begun
            self.tasks.add(cast("asyncio.Task[None]", begun))  # those that are waited for at the end
            return
        task = self._answering = self.loop.create_task(self._run_answer(turn, answering))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _hold(self) -> _BufferedRequest | None:
        """Return an admitted request that may be on the fast path."""
        if self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        admission = self._front.gate.admit({**cast("Scope", self.scope), "path": PATH})
        names = None if admission is None else self._raw_call_headers(admission.scope["headers"])
        if admission is None or names is None:
            return None
        session = names.get("mcp-session-id")
        if session is not None and not self._front.may_use(session, admission.scope):
            return None
        return _BufferedRequest(names, admission.principal)

    def _raw_call_headers(self, headers: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str] | None:
        """Return the headers of a call in the form usual clients send."""
        names: dict[str, str] = {}
        for name, value in headers:
            if name in _UNUSUAL:
                return None
            text = name.decode("latin-1")
            if text in names and (name in _ONCE or name.startswith(b"mcp-")):
                return None
            names[text] = value.decode("latin-1")
        accept = names.get("accept", "")
        may_be_plain = (
            "application/json" in accept
            and "text/event-stream" in accept
            and names.get("content-type", "").startswith("application/json")
            and int(names.get("content-length", "0")) <= self._front.max_request_bytes
        )
        return names if may_be_plain else None

    def _replay_to_asgi(self) -> None:
        """Replay a buffered request to ASGI."""
        body, self._buffered = self._buffered.body if self._buffered is not None else b"", None
        super().on_headers_complete()
        super().on_body(bytes(body))

    def _on_result(self, turn: _RawCycle, answer: RawResponse) -> None:
        """Write the answer to what was begun without a task."""
        if self._begun is not None:
            self._finish_raw_call(self._begun)
        if self.transport.is_closing():
            return
        self._write(answer, keep_alive=turn.keep_alive)
        if self.flow.write_paused:
            task = self.loop.create_task(self._wait_drained(turn))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            self._complete(turn)

    def _finish_raw_call(self, begun: SupportsStart) -> None:
        self._begun = None
        self._front.outbox.requests_in_flight -= 1
        self.tasks.discard(cast("asyncio.Task[None]", begun))

    async def _wait_drained(self, turn: _RawCycle) -> None:
        await self.flow.drain()
        self._complete(turn)

    async def _run_answer(self, turn: _RawCycle, answering: Awaitable[RawResponse]) -> None:
        try:
            answer = await self._answer(turn, answering)
            if not self.transport.is_closing():
                self._write(answer, keep_alive=turn.keep_alive)
                if self.flow.write_paused:
                    await self.flow.drain()
                self._complete(turn)
        finally:
            self._front.outbox.requests_in_flight -= 1

    def _complete(self, turn: _RawCycle) -> None:
        """Finish a response; continue with a pipelined request or wait."""
        turn.response_complete = True
        if not turn.keep_alive:
            self.transport.close()
        self.on_response_complete()

    async def _answer(self, turn: _RawCycle, answering: Awaitable[RawResponse]) -> RawResponse | None:
        """Wait for an answer; None if it could not be made."""
        try:
            return await answering
        except Exception:
            self.logger.exception("plain call failed")
            turn.keep_alive = False
            return None
        finally:
            self._answering = None

    def _write(self, answer: RawResponse | None, *, keep_alive: bool) -> None:
        status, kind, body = _response_parts(answer)
        head = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            head += (name, b": ", value, b"\r\n")
        head += (b"content-type: ", kind, b"\r\ncontent-length: %d\r\n" % len(body))
        head.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        if keep_alive and len(body) < _LARGE:
            self._front.outbox.write(self.transport, b"".join((*head, body)))
        else:
            # Joining would copy the body.
            self.transport.writelines((b"".join(head), body))


def _response_parts(answer: RawResponse | None) -> tuple[int, bytes, bytes]:
    """Return status, content type and body of a raw response.

    None, a response that could not be made, is HTTP 500.
    """
    if answer is None:
        return 500, b"text/plain; charset=utf-8", b"Internal Server Error"
    if not answer.message:
        return 200, b"text/event-stream", b""
    if answer.streamed:
        return 200, b"text/event-stream", b"event: message\r\ndata: %b\r\n\r\n" % to_line(answer.message)
    if answer.error is None:
        return 200, b"application/json", answer.message
    return int(ERROR_CODE_HTTP_STATUS.get(answer.error, HTTPStatus.OK)), b"application/json", answer.message
