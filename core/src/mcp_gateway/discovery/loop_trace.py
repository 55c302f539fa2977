"""Traces: requests that find loops through other gateways.

A gateway asks each gateway behind it to look for it, and that one asks those behind it. The request that comes back
shows a loop; whichever gateway is the last to connect finds it, because then all other connections are there.
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

from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import LONGEST_PAUSE
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.discovery.scheduler import RefreshScheduler
from mcp_gateway.loops.chain import LOOP, Chain, Position, is_gateway
from mcp_gateway.loops.errors import GatewayLoop
from mcp_gateway.plugin import ANONYMOUS, GatewayError
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.runtime.backoff import Backoff
from mcp_gateway.sessions.credentials import CredentialResolver
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)

TRACE_METHOD = "mcp-orchestration-gateway/trace"
"""The request that gateways send each other; no other server gets it."""

MAX_STEPS = 16
"""Through how many gateways a trace goes."""

_TRACE_SECONDS = 3.0
"""How long a trace may take; each gateway on its way waits a little shorter than the one before."""

_SECOND_LOOK_SECONDS = 1.0
_MAX_SEEN = 1000


@dataclass(slots=True)
class LoopTracer:
    """Tracer of loops from this gateway through those behind it."""

    position: Position
    pool: Pool
    access: CredentialResolver
    registry: Registry
    _gateways: set[str] = field(default_factory=set)
    _seen: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_SEEN), repr=False)

    async def check(self, session_key: SessionKey, *, trial: bool = False) -> None:
        """Connect to a server, and find out whether it leads back here.

        Raises:
            GatewayLoop: it does.
            GatewayError: the session could not be opened.

        """
        server = session_key.spec.name
        if not await self._is_gateway(session_key, trial=trial):
            self._gateways.discard(server)
            return
        # Before it is traced: of two gateways that connect to each other at once, one finds the other's connection.
        self._gateways.add(server)
        loop = await self._find_loop(session_key)
        if loop and min(loop) != str(self.position.hop):
            # Of several gateways that find the same loop at once, the first one by its hop opens it.
            self._gateways.discard(server)
            await anyio.sleep(_SECOND_LOOK_SECONDS)
            self._gateways.add(server)
            loop = await self._find_loop(session_key)
        if loop:
            self._gateways.discard(server)
            self.pool.close_idle(self.pool.breakers.breaker_of(session_key.spec))
            raise GatewayLoop(LOOP, server)

    async def answer(self, params: Mapping[str, Any]) -> Json:
        """Answer a trace: what it found here, and behind this gateway."""
        chain, trace, steps = Chain.parse(params.get("chain")), params.get("trace"), params.get("steps")
        if chain.find(self.position.hop) is not None:
            return {"loop": [str(self.position.hop)]}
        if not chain.hops or not isinstance(trace, str) or not isinstance(steps, int) or trace in self._seen:
            return {"loop": []}
        self._seen.append(trace[:64])
        loop = await self._forward({"chain": str(chain), "trace": trace, "steps": steps + 1}) if steps >= 0 else []
        return {"loop": [*loop, str(self.position.hop)] if loop else []}

    async def _is_gateway(self, session_key: SessionKey, *, trial: bool) -> bool:
        async for attempt in self.pool.attempts(session_key, repeatable=True, trial=trial):
            async with attempt as session:
                return session.connection is not None and is_gateway(session.connection.initialize_result)
        return False

    async def _forward(self, params: Json) -> list[str]:
        """Pass a trace on to all gateways behind this one."""
        found: list[list[str]] = []
        if params["steps"] >= MAX_STEPS:
            return []

        async def ask(spec: ServerSpec) -> None:
            try:
                loop = await self.access.with_credentials(spec, ANONYMOUS, lambda key: self._send(key, params))
            except GatewayError as error:
                log.debug("trace failed", server=spec.name, reason=str(error))
            else:
                found.extend([loop] if loop else [])

        async with anyio.create_task_group() as tasks:
            for server in self._gateways & self.registry.specs.keys():
                tasks.start_soon(ask, self.registry.specs[server])
        return found[0] if found else []

    async def _find_loop(self, session_key: SessionKey) -> list[str]:
        """Return the gateways of a loop through a server."""
        trace = uuid.uuid4().hex
        self._seen.append(trace)
        try:
            return await self._send(session_key, {"chain": str(self.position.chain), "trace": trace, "steps": 0})
        except GatewayError as error:
            log.debug("trace failed", server=session_key.spec.name, reason=str(error))
            return []

    async def _send(self, session_key: SessionKey, params: Json) -> list[str]:
        with anyio.move_on_after(_TRACE_SECONDS * (1 - params["steps"] / (MAX_STEPS + 1))):
            async for attempt in self.pool.attempts(session_key, repeatable=True, trial=True):
                async with attempt as session:
                    if session.connection is not None:
                        return _read_loop(await _request(session.connection.request(TRACE_METHOD, params)))
        return []


def leave_out(spec: ServerSpec, error: GatewayLoop, registry: Registry, scheduler: RefreshScheduler) -> None:
    """Leave a server out that leads back here.

    It is tried again after a while, because the loop may have been opened elsewhere.
    """
    if registry.is_current(spec):
        scheduler.pause((spec.name, None), Backoff(LONGEST_PAUSE, jitter=(0.5, 1.0)).next_delay())
        registry.withdraw(spec.name, error.words)
        log.warning("server left out", server=spec.name, reason=error.words)


async def _request(answer: Any) -> Json:
    """Return the answer to a trace; empty if unknown."""
    try:
        result: Json = await answer
    except MCPError:
        return {}
    return result


def _read_loop(answer: Json) -> list[str]:
    loop = answer.get("loop")
    hops = loop if isinstance(loop, list) else []
    return [hop for hop in hops[: MAX_STEPS + 1] if Chain.parse(hop).hops]
