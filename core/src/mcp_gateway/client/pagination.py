"""Paginated list requests, with limits.

A list is read as far as it can be: what is missing is said beside what came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
from mcp.shared.inbound import find_invalid_x_mcp_header
from msgspec import Raw, ValidationError
from msgspec.json import Decoder

from mcp_gateway.catalog.listing import Definition
from mcp_gateway.catalog.omissions import Omission
from mcp_gateway.client.connection import Connection
from mcp_gateway.protocol.encoded_json import EncodedTool
from mcp_gateway.protocol.envelope import ServerError, UnreadableResponse, parse_response
from mcp_gateway.protocol.json_depth import cut_depth, json_depth
from mcp_gateway.protocol.primitives import TOOLS, Primitive
from mcp_gateway.protocol.raw_json import Fields, decode, decode_text, members
from mcp_gateway.protocol.tool_names import MAX_NAME

MAX_DEFINITIONS = 10_000
"""How many tools, prompts or resources one server may list, unless configured otherwise."""

MAX_LIST_BYTES = 64 << 20
"""How many bytes one list of one server may have."""

MAX_PAGES = 1000
"""How many pages a list may have; a server whose list never ends is broken."""

MAX_BARREN_PAGES = 20
"""How many pages in a row may bring nothing new, as those of a server that hides items or ignores the cursor."""

MAX_DEPTH = 124
"""How deep a definition may be nested.

Three more levels are around it in a list. The sum is what clients in Rust read (serde_json refuses 128 levels); the
Python SDK's read 200. A client that meets more loses the whole list.
"""

_READABLE_DEPTH = 160
"""To how many levels a response is cut that is nested too deeply to be read: what is cut is left out anyway."""

_IN_A_THREAD_ITEMS = 50
_IN_A_THREAD_BYTES = 100_000
"""From how many items and bytes on a page is read in a thread, because it would block the event loop."""

_HINTS = ("ttlMs", "cacheScope")
_items = Decoder(list[Raw])


@dataclass(frozen=True, slots=True)
class Page:
    """Items of a list, with its cache hint and its omissions."""

    items: Sequence[Definition]
    ttl_ms: int | None = None
    scope: str | None = None
    omissions: tuple[Omission, ...] = ()


@dataclass(slots=True)
class PaginatedList:
    """A list of a server, read page by page.

    It ends with its last page, at `max_definitions` items, `MAX_LIST_BYTES` bytes or `max_pages` pages, and where it
    begins to repeat itself. Of two items with one name the last counts. `capabilities` are those of the client on
    whose behalf it is requested: a modern server may list more for more capable clients.
    """

    connection: Connection
    primitive: Primitive
    capabilities: Mapping[str, Any] | None = None
    max_definitions: int = MAX_DEFINITIONS
    max_pages: int = MAX_PAGES
    end: Omission | None = None
    """Why the list is not read beyond `max_pages`, if not for its length."""
    pages: int = 0
    omissions: list[Omission] = field(default_factory=list)
    _found: dict[str, Definition] = field(default_factory=dict)
    _last: Fields = field(default_factory=dict)
    _left: int = field(default_factory=lambda: MAX_LIST_BYTES)
    _cursors: set[bytes] = field(default_factory=set)
    _barren: int = 0

    async def read(self, on_page: Callable[[], None]) -> Page:
        """Request all pages that are left; call `on_page` after each.

        Raises:
            ServerError: the server answered with an error, which cannot be taken for the end of the list.
            MCPError: the transport answered in the server's place, by a `TransportFault`.
            ServerUnavailable: a request did not get through, or the connection closed.

        """
        cursor: Any = None
        while self.pages < self.max_pages:
            try:
                page = await self._request(cursor)
            except ServerError:
                # Older servers mean the end of the list by an empty cursor; it is one like others since 2026-07-28.
                if self.pages and not cursor:
                    break
                raise
            cursor = await self._add(page)
            on_page()
            if cursor is None:
                break
        else:
            self.omissions.append(self.end or Omission(self.primitive, f"it is cut after {self.pages} pages"))
        return self.page()

    def page(self) -> Page:
        """Return what has come."""
        ttl, scope = (_read(self._last, name) for name in _HINTS)
        # ttlMs must be at least 0 (specification 2026-07-28, caching); an invalid one is ignored.
        ttl_ms = ttl if isinstance(ttl, int) and ttl >= 0 else None
        items = list(self._found.values())
        return Page(items, ttl_ms, scope if isinstance(scope, str) else None, tuple(self.omissions))

    def omit(self, reason: str, *, is_failure: bool = False) -> None:
        """Note that a part of the list is missing."""
        self.omissions.append(Omission(self.primitive, reason, is_failure))

    async def _request(self, cursor: Any) -> Fields:
        try:
            return await self._request_page({} if cursor is None else {"cursor": cursor})
        except ServerError:
            # Servers that check requests only want a text where they themselves have written a number.
            if not isinstance(cursor, int | float):
                raise
        return await self._request_page({"cursor": str(cursor)})

    async def _request_page(self, params: dict[str, Any]) -> Fields:
        method = self.primitive.method
        response = await self.connection.request_raw(method, params, capabilities=self.capabilities)
        try:
            return parse_response(response)
        except UnreadableResponse:
            cut = await anyio.to_thread.run_sync(cut_depth, response, _READABLE_DEPTH)
            return parse_response(cut)

    async def _add(self, page: Fields) -> Any:
        """Add a page; return the cursor of the next one, or None."""
        before, self._last = len(self._found), {name: page[name] for name in _HINTS if name in page}
        listed = page.get(self.primitive.field, Raw(b"[]"))
        items = _split(listed)
        if len(items) >= _IN_A_THREAD_ITEMS or len(memoryview(listed)) >= _IN_A_THREAD_BYTES:
            found, omitted = await anyio.to_thread.run_sync(self._read_items, items)
        else:
            found, omitted = self._read_items(items)
        self.pages += 1
        self._found |= found
        self.omissions += [Omission(self.primitive, reason) for reason in omitted]
        if self._left < 0 or len(self._found) > self.max_definitions:
            self._cut()
            return None
        return self._next_cursor(page.get("nextCursor"), is_barren=len(self._found) == before)

    def _cut(self) -> None:
        """Cut a list that is too long."""
        # The last page was added as a whole.
        self._found = dict(list(self._found.items())[: self.max_definitions])
        if self._left < 0:
            self.omit(f"it is cut at {MAX_LIST_BYTES >> 20} MiB")
        else:
            self.omit(f"it is cut at {self.max_definitions} definitions; raise GATEWAY_MAX_DEFINITIONS for more")

    def _next_cursor(self, raw: Raw | None, *, is_barren: bool) -> Any:
        if raw is None:
            return None
        try:
            cursor = decode(raw)
        except ValueError as problem:
            self.omit(f"what follows page {self.pages} is missing: its cursor cannot be read: {problem}")
            return None
        self._barren = self._barren + 1 if is_barren else 0
        repeats = bytes(raw) in self._cursors or self._barren >= MAX_BARREN_PAGES
        self._cursors.add(bytes(raw))
        if repeats and cursor:
            self.omit(f"it does not end: it is cut after page {self.pages}, which leads back to what has come")
        return None if repeats or cursor is False else cursor

    def _read_items(self, items: Iterable[Raw]) -> tuple[dict[str, Definition], list[str]]:
        """Return a page's valid definitions, encoded, and what is left out."""
        found, omitted, nameless = dict[str, Definition](), list[str](), 0
        for raw in items:
            self._left -= len(memoryview(raw))
            if self._left < 0:
                break
            definition, reason = self._read_item(raw)
            if reason:
                omitted.append(f"{_name(self.primitive, raw)} is left out: {reason}")
            elif not self.primitive.admits(definition):
                nameless += 1
            else:
                found[definition[self.primitive.key]] = (
                    EncodedTool(definition) if self.primitive is TOOLS else definition
                )
        if nameless:
            omitted.append(f"{nameless} without a {self.primitive.key!r} left out")
        return found, omitted

    def _read_item(self, raw: Raw) -> tuple[Any, str]:
        """Return an item, decoded, and why it is left out."""
        item = bytes(raw)
        if item.count(b"{") + item.count(b"[") > MAX_DEPTH and json_depth(item) > MAX_DEPTH:
            return None, f"it is nested more than {MAX_DEPTH} levels deep"
        try:
            definition = decode(raw)
        except ValueError as problem:
            return None, f"it cannot be read: {problem}"
        # Modern clients must leave out such tools (specification 2026-07-28).
        checked = self.connection.modern and self.primitive is TOOLS and isinstance(definition, dict)
        invalid = find_invalid_x_mcp_header(definition.get("inputSchema")) if checked else None
        return definition, f"its x-mcp-header annotation is invalid: {invalid}" if invalid is not None else ""


def _split(listed: Raw) -> list[Raw]:
    """Return the items of a list; of anything else, none."""
    try:
        return _items.decode(listed)
    except ValidationError:
        return []


def _name(primitive: Primitive, raw: Raw) -> str:
    """Return the quoted name of an item that is left out."""
    try:
        return repr(decode_text(members(raw)[primitive.key])[:MAX_NAME])
    except (ValueError, KeyError):
        return "one without a readable name"


def _read(fields: Fields, name: str) -> Any:
    """Decode a member; None if it cannot be."""
    try:
        return decode(fields[name])
    except (ValueError, KeyError):
        return None
