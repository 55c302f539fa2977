"""Transports of entries: their many spellings, and what contradicts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_gateway.text.suggestions import suggest_word

_TRANSPORTS = {
    "stdio": "stdio",
    "local": "stdio",
    "command": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamablehttp": "http",
    "streamable_http": "http",
    "http-stream": "http",
    "httpstream": "http",
    "remote": "http",
    "sse": "sse",
    "http+sse": "sse",
    "http-sse": "sse",
    "http_sse": "sse",
}
_BUILT_IN = {
    **dict.fromkeys(("builtin", "platform", "frontend", "inline_python", "sdk"), "a part"),
    "extension": "an extension",
}
_WAYS = ("command", "url")
_NEEDS = 'it needs "command", the program to start (stdio), or "url", where it is (HTTP)'


def settle_socket(keys: dict[str, Any]) -> None:
    """Settle the address of a Unix socket: `unix:///path#/mcp`."""
    url = keys.get("url")
    if isinstance(url, str) and url.startswith("unix:"):
        path, _, target = url.removeprefix("unix:").partition("#")
        keys["socket"] = path.removeprefix("//")
        keys["url"] = f"http://localhost/{target.removeprefix('/')}"


def settle_extension(keys: dict[str, Any]) -> None:
    """Settle an entry of Zed without a command, which an extension starts."""
    if (keys.get("source") == "extension" or "settings" in keys) and not any(way in keys for way in _WAYS):
        keys["type"] = "extension"


def find_transport_problem(keys: Mapping[str, Any]) -> str:
    """Explain why an entry's transport is ambiguous or missing.

    The text is empty if the transport is clear.
    """
    if keys.get("enabled") is False:
        return ""
    kind = keys.get("transport", keys.get("type"))
    if isinstance(kind, str) and kind.lower() in _BUILT_IN and not any(way in keys for way in _WAYS):
        return f"it is {_BUILT_IN[kind.lower()]} of that program, which only that program can start"
    ways = [key for key in (*_WAYS, "transport", "type", "transportType") if key in keys]
    if ways == [*_WAYS]:
        return 'it has both "command" and "url"; remove one of them'
    if ways:
        return ""
    near = [f"; nobody reads the key {key!r}{meant}" for key in keys if (meant := suggest_word(key, _WAYS))]
    return f"{_NEEDS}{''.join(near)}"


def settle_contradiction(keys: dict[str, Any], warnings: list[str]) -> str:
    """Settle a type that contradicts the rest: what is there decides."""
    kind = next((keys[key] for key in ("transport", "type", "transportType") if key in keys), None)
    if not isinstance(kind, str):
        return ""
    meant = _TRANSPORTS.get(kind.lower(), kind.lower())
    if meant in {"http", "sse"} and "command" in keys and "url" not in keys:
        found, words = "stdio", "it has a command and no url, so it is started"
    elif meant == "stdio" and "url" in keys and "command" not in keys:
        found, words = "http", "it has a url and no command, so it is reached there"
    elif not any(way in keys for way in _WAYS) and meant in {"stdio", "http", "sse"}:
        return "" if keys.get("enabled") is False else _NEEDS
    else:
        return ""
    warnings.append(f"its type is {kind!r}, but {words}")
    for key in ("type", "transportType"):
        keys.pop(key, None)
    keys["transport"] = found
    return ""


def with_transport(keys: dict[str, Any]) -> dict[str, Any]:
    """Normalize `transport`, or infer it from `command` or `url`.

    Every common spelling of `transport` and `type` is accepted.
    """
    spelled = [keys.pop(key, None) for key in ("type", "transportType")]
    transport = keys.get("transport")
    if transport is None:
        transport = next((kind for kind in spelled if kind is not None), None)
    if isinstance(transport, str):
        keys["transport"] = _TRANSPORTS.get(transport.lower(), transport)
    elif transport is not None:
        keys["transport"] = transport
    else:
        keys["transport"] = "stdio" if "command" in keys else "http"
    return keys
