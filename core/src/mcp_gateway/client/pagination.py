"""Paginated list requests, with limits.

Items that are not valid definitions are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import structlog
from mcp.shared.inbound import find_invalid_x_mcp_header

from mcp_gateway.catalog.listing import Definition
from mcp_gateway.client.connection import Connection
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.encoded_json import EncodedTool
from mcp_gateway.protocol.json_size import json_size
from mcp_gateway.protocol.primitives import TOOLS, Primitive

log = structlog.get_logger(__name__)

MAX_DEFINITIONS = 10_000
"""How many tools, prompts or resources one server may list, unless configured otherwise."""

MAX_LIST_BYTES = 64 << 20
"""How many bytes one list of one server may have."""

MAX_PAGES = 1000
"""How many pages a list may have; a server whose list never ends is broken."""


_IN_A_THREAD = 50
"""From how many items on a page validation runs in a thread, because it would block the event loop."""


@dataclass(frozen=True, slots=True)
class Page:
    """All items of a list, with its cache hint.

    `cut` is True if the list was longer than a limit.
    """

    items: list[Definition]
    ttl_ms: int | None = None
    scope: str | None = None
    cut: bool = False


async def list_all(
    connection: Connection,
    primitive: Primitive,
    touch: Callable[[], None],
    capabilities: Mapping[str, Any] | None = None,
    max_definitions: int = MAX_DEFINITIONS,
) -> Page:
    """Request all pages of a list; call `touch` after each.

    Invalid items are dropped. The list is cut at `max_definitions` items and `MAX_LIST_BYTES` bytes. `capabilities`
    are those of the client on whose behalf it is requested: a modern server may list more for more capable clients.
    """
    found: list[Definition] = []
    left = MAX_LIST_BYTES
    page: Json = {}
    cursors: set[str] = set()
    while len(cursors) < MAX_PAGES:
        params = {"cursor": page["nextCursor"]} if page else {}
        page = await connection.request(primitive.method, params, capabilities=capabilities)
        touch()
        items, cursor = (
            page.pop(primitive.field, None),
            page.get("nextCursor"),
        )  # popped, because the SDK keeps a reference to the last message
        if isinstance(items, list) and len(items) >= _IN_A_THREAD:
            taken, left = await anyio.to_thread.run_sync(_keep_valid, primitive, items, left, connection.modern)
        else:
            taken, left = _keep_valid(primitive, items, left, connection.modern)
        found += taken
        if left < 0 or len(found) > max_definitions:
            break
        # A repeated cursor would loop for ever.
        if not isinstance(cursor, str) or not cursor or cursor in cursors:
            break
        cursors.add(cursor)
    cut = left < 0 or len(found) > max_definitions
    # The last page was added as a whole and may exceed the limit.
    del found[max_definitions:]
    ttl, scope = page.get("ttlMs"), page.get("cacheScope")
    # ttlMs must be at least 0 (specification 2026-07-28, caching); an invalid one is ignored.
    ttl_ms = ttl if isinstance(ttl, int) and ttl >= 0 else None
    return Page(found, ttl_ms, scope if isinstance(scope, str) else None, cut)


def _keep_valid(primitive: Primitive, items: object, left: int, modern: bool) -> tuple[list[Definition], int]:  # noqa: FBT001  # run_sync takes no keywords
    """Return a page's valid definitions, encoded, and the remaining bytes."""
    left -= json_size(items, left)
    admitted = list(filter(primitive.admits, items if isinstance(items, list) and left >= 0 else []))
    if primitive is not TOOLS:
        return [*admitted], left
    return [*map(EncodedTool, _with_valid_headers(admitted) if modern else admitted)], left


def _with_valid_headers(tools: list[Json]) -> list[Json]:
    """Drop tools with invalid `x-mcp-header` annotations, as modern clients must."""
    valid = [tool for tool in tools if find_invalid_x_mcp_header(tool.get("inputSchema")) is None]
    if len(valid) < len(tools):
        dropped = [tool["name"] for tool in tools if tool not in valid]
        log.warning("tools dropped", tools=dropped, reason="invalid x-mcp-header annotation")
    return valid
