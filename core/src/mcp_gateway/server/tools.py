"""Handlers of `tools/list` and `tools/call`.

They handle the built-in tools and those of the servers.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError
from msgspec import Raw
from pydantic import ValidationError

from mcp_gateway.catalog.repair.identifiers import Identifiers
from mcp_gateway.catalog.resolver import MalformedName, Resolver, UnknownServer, UnknownTool
from mcp_gateway.config.validation_errors import format_validation_error
from mcp_gateway.gateway.gateway import SETTLE_EMPTY_SECONDS, SETTLE_SECONDS, Gateway
from mcp_gateway.loops.trace import Trace
from mcp_gateway.plugin import Caller, GatewayError, Hits, has_control_characters
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.encoded_json import may_contain
from mcp_gateway.protocol.eras import adapt_definition
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.protocol.raw_json import (
    Fields,
    UnreadableJson,
    decode,
    decode_members,
    decode_text,
    encode,
    encode_members,
    is_object,
    members,
)
from mcp_gateway.search.indexes import SearchResult
from mcp_gateway.server.builtin.remote_call import RemoteCall, read_remote_call
from mcp_gateway.server.builtin.search_request import read_search
from mcp_gateway.server.builtin_results import (
    discover_answer,
    error_result,
    overload_error,
    search_answer,
    trace_answer,
)
from mcp_gateway.server.builtin_tools import (
    Arguments,
    CallArguments,
    DiscoverArguments,
    SearchArguments,
)
from mcp_gateway.server.clients import with_override
from mcp_gateway.server.pipeline.client_request import ClientRequest
from mcp_gateway.server.result_limits import ResultLimits, result_of
from mcp_gateway.sessions.admission import Overloaded

ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)

log = structlog.get_logger(__name__)

_NO_ARGUMENTS = Raw(b"{}")


class InvalidArguments(GatewayError):
    """Arguments that violate the schema of a built-in tool."""

    code = "invalid_arguments"


class Failed(GatewayError):
    """An unexpected exception of a plugin."""

    code = "unavailable"


class Tools:
    """Request handlers of `tools/list` and `tools/call`, in raw JSON."""

    def __init__(self, gateway: Gateway, builtin_tools: list[Json], results: ResultLimits) -> None:
        """Bind to `gateway`; `builtin_tools` defines the built-in tools.

        `results` limits the results of the servers' tools.
        """
        self._gateway, self._results = gateway, results
        self._builtin_tools: list[Json] = []
        self._builtin_schemas: dict[str, Json] = {}
        self._version = 0
        self.set_builtin_tools(builtin_tools)

    def set_builtin_tools(self, builtin_tools: list[Json]) -> bool:
        """Replace the built-in tools; return whether the list changed.

        Clients of a transparent server do not see the built-in tools.
        """
        before, self._builtin_tools = (
            self._builtin_tools,
            [] if self._gateway.resolver.transparent is not None else builtin_tools,
        )
        self._builtin_schemas = {tool["name"]: tool["inputSchema"] for tool in self._builtin_tools}
        self._version += 1
        return self._builtin_tools != before

    @property
    def builtin_tools(self) -> builtins.list[Json]:
        """The built-in tools, if exposed; a new list after each change."""
        return self._builtin_tools

    @property
    def own_names(self) -> frozenset[str]:
        """The names of the built-in tools, if clients see them."""
        return frozenset(self._builtin_schemas)

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        """Return the input schema of a tool by its full name.

        None if there is no such tool.
        """
        if name in self._builtin_schemas:
            return self._builtin_schemas[name]
        definition = self._gateway.resolver.definition(name)
        schema = definition.get("inputSchema") if definition else None
        return schema if isinstance(schema, dict) else None

    async def list(self, request: ClientRequest) -> Fields:
        """Return the built-in tools and all exposed ones.

        Exposed are those of servers with `expose_tools`; definitions are complete.

        The list is the same for all callers of an era with equal credentials and does not change because of a search.
        """
        self._gateway.discovery.refresh_stale(request.caller)
        seen = self._gateway.resolver
        if self._exposes_tools() and (self._gateway.discovery.running or seen.varies_by_caller(TOOLS)):
            seen = await self._gateway.resolver_for(request.caller, SETTLE_EMPTY_SECONDS)
        hint = encode_members(seen.cache_hint(TOOLS)) if request.modern else {}
        return {"tools": self._encode_list(seen, modern=request.modern), **hint}

    def _exposes_tools(self) -> bool:
        return any(TOOLS.name in spec.exposed for spec in self._gateway.registry.specs.values())

    def _encode_list(self, seen: Resolver, *, modern: bool) -> Raw:
        """Return the listed tools as JSON, the common ones encoded once."""

        def encode_list() -> Raw:
            return Raw(b"[%b]" % b",".join(map(encode, self.list_definitions(seen, modern=modern))))

        compiled = self._gateway.compiler.current()
        if seen.catalog is not compiled.catalog:
            return encode_list()
        return compiled.encoded(("tools/list", modern, self._version), encode_list)

    def list_definitions(self, seen: Resolver, *, modern: bool) -> Iterator[Json]:
        """Yield the listed tools in a catalog, for an era."""
        identifiers = Identifiers()
        yield from self._builtin_tools
        for name, definition in seen.list_definitions(TOOLS):
            adapted = adapt_definition(definition, modern=modern)
            if may_contain(definition, '"$id"'):
                adapted = identifiers.add(adapted)
            yield {**adapted, "name": name}

    async def call(self, request: ClientRequest) -> Fields:
        """Answer `tools/call`.

        Raises:
            MCPError: the tool is unknown, or the server's error, unmodified.

        """
        name = decode_text(request.params["name"])
        try:
            if name not in self._builtin_schemas:
                result = await self._gateway.call(
                    name, request.params, request.caller, request.channel, meta=request.meta
                )
                return self._limit(name, result, request.caller)
            match name:
                case "tool_search":
                    return encode_members(await self._search(_arguments(request), request.caller))
                case "discover_tools":
                    wanted = _parse_arguments(DiscoverArguments, name, _arguments(request))
                    return encode_members(
                        discover_answer(await self._gateway.discover(wanted.server_name, request.caller))
                    )
                case _:
                    return await self._call_remote(request)
        except Overloaded as error:
            raise overload_error(error) from None
        except GatewayError as error:
            if name not in self._builtin_schemas and isinstance(error, MalformedName | UnknownServer | UnknownTool):
                raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {error}") from None
            return encode_members(error_result(error))
        # They are no faults of a plugin: servers answer so, and clients send such requests.
        except (MCPError, UnreadableJson):
            raise
        except Exception:
            log.exception("plugin failed", tool=name)
            return encode_members(error_result(Failed("a plugin of the gateway failed; the gateway's log says why")))

    async def _search(self, arguments: Mapping[str, Any], caller: Caller) -> Json:
        if (trace := Trace.from_query(arguments.get("query"))) is not None:
            return trace_answer(await self._gateway.loops.answer(trace))
        wanted = _parse_arguments(SearchArguments, "tool_search", arguments)
        finder, resolver = self._gateway.finder, self._gateway.resolver
        servers = [resolver.server(name).name for name in wanted.server]
        request = read_search(
            wanted, servers, self._gateway.registry.specs, default=finder.default, max_results=finder.max_results
        )
        if request.is_empty:
            notes = await self._gateway.notes(caller)
            found = SearchResult(Hits(label="none"), self._gateway.registry.catalog, request.ranker, notes)
        else:
            found = await self._gateway.search(request.query, caller, request.ranker)
        found = replace(found, hits=replace(found.hits, hints=(*request.hints, *found.hits.hints)))
        return search_answer(request.query, found)

    async def _call_remote(self, request: ClientRequest) -> Fields:
        given = request.params.get("arguments", _NO_ARGUMENTS)
        fields = members(given)
        # Nearly always: what the tool is called with is not parsed.
        if fields.keys() == {"tool_name", "arguments"} and is_object(fields["arguments"]):
            call = RemoteCall(fields, fields["arguments"])
        else:
            call = read_remote_call(given)
        wanted = _read_call_arguments(call, given)
        name = self._resolve_name(wanted.tool_name)
        caller = with_override(request.caller, wanted.auth_header) if wanted.auth_header else request.caller
        arguments = call.arguments
        if call.wrapper and not await self._has_parameter(name, call.wrapper, request.caller):
            arguments = call.unwrapped
        params = {**request.params, "arguments": arguments or _NO_ARGUMENTS}
        result = await self._gateway.call(name, params, caller, request.channel, meta=request.meta)
        return self._limit(name, result, request.caller)

    def _resolve_name(self, name: str) -> str:
        """Return a tool's full name, without what a client puts before it."""
        known = self._gateway.compiler.current().route(name) is not None
        return name if known else self._gateway.resolver.strip_client_prefix(name)

    async def _has_parameter(self, tool: str, parameter: str, caller: Caller) -> bool:
        definition = (await self._gateway.resolver_for(caller)).definition(tool)
        if definition is None:
            definition = (await self._gateway.resolver_for(caller, SETTLE_SECONDS)).definition(tool)
        schema = definition.get("inputSchema") if definition else None
        properties = schema.get("properties") if isinstance(schema, Mapping) else None
        return isinstance(properties, Mapping) and parameter in properties

    def _limit(self, name: str, result: Fields, caller: Caller) -> Fields:
        """Limit the size of a tool's result."""
        catalog = self._gateway.registry.catalog
        return self._results.limit(lambda: result_of(name, catalog.owner(name)), result, caller)


def _read_call_arguments(call: RemoteCall, given: Raw) -> CallArguments:
    """Read the tool's name and the `auth_header` of a call."""
    if (
        call.arguments is not None
        and call.gateway_members.keys() <= {"tool_name", "arguments"}
        and "tool_name" in call.gateway_members
    ):
        wanted = CallArguments.model_construct(tool_name=decode(call.gateway_members["tool_name"]), auth_header=None)
        if isinstance(wanted.tool_name, str):
            return wanted
    given_members = decode_members(call.gateway_members) if "tool_name" in call.gateway_members else decode(given)
    wanted = _parse_arguments(CallArguments, "call_remote_tool", given_members)
    if wanted.auth_header is not None and has_control_characters(wanted.auth_header):
        raise InvalidArguments("call_remote_tool: auth_header: it has control characters in it")
    if call.arguments is None:
        raise InvalidArguments("call_remote_tool: arguments: it is no JSON object")
    return wanted


def _arguments(request: ClientRequest) -> Json:
    return request.member("arguments") or {}


def _parse_arguments(model: type[ArgumentsT], tool: str, arguments: Mapping[str, Any]) -> ArgumentsT:
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        raise InvalidArguments(f"{tool}: {format_validation_error(error)}") from None
