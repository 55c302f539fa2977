"""Adaptation of messages to the era of their receiver.

Only the fields in which the eras differ are changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY

from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.encoded_json import read
from mcp_gateway.protocol.implementation import IMPLEMENTATION

OF_ONE_CONNECTION = frozenset(
    {
        types.PROTOCOL_VERSION_META_KEY,
        types.CLIENT_INFO_META_KEY,
        types.CLIENT_CAPABILITIES_META_KEY,
        types.LOG_LEVEL_META_KEY,
        types.SERVER_INFO_META_KEY,
        SUBSCRIPTION_ID_META_KEY,
    }
)
"""The `_meta` keys that concern one connection only and are never passed on."""

_HOP_BY_HOP = frozenset({types.HEADER_MISMATCH, types.UNSUPPORTED_PROTOCOL_VERSION})
"""Errors about the connection between gateway and server, which are meaningless to a client."""

RESOURCE_NOT_FOUND = -32002
"""The handshake era's code for an unknown resource; the modern era uses "invalid params"."""

ENVELOPE = ("resultType", "ttlMs", "cacheScope")
"""The fields that the modern era adds to results."""


def adapt_result(result: Mapping[str, Any], *, modern: bool, server_info: object = IMPLEMENTATION) -> Json:
    """Adapt a result to the client's era.

    The modern era's envelope is added or removed.
    """
    meta = _strip_connection_meta(result.get("_meta"))
    if modern:
        stamped = {**meta, types.SERVER_INFO_META_KEY: server_info}
        return {"resultType": "complete", **result, "_meta": stamped}
    plain = {key: value for key, value in result.items() if key not in ENVELOPE}
    if meta:
        plain["_meta"] = meta
    # Only a `_meta` that became empty is removed: one that the server sent empty stays.
    elif isinstance(result.get("_meta"), dict) and result["_meta"]:
        del plain["_meta"]
    return plain


def adapt_definition(definition: Mapping[str, Any], *, modern: bool) -> Json | None:
    """Adapt a tool definition to the client's era.

    Fields that clients cannot parse are removed.

    None if the definition cannot be adapted: a client that fails to parse one definition drops the whole list.
    """
    definition = read(definition)
    # The root must be an object schema in both eras, although 2026-07-28 permits any keyword below it.
    if not _is_object_schema(definition.get("inputSchema")):
        return None
    return {key: value for key, value in definition.items() if _is_readable(key, value, modern=modern)}


def _is_readable(key: str, value: Any, *, modern: bool) -> bool:
    if value is None:
        return True
    match key:
        case "title" | "description":
            return isinstance(value, str)
        case "annotations" | "_meta":
            return isinstance(value, dict)
        case "outputSchema":
            # Before 2026-07-28 an outputSchema must be an object schema, or the client drops the whole list.
            return isinstance(value, dict) if modern else _is_object_schema(value)
    return True


def _is_object_schema(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "object"


def strip_params(params: Mapping[str, Any]) -> Json:
    """Strip the metadata of the client's connection from params."""
    meta = {key: value for key, value in _strip_connection_meta(params.get("_meta")).items() if key != "progressToken"}
    plain = {key: value for key, value in params.items() if key != "_meta"}
    return {**plain, "_meta": meta} if meta else plain


def adapt_error(error: MCPError, *, modern: bool) -> MCPError:
    """Adapt the code of a server's error to the client's era.

    Some codes exist in only one of the eras.
    """
    code = error.code
    # -32002 must not be emitted any more (specification 2026-07-28).
    if modern and code == RESOURCE_NOT_FOUND:
        code = types.INVALID_PARAMS
    elif not modern and code == types.MISSING_REQUIRED_CLIENT_CAPABILITY:
        code = types.INVALID_REQUEST
    elif code in _HOP_BY_HOP:
        code = types.INTERNAL_ERROR
    return error if code == error.code else MCPError(code, error.error.message, error.error.data)


def _strip_connection_meta(meta: Any) -> Json:
    if not isinstance(meta, dict):
        return {}
    return {key: value for key, value in meta.items() if key not in OF_ONE_CONNECTION}
