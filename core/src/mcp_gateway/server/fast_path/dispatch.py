"""Fast path: raw calls forwarded as bytes, bypassing the SDK.

A raw call goes from the client's transport to the server's and back.

It is the same call as on the SDK path, and this is the one place that decides which path it takes.
Everything that is not plain, or not as it should be, takes the other one: progress, messages, answers to
questions, clients that the server may ask, tools that are not known, sessions that are not open.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

import anyio
import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError
from msgspec import UNSET, Raw

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.plugin import (
    Caller,
    GatewayError,
    LoginRequired,
    Principal,
    RawResponse,
    RequestNotSent,
)
from mcp_gateway.protocol.client_channel import ALONE, Json
from mcp_gateway.protocol.eras import adapt_error, adapt_result
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.protocol.raw_json import (
    Call,
    Fields,
    encode_object,
    parse_call,
    parse_list,
    parse_remote_call,
    parse_response,
)
from mcp_gateway.server.builtin_results import error_result, overload_error
from mcp_gateway.server.clients import Clients, DirectClient
from mcp_gateway.server.fast_path.codec import (
    COMPLETE,
    Route,
    ToolCall,
    encode_error,
    encode_list,
    error_of,
    handshake_result,
    modern_result,
    params_of,
    parse_params,
    parse_result,
    repetition_of,
)
from mcp_gateway.server.fast_path.compiled_catalog import CompiledCatalog, encode_json
from mcp_gateway.server.fast_path.envelope import Envelopes, headers_match
from mcp_gateway.server.fast_path.pending_call import Key, PendingCall
from mcp_gateway.server.result_limits import ResultLimits, result_of
from mcp_gateway.server.server_info import server_info
from mcp_gateway.server.tools import Tools
from mcp_gateway.sessions.admission import Overloaded
from mcp_gateway.sessions.raw_call import HeardFn, RawCall, send_raw_call, start_raw_call
from mcp_gateway.sessions.retry import RetryPolicy
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)

_NOT_PLAIN = frozenset({"progressToken", types.LOG_LEVEL_META_KEY})
_INPUT_REQUIRED = b'"input_required"'
# Servers get an object, also for a client that leaves `arguments` out.
_EMPTY = Raw(b"{}")


@dataclass(slots=True)
class FastPath:
    """Answers plain calls."""

    gateway: Gateway
    clients: Clients
    tools: Tools
    results: ResultLimits
    _compiled: CompiledCatalog = field(init=False)
    _envelopes: Envelopes = field(default_factory=Envelopes)
    under_way: dict[Key, PendingCall] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Compile the catalog that there is now."""
        self._compiled = CompiledCatalog.of(self.gateway, self.tools)

    def compile_catalog(self) -> CompiledCatalog:
        """Return the compiled current catalog.

        It is not to be kept while anything is awaited.
        """
        if not self._compiled.is_current():
            self._compiled = CompiledCatalog.of(self.gateway, self.tools)
        return self._compiled

    def dispatch_raw(
        self, message: bytes, headers: Mapping[str, str] | None, principal: Principal | None = None
    ) -> Awaitable[RawResponse] | None:
        """Return an awaitable response to a raw message, or None.

        None means that the message must go through the SDK's server.

        `headers` are those of an HTTP request, in lower case; None means the pipe.
        """
        call = parse_call(message)
        if call is None:
            return self._list(message, headers, principal)
        if not _NOT_PLAIN.isdisjoint(call.params.meta) or self.gateway.discovery.waiting:
            return None
        modern = types.PROTOCOL_VERSION_META_KEY in call.params.meta
        client = self._client(call.params.meta, "tools/call", call.params.name, headers, principal)
        named = self._resolve_call(call) if client is not None else None
        if client is None or named is None:
            return None
        if not self._is_silent(named[0].spec, client, modern=modern):
            return None
        caller = client.caller(headers, principal)
        plain = ToolCall(call, caller, *named, modern)
        # A modern client cancels over HTTP by closing the stream; all others name the request.
        return PendingCall(self, plain, None if modern and headers is not None else (client.name, call.request_id))

    def _client(
        self,
        meta: Fields,
        method: str,
        name: str | None,
        headers: Mapping[str, str] | None,
        principal: Principal | None,
    ) -> DirectClient | None:
        """Return the sender of a raw request.

        None if the request does not identify it, or is invalid.
        """
        if types.PROTOCOL_VERSION_META_KEY not in meta:
            return self.clients.raw_client(headers, principal)
        if headers is not None and not headers_match(headers, method, name):
            return None
        return self._envelopes.client(meta, headers, principal)

    def _list(
        self, message: bytes, headers: Mapping[str, str] | None, principal: Principal | None
    ) -> Awaitable[RawResponse] | None:
        """Return the response to a `tools/list` if its list is cached."""
        asked = parse_list(message)
        if asked is None or not _NOT_PLAIN.isdisjoint(asked.params.meta) or self.gateway.discovery.waiting:
            return None
        client = self._client(asked.params.meta, "tools/list", None, headers, principal)
        if client is None:
            return None
        modern = types.PROTOCOL_VERSION_META_KEY in asked.params.meta
        caller = client.caller(headers, principal)
        members = self._list_members(caller, modern=modern)
        info = self.compile_catalog().server_info if modern else None
        return None if members is None else encode_list(asked, members, info)

    def _list_members(self, caller: Caller, *, modern: bool) -> list[bytes] | None:
        """Return the encoded members of a `tools/list` result.

        None if the caller's list may differ from the common one.
        """
        self.gateway.discovery.refresh_stale(caller)
        resolver = self.gateway.resolver
        if self.gateway.discovery.running or resolver.varies_by_caller(TOOLS):
            return None
        hint = resolver.cache_hint(TOOLS) if modern else {}
        hints = (b",%b:%b" % (encode_json(name), encode_json(value)) for name, value in hint.items())
        return [b'"tools":', self.compile_catalog().tool_list(modern=modern), *hints]

    def _is_silent(self, spec: ServerSpec, client: DirectClient, *, modern: bool) -> bool:
        """Whether the server sends this client no requests or messages.

        That is while it works on a call.
        """
        is_modern = self.gateway.pool.is_known_modern(spec)
        if client.capabilities and not (modern and is_modern):
            return False
        servers = self.gateway.registry.catalog.servers
        listing = servers.get(spec.name) or self.gateway.views.personal.latest.get(spec.name)
        if modern or listing is None or "logging" not in listing.capabilities:
            return True
        return is_modern and not self.clients.wants_messages(client.name)

    def leave(self, client: str) -> None:
        """Give up the calls of a client that has left."""
        for key, calling in list(self.under_way.items()):
            if key[0] == client:
                calling.cancel_by_client()

    def cancel(self, client: str, request_id: object) -> None:
        """Cancel a call at its client's request."""
        if (calling := self.under_way.get((client, request_id))) is not None:
            calling.cancel_by_client()

    # -- what makes an answer of a call

    def run(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Do something in a task of its own."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start_call(self, plain: ToolCall, heard: HeardFn) -> RawCall | None:
        """Send a call without awaiting, or return None without effect."""
        try:
            session_key = self.gateway.access.session_key_nowait(plain.route.spec, plain.caller)
        except GatewayError:
            return None
        session = (
            None
            if session_key is None or plain.route.original_name is not None
            else self.gateway.pool.raw_session(session_key)
        )
        if session is None:
            return None
        params = params_of(plain, modern=session.connection is not None and session.connection.modern)
        return start_raw_call(session, params, plain.route.headers, str(plain.caller.client), heard)

    async def run_call(self, plain: ToolCall) -> RawResponse:
        """Do all that a call needs."""
        repetition = repetition_of(plain)
        return await self.finish_call(plain, self._send_call(plain, repetition), repetition)

    async def finish_call(
        self, plain: ToolCall, response: Awaitable[bytes], known: RetryPolicy | None = None
    ) -> RawResponse:
        """Wait for a response, and encode the answer.

        What may be sent again is sent on the SDK path.
        """
        repetition = known or repetition_of(plain)
        try:
            came = await response
            answer = self.encode_response(plain, came)
            if answer is not None:
                return answer
            repetition.result = parse_result(came)
        # The SDK path opens the session, or leads the client to the login.
        except (RequestNotSent, LoginRequired):
            pass
        except Overloaded as error:
            return encode_error(plain, overload_error(error))
        except MCPError as error:
            return encode_error(plain, adapt_error(error, modern=plain.modern))
        except GatewayError as error:
            if (pause := repetition.next_delay(error)) is None:
                return self._whole(plain, error_result(error))
            log.info("request retried", server=plain.route.spec.name, reason=str(error), pause=pause)
            await anyio.sleep(pause)
        return await self._run_sdk_path(plain, repetition)

    async def _run_sdk_path(self, plain: ToolCall, repetition: RetryPolicy) -> RawResponse:
        """Answer a call on the SDK path.

        Its session is not open, or takes no bytes, or the call is sent again.
        """
        try:
            params = parse_params(plain)
        except (ValueError, RecursionError) as error:  # numbers with thousands of digits, and very deep nesting
            return encode_error(plain, MCPError(types.INVALID_PARAMS, f"the arguments cannot be read: {error}"))
        try:
            way = None if plain.modern else self.clients.way_to(str(plain.caller.client))
            return self._whole(plain, await self.tools.call(params, plain.caller, way or ALONE, repetition))
        except MCPError as error:
            return encode_error(plain, adapt_error(error, modern=plain.modern))

    def _whole(self, plain: ToolCall, result: Json) -> RawResponse:
        shaped = adapt_result(result, modern=plain.modern, server_info=server_info(self.gateway))
        return RawResponse(plain.head + b',"result":' + json.dumps(shaped).encode() + b"}")

    def _resolve_call(self, call: Call) -> tuple[Route, Raw] | None:
        """Resolve a call to its route and arguments.

        A `call_remote_tool` is resolved to the tool that it calls.
        """
        name, arguments = call.params.name, call.params.arguments
        compiled = self.compile_catalog()
        if name in compiled.builtin_names:
            remote = parse_remote_call(arguments) if name == "call_remote_tool" else None
            if remote is None:
                return None
            name, arguments = remote.tool_name, remote.arguments
        route = compiled.route(name)
        return None if route is None else (route, _EMPTY if arguments is UNSET else arguments)

    async def _send_call(self, plain: ToolCall, repetition: RetryPolicy) -> bytes:
        """Send a call with the caller's credentials; return the raw response."""

        async def exchange(session_key: SessionKey) -> bytes:
            return await self._exchange_raw(session_key, plain)

        return await self.gateway.access.with_credentials(plain.route.spec, plain.caller, exchange, repetition)

    async def _exchange_raw(self, session_key: SessionKey, plain: ToolCall) -> bytes:
        session = self.gateway.pool.raw_session(session_key)
        if session is None or not self._is_offered(plain.route, session_key):
            raise RequestNotSent("there is no session for it")
        params = params_of(plain, modern=session.connection is not None and session.connection.modern)
        return await send_raw_call(session, params, plain.route.headers, str(plain.caller.client))

    def _is_offered(self, route: Route, session_key: SessionKey) -> bool:
        """Whether a route's tool is offered for these credentials."""
        if route.original_name is None:
            return True
        listing = self.gateway.views.personal.listing(session_key.spec.name, session_key.credentials)
        return (
            listing is not None
            and route.original_name in listing.by_name
            and route.original_name not in listing.header_arguments
        )

    def encode_response(self, plain: ToolCall, response: bytes) -> RawResponse | None:
        """Encode a response, or return None for the SDK path."""
        server = plain.route.spec.name
        try:
            fields, error = parse_response(response)
        except (ValueError, RecursionError):
            wrong = f"server {server!r} sent a response that cannot be read"
            return encode_error(plain, MCPError(types.INTERNAL_ERROR, wrong))
        if fields is None:
            return encode_error(plain, error_of(error, server, modern=plain.modern))
        if not plain.modern and bytes(fields.get("resultType", b"")) == _INPUT_REQUIRED:
            return None  # the server's questions are dealt with there
        self._note(plain, fields)
        if len(response) > self.results.max_bytes:
            return self._encode_shortened(plain, fields, len(response))
        shaped = encode_object(
            modern_result(fields, self.compile_catalog().server_info) if plain.modern else handshake_result(fields)
        )
        return RawResponse(b"".join([plain.head, b',"result":', *shaped, b"}"]))

    def _encode_shortened(self, plain: ToolCall, fields: Fields, size: int) -> RawResponse:
        """Encode the remainder of a result that exceeds the limit."""

        def read() -> Json:
            return {name: json.loads(bytes(raw)) for name, raw in fields.items()}

        what = result_of(json.loads(plain.route.name), plain.route.spec.name)
        try:
            return self._whole(plain, self.results.shorten(what, size, read, plain.caller))
        except GatewayError as error:
            return self._whole(plain, error_result(error))

    def _note(self, plain: ToolCall, fields: Fields) -> None:
        """Do what is done with every result, on this path, too."""
        if bytes(fields.get("isError", b"")) == b"true":
            log.info("call failed", server=plain.route.spec.name, tool=plain.route.name.decode())
        if "task" in fields or bytes(fields.get("resultType", COMPLETE)) == b'"task"':
            result = {name: json.loads(bytes(raw)) for name, raw in fields.items()}
            self.gateway.tasks.register(plain.route.spec.name, result, plain.caller.principal)
