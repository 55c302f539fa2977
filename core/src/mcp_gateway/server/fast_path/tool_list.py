"""Cached `tools/list` results as bytes.

Thousands of definitions are encoded once for each catalog, not for each client.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.plugin import Caller
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.server.tools import Tools


@dataclass(slots=True)
class ToolLists:
    """Cache of encoded tool lists that all callers share.

    `_of` holds the objects that the bytes were made from.
    """

    gateway: Gateway
    tools: Tools
    _of: tuple[object, ...] = ()
    _written: dict[bool, bytes] = field(default_factory=dict)

    def members(self, caller: Caller, *, modern: bool) -> list[bytes] | None:
        """Return the encoded members of a `tools/list` result.

        None if the caller's list may differ from the cached one.
        """
        gateway = self.gateway
        gateway.discovery.refresh_stale(caller)
        resolver = gateway.resolver
        if gateway.discovery.running or resolver.varies_by_caller(TOOLS):
            return None
        of = (gateway.registry.catalog, gateway.registry.specs, self.tools.own)
        # By identity: catalogs are replaced, never changed, and comparing would cost what is saved.
        if len(self._of) != len(of) or any(now is not then for now, then in zip(of, self._of, strict=True)):
            self._written, self._of = {}, of
        if modern not in self._written:
            members = b",".join(map(_json, self.tools.list_definitions(resolver, modern=modern)))
            self._written[modern] = b"[%b]" % members
        hint = resolver.cache_hint(TOOLS) if modern else {}
        hints = (b",%b:%b" % (_json(name), _json(value)) for name, value in hint.items())
        return [b'"tools":', self._written[modern], *hints]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
