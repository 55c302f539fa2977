"""Codec of raw calls: routing and encoding without parsing payloads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER, MCP_PROTOCOL_VERSION_HEADER, encode_header_value
from mcp_types.version import LATEST_MODERN_VERSION
from msgspec import UNSET, Raw

from mcp_gateway.catalog.listing import Listing, is_repeatable
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.gateway.era_bridge import input_required_from_error
from mcp_gateway.plugin import Caller, RawResponse
from mcp_gateway.protocol.eras import ENVELOPE, OF_ONE_CONNECTION, adapt_error
from mcp_gateway.protocol.implementation import IMPLEMENTATION
from mcp_gateway.protocol.raw_json import Call, Fields, List, encode_object, encode_string, members, parse_response
from mcp_gateway.server.fast_path.envelope import MODERN
from mcp_gateway.sessions.retry import RetryPolicy

COMPLETE = b'"complete"'

_OUR_ENVELOPE: Mapping[str, bytes] = {
    types.PROTOCOL_VERSION_META_KEY: MODERN,
    types.CLIENT_INFO_META_KEY: json.dumps(IMPLEMENTATION).encode(),
}


@dataclass(frozen=True, slots=True)
class Route:
    """The route of a tool: server, encoded tool name and headers.

    The name is that at the server, as JSON.

    `original_name` is the tool's own name if not all callers may know of it. A `repeatable` call may be made again
    though nobody knows whether it was carried out.
    """

    spec: ServerSpec
    name: bytes
    headers: Mapping[str, str]
    original_name: str | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call on the fast path.

    What came, who sent it, where it leads and with which arguments, and when it began.
    """

    call: Call
    caller: Caller
    route: Route
    arguments: Raw
    modern: bool
    began: float = field(default_factory=monotonic)

    @property
    def head(self) -> bytes:
        """The beginning of its JSON-RPC response."""
        return b'{"jsonrpc":"2.0","id":' + bytes(self.call.id)


def route_from_listing(spec: ServerSpec, listing: Listing, name: str) -> Route | None:
    """Build the route of a listed tool from its full name.

    None if the listing does not have it, or its calls must go through the SDK.
    """
    tool = listing.tool_name(name)
    if tool is None or tool in listing.header_arguments:
        return None
    headers = {
        MCP_PROTOCOL_VERSION_HEADER: LATEST_MODERN_VERSION,
        MCP_METHOD_HEADER: "tools/call",
        MCP_NAME_HEADER: encode_header_value(tool),
    }
    return Route(spec, encode_string(tool), headers, repeatable=is_repeatable(listing.by_name[tool]))


def params_of(plain: ToolCall, *, modern: bool) -> bytes:
    """Write the params of a call for its server."""
    sent = plain.call.params.meta
    meta: dict[str, Raw | bytes] = {name: value for name, value in sent.items() if name not in OF_ONE_CONNECTION}
    if modern:
        declared = sent.get(types.CLIENT_CAPABILITIES_META_KEY, b"{}")
        meta |= {**_OUR_ENVELOPE, types.CLIENT_CAPABILITIES_META_KEY: declared}
    enveloped = [b',"_meta":', *encode_object(meta)] if meta else []
    return b"".join([b'{"name":', plain.route.name, b',"arguments":', plain.arguments, *enveloped, b"}"])


def parse_params(plain: ToolCall) -> dict[str, Any]:
    """Read the params of a call as they came.

    Raises:
        ValueError: they hold a number with thousands of digits.
        RecursionError: they are nested too deeply.

    """
    sent = plain.call.params
    params: dict[str, Any] = {"name": sent.name}
    if sent.arguments is not UNSET:
        params["arguments"] = json.loads(bytes(sent.arguments))
    if sent.meta:
        params["_meta"] = {name: json.loads(bytes(value)) for name, value in sent.meta.items()}
    return params


def parse_result(response: bytes) -> dict[str, Any]:
    """Read the result of a response."""
    fields, _ = parse_response(response)
    return {name: json.loads(bytes(value)) for name, value in (fields or {}).items()}


def repetition_of(plain: ToolCall) -> RetryPolicy:
    """Return what knows how often a call was sent."""
    return RetryPolicy(plain.route.spec, plain.route.repeatable, plain.began)


def _meta_of(fields: Fields) -> Fields:
    raw = fields.get("_meta")
    if raw is None or bytes(raw)[:1] != b"{":
        return {}
    return {name: value for name, value in members(raw).items() if name not in OF_ONE_CONNECTION}


def modern_result(fields: Fields, server_info: bytes) -> Mapping[str, Raw | bytes]:
    """Put the modern era's envelope on a result; `server_info` is JSON."""
    meta: dict[str, Raw | bytes] = {**_meta_of(fields), types.SERVER_INFO_META_KEY: server_info}
    complete = {} if "resultType" in fields else {"resultType": COMPLETE}
    return {**complete, **fields, "_meta": b"".join(encode_object(meta))}


def handshake_result(fields: Fields) -> Mapping[str, Raw | bytes]:
    """Take the modern era's envelope off a result."""
    plain: dict[str, Raw | bytes] = {name: value for name, value in fields.items() if name not in ENVELOPE}
    if "_meta" in plain:
        meta, whole = _meta_of(fields), members(fields["_meta"]) if bytes(fields["_meta"])[:1] == b"{" else {}
        if meta:
            plain["_meta"] = b"".join(encode_object(meta))
        elif whole:
            del plain["_meta"]
    return plain


def error_of(error: bytes | None, server: str, *, modern: bool) -> MCPError:
    """Return a server's error in the era of the client."""
    try:
        parsed = json.loads(error or b"null")
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("code"), int):
        return MCPError(types.INTERNAL_ERROR, f"server {server!r} sent an error that cannot be read")
    found = MCPError(parsed["code"], str(parsed.get("message", "")), parsed.get("data"))
    if modern and found.code == types.URL_ELICITATION_REQUIRED:
        try:
            input_required_from_error(found, {})
        # It is raised in any case: without capabilities a client cannot be led to a URL.
        except MCPError as other:
            found = other
    return adapt_error(found, modern=modern)


def encode_error(plain: ToolCall, error: MCPError) -> RawResponse:
    """Answer with an error."""
    body = {"code": error.code, "message": error.error.message}
    if error.error.data is not None:
        body["data"] = error.error.data
    return RawResponse(plain.head + b',"error":' + json.dumps(body).encode() + b"}", error.code)


def encode_internal_error(plain: ToolCall) -> RawResponse:
    """Answer a call at which the gateway itself failed."""
    return encode_error(plain, MCPError(types.INTERNAL_ERROR, "the gateway failed inside; its log says why"))


async def encode_list(asked: List, members: Sequence[bytes], server_info: bytes | None) -> RawResponse:
    """Encode a list result from encoded members.

    It gets the modern envelope if `server_info` is given.

    Clients of the handshake era get it as an event, as on the SDK path.
    """
    head = (b'{"jsonrpc":"2.0","id":', bytes(asked.id), b',"result":{')
    if server_info is None:
        return RawResponse(b"".join((*head, *members, b"}}")), streamed=True)
    envelope = (b',"resultType":', COMPLETE, b',"_meta":{"%b":' % types.SERVER_INFO_META_KEY.encode(), server_info)
    return RawResponse(b"".join((*head, *members, *envelope, b"}}}")))
