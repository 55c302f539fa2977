"""Result size limits: oversized results fail or are truncated.

The whole of a truncated result is kept for a while, as a resource.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from cachetools import TTLCache

from mcp_gateway.catalog.resolver import UnknownResource
from mcp_gateway.plugin import Caller, GatewayError
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.raw_json import Fields, decode_members, encode_members, encode_raw
from mcp_gateway.protocol.tool_names import OWN_URIS

PREFIX = OWN_URIS
"""The prefix of the URI of a stored result; the rest cannot be guessed."""

KEPT_SECONDS = 600.0
"""How long a whole result is stored."""

_ENVELOPE = 2000
"""Bytes of a truncated result that are reserved for the note on where the whole is."""


class ResultTooLarge(GatewayError):
    """A server's result with more bytes than the configuration allows."""

    code = "result_too_large"


@dataclass(frozen=True, slots=True)
class _Kept:
    owner: tuple[object, ...]
    text: str
    kind: str
    size: int


@dataclass(slots=True)
class ResultLimits:
    """Limit of results to `max_bytes`, with an overflow store.

    If it `cuts`, it stores whole results, up to `room` bytes; the least recently used ones are evicted.
    """

    max_bytes: int = 32 << 20
    cuts: bool = False
    room: int = 64 << 20
    _kept: TTLCache[str, _Kept] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Create the store of whole results."""
        self._kept = TTLCache(self.room, KEPT_SECONDS, anyio.current_time, lambda kept: kept.size)

    def limit(self, what: Callable[[], str], result: Fields, caller: Caller) -> Fields:
        """Return a result, cut if it exceeds the limit.

        `what` describes the result and its origin; it is called only if the result is too large.

        Raises:
            ResultTooLarge: the result is too large and cannot be truncated.

        """
        size = 0
        for raw in result.values():
            size += len(memoryview(raw))
        return result if size <= self.max_bytes else self._shorten(what(), size, result, caller)

    def _shorten(self, what: str, size: int, whole: Fields, caller: Caller) -> Fields:
        """Cut a result of `size` bytes."""
        if not self.cuts:
            raise ResultTooLarge(
                f"{self._describe_excess(what, size)}; ask for less, raise it, or set GATEWAY_RESULT_OVERFLOW=cut"
            )
        result: Json = decode_members(whole)
        content = result.get("content")
        texts = [block["text"] for block in content if _is_text(block)] if isinstance(content, list) else []
        rest = {key: value for key, value in result.items() if key not in ("content", "structuredContent")}
        others = [block for block in content or () if not _is_text(block)]
        # Only texts are truncated: a part of an image or of a structured result is useless.
        left = self.max_bytes - _ENVELOPE - len(json.dumps([rest, others]))
        if not texts or left < 0 or size > self.room:
            raise ResultTooLarge(f"{self._describe_excess(what, size)}, and cannot be cut; ask for less, or raise it")
        uri, kind = self._keep(result, texts, size, caller)
        shown = _truncate("\n".join(texts), left)
        note = f"[The result was cut: it has {size} bytes. For ten minutes all of it is the resource {uri}]"
        link = {"type": "resource_link", "uri": uri, "name": f"all of {what}", "mimeType": kind, "size": size}
        cut = [{"type": "text", "text": shown}, *others, {"type": "text", "text": note}, link]
        return {**encode_members(rest), "content": encode_raw(cut)}

    def read(self, uri: str, caller: Caller) -> Fields:
        """Handle `resources/read` of a stored result, for its recipient only.

        Raises:
            UnknownResource: the result does not exist, belongs to another caller, or has expired.

        """
        kept = self._kept.get(uri)
        if kept is None or kept.owner != _owner(caller):
            raise UnknownResource(f"there is no result {uri!r} (any more): call the tool again")
        return {"contents": encode_raw([{"uri": uri, "mimeType": kept.kind, "text": kept.text}])}

    def _describe_excess(self, what: str, size: int) -> str:
        return f"{what} has {size} bytes, more than the {self.max_bytes} of GATEWAY_MAX_RESULT_BYTES"

    def _keep(self, result: Mapping[str, Any], texts: list[str], size: int, caller: Caller) -> tuple[str, str]:
        """Store a whole result; return its URI and media type.

        A result of one text is stored as that text.
        """
        is_text = len(texts) == len(result["content"]) == 1
        text = texts[0] if is_text else json.dumps(result, ensure_ascii=False)
        kind, uri = "text/plain" if is_text else "application/json", f"{PREFIX}{secrets.token_urlsafe(24)}"
        self._kept[uri] = _Kept(_owner(caller), text, kind, size)
        return uri, kind


def result_of(tool: str, server: str | None) -> str:
    """Describe a result and its origin."""
    return f"the result of the tool {tool!r}" + (f" of server {server!r}" if server else "")


def _owner(caller: Caller) -> tuple[object, ...]:
    return (caller.principal, caller.client)


def _is_text(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)


def _truncate(text: str, max_bytes: int) -> str:
    """Truncate a text to `max_bytes` of JSON."""
    shown = text.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")
    # In JSON a text may be longer, because of escapes.
    while len(json.dumps(shown)) > max_bytes and shown:
        shown = shown[: len(shown) * max_bytes // len(json.dumps(shown))]
    return shown
