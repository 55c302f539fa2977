"""Capabilities that clients declare, with their encodings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mcp_gateway.protocol.raw_json import encode


class DeclaredCapabilities(dict[str, Any]):
    """Capabilities that many requests declare alike, encoded once.

    They are not changed.
    """

    __slots__ = ("canonical", "encoded")

    def __init__(self, capabilities: Mapping[str, Any]) -> None:
        """Encode `capabilities`."""
        super().__init__(capabilities)
        self.encoded = encode(self)
        self.canonical = _encode_canonically(self)


def encode_capabilities(capabilities: Mapping[str, Any]) -> str:
    """Encode capabilities canonically.

    Equal capabilities result in equal texts, no capabilities in the empty text.
    """
    if isinstance(capabilities, DeclaredCapabilities):
        return capabilities.canonical
    return _encode_canonically(capabilities)


def decode_capabilities(capabilities: str) -> dict[str, Any]:
    """Decode what `encode_capabilities` returned."""
    found: dict[str, Any] = json.loads(capabilities) if capabilities else {}
    return found


def capabilities_json(capabilities: Mapping[str, Any]) -> bytes:
    """Return capabilities as JSON."""
    return capabilities.encoded if isinstance(capabilities, DeclaredCapabilities) else encode(dict(capabilities))


def widens(capabilities: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether `capabilities` contain all of `others`, and more."""
    mine, theirs = set(_paths(capabilities)), set(_paths(others))
    return mine > theirs


def _encode_canonically(capabilities: Mapping[str, Any]) -> str:
    return json.dumps(capabilities, sort_keys=True, separators=(",", ":")) if capabilities else ""


def _paths(value: Mapping[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    for key, inner in value.items():
        yield (*above, key)
        if isinstance(inner, Mapping):
            yield from _paths(inner, *above, key)
