"""HTTP headers by which servers and proxies route requests."""

from __future__ import annotations

from collections.abc import Mapping

from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
    mcp_param_headers,
)
from mcp_types.version import LATEST_MODERN_VERSION

from mcp_gateway.protocol.client_channel import Json

Mirrored = Mapping[tuple[str, ...], str]
"""Paths of arguments, with the headers that repeat them."""


def version_headers(version: str) -> Mapping[str, str]:
    """Return the headers of a handshake-era request; none before the handshake."""
    return {MCP_PROTOCOL_VERSION_HEADER: version} if version else {}


def routing_headers(method: str, params: Json, mirrored: Mirrored | None) -> dict[str, str]:
    """Return the headers of a modern request.

    They repeat some of its body.

    A modern server rejects headers that differ from the body (-32020, specification 2026-07-28).
    """
    headers = {MCP_PROTOCOL_VERSION_HEADER: LATEST_MODERN_VERSION, MCP_METHOD_HEADER: method}
    name = params.get("taskId" if method.startswith("tasks/") else NAME_BEARING_METHODS.get(method, ""))
    if isinstance(name, str):
        headers[MCP_NAME_HEADER] = encode_header_value(name)
    if mirrored:
        headers |= mcp_param_headers(mirrored, params.get("arguments") or {})
    return headers
