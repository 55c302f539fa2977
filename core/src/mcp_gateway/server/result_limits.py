"""Result size limits: oversized results fail or are cut.

A cut result is kept whole for a while.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from msgspec import Raw

from mcp_gateway.catalog.resolver import UnknownResource
from mcp_gateway.plugin import Caller, GatewayError
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.raw_json import Fields, decode_members, encode_members, encode_raw
from mcp_gateway.protocol.tool_names import OWN_URIS

PREFIX = OWN_URIS
"""Begins the URI of a result that is kept; the rest cannot be guessed."""

KEPT_SECONDS = 600.0
"""How long a result is kept whole."""

_ENVELOPE = 2000
"""About how many bytes of a result are needed to say where the whole is."""


class ResultTooLarge(GatewayError):
    """A server's result has more bytes than the configuration allows."""

    code = "result_too_large"


@dataclass(frozen=True, slots=True)
class _Kept:
    owner: tuple[object, ...]
    text: str
    kind: str
    size: int
    until: float


@dataclass(slots=True)
class ResultLimits:
    """Limit of results to `max_bytes`, with an overflow store.

    If it `cuts`, it stores the latest whole results, up to `room` bytes.
    """

    max_bytes: int = 32 << 20
    cuts: bool = False
    room: int = 64 << 20
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _size: int = 0

    def limit(self, what: Callable[[], str], result: Fields, caller: Caller) -> Fields:
        """Return a result, cut if it exceeds the limit.

        `what` describes the result and its origin; it is called only if the result is too large.

        Raises:
            ResultTooLarge: it is too large, and cannot be cut.

        """
        size = sum(map(_size_of, result.values()))
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
        # Only texts are cut: half of an image or of a structured result is worth nothing.
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
            UnknownResource: there is none, or none for this caller, or not any more.

        """
        self._forget_old()
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
        self._kept[uri] = _Kept(_owner(caller), text, kind, size, anyio.current_time() + KEPT_SECONDS)
        self._size += size
        self._forget_old()
        return uri, kind

    def _forget_old(self) -> None:
        """Evict expired results, and the oldest beyond the limit."""
        while self._kept and (self._size > self.room or next(iter(self._kept.values())).until < anyio.current_time()):
            self._size -= self._kept.popitem(last=False)[1].size


def _size_of(raw: Raw) -> int:
    return len(memoryview(raw))


def result_of(tool: str, server: str | None) -> str:
    """Say what it is that is too large."""
    return f"the result of the tool {tool!r}" + (f" of server {server!r}" if server else "")


def _owner(caller: Caller) -> tuple[object, ...]:
    return (caller.principal, caller.client)


def _is_text(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)


def _truncate(text: str, max_bytes: int) -> str:
    """Truncate a text to `max_bytes` of JSON."""
    shown = text.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")
    # Escapes make a text longer in JSON than it is.
    while len(json.dumps(shown)) > max_bytes and shown:
        shown = shown[: len(shown) * max_bytes // len(json.dumps(shown))]
    return shown
