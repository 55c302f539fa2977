"""Session pool: equal credentials share a session, others never do."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.connection import Peer
from mcp_gateway.client.errors import NoLongerConfigured
from mcp_gateway.client.request_timeout import Patience
from mcp_gateway.client.server_messages import Audience
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.plugin import ClientTransport, NotSent, ServerUnavailable
from mcp_gateway.protocol.client_channel import Interaction, Json, thawed
from mcp_gateway.sessions.admission import Load, Overloaded
from mcp_gateway.sessions.circuit_breaker import Breaker, Breakers
from mcp_gateway.sessions.errors import failure_of, lateness
from mcp_gateway.sessions.retry import Repetition
from mcp_gateway.sessions.session import CLOSE_SECONDS, Keeper, finish
from mcp_gateway.sessions.session_key import Borrower, Sharing

log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")
UseFn = Callable[[Peer, Patience], Awaitable[ResultT]]


@dataclass(slots=True)
class Pool:
    """Every open session, each in a keeper's task.

    `on_announced` hears what servers announce; `way_to` finds the way to a client beside
    its requests; `is_current` says whether a server is still configured so. Beyond `max_sessions` of
    one server the longest unused one is closed.
    """

    tasks: TaskGroup
    client_transports: Mapping[str, ClientTransport]
    idle_timeout: float
    load: Load = field(default_factory=Load)
    max_sessions: int = 100
    on_announced: list[Callable[[Borrower, str, Json], None]] = field(default_factory=list)
    way_to: Callable[[str], Interaction | None] = lambda _: None
    is_current: Callable[[ServerSpec], bool] = lambda _: True
    breakers: Breakers = field(default_factory=Breakers, repr=False)
    _shared: Sharing = field(default_factory=Sharing)
    _kept: set[Keeper] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Let sharing know which clients are one person each."""
        self._shared.is_one = lambda client: self.way_to(client) is not None
        self.breakers.on_open = self._cut_off

    async def lend(
        self,
        borrower: Borrower,
        use: UseFn[ResultT],
        *,
        repeatable: bool = False,
        trial: bool = False,
        repetition: Repetition | None = None,
    ) -> ResultT:
        """Call `use` with a session, opening it if necessary.

        A `trial` is let through even if the circuit is open.

        What was not carried out is tried again, and so is what is `repeatable` if the connection broke. `repetition`
        knows what was sent before.

        Raises:
            CutOff: the server has failed several times, and is not tried at this moment.
            ServerUnavailable: the session cannot be opened, or closed under the borrower.
            Overloaded: the server has as many sessions as it may have, all in use.
            ServerTimeout: the server was silent for the server's `timeout`.
            AuthError: the server refused the credentials.
            MCPError: the server answered with an error of its own.

        """
        breaker = self.breakers.of(borrower.spec)
        repetition = repetition or Repetition(borrower.spec, repeatable=repeatable)
        breaker.check(trial=trial)
        while True:
            try:
                return await self._lend_once(borrower, use)
            except ServerUnavailable as failure:
                pause = repetition.pause(failure)
                if pause is None:
                    if isinstance(failure, NotSent):
                        breaker.failed(failure)
                    raise
                log.info("sending a request again", server=borrower.spec.name, reason=str(failure), pause=pause)
            await anyio.sleep(pause)

    def direct(self, borrower: Borrower) -> Keeper | None:
        """Return the open session if it supports raw requests, else None."""
        keeper = self._shared.keepers.get(self._shared.key(borrower))
        if keeper is None or keeper.peer is None or keeper.peer.wire is None or keeper.breaker.is_open:
            return None
        return keeper

    def known_modern(self, spec: ServerSpec) -> bool:
        """Whether a server is known to be of the modern era."""
        return self._shared.modern.get(spec.name) is True

    async def is_modern(self, borrower: Borrower) -> bool:
        """Whether the server is modern; opens a session to find out.

        Only if that is not known yet.
        """
        if (known := self._shared.modern.get(borrower.spec.name)) is not None:
            return known
        self.breakers.of(borrower.spec).check()
        async with self._borrowed(borrower) as keeper:
            return (await _opened(keeper)).modern

    async def key(self, borrower: Borrower) -> Borrower:
        """Return the canonical key of the shared session.

        It is equal for all who share the session.
        """
        await self.is_modern(borrower)
        return self._shared.key(borrower)

    def forget_client(self, client: str) -> None:
        """End the sessions that were opened for one client only."""
        for borrower in [borrower for borrower in self._shared.keepers if borrower.client == client]:
            self._drop(borrower)
        for keeper in self._shared.keepers.values():
            keeper.audience.left(client)

    async def want_messages(self, client: str, level: str) -> None:
        """Forward a client's log level to the servers it uses."""
        for keeper in self._used_by(client):
            if keeper.peer is not None:
                await keeper.peer.want_messages(level, fewer=len(keeper.audience.clients) == 1)

    async def tell(self, client: str, method: str) -> None:
        """Notify the servers of a client.

        Only on sessions that no other client uses.
        """
        for keeper in self._used_by(client):
            if keeper.peer is not None and len(keeper.audience.clients) == 1:
                await keeper.peer.tell(method)

    def _used_by(self, client: str) -> list[Keeper]:
        return [keeper for keeper in self._shared.keepers.values() if client in keeper.audience.clients]

    async def finish(self, spec: ServerSpec) -> None:
        """Retire a server's sessions and wait until they are closed.

        They are not lent any more, and each ends once its calls are over.
        """
        self.breakers.retire(spec)
        await finish(self._shared.taken(spec))

    async def close(self) -> None:
        """End every session in order, and wait until all are closed."""
        for keeper in list(self._kept):
            keeper.stop()
        self._shared.keepers.clear()
        with anyio.move_on_after(CLOSE_SECONDS):
            for keeper in list(self._kept):
                await keeper.gone.wait()

    async def _lend_once(self, borrower: Borrower, use: UseFn[ResultT]) -> ResultT:
        async with self._borrowed(borrower) as keeper:
            peer, patience = await _opened(keeper), Patience(borrower.spec.timeout, borrower.spec.max_call_time)
            with patience.waiting():
                try:
                    result = await use(peer, patience)
                except MCPError as error:
                    failure = await failure_of(keeper, error)
                    if failure is None:
                        raise
                    raise failure from error
                keeper.breaker.answered()
                return result
        raise lateness(keeper, borrower.spec, patience)

    @asynccontextmanager
    async def _borrowed(self, borrower: Borrower) -> AsyncIterator[Keeper]:
        """Count a user of the session in and out."""
        key = self._shared.key(borrower)
        keeper = self._shared.keepers.get(key) or self._new(key)
        if borrower.behalf is not None:
            keeper.audience.used_by(borrower.behalf)
        keeper.users += 1
        try:
            yield keeper
        finally:
            keeper.users -= 1
            keeper.used = anyio.current_time()
            self._end_superseded(borrower)

    def _new(self, key: Borrower) -> Keeper:
        if not self.is_current(key.spec):
            raise NoLongerConfigured(key.spec.name)
        self._make_room(key.spec.name)
        spec, breaker = key.spec, self.breakers.of(key.spec)
        own = key.client is not None or bool(key.credentials.pairs)
        keeper = Keeper(
            server=spec.name,
            client_transport=self.client_transports[spec.name],
            credentials=key.credentials,
            timeout=spec.timeout,
            max_retries=0 if breaker.is_open else spec.max_retries,
            idle=self.idle_timeout if own or key.capabilities else math.inf,
            max_calls=spec.max_calls,
            load=self.load,
            attended=not key.credentials.pairs and not spec.stateful,
            audience=Audience(thawed(key.capabilities), self._way_to),
            on_announced=lambda method, params: self._announced(self._shared.key_of(keeper) or key, method, params),
            on_open=lambda peer: self._opened(keeper, peer),
            on_over=self._retire,
            breaker=breaker,
            on_lost=self._give_up,
        )
        keeper.audience.on_asked = lambda attributed: self._shared.asked(keeper, attributed=attributed)
        self._shared.keepers[key] = keeper
        self.tasks.start_soon(self._keep, keeper)
        return keeper

    def _way_to(self, client: str) -> Interaction | None:
        return self.way_to(client)

    def _opened(self, keeper: Keeper, peer: Peer) -> None:
        self._shared.opened(keeper, modern=peer.modern)
        if peer.modern:
            keeper.audience.capabilities = {}  # its era has no questions but in answers
        if (key := self._shared.key_of(keeper)) is not None:
            self._end_superseded(key)

    def _end_superseded(self, borrower: Borrower) -> None:
        if (key := self._shared.superseded(borrower)) is not None:
            self._drop(key)

    async def _keep(self, keeper: Keeper) -> None:
        self._kept.add(keeper)
        try:
            await keeper.keep()
        finally:
            self._kept.discard(keeper)

    def _announced(self, key: Borrower, method: str, params: Json) -> None:
        for tell in self.on_announced:
            tell(key, method, params)

    def _make_room(self, server: str) -> None:
        theirs = [(b, k) for b, k in self._shared.keepers.items() if b.spec.name == server]
        if len(theirs) < self.max_sessions:
            return
        unused = [(keeper.used, borrower) for borrower, keeper in theirs if not keeper.users]
        if not unused:
            setting = "MCP_GATEWAY_MAX_SESSIONS_PER_SERVER"
            raise Overloaded(
                f"server {server!r}: all of its {len(theirs)} sessions are in use ({setting}); try again soon"
            )
        self._drop(min(unused, key=lambda pair: pair[0])[1])

    def _cut_off(self, breaker: Breaker) -> None:
        """Close idle sessions with a server whose circuit has opened.

        This kills a process that hangs.
        """
        theirs = [(key, keeper) for key, keeper in self._shared.keepers.items() if keeper.breaker is breaker]
        for key in [key for key, keeper in theirs if keeper.settled.is_set() and not keeper.users]:
            self._drop(key)

    def _drop(self, key: Borrower) -> None:
        """Stop lending a session and end it."""
        if (keeper := self._shared.keepers.pop(key, None)) is not None:
            keeper.stop()

    def _give_up(self, keeper: Keeper) -> None:
        """Stop lending a session that its server has lost, and end it once its calls are over."""
        if (key := self._shared.key_of(keeper)) is not None:
            del self._shared.keepers[key]
            self.tasks.start_soon(finish, [keeper])

    def _retire(self, keeper: Keeper) -> None:
        """Stop lending a session that is over."""
        if (key := self._shared.key_of(keeper)) is not None:
            del self._shared.keepers[key]


@asynccontextmanager
async def open_pool(
    client_transports: Mapping[str, ClientTransport], idle_timeout: float, load: Load, max_sessions: int
) -> AsyncIterator[Pool]:
    """Open an empty session pool; close all sessions on exit."""
    async with anyio.create_task_group() as tasks:
        pool = Pool(tasks, client_transports, idle_timeout, load, max_sessions)
        try:
            yield pool
        finally:
            with anyio.CancelScope(shield=True):
                await pool.close()
            tasks.cancel_scope.cancel()


async def _opened(keeper: Keeper) -> Peer:
    await keeper.settled.wait()
    if keeper.peer is None:
        raise keeper.error or ServerUnavailable(f"server {keeper.server!r}: the session has just ended; try again")
    return keeper.peer
