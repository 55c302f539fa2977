"""Envelopes of modern requests: client identity and capabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import mcp_types as types
from mcp_types.methods import validate_client_request
from mcp_types.version import LATEST_MODERN_VERSION

from mcp_gateway.plugin import Principal
from mcp_gateway.protocol.capabilities import DeclaredCapabilities
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.eras import MODERN_VERSION
from mcp_gateway.protocol.raw_json import Fields
from mcp_gateway.server.clients import RawClient, modern_name

# Each client program has one or two; whoever sends ever new ones must not fill the memory.
_MOST = 1000


@dataclass(slots=True)
class Envelopes:
    """Cache of validated envelopes.

    Clients send the same ones again and again, so each is checked once.
    """

    _known: dict[tuple[bytes, bytes, str], RawClient] = field(default_factory=dict)

    def client(self, meta: Fields, headers: Mapping[str, str] | None, principal: Principal | None) -> RawClient | None:
        """Return the client of a request's `_meta`, or None if invalid."""
        if bytes(meta[types.PROTOCOL_VERSION_META_KEY]) != MODERN_VERSION:
            return None
        declared = bytes(meta.get(types.CLIENT_CAPABILITIES_META_KEY, b"null"))
        info = bytes(meta.get(types.CLIENT_INFO_META_KEY, b"null"))
        key = (declared, info, modern_name(headers, principal))
        client = self._known.get(key)
        if client is None and (capabilities := self._validate(declared, info)) is not None:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = client = RawClient(key[2], capabilities)
        return client

    def _validate(self, declared: bytes, info: bytes) -> DeclaredCapabilities | None:
        """Validate a new envelope with the SDK; None if invalid."""
        meta: Json = {types.PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION}
        try:
            meta[types.CLIENT_CAPABILITIES_META_KEY] = json.loads(declared)
            if info != b"null":
                meta[types.CLIENT_INFO_META_KEY] = json.loads(info)
            validate_client_request("tools/call", LATEST_MODERN_VERSION, {"name": "x", "_meta": meta})
        except (ValueError, RecursionError):
            return None
        return DeclaredCapabilities(meta[types.CLIENT_CAPABILITIES_META_KEY])


def headers_match(headers: Mapping[str, str], method: str, name: str | None) -> bool:
    """Whether a modern request's headers match its body.

    Headers that would need further checks count as a mismatch.
    """
    return (
        headers.get("mcp-protocol-version") == LATEST_MODERN_VERSION
        and headers.get("mcp-method") == method
        # Encoded names (=?base64?...?=) are unequal here, and left to the SDK.
        and headers.get("mcp-name") == name
        and "mcp-param-" not in ",".join(headers)
    )
