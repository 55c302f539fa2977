"""List requests to one server: all pages of every primitive.

The result of its handshake is part of the listing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.listing import CacheHint, Listing
from mcp_gateway.client.connection import Connection
from mcp_gateway.client.errors import error_of_answer
from mcp_gateway.client.pagination import Page, list_all
from mcp_gateway.client.request_timeout import InactivityTimeout
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import ServerUnavailable
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
        initialize_result, pages = await _list_all(pool, session_key, capabilities, spec.max_definitions, trial=trial)
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
        withheld={},
        refused=(),
    )


async def _list_all(
    pool: Pool, session_key: SessionKey, capabilities: Mapping[str, Any], max_definitions: int, *, trial: bool
) -> tuple[Json, dict[str, Page]]:
    """Return the `initialize` result and at most `max_definitions` definitions per primitive."""
    async for attempt in pool.attempts(session_key, repeatable=True, trial=trial):
        async with attempt as session:
            with limit_inactivity(session) as (connection, inactivity):
                return connection.initialize_result, {
                    primitive.name: await _list_primitive(
                        connection, primitive, inactivity, capabilities, max_definitions
                    )
                    for primitive in PRIMITIVES
                }
    raise AssertionError  # the last attempt returns or raises


async def _list_primitive(
    connection: Connection,
    primitive: Primitive,
    inactivity: InactivityTimeout,
    capabilities: Mapping[str, Any],
    max_definitions: int,
) -> Page:
    """List one primitive, if declared or tools.

    Tools are requested even if the server does not declare them. A failure to list another primitive is logged and
    does not fail the listing, because the tools are usable without the rest.
    """
    declared = connection.declares(primitive.capability)
    if not declared and primitive is not TOOLS:
        return Page([])
    try:
        return await list_all(connection, primitive, inactivity.reset, capabilities, max_definitions)
    except MCPError as error:
        if error.code == types.METHOD_NOT_FOUND and (primitive is TEMPLATES or not declared):
            return Page([])
        if primitive is TOOLS or error_of_answer("", error) is not None:
            raise
        log.warning("list failed", method=primitive.method, reason=error.error.message)
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
