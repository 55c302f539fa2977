"""HTTP/1.1 server protocol that offers messages to the server as bytes.

JSON-RPC messages of admitted clients are dispatched from the connection; all other requests go to the ASGI
application. A POST is held until it is complete, and then dispatched, or handed on as it came.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from starlette.types import Scope

from mcp_gateway.plugin import unwrap_message
from mcp_gateway_transport_http.auth.bearer import Admission
from mcp_gateway_transport_http.http1.header_cache import Head, cacheable_head
from mcp_gateway_transport_http.http1.request_head import RequestHead
from mcp_gateway_transport_http.options import PATH
from mcp_gateway_transport_http.server.message_request import (
    MessageRequest,
    is_endpoint,
)
from mcp_gateway_transport_http.server.response_protocol import ResponseProtocol
from mcp_gateway_transport_http.server.response_writer import HttpResponseWriter

_MAX_KNOWN_HEADS, _MAX_KNOWN_BYTES = 4, 8 << 10
"""How many heads of a connection are remembered, and how long they may be.

Clients of the modern era send one for each tool, and another one for lists.
"""
_MAX_KNOWN_BODY_BYTES = 64 << 10
"""With a body of more bytes, a head is not worth to be remembered."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _KnownHead(NamedTuple):
    """A parsed and admitted head, which may come again.

    The request was made from exactly these bytes.
    """

    head: Head
    request: MessageRequest


class _BegunRequest(NamedTuple):
    """A request with a known head whose body has not come whole."""

    request: MessageRequest
    data: bytes
    body_offset: int
    length: int


class _HeldRequest(NamedTuple):
    """A request that may be dispatched once its body has come."""

    request: MessageRequest
    body: bytearray


class MessageProtocol(ResponseProtocol):
    """A connection that dispatches messages itself."""

    # Defaults of the class: a connection that has received nothing.
    _is_checking = False
    _held: _HeldRequest | None = None
    _known: tuple[_KnownHead, ...] = ()
    _known_before: tuple[_KnownHead, ...] = ()
    _begun: _BegunRequest | None = None

    def data_received(self, data: bytes) -> None:
        """Handle received bytes: match a known head, else parse.

        A message with the head of a request before is dispatched without parsing that.
        """
        if self._begun is not None:
            begun, self._begun = self._begun, None
            data = begun.data + data
            body = data[begun.body_offset :]
            if len(body) == begun.length and self._dispatch(unwrap_message(body), begun.request):
                return
        elif self._known and self.is_ready() and self._receive_known(data):
            return
        super().data_received(data)

    # -- what is told of a request

    def on_message_begin(self) -> None:
        """Forget the requests before, unless this is one of their kind."""
        self._known_before, self._known = self._known, ()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold an admitted request that may be dispatched."""
        if not self._may_hold():
            super().on_headers_complete()
            return
        scope = {**cast("Scope", self.scope), "path": PATH, "http_version": self.parser.get_http_version()}
        decision = self._endpoint.gate.admit(scope)
        if decision is None:
            # Its body is read when its sender is known.
            self._is_checking = True
            task = self.loop.create_task(self._check(scope))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        elif not (isinstance(decision, Admission) and self._hold(decision)):
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Collect the body of a request that is held."""
        if self._held is None:
            super().on_body(body)
            return
        self._held.body.extend(body)
        if len(self._held.body) > self._registry.bounds.max_request_bytes:
            self._replay_to_asgi(self._held)

    def on_message_complete(self) -> None:
        """Dispatch a request that was held; else hand it to ASGI."""
        held = self._held
        if held is None:
            super().on_message_complete()
            return
        body, request = bytes(held.body), held.request
        if not self._dispatch(unwrap_message(body), request):
            self._replay_to_asgi(held)
            super().on_message_complete()
            return
        self._held = None
        self._remember(cast("RequestHead", self.parser), body, request)

    def _remember(self, head: RequestHead, body: bytes, request: MessageRequest) -> None:
        """Remember the head of a dispatched request, if it is cacheable."""
        # Tokens of OAuth expire: a head with one must be checked each time.
        may_come_again = head.keep_alive and not head.expects_continue and self._endpoint.gate.is_constant
        if may_come_again and len(head.raw) <= _MAX_KNOWN_BYTES and len(body) < _MAX_KNOWN_BODY_BYTES:
            known = cacheable_head(head.raw + body, body)
            if known is not None:
                self._known = (_KnownHead(known, request), *self._known_before[: _MAX_KNOWN_HEADS - 1])

    # -- a request that is held

    def _may_hold(self) -> bool:
        # Without a body it is no message; with a long one it is refused elsewhere.
        return (
            self._body is not None
            and self.parser.get_method() == b"POST"
            and is_endpoint(self.url)
            and (cast("RequestHead", self.parser).length or 0) <= self._registry.bounds.max_request_bytes
        )

    async def _check(self, scope: Scope) -> None:
        """Go on with a request once its token was checked."""
        decision = None
        try:
            decision = await self._endpoint.gate.check(scope)
        except Exception:
            self.logger.exception("token not checked")
        finally:
            self._is_checking = False
        if self.transport.is_closing():
            return
        if not (isinstance(decision, Admission) and self._hold(decision)):
            super().on_headers_complete()
        self.advance()

    def _hold(self, admission: Admission) -> bool:
        """Hold an admitted request, if it may be dispatched."""
        head = cast("RequestHead", self.parser)
        request = self._endpoint.build_request(head, admission)
        if request is None:
            return False
        self.on_admitted()
        self._held = _HeldRequest(request, bytearray())
        if self.expect_100_continue and request.is_chunkable:
            self.expect_100_continue = False
            if not self.buffer_size:
                self.send(_CONTINUE)
        return True

    def _replay_to_asgi(self, held: _HeldRequest) -> None:
        """Replay a held request to ASGI, as the SDK understands it."""
        self._held = None
        names = {b"content-type": b"application/json", b"accept": b"application/json, text/event-stream"}
        kept = [line for line in self.headers if line[0] not in names]
        self.headers[:] = [*kept, *names.items()]
        super().on_headers_complete()
        super().on_body(unwrap_message(bytes(held.body)))

    def _is_body_full(self) -> bool:
        return self._is_checking or super()._is_body_full()

    # -- dispatch

    def _receive_known(self, data: bytes) -> bool:
        """Take a request with a known head, or return False."""
        for known in self._known:
            offset, length = known.head.match(data)
            if offset:
                break
        else:
            return False
        received = len(data) - offset
        if not 0 < length <= self._registry.bounds.max_request_bytes or received > length:
            return False
        if received == length:
            return self._dispatch(unwrap_message(data[offset:]), known.request)
        # Clients often send head and body one after the other.
        self._begun = _BegunRequest(known.request, data, offset, length)
        self.await_body()
        return True

    def _dispatch(self, message: bytes, request: MessageRequest) -> bool:
        """Offer a message to the server; return whether it was taken."""
        open_requests = self._endpoint.sessions.open_requests
        if open_requests.is_full:
            return False
        writer = HttpResponseWriter(self, request)
        try:
            writer.abandon = self._endpoint.server.dispatch_raw(message, request.headers, request.principal, writer)
        except Exception:
            self.logger.exception("dispatch failed")
            self.loop.call_soon(writer.fail)
        else:
            if writer.abandon is None:
                return False
        self.begin_response(writer)
        return True
