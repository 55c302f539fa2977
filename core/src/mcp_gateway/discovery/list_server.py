"""List requests to one server: all pages of every primitive.

The result of its handshake is part of the listing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.listing import CacheHint, Listing
from mcp_gateway.catalog.omissions import Omission
from mcp_gateway.catalog.repair.repairs import repair_lists
from mcp_gateway.client.connection import Connection
from mcp_gateway.client.errors import AskedToWait, SessionLost, error_of_answer
from mcp_gateway.client.pagination import Page, PaginatedList
from mcp_gateway.client.request_timeout import InactivityTimeout
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.primitives import PRIMITIVES, TEMPLATES, TOOLS, Primitive
from mcp_gateway.sessions.attempts import limit_inactivity
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session import Session
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)

_NOT_OF_THE_LIST = (SessionLost, AskedToWait, RequestNotSent)
"""Failures that any request would have met."""

_MAX_ROUNDS = 2 * len(PRIMITIVES)
"""How often a server is listed at most, each time without more of what it failed at."""


class NotListed(ServerUnavailable):
    """The server answers, but does not list all of its tools."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """A fault of a list, after so many pages."""

    pages: int
    reason: str

    def omission(self, primitive: Primitive) -> Omission:
        """Return what is missing for it."""
        missing = f"what follows page {self.pages} is missing: {self.reason}" if self.pages else self.reason
        return Omission(primitive, missing, is_failure=True)


@dataclass(frozen=True, slots=True)
class _Faults:
    """The faults of a server's lists, over several attempts.

    `fatal` ones closed the connection, so that what follows is not requested again. Lists in `failed` have failed once.
    """

    fatal: dict[Primitive, _Fault] = field(default_factory=dict)
    failed: set[Primitive] = field(default_factory=set)


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
    omissions = tuple(omission for page in pages.values() for omission in page.omissions)
    for omission in omissions:
        log.warning("list incomplete", server=spec.name, method=omission.primitive.method, reason=omission.reason)
    lists = {name: tuple(page.items) for name, page in pages.items()}
    return Listing(
        spec.name,
        **lists,
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
        omissions=omissions,
        repairs=await anyio.to_thread.run_sync(repair_lists, lists),
    ).restrict(spec.tool_policy)


async def _list_usable(
    pool: Pool, session_key: SessionKey, capabilities: Mapping[str, Any], *, trial: bool
) -> tuple[Json, dict[str, Page]]:
    """List all primitives, without the parts at which the server fails.

    A failure that concerns one list is followed by another round, also if the configuration wants no retries.
    """
    faults = _Faults()
    for _ in range(_MAX_ROUNDS - 1):
        known = faults.fatal.copy(), faults.failed.copy()
        try:
            return await _list_all(pool, session_key, capabilities, faults, trial=trial)
        except ServerUnavailable:
            if known == (faults.fatal, faults.failed):
                raise
    return await _list_all(pool, session_key, capabilities, faults, trial=trial)


async def _list_all(
    pool: Pool, session_key: SessionKey, capabilities: Mapping[str, Any], faults: _Faults, *, trial: bool
) -> tuple[Json, dict[str, Page]]:
    """Return the `initialize` result and all pages of each primitive.

    The lists at which the server fails are added to `faults`.
    """

    async def fetch_all(session: Session) -> tuple[Json, dict[str, Page]]:
        with limit_inactivity(session) as (connection, inactivity):
            lists = _Lists(connection, inactivity, capabilities, session_key.spec, faults)
            pages = dict[str, Page]()
            for primitive in PRIMITIVES:
                pages[primitive.name] = await lists.fetch(primitive)
                # So a server that ends at several lists is not cut off: it answers in between.
                session.breaker.record_answer()
            return connection.initialize_result, pages

    return await pool.attempts(session_key, repeatable=True, trial=trial).run(fetch_all)


@dataclass(frozen=True, slots=True)
class _Lists:
    """The lists of one server on one connection.

    The server is usable without what follows the first page of its tools. So a list that fails is left out, or what
    follows the pages that came.
    """

    connection: Connection
    inactivity: InactivityTimeout
    capabilities: Mapping[str, Any]
    spec: ServerSpec
    faults: _Faults

    async def fetch(self, primitive: Primitive) -> Page:
        """List one primitive, if declared or tools.

        Tools are requested even if the server does not declare them.
        """
        declared = self.connection.declares(primitive.capability)
        if not declared and primitive is not TOOLS:
            return Page([])
        wanted = PaginatedList(self.connection, primitive, self.capabilities, self.spec.max_definitions)
        if fault := self.faults.fatal.get(primitive):
            wanted.max_pages, wanted.end = fault.pages, fault.omission(primitive)
        try:
            return await self._read_in_time(wanted)
        except MCPError as error:
            optional = primitive is TEMPLATES or not declared
            if error.code == types.METHOD_NOT_FOUND and optional and not wanted.pages:
                return Page([])
            return self._on_answer(wanted, error)
        except ServerUnavailable as error:
            if not isinstance(error, ConnectionDropped) and not self.connection.is_closed:
                raise
            # Everything is requested again on a new connection, without what failed; the second time without the list.
            if not _is_necessary(wanted):
                pages = 0 if primitive in self.faults.fatal else wanted.pages
                self.faults.fatal[primitive] = _Fault(pages, "the server closed the connection instead of answering")
            raise

    def _on_answer(self, wanted: PaginatedList, error: MCPError) -> Page:
        """Handle an error response, of the server or of the transport."""
        failure = error_of_answer("", error)
        if failure is None and not _is_necessary(wanted):
            return self._end(wanted, error.error.message)
        if isinstance(failure, ServerUnavailable) and not isinstance(failure, _NOT_OF_THE_LIST):
            if wanted.primitive in self.faults.failed:
                return self._end(wanted, error.error.message)
            # It may be over at the next attempt.
            if not _is_necessary(wanted):
                self.faults.failed.add(wanted.primitive)
        raise error

    async def _read_in_time(self, wanted: PaginatedList) -> Page:
        """Read a list; give up before all would fail with it."""
        seconds = self.inactivity.seconds / 2
        with anyio.CancelScope() as scope:

            def limit() -> None:
                self.inactivity.reset()
                scope.deadline = anyio.current_time() + seconds

            if not _is_necessary(wanted):
                limit()
            return await wanted.read(limit)
        self.inactivity.reset()
        limit_of_all = self.spec.time_limits.list
        return self._end(wanted, f"no answer within {seconds:g} s, half of {limit_of_all}; {limit_of_all.hint}")

    def _end(self, wanted: PaginatedList, reason: str) -> Page:
        """End a list before its last page."""
        wanted.omissions.append(_Fault(wanted.pages, reason).omission(wanted.primitive))
        return wanted.page()


def _is_necessary(wanted: PaginatedList) -> bool:
    """Whether the server is useless without the next page."""
    return wanted.primitive is TOOLS and not wanted.pages


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
