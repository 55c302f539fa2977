"""Active health probes of failed servers, with exponential back-off."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.server_health import State
from mcp_gateway.client.connection import Connection
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.discovery.refresher import Refresher
from mcp_gateway.loops.errors import GatewayLoop
from mcp_gateway.plugin import AuthError, GatewayError, ServerTimeout, ServerUnavailable
from mcp_gateway.runtime.backoff import Backoff
from mcp_gateway.sessions.admission import Overloaded
from mcp_gateway.sessions.attempts import limit_inactivity
from mcp_gateway.sessions.circuit_breaker import CircuitBreaker, CircuitOpen
from mcp_gateway.sessions.session import Session
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0

CALM_SECONDS = 60.0
"""How long a server must stay healthy before its back-off is reset; a server in a crash loop never does."""

KNOCK_SECONDS = 5.0
"""How long a server may take to answer a ping."""


@dataclass(slots=True)
class HealthProber:
    """Prober of failed servers, each in a task of its own."""

    discovery: Refresher = field(repr=False)
    tasks: TaskGroup = field(repr=False)
    _pauses: dict[str, Backoff] = field(default_factory=dict)
    _trying: set[CircuitBreaker] = field(default_factory=set, repr=False)

    def on_server_failed(self, breaker: CircuitBreaker) -> None:
        """Start probing a server that has failed.

        The probe also restarts a crashed process.
        """
        if anyio.current_time() - breaker.answered_at > CALM_SECONDS:
            self._pauses.pop(breaker.server, None)
        if breaker not in self._trying:
            self._trying.add(breaker)
            self.tasks.start_soon(self._run, breaker)

    async def _run(self, breaker: CircuitBreaker) -> None:
        try:
            while breaker.failures and not breaker.retired:
                pause = self._pause(breaker.server)
                breaker.next_try = anyio.current_time() + pause
                with anyio.move_on_after(pause):
                    await breaker.answers.wait()
                    continue
                await self._try(breaker, breaker.spec)
        finally:
            self._trying.discard(breaker)

    def _pause(self, server: str) -> float:
        """Return the delay before the next probe: exponential, with jitter."""
        backoff = self._pauses.setdefault(server, Backoff(FIRST_PAUSE, LONGEST_PAUSE, jitter=(1.0, 1.5)))
        return backoff.next_delay()

    async def _try(self, breaker: CircuitBreaker, spec: ServerSpec) -> None:
        """Probe a server once; any answer counts as success."""
        before = breaker.failures
        try:
            await self._probe(breaker, spec)
        except (CircuitOpen, Overloaded):
            log.debug("health probe skipped", server=spec.name)
        except GatewayLoop:
            breaker.record_answer()
        except ServerUnavailable as error:
            log.debug("health probe failed", server=spec.name, reason=str(error))
            if breaker.failures == before:  # the failure has not been recorded elsewhere
                breaker.record_failure(error)
        except (GatewayError, MCPError):
            breaker.record_answer()
        else:
            breaker.record_answer()

    async def _probe(self, breaker: CircuitBreaker, spec: ServerSpec) -> None:
        """Probe a server: list it, or ping it if already listed.

        If credentials are missing, it is pinged without any: even a rejection shows that it is up.
        """
        discovery = self.discovery
        try:
            if discovery.registry.states.discovery_state(spec.name) is State.READY:
                await discovery.access.with_credentials(spec, discovery.host, self._knock)
            else:
                await discovery.discover(spec, discovery.host, trial=True)
        except AuthError:
            if breaker.failures:  # the error came from the auth plugin, not from the server
                await self._knock(SessionKey(spec))

    async def _knock(self, session_key: SessionKey) -> None:
        await self.discovery.pool.attempts(session_key, repeatable=True, trial=True).run(_ping_session)


async def _ping_session(session: Session) -> None:
    with limit_inactivity(session) as (connection, _):
        await ping(connection)


async def ping(connection: Connection) -> None:
    """Send a ping."""
    with anyio.move_on_after(KNOCK_SECONDS):
        await connection.request("server/discover" if connection.modern else "ping", {})
        return
    raise ServerTimeout(f"it does not even say within {KNOCK_SECONDS:g} s that it is there")
