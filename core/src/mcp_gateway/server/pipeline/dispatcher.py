"""The entrance of the pipeline, for messages as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError
from msgspec import UNSET, Struct

from mcp_gateway.gateway.compiled_catalog import METHOD
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.plugin import Principal, RawResponse, ResponseWriter
from mcp_gateway.protocol.envelope import (
    RequestMessage,
    encode_error,
    encode_result,
    parse_request,
    parse_server_message,
    read_id,
)
from mcp_gateway.protocol.eras import OF_ONE_CONNECTION
from mcp_gateway.protocol.raw_json import NO_MEMBERS, Fields, is_object, members, replace_constants
from mcp_gateway.server.clients import Clients, RawClient
from mcp_gateway.server.pipeline.client_request import ClientRequest
from mcp_gateway.server.pipeline.delivery import ClientRequests, open_channel
from mcp_gateway.server.pipeline.handlers import FAILED_INSIDE, HandlerFn, RequestHandlers
from mcp_gateway.server.pipeline.pipes import PIPE
from mcp_gateway.server.pipeline.request_checks import Envelopes, Headers, KnownHeaders, has_valid_shape, name_of

log = structlog.get_logger(__name__)

_ACCEPTED = RawResponse(b"", accepted=True)
_CANCELLED = RawResponse(b"")
# A token knows its variable: setting that costs a tenth of binding.
_LOG_REQUEST_ID = structlog.contextvars.bind_contextvars(request_id=0)["request_id"].var
structlog.contextvars.unbind_contextvars("request_id")
_NO_ID = "the id of a request must be a text, or an integer of no more than 1,000 digits"
_NOT_PASSED_ON = OF_ONE_CONNECTION | {"progressToken"}


class Origin(Struct, frozen=True):
    """The origin of a message: headers, principal, and writer."""

    headers: Mapping[str, str] | None
    principal: Principal | None
    writer: ResponseWriter


Key = tuple[str, object]
"""A client, and the id of its request."""


class _Call:
    """A request in flight; its client can cancel one with a `key`."""

    __slots__ = ("key", "task", "writer")

    def __init__(self, key: Key | None, writer: ResponseWriter) -> None:
        self.key, self.writer = key, writer
        self.task: asyncio.Task[None]


@dataclass(slots=True)
class Dispatcher:
    """Dispatches messages as bytes; implements `SupportsRawDispatch`.

    It answers every request that the pipeline has a handler for, if its envelope is right. What is wrong with others,
    the SDK's server says, to which they go.
    """

    gateway: Gateway
    clients: Clients
    handlers: RequestHandlers
    requests: ClientRequests = field(default_factory=ClientRequests)
    _envelopes: Envelopes = field(default_factory=Envelopes)
    _headers: KnownHeaders = field(default_factory=KnownHeaders)
    _in_flight: dict[Key, _Call] = field(default_factory=dict)
    _calls: set[_Call] = field(default_factory=set)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    # Asking for it takes a system call each time (Python 3.11).
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def dispatch(
        self, message: bytes, headers: Mapping[str, str] | None, principal: Principal | None, writer: ResponseWriter
    ) -> Callable[[], None] | None:
        """Begin to answer a message; see `SupportsRawDispatch`."""
        origin = Origin(headers, principal, writer)
        try:
            parsed = parse_request(message)
            if parsed.jsonrpc != "2.0":
                return None
            if parsed.method is UNSET:
                return self._take_response(parsed, origin)
            params = {} if parsed.params is UNSET else parsed.params
            raw_meta = params.pop("_meta", None)
            meta = {} if raw_meta is None else members(raw_meta)
            if parsed.id is UNSET:
                return self._take_notification(parsed.method, params, origin)
            return self._begin(parsed.method, bytes(parsed.id), params, meta, origin)
        except ValueError:
            return self._take_unreadable(message, origin)

    def leave(self, client: str) -> None:
        """Cancel a client's requests, and those to it: it has left."""
        self.requests.forget(client)
        # Of requests with one id, only the last can be cancelled by it.
        for call in [call for call in self._calls if call.key is not None and call.key[0] == client]:
            self._take_back(call)

    def _begin(
        self, method: str, request_id: bytes, params: Fields, meta: Fields, origin: Origin
    ) -> Callable[[], None] | None:
        """Begin to answer a request, if it is for the pipeline.

        None if the method or the envelope is not.
        """
        key_id = read_id(request_id)
        if not isinstance(key_id, str | int):
            return self._take_without_id(method, request_id, params, meta, origin)
        handler = self.handlers.find(method)
        if handler is None or not has_valid_shape(method, params):
            return None
        modern = types.PROTOCOL_VERSION_META_KEY in meta
        headers = self._headers.of(origin.headers)
        client = self._find_client(method, params, meta, origin, headers if modern else None)
        if client is None:
            return None
        caller = headers.find_caller(client, origin.principal)
        if self.gateway.discovery.waiting:
            self.gateway.discovery.on_client_initialized(caller)
        level = None if modern else self.clients.log_level(client.name)
        channel = open_channel(origin.writer, client.name, self.requests, meta, level, modern=modern)
        request = ClientRequest(method, params, select_passed_on(meta), caller, modern, channel)
        # A modern client cancels over HTTP by closing the stream; all others name the request.
        key = (client.name, key_id) if not modern or origin.headers is None else None
        call = _Call(key, origin.writer)
        # Not by `create_task`: only so the name is not made up first, and then replaced.
        call.task = asyncio.Task(self._answer(request, handler, request_id, call), loop=self._loop, name=method)
        self._calls.add(call)
        if key is not None:
            self._in_flight[key] = call
        return partial(self._abandon, call)

    async def _answer(self, request: ClientRequest, handler: HandlerFn, request_id: bytes, call: _Call) -> None:
        # The task has a context of its own, so it need not be unset.
        _LOG_REQUEST_ID.set(next(self._numbers))
        try:
            try:
                result = await self.handlers.answer(request, handler)
                response = RawResponse(encode_result(request_id, result))
            except Exception as error:  # noqa: BLE001  # whatever fails, there is a response
                response = self._encode_failure(request, request_id, error)
            self._forget(call)
            self.requests.end_stream(call.writer)
            call.writer.finish(response)
        except Exception:
            log.exception("request failed", method=request.method)
        finally:
            if call in self._calls:
                self._forget(call)

    def _encode_failure(self, request: ClientRequest, request_id: bytes, error: Exception) -> RawResponse:
        if isinstance(error, MCPError):
            try:
                return self._encode_error(request_id, error, modern=request.modern)
            except (ValueError, RecursionError) as unwritable:
                error = unwritable
        log.error("request failed", method=request.method, exc_info=error)
        failure = MCPError(types.INTERNAL_ERROR, FAILED_INSIDE)
        return self._encode_error(request_id, failure, modern=request.modern)

    @staticmethod
    def _encode_error(request_id: bytes, error: MCPError, *, modern: bool) -> RawResponse:
        # Clients of the handshake era take HTTP 400 for the end of their session, whatever its body says.
        return RawResponse(encode_error(request_id, error), error.code if modern else None)

    def _forget(self, call: _Call) -> None:
        self._calls.discard(call)
        if call.key is not None and self._in_flight.get(call.key) is call:
            del self._in_flight[call.key]

    def _abandon(self, call: _Call) -> None:
        """Cancel a request whose transport wants no response."""
        call.task.cancel()
        self._forget(call)

    def _cancel(self, key: Key) -> bool:
        """Cancel a request, if in flight; return whether it was."""
        if (call := self._in_flight.get(key)) is None:
            return False
        self._take_back(call)
        return True

    def _take_back(self, call: _Call) -> None:
        """Cancel a request, and end its response."""
        self._abandon(call)
        self.requests.end_stream(call.writer)
        call.writer.finish(_CANCELLED)

    def _find_client(
        self, method: str, params: Fields, meta: Fields, origin: Origin, modern: Headers | None
    ) -> RawClient | None:
        """Return the sender of a request; `modern` are its headers if modern.

        None if the request does not identify it, or is invalid.
        """
        if modern is None:
            return self.clients.raw_client(origin.headers, origin.principal)
        if origin.headers is not None and not self._are_headers_right(modern, method, name_of(method, params)):
            return None
        client = self._envelopes.identify_client(meta, modern, origin.principal)
        if client is not None and origin.headers is None:
            self.clients.on_modern_pipe()
        return client

    def _are_headers_right(self, headers: Headers, method: str, name: str | None) -> bool:
        """Whether a modern request's headers are known to match its body."""
        if headers.method != method or headers.name != name:
            return False
        # Whether a tool's arguments are repeated in `Mcp-Param-*` headers, the SDK's server checks.
        if method != METHOD or name is None or not (compiled := self.gateway.compiler.current()).has_mirrored:
            return True
        route = compiled.route(name)
        return route is None or not route.mirrored

    def _take_response(self, response: RequestMessage, origin: Origin) -> Callable[[], None] | None:
        """Take a client's response to a request of the gateway's."""
        client = self.clients.raw_client(origin.headers, origin.principal)
        if client is None or not self.requests.on_response(client.name, response):
            return None
        return self._finish_soon(origin.writer, _ACCEPTED)

    def _take_notification(self, method: str, params: Fields, origin: Origin) -> Callable[[], None] | None:
        """Take the cancellation of a request that is in flight here."""
        if method != "notifications/cancelled":
            return None
        # Whatever a client names by it: what is no id is the name of nothing, and may have no hash.
        if not self._cancel((self._canceller(origin), read_id(bytes(params.get("requestId", b""))))):
            return None
        return self._finish_soon(origin.writer, _ACCEPTED)

    def _canceller(self, origin: Origin) -> str:
        client = self.clients.raw_client(origin.headers, origin.principal)
        if client is not None:
            return client.name
        return PIPE.get() if origin.headers is None else ""

    def _take_unreadable(self, message: bytes, origin: Origin) -> Callable[[], None] | None:
        """Refuse a request without an id that only the SDK reads."""
        try:
            read = parse_server_message(replace_constants(message))
            if read.jsonrpc != "2.0" or read.method is UNSET or read.id is UNSET:
                return None
            if isinstance(read_id(bytes(read.id)), str | int):
                return None
            meta = read.params.get("_meta") if read.params else None
            known = members(meta) if meta is not None and is_object(meta) else {}
            return self._take_without_id(read.method, bytes(read.id), read.params or {}, known, origin)
        except ValueError:
            return None

    def _take_without_id(
        self, method: str, request_id: bytes, params: Fields, meta: Fields, origin: Origin
    ) -> Callable[[], None] | None:
        """Refuse a request whose id is none, unless it is a notification.

        The SDK's server would take every one for a notification.
        """
        if request_id == b"null" and method.startswith("notifications/"):
            return self._take_notification(method, params, origin)
        # A number goes back, so that its client finds the request.
        known = b"null" if read_id(request_id) is None else request_id
        error = MCPError(types.INVALID_REQUEST, _NO_ID)
        response = self._encode_error(known, error, modern=types.PROTOCOL_VERSION_META_KEY in meta)
        return self._finish_soon(origin.writer, response)

    def _finish_soon(self, writer: ResponseWriter, response: RawResponse) -> Callable[[], None]:
        return self._loop.call_soon(writer.finish, response).cancel


def select_passed_on(meta: Fields) -> Fields:
    """Return the members of `_meta` that servers may see."""
    # Nearly always there are none but the gateway's own.
    if meta.keys() <= _NOT_PASSED_ON:
        return NO_MEMBERS
    return {name: value for name, value in meta.items() if name not in _NOT_PASSED_ON}
