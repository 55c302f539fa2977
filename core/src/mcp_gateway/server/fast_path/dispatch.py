"""Fast path: raw calls forwarded as bytes, bypassing the SDK.

A raw call goes from the client's transport to the server's and back.

It is the same call as on the other lane, and this is the one place that decides which lane it takes.
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

from mcp_gateway.catalog.snapshot import Catalogue
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.plugin import (
    DirectAnswer,
    GatewayError,
    LoginNeeded,
    NotSent,
    Principal,
)
from mcp_gateway.protocol.client_channel import ALONE, Json
from mcp_gateway.protocol.eras import as_error, as_result
from mcp_gateway.protocol.raw_json import Call, Fields, as_answer, as_call, as_list, as_remote_call, written
from mcp_gateway.server.builtin_results import failure, overloaded
from mcp_gateway.server.clients import Clients, DirectClient
from mcp_gateway.server.fast_path.codec import (
    COMPLETE,
    Plain,
    Route,
    error_of,
    handshake_result,
    listed,
    modern_result,
    params_of,
    parsed_params,
    parsed_result,
    refused,
    repetition_of,
)
from mcp_gateway.server.fast_path.envelope import Envelopes, agree
from mcp_gateway.server.fast_path.pending_call import Calling, Key
from mcp_gateway.server.fast_path.routes import Routes
from mcp_gateway.server.fast_path.tool_list import ToolLists
from mcp_gateway.server.result_limits import Results, result_of
from mcp_gateway.server.server_info import server_info
from mcp_gateway.server.tools import Tools
from mcp_gateway.sessions.admission import Overloaded
from mcp_gateway.sessions.raw_call import HeardFn, Sending, exchanged, sending
from mcp_gateway.sessions.retry import Repetition
from mcp_gateway.sessions.session_key import Borrower

log = structlog.get_logger(__name__)

_NOT_PLAIN = frozenset({"progressToken", types.LOG_LEVEL_META_KEY})
_INPUT_REQUIRED = b'"input_required"'
_EMPTY = Raw(b"{}")


@dataclass(slots=True)
class Direct:
    """Answers plain calls."""

    gateway: Gateway
    clients: Clients
    tools: Tools
    results: Results
    _routes: Routes = field(init=False)
    _lists: ToolLists = field(init=False)
    _info: bytes = b""
    _introduced: Catalogue | None = None
    _envelopes: Envelopes = field(default_factory=Envelopes)
    under_way: dict[Key, Calling] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Keep what is the same for all calls."""
        self._routes = Routes(self.gateway)
        self._lists = ToolLists(self.gateway, self.tools)

    def answer(
        self, message: bytes, headers: Mapping[str, str] | None, principal: Principal | None = None
    ) -> Awaitable[DirectAnswer] | None:
        """Return an awaitable response to a raw message, or None.

        None means that the message must go through the SDK's server.

        `headers` are those of an HTTP request, in lower case; None means the pipe.
        """
        call = as_call(message)
        if call is None:
            return self._list(message, headers, principal)
        if not _NOT_PLAIN.isdisjoint(call.params.meta) or self.gateway.discovery.waiting:
            return None
        modern = types.PROTOCOL_VERSION_META_KEY in call.params.meta
        client = self._client(call.params.meta, "tools/call", call.params.name, headers, principal)
        named = self._named(call) if client is not None else None
        if client is None or named is None:
            return None
        if not self._is_silent(named[0].spec, client, modern=modern):
            return None
        caller = client.caller(headers, principal)
        plain = Plain(call, caller, *named, modern)
        return Calling(self, plain, None if modern and headers is not None else (client.name, call.request_id))

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
            return self.clients.direct(headers, principal)
        if headers is not None and not agree(headers, method, name):
            return None
        return self._envelopes.client(meta, headers, principal)

    def _list(
        self, message: bytes, headers: Mapping[str, str] | None, principal: Principal | None
    ) -> Awaitable[DirectAnswer] | None:
        """Return the response to a `tools/list` if its list is cached."""
        asked = as_list(message)
        if asked is None or not _NOT_PLAIN.isdisjoint(asked.params.meta) or self.gateway.discovery.waiting:
            return None
        client = self._client(asked.params.meta, "tools/list", None, headers, principal)
        if client is None:
            return None
        modern = types.PROTOCOL_VERSION_META_KEY in asked.params.meta
        caller = client.caller(headers, principal)
        members = self._lists.members(caller, modern=modern)
        return None if members is None else listed(asked, members, self._introduction() if modern else None)

    def _is_silent(self, spec: ServerSpec, client: DirectClient, *, modern: bool) -> bool:
        """Whether the server sends this client no requests or messages.

        That is while it works on a call.
        """
        is_modern = self.gateway.pool.known_modern(spec)
        if client.capabilities and not (modern and is_modern):
            return False
        servers = self.gateway.registry.catalogue.servers
        offer = servers.get(spec.name) or self.gateway.views.personal.latest.get(spec.name)
        if modern or offer is None or "logging" not in offer.capabilities:
            return True
        return is_modern and not self.clients.wants_messages(client.name)

    def leave(self, client: str) -> None:
        """Give up the calls of a client that has left."""
        for key, calling in list(self.under_way.items()):
            if key[0] == client:
                calling.withdraw()

    def cancel(self, client: str, request_id: object) -> None:
        """Cancel a call at its client's request."""
        if (calling := self.under_way.get((client, request_id))) is not None:
            calling.withdraw()

    # -- what makes an answer of a call

    def run(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Do something in a task of its own."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def sent(self, plain: Plain, heard: HeardFn) -> Sending | None:
        """Send a call without awaiting, or return None without effect."""
        try:
            borrower = self.gateway.access.borrower_now(plain.route.spec, plain.caller)
        except GatewayError:
            return None
        keeper = None if borrower is None or plain.route.own is not None else self.gateway.pool.direct(borrower)
        if keeper is None:
            return None
        params = params_of(plain, modern=keeper.peer is not None and keeper.peer.modern)
        return sending(keeper, params, plain.route.headers, str(plain.caller.client), heard)

    async def answered(self, plain: Plain) -> DirectAnswer:
        """Do all that a call needs."""
        repetition = repetition_of(plain)
        return await self.concluded(plain, self._exchanged(plain, repetition), repetition)

    async def concluded(
        self, plain: Plain, response: Awaitable[bytes], known: Repetition | None = None
    ) -> DirectAnswer:
        """Wait for a response, and make an answer of it; what may be sent again is sent in the usual way."""
        repetition = known or repetition_of(plain)
        try:
            came = await response
            answer = self.shaped(plain, came)
            if answer is not None:
                return answer
            repetition.result = parsed_result(came)
        except (NotSent, LoginNeeded):
            pass
        except Overloaded as error:
            return refused(plain, overloaded(error))
        except MCPError as error:
            return refused(plain, as_error(error, modern=plain.modern))
        except GatewayError as error:
            if (pause := repetition.pause(error)) is None:
                return self._whole(plain, failure(error))
            log.info("sending a request again", server=plain.route.spec.name, reason=str(error), pause=pause)
            await anyio.sleep(pause)
        return await self._in_the_usual_way(plain, repetition)

    async def _in_the_usual_way(self, plain: Plain, repetition: Repetition) -> DirectAnswer:
        """Answer a call whose session is not open, or cannot take it as bytes, or that is sent again."""
        try:
            params = parsed_params(plain)
        except (ValueError, RecursionError) as error:  # numbers with thousands of digits, and very deep nesting
            return refused(plain, MCPError(types.INVALID_PARAMS, f"the arguments cannot be read: {error}"))
        try:
            way = None if plain.modern else self.clients.way_to(str(plain.caller.client))
            return self._whole(plain, await self.tools.call(params, plain.caller, way or ALONE, repetition))
        except MCPError as error:
            return refused(plain, as_error(error, modern=plain.modern))

    def _whole(self, plain: Plain, result: Json) -> DirectAnswer:
        shaped = as_result(result, modern=plain.modern, server_info=server_info(self.gateway))
        return DirectAnswer(plain.head + b',"result":' + json.dumps(shaped).encode() + b"}")

    def _named(self, call: Call) -> tuple[Route, Raw] | None:
        """Resolve a call to its route and arguments.

        A `call_remote_tool` is resolved to the tool that it calls.
        """
        name, arguments = call.params.name, call.params.arguments
        if name in self.tools.own_names:
            remote = as_remote_call(arguments) if name == "call_remote_tool" else None
            if remote is None:
                return None
            name, arguments = remote.tool_name, remote.arguments
        route = self._routes.route(name)
        return None if route is None else (route, _EMPTY if arguments is UNSET else arguments)

    def _introduction(self) -> bytes:
        """Return how the gateway introduces itself with each result, as JSON."""
        catalogue = self.gateway.registry.catalogue
        if self._introduced is not catalogue:
            self._info, self._introduced = json.dumps(server_info(self.gateway)).encode(), catalogue
        return self._info

    async def _exchanged(self, plain: Plain, repetition: Repetition) -> bytes:
        """Send a call with the caller's credentials; return the response as it came."""

        async def exchange(borrower: Borrower) -> bytes:
            return await self._exchanged_as(borrower, plain)

        return await self.gateway.access.attempt(plain.route.spec, plain.caller, exchange, repetition)

    async def _exchanged_as(self, borrower: Borrower, plain: Plain) -> bytes:
        keeper = self.gateway.pool.direct(borrower)
        if keeper is None or (plain.route.own is not None and not self._routes.has(borrower, plain.route.own)):
            raise NotSent("there is no session for it")
        params = params_of(plain, modern=keeper.peer is not None and keeper.peer.modern)
        return await exchanged(keeper, params, plain.route.headers, str(plain.caller.client))

    def shaped(self, plain: Plain, response: bytes) -> DirectAnswer | None:
        """Encode a response, or return None for the SDK path."""
        server = plain.route.spec.name
        try:
            fields, error = as_answer(response)
        except (ValueError, RecursionError):
            wrong = f"server {server!r} sent a response that cannot be read"
            return refused(plain, MCPError(types.INTERNAL_ERROR, wrong))
        if fields is None:
            return refused(plain, error_of(error, server, modern=plain.modern))
        if not plain.modern and bytes(fields.get("resultType", b"")) == _INPUT_REQUIRED:
            return None  # the server's questions are dealt with there
        self._note(plain, fields)
        if len(response) > self.results.most:
            return self._shortened(plain, fields, len(response))
        shaped = written(modern_result(fields, self._introduction()) if plain.modern else handshake_result(fields))
        return DirectAnswer(b"".join([plain.head, b',"result":', *shaped, b"}"]))

    def _shortened(self, plain: Plain, fields: Fields, size: int) -> DirectAnswer:
        """Encode the remainder of a result that exceeds the limit."""

        def read() -> Json:
            return {name: json.loads(bytes(raw)) for name, raw in fields.items()}

        what = result_of(json.loads(plain.route.name), plain.route.spec.name)
        try:
            return self._whole(plain, self.results.shortened(what, size, read, plain.caller))
        except GatewayError as error:
            return self._whole(plain, failure(error))

    def _note(self, plain: Plain, fields: Fields) -> None:
        """Do what is done with every result, on this lane, too."""
        if bytes(fields.get("isError", b"")) == b"true":
            log.info("call failed", server=plain.route.spec.name, tool=plain.route.name.decode())
        if "task" in fields or bytes(fields.get("resultType", COMPLETE)) == b'"task"':
            result = {name: json.loads(bytes(raw)) for name, raw in fields.items()}
            self.gateway.tasks.note(plain.route.spec.name, result, plain.caller.principal)
