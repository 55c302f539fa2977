"""Adaptation of messages to the era of their receiver.

Only the fields in which the eras differ are changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types.version import LATEST_MODERN_VERSION
from msgspec import Raw

from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.encoded_json import read
from mcp_gateway.protocol.implementation import IMPLEMENTATION
from mcp_gateway.protocol.raw_json import Fields, encode_object, encode_raw, encode_string, is_object, members

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

MODERN_VERSION = encode_string(LATEST_MODERN_VERSION)
"""The version of the modern era, as JSON."""

_COMPLETE = Raw(b'"complete"')


def encode_own_meta(server_info: object) -> Raw:
    """Encode the `_meta` of modern results, which names the server."""
    return encode_raw({types.SERVER_INFO_META_KEY: server_info})


_OUR_META = encode_own_meta(IMPLEMENTATION)

ENVELOPE = ("resultType", "ttlMs", "cacheScope")
"""The fields that the modern era adds to results."""


def adapt_result(result: Fields, *, modern: bool, own_meta: Raw = _OUR_META) -> Fields:
    """Adapt a result to the client's era.

    The modern era's envelope is added or removed. `own_meta` is what a modern result has in its `_meta`.
    """
    raw = result.get("_meta")
    whole = members(raw) if is_object(raw) and raw is not None else {}
    meta = {name: value for name, value in whole.items() if name not in OF_ONE_CONNECTION} if whole else whole
    if modern:
        whole_meta = Raw(encode_object({**meta, **members(own_meta)})) if meta else own_meta
        # A server's own `resultType` comes after, and counts.
        return {"resultType": _COMPLETE, **result, "_meta": whole_meta}
    if meta is whole and result.keys().isdisjoint(ENVELOPE):
        return result
    plain = {name: value for name, value in result.items() if name not in ENVELOPE}
    if meta:
        plain["_meta"] = Raw(encode_object(meta))
    # Only a `_meta` that became empty is removed: one that the server sent empty stays.
    elif whole:
        del plain["_meta"]
    return plain


def adapt_definition(definition: Mapping[str, Any], *, modern: bool) -> Json:
    """Adapt a tool definition to the client's era.

    Before 2026-07-28 an `outputSchema` is a schema of objects, or clients refuse the whole list.
    """
    definition = read(definition)
    schema = definition.get("outputSchema")
    if modern or schema is None or schema.get("type") == "object":
        return definition
    return {key: value for key, value in definition.items() if key != "outputSchema"}


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
