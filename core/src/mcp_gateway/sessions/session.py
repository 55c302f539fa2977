"""A session and the task that opens, owns and closes it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.client.announcements import LISTS, AnnouncedFn
from mcp_gateway.client.connection import Connection, open_connection
from mcp_gateway.client.errors import NOBODY_KNOWS, RequestRejected, StillStarting, error_of_exception, notes_of
from mcp_gateway.client.handshake import ClosedInHandshake, negotiate
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.client.subscribe import listen
from mcp_gateway.config.time_limits import TimeLimit, TimeLimits
from mcp_gateway.loops.errors import GatewayLoop
from mcp_gateway.plugin import (
    AuthError,
    ClientTransport,
    ConnectionDropped,
    Credentials,
    GatewayError,
    ServerChannel,
    ServerTimeout,
    ServerUnavailable,
    SupportsLastLine,
)
from mcp_gateway.runtime.backoff import Backoff
from mcp_gateway.sessions.circuit_breaker import CircuitBreaker
from mcp_gateway.sessions.deadline_queue import DeadlineQueue
from mcp_gateway.text.characters import escape_line, remove_terminal_sequences

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 10.0
"""How long closing a session may take."""

ANNOUNCING_SECONDS = 0.5
"""How long a new session waits for a server to acknowledge the subscription to list changes.

If the acknowledgement comes later, the lists are requested again, because a change may have been missed.
"""

_FIRST_PAUSE, _LINE_CHARACTERS = 0.25, 200
# The last stderr lines of a process, which explain its failure, are known only after its session has been closed.
_LAST_WORDS_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class Session:
    """A session with a server, owned by the task in `keep`.

    Only that task enters and leaves its cancel scopes.
    """

    server: str
    client_transport: ClientTransport
    credentials: Credentials = field(repr=False)
    time_limits: TimeLimits
    max_retries: int
    idle: float
    """Seconds without use after which it is closed; may be infinite."""
    attended: bool
    """Whether a connected client keeps it open, however long it is unused."""
    router: ServerMessageRouter
    on_announced: AnnouncedFn
    on_open: Callable[[Connection], None]
    """Called when the session can be lent."""
    on_over: Callable[[Session], None]
    """Called once, when it can be lent no longer."""
    breaker: CircuitBreaker = field(repr=False)
    on_lost: Callable[[Session], None] = lambda _: None
    """Called when the server turns out to have forgotten the session."""
    initialize_first: bool = False
    """Whether the server ends if `server/discover` is its first message."""
    since: float = field(default_factory=time.time)
    """When it began to open, in seconds since the epoch."""
    connection: Connection | None = None
    error: GatewayError | None = None
    """Why it failed, if it did."""
    users: int = 0
    used: float = 0.0
    """When it was last used, on the event loop's clock."""
    deadlines: DeadlineQueue = field(init=False, repr=False)
    settled: anyio.Event = field(default_factory=anyio.Event)
    """Set when it has opened, or failed to."""
    gone: anyio.Event = field(default_factory=anyio.Event)
    """Set when it is closed."""
    _channel: ServerChannel | None = None
    _over: anyio.Event = field(default_factory=anyio.Event)
    _stopping: bool = False
    _lendable: bool = True
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def __post_init__(self) -> None:
        """Create the deadline queue from the time limit of calls."""
        self.deadlines = DeadlineQueue(self.time_limits.call.seconds)

    def stop(self, within: float | None = None) -> None:
        """Close the session in time; at once if not yet open."""
        seconds = CLOSE_SECONDS if within is None else within
        self._stopping = True
        self.router.close()
        self._over.set()
        self._scope.deadline = anyio.current_time() + (seconds if self.settled.is_set() else 0)

    async def wait_opened(self, limit: TimeLimit | None = None) -> Connection:
        """Return the connection once the session is open.

        Raises:
            StillStarting: the `limit` is over before that.
            GatewayError: it could not be opened, or has ended.

        """
        with anyio.move_on_after(math.inf if limit is None else limit.seconds):
            await self.settled.wait()
        if limit is not None and not self.settled.is_set():
            raise self.still_starting(str(limit))
        if self.connection is None:
            raise self.error or ServerUnavailable(f"server {self.server!r}: the session has just ended; try again")
        return self.connection

    def still_starting(self, waited: str) -> StillStarting:
        """Return the error of a request that `waited` for the start."""
        had = f"it has had {time.time() - self.since:.0f} s of {self.time_limits.start}"
        return StillStarting(self.server, self.last_line, f"{had}, and this request waited {waited}")

    @property
    def last_line(self) -> str:
        """The last line that the server has written for people, if known."""
        line = self._channel.last_line if isinstance(self._channel, SupportsLastLine) else ""
        return escape_line(remove_terminal_sequences(line))[:_LINE_CHARACTERS]

    async def enrich_error(self, failure: ServerUnavailable) -> ServerUnavailable:
        """Return a request's error with the reason for which the session closed.

        It waits briefly for the session to be closed, when the reason is known.
        """
        if isinstance(failure, ConnectionDropped):
            with anyio.move_on_after(_LAST_WORDS_SECONDS):
                await self.gone.wait()
        message = str(self.error or failure)
        if not message.startswith("server "):
            message = f"server {self.server!r}: {message}"
        if not isinstance(failure, ConnectionDropped):
            return ServerUnavailable(message, permanent=failure.permanent)
        return ConnectionDropped(message if message.endswith(NOBODY_KNOWS) else f"{message}{NOBODY_KNOWS}")

    async def keep(self) -> None:
        """Open the session, with retries, keep it open, and close it."""
        deadline, backoff = self._start_deadline(), Backoff(_FIRST_PAUSE, jitter=(0.8, 1.2))
        try:
            for attempt in range(self.max_retries + 1):
                if self._stopping:
                    break
                self.error = await self._hold(deadline)
                pause = backoff.next_delay()
                if (
                    attempt == self.max_retries
                    or self._is_final(self.error)
                    or anyio.current_time() + pause >= deadline
                ):
                    break
                log.info("connection retried", server=self.server, reason=str(self.error), pause=pause)
                with anyio.move_on_after(pause):
                    await self._over.wait()
            self._record_outcome(self.error)
        finally:
            self._end_lending()
            self.settled.set()
            self.gone.set()

    def _record_outcome(self, error: GatewayError | None) -> None:
        """Record the outcome of the session in the circuit breaker.

        A rejection of one caller's credentials does not count for other callers.
        """
        if self._stopping:
            return
        if isinstance(error, AuthError | GatewayLoop):
            # A server that rejects credentials is up and answers.
            self.breaker.record_answer()
        elif isinstance(error, ServerUnavailable) and not (
            isinstance(error, RequestRejected) and self.credentials.pairs
        ):
            self.breaker.record_failure(error)

    def _is_final(self, error: GatewayError | None) -> bool:
        """Whether another attempt to open the session is pointless.

        It was open before, is being stopped, or the failure is permanent.
        """
        temporary = isinstance(error, ServerUnavailable) and not error.permanent
        return self.settled.is_set() or self._stopping or not temporary

    async def _hold(self, deadline: float) -> GatewayError | None:
        """Run the session once; return the error that ended it.

        None if it was stopped, or expired unused.
        """
        self._scope = anyio.CancelScope(deadline=deadline)
        notes = ""
        try:
            with self._scope:
                try:
                    await self._run()
                except anyio.get_cancelled_exc_class() as error:
                    notes = notes_of(error)
                    raise
        except Exception as error:  # noqa: BLE001  # a border with foreign code: transports may raise anything
            return None if self._stopping else error_of_exception(self.server, error, self.credentials)
        if self._scope.cancelled_caught and not self.settled.is_set() and not self._stopping:
            limit = self.time_limits.start
            return ServerTimeout(f"server {self.server!r} did not start within {limit}; {limit.hint}{notes}")
        return None

    async def _run(self) -> None:
        """Open the session; keep it open while it is needed.

        Servers on older Rust SDKs end if the first message is not `initialize`: they get it first on a new connection.
        """
        if not await self._connect(initialize_first=self.initialize_first):
            # The first process may have taken nearly all of the time, for a download that this one finds done.
            self._scope.deadline = self._start_deadline()
            await self._connect(initialize_first=True)

    def _start_deadline(self) -> float:
        return anyio.current_time() + (0 if self._stopping else self.time_limits.start.seconds)

    async def _connect(self, *, initialize_first: bool) -> bool:
        """Connect; return whether the server stayed until the handshake was done."""
        transport = self.client_transport.connect(self.credentials)
        async with open_connection(transport, self.router, self.on_announced, self.server) as connection:
            self._channel = connection.channel
            try:
                await negotiate(connection, initialize_first=initialize_first)
            except ClosedInHandshake:
                if initialize_first:
                    raise
                return False
            self.initialize_first = initialize_first
            async with anyio.create_task_group() as tasks:
                await self._subscribe_list_changes(connection, tasks)
                self._open(connection)
                await self._wait_over()
                tasks.cancel_scope.cancel()
        return True

    async def _subscribe_list_changes(self, connection: Connection, tasks: TaskGroup) -> None:
        """Subscribe to list changes before anything is listed.

        In the other order a change between listing and subscription would be missed.
        """
        ready = anyio.Event()
        tasks.start_soon(listen, connection, ready, self._on_gap)
        with anyio.move_on_after(ANNOUNCING_SECONDS):
            await ready.wait()
        ready.set()

    def _on_gap(self) -> None:
        """Treat every list as changed: notifications may have been lost."""
        for name in LISTS:
            self.on_announced(f"notifications/{name}/list_changed", {})

    def _open(self, connection: Connection) -> None:
        self._over = connection.closed
        if self._stopping:
            self._over.set()
        else:
            # The deadline was for opening; an open session has none.
            self._scope.deadline = math.inf
        self.connection, self.error, self.used = connection, None, anyio.current_time()
        self.on_open(connection)
        self.settled.set()
        log.debug("session opened", server=self.server, version=connection.version)

    def _end_lending(self) -> None:
        if not self._lendable:
            return
        self._lendable = False
        self.connection = None
        self.on_over(self)

    async def _wait_over(self) -> None:
        """Wait until the session is stopped, idle or disconnected."""
        while not self._over.is_set():
            with anyio.move_on_after(self.used + self.idle - anyio.current_time()):
                await self._over.wait()
            if self.users or (self.attended and self.router.has_client):
                self.used = anyio.current_time()
            elif anyio.current_time() - self.used >= self.idle:
                self.stop()
        self._end_lending()
        if not self._stopping:
            raise ServerUnavailable("it closed the connection")
