"""Traces: requests that find loops through other gateways.

A gateway asks each gateway behind it to look for it, and that one asks those behind it. The request that comes back
shows a loop; whichever gateway is the last to connect finds it, because then all other connections are there. A server
that hides gateways, because it is a proxy in front of one, is known by its tools and asked by one of them.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import LONGEST_PAUSE
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.discovery.list_server import list_server
from mcp_gateway.discovery.scheduler import RefreshScheduler
from mcp_gateway.loops.chain import LOOP, Position, is_gateway
from mcp_gateway.loops.errors import GatewayLoop
from mcp_gateway.loops.trace import MAX_STEPS, Trace, find_search_tools, read_loop
from mcp_gateway.plugin import ANONYMOUS, GatewayError
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.runtime.backoff import Backoff
from mcp_gateway.sessions.credentials import CredentialResolver
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session import Session
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)

_TRACE_SECONDS = 3.0
"""How long a trace may take; each gateway on its way waits a little shorter than the one before."""

_SECOND_LOOK_SECONDS = 1.0
_MAX_SEEN = 1000

_BY_REQUEST = ("",)
"""How a gateway is asked that says that it is one: by a request of its own instead of a call of a tool."""


@dataclass(slots=True)
class LoopTracer:
    """Tracer of loops from this gateway through those behind it.

    `_gateways` are the servers that are or hide gateways, each with the tools by which it is asked.
    """

    position: Position
    pool: Pool
    access: CredentialResolver
    registry: Registry
    _gateways: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _seen: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_SEEN), repr=False)

    async def list_server(
        self, spec: ServerSpec, session_key: SessionKey, capabilities: Mapping[str, Any], *, trial: bool = False
    ) -> Listing:
        """List a server, unless it leads back here.

        `capabilities` are the client capabilities that the server is given.

        Raises:
            GatewayLoop: it leads back here.
            GatewayError: it could not be listed.

        """
        if await self._is_gateway(session_key, trial=trial):
            await self._open_loop(session_key, _BY_REQUEST)
            return await list_server(self.pool, spec, session_key, capabilities, trial=trial)
        listing = await list_server(self.pool, spec, session_key, capabilities, trial=trial)
        # A proxy may stand in front of a gateway, and hide its handshake.
        if tools := find_search_tools(listing.tools):
            await self._open_loop(session_key, tools)
        else:
            self._gateways.pop(spec.name, None)
        return listing

    async def answer(self, trace: Trace | None) -> Json:
        """Answer a trace: what it found here, and behind this gateway."""
        if trace is None:
            return {"loop": []}
        if trace.chain.find(self.position.hop) is not None:
            return {"loop": [str(self.position.hop)]}
        if trace.name in self._seen:
            return {"loop": []}
        self._seen.append(trace.name)
        loop = await self._forward(trace.next())
        return {"loop": [*loop, str(self.position.hop)] if loop else []}

    async def _open_loop(self, session_key: SessionKey, tools: tuple[str, ...]) -> None:
        """Trace a server, and leave it if that comes back."""
        server = session_key.spec.name
        # Before it is traced: of two gateways that connect to each other at once, one finds the other's connection.
        self._gateways[server] = tools
        loop = await self._find_loop(session_key, tools)
        if loop and min(loop) != str(self.position.hop):
            # Of several gateways that find the same loop at once, the first one by its hop opens it.
            self._gateways.pop(server, None)
            await anyio.sleep(_SECOND_LOOK_SECONDS)
            self._gateways[server] = tools
            loop = await self._find_loop(session_key, tools)
        if loop:
            self._gateways.pop(server, None)
            self.pool.close_idle(self.pool.breakers.breaker_of(session_key.spec))
            raise GatewayLoop(LOOP, server)

    async def _is_gateway(self, session_key: SessionKey, *, trial: bool) -> bool:
        async def check(session: Session) -> bool:
            return session.connection is not None and is_gateway(session.connection.initialize_result)

        return await self.pool.attempts(session_key, repeatable=True, trial=trial).run(check)

    async def _forward(self, trace: Trace) -> list[str]:
        """Pass a trace on to all gateways behind this one."""
        found: list[list[str]] = []
        if trace.steps >= MAX_STEPS:
            return []

        async def ask(spec: ServerSpec, tools: tuple[str, ...]) -> None:
            try:
                loop = await self.access.with_credentials(spec, ANONYMOUS, lambda key: self._send(key, trace, tools))
            except GatewayError as error:
                log.debug("trace failed", server=spec.name, reason=str(error))
            else:
                found.extend([loop] if loop else [])

        async with anyio.create_task_group() as tasks:
            for server, tools in self._gateways.items():
                if (spec := self.registry.specs.get(server)) is not None:
                    tasks.start_soon(ask, spec, tools)
        return found[0] if found else []

    async def _find_loop(self, session_key: SessionKey, tools: tuple[str, ...]) -> list[str]:
        """Return the gateways of a loop through a server."""
        trace = Trace(self.position.chain, uuid.uuid4().hex)
        self._seen.append(trace.name)
        try:
            return await self._send(session_key, trace, tools)
        except GatewayError as error:
            log.debug("trace failed", server=session_key.spec.name, reason=str(error))
            return []

    async def _send(self, session_key: SessionKey, trace: Trace, tools: tuple[str, ...]) -> list[str]:
        with anyio.move_on_after(_TRACE_SECONDS * (1 - trace.steps / (MAX_STEPS + 1))):
            for tool in tools:
                if loop := await self._ask(session_key, *trace.to_request(tool)):
                    return loop
        return []

    async def _ask(self, session_key: SessionKey, method: str, params: Json) -> list[str]:
        async def ask(session: Session) -> list[str]:
            if session.connection is None:
                return []
            try:
                return read_loop(await session.connection.request(method, params))
            except MCPError:
                return []

        return await self.pool.attempts(session_key, repeatable=True, trial=True).run(ask)


def leave_out(spec: ServerSpec, error: GatewayLoop, registry: Registry, scheduler: RefreshScheduler) -> None:
    """Leave a server out that leads back here.

    It is tried again after a while, because the loop may have been opened elsewhere.
    """
    if registry.is_current(spec):
        scheduler.pause((spec.name, None), Backoff(LONGEST_PAUSE, jitter=(0.5, 1.0)).next_delay())
        registry.withdraw(spec.name, error.words)
        log.warning("server left out", server=spec.name, reason=error.words)
