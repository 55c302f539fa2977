"""List requests to one server: all pages of every primitive.

The result of its handshake is part of the listing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.listing import CacheHint, Listing
from mcp_gateway.client.connection import Connection
from mcp_gateway.client.errors import error_of_answer
from mcp_gateway.client.pagination import Page, list_all
from mcp_gateway.client.request_timeout import InactivityTimeout
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import ConnectionDropped, ServerUnavailable
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.primitives import PRIMITIVES, TEMPLATES, TOOLS, Primitive
from mcp_gateway.sessions.attempts import limit_inactivity
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)


class NotListed(ServerUnavailable):
    """The server answers, but does not list its tools."""


async def list_server(
    pool: Pool, spec: ServerSpec, session_key: SessionKey, capabilities: Mapping[str, Any], *, trial: bool = False
) -> Listing:
    """List all primitives of a server for a session key.

    `capabilities` are the client capabilities that the server is given. The listing is returned, not stored.
    """
    try:
        initialize_result, pages = await _list_usable(pool, session_key, capabilities, trial=trial)
    except MCPError as error:
        raise NotListed(
            f"server {spec.name!r} did not list its tools: {error.error.message} ({error.error.code})"
        ) from error
    if cut := [name for name, page in pages.items() if page.cut]:
        log.warning("list truncated", server=spec.name, primitives=cut, hint="raise GATEWAY_MAX_DEFINITIONS")
    return Listing(
        spec.name,
        **{name: tuple(page.items) for name, page in pages.items()},
        description=_description(initialize_result),
        initialize_result=initialize_result,
        client_capabilities=capabilities,
        hints={name: CacheHint(page.ttl_ms, page.scope) for name, page in pages.items() if page.ttl_ms and page.scope},
        fetched=time.time(),
        namespace=spec.namespace,
        max_name=spec.max_name,
        withheld={},
        refused=(),
        forbidden=(),
        idle_globs=(),
    ).restrict(spec.tool_policy)


async def _list_usable(
    pool: Pool, session_key: SessionKey, capabilities: Mapping[str, Any], *, trial: bool
) -> tuple[Json, dict[str, Page]]:
    """List all primitives, without those at which the server closes the connection."""
    closing: set[str] = set()
    try:
        return await _list_all(pool, session_key, capabilities, closing, trial=trial)
    except ServerUnavailable:
        if not closing:
            raise
    # Also if the configuration wants no retries: this one leaves out what failed.
    return await _list_all(pool, session_key, capabilities, closing, trial=trial)


async def _list_all(
    pool: Pool, session_key: SessionKey, capabilities: Mapping[str, Any], closing: set[str], *, trial: bool
) -> tuple[Json, dict[str, Page]]:
    """Return the `initialize` result and all pages of each primitive.

    The lists at which the server closes the connection are added to `closing`.
    """
    max_definitions = session_key.spec.max_definitions
    async for attempt in pool.attempts(session_key, repeatable=True, trial=trial):
        async with attempt as session:
            with limit_inactivity(session) as (connection, inactivity):
                lists = _Lists(connection, inactivity, capabilities, max_definitions, session_key.spec.name, closing)
                pages = {primitive.name: await lists.fetch(primitive) for primitive in PRIMITIVES}
                return connection.initialize_result, pages
    raise AssertionError  # the last attempt returns or raises


@dataclass(frozen=True, slots=True)
class _Lists:
    """The lists of one server on one connection.

    The server is usable without the lists other than that of its tools, so one that fails is left out, with a warning.
    """

    connection: Connection
    inactivity: InactivityTimeout
    capabilities: Mapping[str, Any]
    max_definitions: int
    server: str
    closing: set[str]
    """Lists at which the server closed the connection in an earlier attempt; they are not requested again."""

    async def fetch(self, primitive: Primitive) -> Page:
        """List one primitive, if declared or tools.

        Tools are requested even if the server does not declare them.
        """
        declared = self.connection.declares(primitive.capability)
        if primitive is TOOLS:
            return await self._fetch_tools(declared=declared)
        return await self._fetch_declared(primitive) if declared else Page([])

    async def _fetch_declared(self, primitive: Primitive) -> Page:
        if primitive.name in self.closing:
            return self._leave_out(primitive, "the server closed the connection instead of answering")
        try:
            return await self._fetch_in_time(primitive)
        except MCPError as error:
            if error.code == types.METHOD_NOT_FOUND and primitive is TEMPLATES:
                return Page([])
            if error_of_answer("", error) is not None:
                raise
            return self._leave_out(primitive, error.error.message)
        except ServerUnavailable as error:
            if not isinstance(error, ConnectionDropped) and not self.connection.is_closed:
                raise
            # The first time ends the attempt: the rest is requested again on a new connection, without this list.
            if not self.closing:
                self.closing.add(primitive.name)
                raise
            return self._leave_out(primitive, str(error))

    async def _fetch_tools(self, *, declared: bool) -> Page:
        try:
            return await self._request_pages(TOOLS, self.inactivity.reset)
        except MCPError as error:
            if error.code == types.METHOD_NOT_FOUND and not declared:
                return Page([])
            raise

    async def _fetch_in_time(self, primitive: Primitive) -> Page:
        """Request a list; give up before all would fail with it."""
        seconds = self.inactivity.seconds / 2
        with anyio.move_on_after(seconds) as scope:

            def on_page() -> None:
                self.inactivity.reset()
                scope.deadline = anyio.current_time() + seconds

            return await self._request_pages(primitive, on_page)
        self.inactivity.reset()
        return self._leave_out(primitive, f'no answer within {seconds:g} s, half of the server\'s "timeout"')

    async def _request_pages(self, primitive: Primitive, on_page: Callable[[], None]) -> Page:
        return await list_all(self.connection, primitive, on_page, self.capabilities, self.max_definitions)

    def _leave_out(self, primitive: Primitive, reason: str) -> Page:
        log.warning("list failed", server=self.server, method=primitive.method, reason=reason)
        return Page([])


def _description(initialize_result: Mapping[str, Any]) -> str:
    """Return the server's description: `description`, `instructions` or title.

    It is the first of these that is not blank, with white space collapsed.
    """
    meta, info = initialize_result.get("_meta"), initialize_result.get("serverInfo")
    if info is None and isinstance(meta, dict):
        info = meta.get("io.modelcontextprotocol/serverInfo")
    described = info if isinstance(info, dict) else {}
    for text in (described.get("description"), initialize_result.get("instructions"), described.get("title")):
        if isinstance(text, str) and text.strip():
            return " ".join(text.split())
    return ""
