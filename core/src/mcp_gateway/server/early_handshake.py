"""Early handshake, answered before the SDK is loaded.

Only ordinary first messages are answered early.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
from mcp_types.version import (
    HANDSHAKE_PROTOCOL_VERSIONS,
    LATEST_HANDSHAKE_VERSION,
    LATEST_MODERN_VERSION,
    MODERN_PROTOCOL_VERSIONS,
)

from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.loops.chain import Chain, chain_of
from mcp_gateway.plugin import Caller
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.envelope import encode_result
from mcp_gateway.protocol.eras import adapt_result, encode_own_meta
from mcp_gateway.protocol.raw_json import encode, encode_members
from mcp_gateway.server.pipeline.pipes import PIPE
from mcp_gateway.server.server_info import describe_server, instructions_of, server_info, with_chain_answer

# A handshake has a few hundred bytes; longer messages are left to the SDK.
_LONGEST = 64_000

_CAPABILITIES: Json = {
    "completions": {},
    "logging": {},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "tools": {"listChanged": True},
}


@dataclass(frozen=True, slots=True)
class FirstMessage:
    """A client's first message: `initialize` or `server/discover`.

    The latter is the first message of modern clients.
    """

    id: object
    version: str
    capabilities: Mapping[str, Any]
    modern: bool
    chain: Chain


class EarlyClient:
    """A stdio client that was answered early.

    Its handshake was answered before the MCP server was loaded; `arrived` is set when the server has registered it.
    """

    def __init__(self, first: FirstMessage) -> None:
        """Create a client, named if of the handshake era."""
        self.modern = first.modern
        self.name = PIPE.get() if first.modern else uuid.uuid4().hex
        self.caller = Caller(client=self.name, capabilities=first.capabilities)
        self.arrived = anyio.Event()


def parse_first_message(message: bytes) -> FirstMessage | None:
    """Parse a client's first message; None if not a valid handshake."""
    if len(message) > _LONGEST:
        return None
    try:
        parsed = types.jsonrpc_message_adapter.validate_json(message)
        if not isinstance(parsed, types.JSONRPCRequest):
            return None
        match parsed.method:
            case "initialize":
                return _handshake(parsed.id, parsed.params or {})
            case "server/discover":
                return _modern(parsed.id, parsed.params or {})
    # The SDK answers with the error.
    except (ValueError, RecursionError):
        pass
    return None


def encode_first_answer(first: FirstMessage, gateway: Gateway) -> bytes:
    """Encode the response that the gateway's server would give."""
    base: Json = {"capabilities": _CAPABILITIES, "instructions": instructions_of(gateway)}
    info = server_info(gateway)
    if first.modern:
        base |= {"cacheScope": "private", "supportedVersions": list(MODERN_PROTOCOL_VERSIONS), "ttlMs": 0}
        described = with_chain_answer(
            describe_server(gateway.resolver, base, modern=True), gateway.loops.position, first.chain
        )
        result = adapt_result(encode_members(described), modern=True, own_meta=encode_own_meta(info))
    else:
        known = first.version in HANDSHAKE_PROTOCOL_VERSIONS
        base |= {
            "protocolVersion": first.version if known else LATEST_HANDSHAKE_VERSION,
            "serverInfo": info,
        }
        described = describe_server(gateway.resolver, base, modern=False)
        result = encode_members(with_chain_answer(described, gateway.loops.position, first.chain))
    return encode_result(encode(first.id), result)


def _handshake(request_id: object, params: Mapping[str, Any]) -> FirstMessage:
    read = types.InitializeRequestParams.model_validate(params, by_name=False)
    chain = chain_of(params.get("_meta"), {})
    return FirstMessage(request_id, read.protocol_version, params["capabilities"], modern=False, chain=chain)


def _modern(request_id: object, params: Mapping[str, Any]) -> FirstMessage | None:
    meta = params.get("_meta")
    if not isinstance(meta, dict) or meta.get(types.PROTOCOL_VERSION_META_KEY) != LATEST_MODERN_VERSION:
        return None
    capabilities: Any = meta.get(types.CLIENT_CAPABILITIES_META_KEY)
    types.ClientCapabilities.model_validate(capabilities, by_name=False)
    types.Implementation.model_validate(meta.get(types.CLIENT_INFO_META_KEY), by_name=False)
    return FirstMessage(request_id, LATEST_MODERN_VERSION, capabilities, modern=True, chain=chain_of(meta, {}))
