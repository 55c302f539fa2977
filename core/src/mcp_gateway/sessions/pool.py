"""Session pool: equal credentials share a session, others never do."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from mcp_gateway.client.connection import Connection
from mcp_gateway.client.errors import NoLongerConfigured
from mcp_gateway.client.fallback.last_connections import LastConnections
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.time_limits import TimeLimit
from mcp_gateway.plugin import ClientTransport
from mcp_gateway.protocol.capabilities import decode_capabilities
from mcp_gateway.protocol.client_channel import ClientChannel, Json
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.runtime.shutdown import SESSION_SECONDS
from mcp_gateway.sessions.admission import AdmissionControl, Overloaded
from mcp_gateway.sessions.attempts import Attempts
from mcp_gateway.sessions.circuit_breaker import Breakers, CircuitBreaker
from mcp_gateway.sessions.retry import RetryPolicy
from mcp_gateway.sessions.session import Session
from mcp_gateway.sessions.session_key import SessionIndex, SessionKey, finish

_UPDATED = "notifications/resources/updated"


@dataclass(slots=True)
class Pool:
    """Pool of all open sessions.

    `way_to` returns the channel to a client that is independent of its requests. When a server has more than
    `max_sessions` sessions, the one that has been idle longest is closed. `chain` are the gateways in front of servers.
    """

    tasks: TaskGroup
    client_transports: Mapping[str, ClientTransport]
    idle_timeout: float
    load: AdmissionControl = field(default_factory=AdmissionControl)
    max_sessions: int = 100
    breakers: Breakers = field(default_factory=Breakers, repr=False)
    connections: LastConnections = field(default_factory=LastConnections)
    way_to: Callable[[str], ClientChannel | None] = lambda _: None
    chain: str = ""
    _shared: SessionIndex = field(default_factory=SessionIndex)
    _kept: set[Session] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Create the session index, which asks `way_to` about clients."""
        self._shared.is_one = lambda client: self.way_to(client) is not None
        self.events.server_down.subscribe(self.close_idle)

    @property
    def events(self) -> GatewayEvents:
        """The gateway's events."""
        return self.breakers.events

    def attempts(
        self,
        session_key: SessionKey,
        *,
        repeatable: bool = False,
        trial: bool = False,
        retry: RetryPolicy | None = None,
        patience: TimeLimit | None = None,
    ) -> Attempts:
        """Return the attempts to send one request, opening sessions if necessary.

        A request that was certainly not executed is retried; a `repeatable` one is also retried when the connection
        broke. `retry` counts earlier attempts. A `trial` is let through even if the circuit is open. `patience` limits
        the wait for a server that starts.

        Raises:
            CircuitOpen: the server has failed several times in a row and is not tried now.

        """
        breaker = self.breakers.breaker_of(session_key.spec)
        breaker.check(trial=trial)
        retry = retry or RetryPolicy(session_key.spec, repeatable=repeatable)
        shared = self._shared.find_first_start
        return Attempts(retry, breaker, session_key, self._borrow, self._give_back, shared, patience)

    @contextmanager
    def session(self, session_key: SessionKey) -> Iterator[Session]:
        """Lend a session, which may still be opening.

        Raises:
            NoLongerConfigured: the server was removed or changed meanwhile.
            Overloaded: the server has its maximum of sessions, all in use.

        """
        session = self._borrow(session_key)
        try:
            yield session
        finally:
            self._give_back(session_key, session)

    def _borrow(self, session_key: SessionKey) -> Session:
        key = self._shared.key(session_key)
        session = self._shared.sessions.get(key) or self._new(key)
        if session_key.behalf is not None:
            session.router.add_client(session_key.behalf)
        session.users += 1
        return session

    def _give_back(self, session_key: SessionKey, session: Session) -> None:
        # Also on a session that has closed meanwhile: `finish` waits until the count is zero.
        session.users -= 1
        session.used = time.monotonic()
        # Only a session that the gateway itself has used can be superseded by one that clients use.
        if session_key.behalf is None:
            self._close_superseded(session_key)

    def is_known_modern(self, spec: ServerSpec) -> bool:
        """Whether a server is known to be of the modern era."""
        return self._shared.modern.get(spec.name) is True

    async def is_modern(self, session_key: SessionKey) -> bool:
        """Whether the server is modern; opens a session if that is unknown."""
        if (known := self._shared.modern.get(session_key.spec.name)) is not None:
            return known
        self.breakers.breaker_of(session_key.spec).check()
        patience = session_key.spec.time_limits.call
        if (first := self._shared.find_first_start(session_key)) is not None:
            return (await first.wait_opened(patience)).modern
        with self.session(session_key) as session:
            return (await session.wait_opened(patience)).modern

    async def get_shared_key(self, session_key: SessionKey) -> SessionKey:
        """Return the canonical key of the shared session.

        It is equal for all requests that share the session.
        """
        await self.is_modern(session_key)
        return self._shared.key(session_key)

    def find_start(self, spec: ServerSpec) -> Session | None:
        """Return the session that a server starts for, if none is open."""
        return self._shared.find_start(spec)

    def forget_client(self, client: str) -> None:
        """End the sessions that were opened for one client only."""
        for session_key in [session_key for session_key in self._shared.sessions if session_key.client == client]:
            self._drop(session_key)
        for session in self._shared.sessions.values():
            session.router.remove_client(client)

    async def set_log_level(self, client: str, level: str) -> None:
        """Forward a client's log level to the servers it uses."""
        for session in self._shared.sessions_of(client):
            if session.connection is not None:
                await session.connection.set_log_level(level, fewer=len(session.router.clients) == 1)

    async def notify(self, client: str, method: str) -> None:
        """Notify the servers that no other client uses."""
        for session in self._shared.sessions_of(client):
            if session.connection is not None and len(session.router.clients) == 1:
                await session.connection.notify(method)

    async def close_server(self, spec: ServerSpec) -> None:
        """Retire a server's sessions and wait until they are closed.

        They take no new calls, and each ends when its current calls are done.
        """
        self.breakers.retire(spec)
        await finish(self._shared.remove_server(spec))

    async def close(self) -> None:
        """End every session in order as the gateway ends; wait for that."""
        for session in list(self._kept):
            session.stop(within=SESSION_SECONDS)
        self._shared.sessions.clear()
        with anyio.move_on_after(2 * SESSION_SECONDS):
            for session in list(self._kept):
                await session.gone.wait()

    def _new(self, key: SessionKey) -> Session:
        if not self.breakers.is_current(key.spec):
            raise NoLongerConfigured(key.spec.name)
        self._make_room(key.spec.name)
        spec, breaker = key.spec, self.breakers.breaker_of(key.spec)
        personal = key.client is not None or bool(key.credentials.pairs)
        session = Session(
            server=spec.name,
            client_transport=self.client_transports[spec.name],
            credentials=key.credentials,
            time_limits=spec.time_limits,
            # With an open circuit this is a trial: retries would only delay the expected failure.
            max_retries=0 if breaker.is_open else spec.max_retries,
            idle=self.idle_timeout if personal or key.capabilities else math.inf,
            attended=not key.credentials.pairs and not spec.stateful,
            router=ServerMessageRouter(decode_capabilities(key.capabilities), self._way_to, self.chain),
            on_announced=lambda method, params: self._on_announced(self._shared.key_of(session) or key, method, params),
            on_open=lambda connection: self._on_session_opened(session, connection),
            on_over=self._retire,
            breaker=breaker,
            on_lost=self._give_up,
            initialize_first=self.connections.find(spec).initialize_first,
        )
        session.router.on_asked = lambda attributed: self._shared.on_server_request(session, attributed=attributed)
        if not key.credentials.pairs and not self._shared.has_open(spec):
            self.breakers.states.watch_start(spec.name, session)
        self._shared.sessions[key] = session
        self.tasks.start_soon(self._keep, session)
        return session

    def _way_to(self, client: str) -> ClientChannel | None:
        return self.way_to(client)

    def _on_session_opened(self, session: Session, connection: Connection) -> None:
        self._shared.on_session_opened(session, modern=connection.modern)
        spec = session.breaker.spec
        if self.connections.record(spec, initialize_first=session.initialize_first and not connection.modern):
            self.tasks.start_soon(self.connections.save, spec)
        if connection.modern:
            session.router.capabilities = {}  # modern servers send no requests, but `input_required` results
        if (key := self._shared.key_of(session)) is not None:
            self._close_superseded(key)

    def _close_superseded(self, session_key: SessionKey) -> None:
        if (key := self._shared.find_superseded(session_key)) is not None:
            self._drop(key)

    async def _keep(self, session: Session) -> None:
        self._kept.add(session)
        try:
            await session.keep()
        finally:
            self._kept.discard(session)

    def _on_announced(self, key: SessionKey, method: str, params: Json) -> None:
        if method == _UPDATED:
            self.events.resource_updated.emit(key, params)
        else:
            self.events.server_list_changed.emit(key, method, params)

    def _make_room(self, server: str) -> None:
        if (number := self._shared.count(server)) < self.max_sessions:
            return
        if (unused := self._shared.find_longest_idle(server)) is None:
            setting = "MCP_GATEWAY_MAX_SESSIONS_PER_SERVER"
            raise Overloaded(f"server {server!r}: all of its {number} sessions are in use ({setting}); try again soon")
        self._drop(unused)

    def close_idle(self, breaker: CircuitBreaker) -> None:
        """Close the idle sessions with a server.

        It is a loop, or its circuit has opened. Over stdio that kills a hung process, and the next attempt
        starts a new one.
        """
        theirs = [(key, session) for key, session in self._shared.sessions.items() if session.breaker is breaker]
        for key in [key for key, session in theirs if session.settled.is_set() and not session.users]:
            self._drop(key)

    def _drop(self, key: SessionKey) -> None:
        """Stop lending a session and end it."""
        if (session := self._shared.sessions.pop(key, None)) is not None:
            session.stop()

    def _give_up(self, session: Session) -> None:
        """Stop lending a lost session; close it after its calls."""
        if (key := self._shared.key_of(session)) is not None:
            del self._shared.sessions[key]
            self.tasks.start_soon(finish, [session])

    def _retire(self, session: Session) -> None:
        """Stop lending a session that is over."""
        if (key := self._shared.key_of(session)) is not None:
            del self._shared.sessions[key]


@asynccontextmanager
async def open_pool(
    client_transports: Mapping[str, ClientTransport],
    idle_timeout: float,
    load: AdmissionControl,
    max_sessions: int,
    breakers: Breakers | None = None,
    *,
    chain: str = "",
    connections: LastConnections | None = None,
) -> AsyncIterator[Pool]:
    """Open an empty session pool; close all sessions on exit."""
    async with anyio.create_task_group() as tasks:
        breakers, connections = breakers or Breakers(), connections or LastConnections()
        pool = Pool(tasks, client_transports, idle_timeout, load, max_sessions, breakers, connections, chain=chain)
        try:
            yield pool
        finally:
            # Shielded: each session's scopes must be left by the task that entered them, which takes a moment.
            with anyio.CancelScope(shield=True):
                await pool.close()
            tasks.cancel_scope.cancel()
