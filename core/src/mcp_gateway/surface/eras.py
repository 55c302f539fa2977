"""What a message must look like in the era of the client that reads it; all other fields stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types

from mcp_gateway.version import IMPLEMENTATION

Json = dict[str, Any]

RESERVED = "io.modelcontextprotocol/"
"""Begins the `_meta` keys that concern one connection only and are never passed on."""

_ENVELOPE = ("resultType", "ttlMs", "cacheScope")


def as_result(result: Mapping[str, Any], *, modern: bool) -> Json:
    """Shape a result for a client: the modern era's envelope is put on, or taken off."""
    meta = _passed_on(result.get("_meta"))
    if modern:
        stamped = {**meta, types.SERVER_INFO_META_KEY: IMPLEMENTATION}
        return {"resultType": "complete", **result, "_meta": stamped}
    plain = {key: value for key, value in result.items() if key not in _ENVELOPE}
    if meta:
        plain["_meta"] = meta
    elif isinstance(result.get("_meta"), dict) and result["_meta"]:
        del plain["_meta"]
    return plain


def as_definition(definition: Mapping[str, Any], *, modern: bool) -> Json | None:
    """Shape a tool's definition for a client's list: a field that clients cannot read is taken off.

    None if nothing can be done: a client that cannot read one definition throws the whole list away.
    """
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
            return isinstance(value, dict) if modern else _is_object_schema(value)
    return True


def _is_object_schema(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "object"


def as_params(params: Mapping[str, Any]) -> Json:
    """Shape a client's params for a server: without what concerns the client's own connection."""
    meta = {key: value for key, value in _passed_on(params.get("_meta")).items() if key != "progressToken"}
    plain = {key: value for key, value in params.items() if key != "_meta"}
    return {**plain, "_meta": meta} if meta else plain


def wants_progress(params: Mapping[str, Any]) -> bool:
    """Whether the client asked to hear of the call's progress."""
    meta = params.get("_meta")
    return isinstance(meta, Mapping) and meta.get("progressToken") is not None


def _passed_on(meta: Any) -> Json:
    return {key: value for key, value in meta.items() if not key.startswith(RESERVED)} if isinstance(meta, dict) else {}
