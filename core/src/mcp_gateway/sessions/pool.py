"""The pool: lends sessions. Callers with equal credentials share one, others never do."""

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

from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.plugin import ClientTransport, Credentials, ServerTimeout, ServerUnavailable
from mcp_gateway.sessions.failures import SessionClosed, SessionLost, of_answer
from mcp_gateway.sessions.keeper import CLOSE_SECONDS, Keeper
from mcp_gateway.sessions.peer import Peer

log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")
Touch = Callable[[], None]
"""What a borrower calls when the server shows that it is still at work: the wait begins anew."""

MAX_SESSIONS = 100
"""How many sessions one server may have; beyond it the longest unused one is closed."""

_LAST_WORDS_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Borrower:
    """For whom a session is: one server, these credentials, and one client if sessions are not shared."""

    spec: ServerSpec
    credentials: Credentials = field(default_factory=Credentials)
    client: str | None = None


@dataclass(slots=True)
class Pool:
    """Every open session, each in a keeper's task. `on_notify` hears which server announced what."""

    tasks: TaskGroup
    client_transports: Mapping[str, ClientTransport]
    idle_timeout: float
    on_notify: list[Callable[[str, str], None]] = field(default_factory=list)
    _keepers: dict[Borrower, Keeper] = field(default_factory=dict)
    _kept: set[Keeper] = field(default_factory=set)

    async def lend(self, borrower: Borrower, use: Callable[[Peer, Touch], Awaitable[ResultT]]) -> ResultT:
        """Let `use` work with the borrower's session, which is opened if need be.

        A session that the server has forgotten is replaced, and `use` runs again: its
        request was not carried out.

        Raises:
            ServerUnavailable: the session cannot be opened, or closed under the borrower.
            ServerTimeout: the server was silent for the server's `timeout`.
            AuthError: the server refused the credentials.
            MCPError: the server answered with an error of its own.

        """
        try:
            return await self._lend_once(borrower, use)
        except SessionLost as lost:
            log.info("session lost; opening another", server=borrower.spec.name, reason=str(lost))
            return await self._lend_once(borrower, use)

    def forget_client(self, client: str) -> None:
        """End the sessions that were opened for one client only."""
        for borrower in [borrower for borrower in self._keepers if borrower.client == client]:
            self._drop(borrower)

    async def close(self) -> None:
        """End every session in order, and wait until all are closed."""
        for borrower in list(self._keepers):
            self._drop(borrower)
        with anyio.move_on_after(CLOSE_SECONDS):
            for keeper in list(self._kept):
                await keeper.gone.wait()

    async def _lend_once(self, borrower: Borrower, use: Callable[[Peer, Touch], Awaitable[ResultT]]) -> ResultT:
        server, timeout = borrower.spec.name, borrower.spec.timeout
        async with self._borrowed(borrower) as keeper:
            peer = await _opened(keeper)
            with anyio.CancelScope(deadline=anyio.current_time() + timeout) as waiting:

                def touch() -> None:
                    waiting.deadline = anyio.current_time() + timeout

                try:
                    return await use(peer, touch)
                except MCPError as error:
                    failure = of_answer(server, error)
                    if failure is None:
                        raise
                    if isinstance(failure, SessionLost):
                        self._drop(borrower, keeper)
                    raise await _last_words(keeper, failure) from error
        raise ServerTimeout(
            f"server {server!r} gave no answer within {timeout:g} s; "
            'raise its "timeout" or MCP_GATEWAY_CONNECTION_TIMEOUT if it needs longer'
        )

    @asynccontextmanager
    async def _borrowed(self, borrower: Borrower) -> AsyncIterator[Keeper]:
        """Count a user of the session in and out."""
        keeper = self._keepers.get(borrower) or self._new(borrower)
        keeper.users += 1
        try:
            yield keeper
        finally:
            keeper.users -= 1
            keeper.used = anyio.current_time()

    def _new(self, borrower: Borrower) -> Keeper:
        self._make_room(borrower.spec.name)
        spec, transport = borrower.spec, self.client_transports[borrower.spec.name]
        own = borrower.client is not None or borrower.credentials.pairs
        keeper = Keeper(
            server=spec.name,
            client_transport=transport,
            credentials=borrower.credentials,
            timeout=spec.timeout,
            max_retries=spec.max_retries,
            idle=self.idle_timeout if own else math.inf,
            on_notify=lambda method, _params: self._notified(spec.name, method),
            on_over=lambda over: self._retire(borrower, over),
        )
        self._keepers[borrower] = keeper
        self.tasks.start_soon(self._keep, keeper)
        return keeper

    async def _keep(self, keeper: Keeper) -> None:
        self._kept.add(keeper)
        try:
            await keeper.keep()
        finally:
            self._kept.discard(keeper)

    def _notified(self, server: str, method: str) -> None:
        for tell in self.on_notify:
            tell(server, method)

    def _make_room(self, server: str) -> None:
        theirs = [(b, k) for b, k in self._keepers.items() if b.spec.name == server]
        if len(theirs) < MAX_SESSIONS:
            return
        unused = [(keeper.used, borrower) for borrower, keeper in theirs if not keeper.users]
        if not unused:
            raise ServerUnavailable(f"server {server!r}: all of its {MAX_SESSIONS} sessions are in use; try again")
        self._drop(min(unused, key=lambda pair: pair[0])[1])

    def _drop(self, borrower: Borrower, keeper: Keeper | None = None) -> None:
        """Stop lending a session and end it; with `keeper`, only if it is that one."""
        found = self._keepers.get(borrower)
        if found is not None and keeper in (None, found):
            del self._keepers[borrower]
            found.stop()

    def _retire(self, borrower: Borrower, keeper: Keeper) -> None:
        """Stop lending a session that is over."""
        if self._keepers.get(borrower) is keeper:
            del self._keepers[borrower]


@asynccontextmanager
async def open_pool(client_transports: Mapping[str, ClientTransport], idle_timeout: float) -> AsyncIterator[Pool]:
    """Open an empty pool; at the end close all of its sessions in order."""
    async with anyio.create_task_group() as tasks:
        pool = Pool(tasks, client_transports, idle_timeout)
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


async def _last_words(keeper: Keeper, failure: Exception) -> Exception:
    """Return what the keeper knows of its session's end, which is more than the caller saw."""
    if isinstance(failure, SessionClosed):
        with anyio.move_on_after(_LAST_WORDS_SECONDS):
            await keeper.gone.wait()
        return keeper.error or failure
    return failure
