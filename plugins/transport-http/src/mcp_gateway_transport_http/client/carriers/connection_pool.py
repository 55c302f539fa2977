"""The open connections to one origin, reused while they are fresh."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from urllib.parse import urlsplit

from mcp_gateway.plugin import LinkLocalAddress, SsrfGuard, is_link_local
from mcp_gateway_transport_http.client.carriers.http1_connection import Connection
from mcp_gateway_transport_http.http1.write_batch import WriteBatch

SecurityFn = Callable[[], ssl.SSLContext]
"""Returns the context for the next TLS connection."""

KEEP_SECONDS = 1.5
"""How long an unused connection is used again. Servers close theirs after two seconds (gunicorn) or more, and what is
written at that moment may or may not be carried out: a new connection, at 0.2 ms, is worth more than that question."""


@dataclass(slots=True)
class ConnectionPool:
    """The connections to one origin, kept for a while after their use.

    Those that are not used again within `keep_seconds` are closed, even if there is no other request.
    """

    host: str
    port: int
    get_security: SecurityFn | None
    guard: SsrfGuard | None = None
    outbox: WriteBatch = field(default_factory=WriteBatch)
    socket: str | None = None
    keep_seconds: float = KEEP_SECONDS
    _idle: deque[Connection] = field(default_factory=deque)
    _closed: bool = False
    _timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(
        cls, origin: str, get_security: SecurityFn, guard: SsrfGuard | None, outbox: WriteBatch, socket: str | None
    ) -> ConnectionPool:
        """Return the empty pool of an origin.

        That is the beginning of a URL. With a `socket`, connections lead there.
        """
        parts = urlsplit(origin)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        return cls(parts.hostname or "", port, get_security if secure else None, guard, outbox, socket)

    def idle(self) -> Connection | None:
        """Return the open connection that was used last, if any."""
        now = monotonic()
        while self._idle:
            # The last used first: those that are not needed grow old, and go.
            connection = self._idle.pop()
            # What a server writes on an idle connection is its end, which the loop may not have told yet.
            if connection.is_open() and now - connection.used < self.keep_seconds and connection.is_quiet():
                return connection
            connection.close()
        return None

    async def open(self) -> Connection:
        """Open another connection.

        Raises:
            OSError: the server cannot be connected to.
            LinkLocalAddress: it must not be.
            ServerUnavailable: a file for TLS cannot be used.

        """
        security = None if self.get_security is None else self.get_security()
        server_name = self.host if security is not None else None
        build = partial(Connection, self.outbox, self.give_back)
        if self.socket is not None:
            _, connection = await asyncio.get_running_loop().create_unix_connection(
                build, self.socket, ssl=security, server_hostname=server_name
            )
            return connection
        if self.guard is not None:
            await self.guard.check_name(self.host)
        transport, connection = await asyncio.get_running_loop().create_connection(
            build, self.host, self.port, ssl=security, server_hostname=server_name
        )
        # The name may have another address by now than when it was checked.
        peer = transport.get_extra_info("peername")
        if self.guard is not None and peer and is_link_local(str(peer[0])):
            connection.close()
            raise LinkLocalAddress("its address is link-local", permanent=True)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it."""
        if self._closed or not connection.is_open():
            connection.close()
            return
        connection.used = monotonic()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.keep_seconds, self._close_stale)

    def close(self) -> None:
        """Close idle connections now, the others after their use."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._idle:
            self._idle.pop().close()

    def _close_stale(self) -> None:
        """Close the connections that were used too long ago."""
        self._timer = None
        last = monotonic() - self.keep_seconds
        while self._idle and self._idle[0].used <= last:
            self._idle.popleft().close()
        if self._idle:
            self._timer = asyncio.get_running_loop().call_later(self.keep_seconds, self._close_stale)
