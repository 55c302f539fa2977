"""Requests over connections of the gateway's own."""

from __future__ import annotations

import asyncio
import socket

from mcp_gateway.plugin import ServerUnavailable, SsrfGuard, explain_tls_error
from mcp_gateway_transport_http.client.carriers.carrier import ConnectionLost, Flow, HttpRequest, ResponseReceiver
from mcp_gateway_transport_http.client.carriers.connection_pool import ConnectionPool, SecurityFn
from mcp_gateway_transport_http.client.carriers.http1_connection import Connection
from mcp_gateway_transport_http.http1.write_batch import WriteBatch

CONNECT_SECONDS = 30.0
"""How long connecting may take."""


class DirectCarrier:
    """Sends each request on a free connection, or a new one."""

    def __init__(self, get_security: SecurityFn, guard: SsrfGuard | None, socket: str | None = None) -> None:
        """Begin without connections; all lead to the `socket`, if there is one."""
        self._get_security, self._guard, self._socket = get_security, guard, socket
        self.outbox = WriteBatch()
        self._pools: dict[str, ConnectionPool] = {}
        self._openings: set[_Opening] = set()

    def pool(self, origin: str) -> ConnectionPool:
        """Return the connections to an origin."""
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = ConnectionPool.of(
                origin, self._get_security, self._guard, self.outbox, self._socket
            )
        return pool

    def send(self, request: HttpRequest, receiver: ResponseReceiver) -> Flow:
        """Send a request: at once, if a connection is open and free."""
        pool = self.pool(request.origin)
        connection = pool.idle()
        if connection is None:
            return _Opening(pool, request, receiver, self._openings)
        connection.send(request.encode(), receiver)
        return connection

    async def aclose(self) -> None:
        """Close all connections."""
        for opening in list(self._openings):
            opening.close()
        for pool in self._pools.values():
            pool.close()


class _Opening:
    """A request that waits for its connection, then what that connection is."""

    def __init__(
        self, pool: ConnectionPool, request: HttpRequest, receiver: ResponseReceiver, openings: set[_Opening]
    ) -> None:
        self._pool, self._request, self._receiver, self._openings = pool, request, receiver, openings
        self._connection: Connection | None = None
        self._is_paused = False
        openings.add(self)
        self._task = asyncio.get_running_loop().create_task(self._open())

    @property
    def is_complete(self) -> bool:
        return self._connection is not None and self._connection.is_complete

    def close(self) -> None:
        self._openings.discard(self)
        if self._connection is not None:
            self._connection.close()
        else:
            self._task.cancel()

    def release(self) -> None:
        if self._connection is not None:
            self._connection.release()

    def set_reading_paused(self, *, paused: bool) -> None:
        self._is_paused = paused
        if self._connection is not None:
            self._connection.set_reading_paused(paused=paused)

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._pool.open()
        # Foreign code: whatever it is, who waits must hear of it. An odd host name is a UnicodeError, say.
        except Exception as error:  # noqa: BLE001
            self._openings.discard(self)
            self._receiver.on_lost(self._lost(error))
            return
        self._openings.discard(self)
        self._connection = connection
        connection.send(self._request.encode(), self._receiver)
        if self._is_paused:
            connection.set_reading_paused(paused=True)

    def _lost(self, error: Exception) -> ConnectionLost:
        settled = str(error) if isinstance(error, ServerUnavailable) else explain_tls_error(error)
        if settled is not None:
            return ConnectionLost(settled, was_written=False, is_permanent=True)
        return ConnectionLost(_explain_connect_error(error, self._pool), was_written=False)


def _explain_connect_error(error: Exception, pool: ConnectionPool) -> str:
    if isinstance(error, TimeoutError):
        return f"there was no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, OSError) and pool.socket is not None:
        return f"nobody listens at its socket {pool.socket} ({error.strerror or type(error).__name__})"
    if isinstance(error, ConnectionRefusedError | socket.gaierror):
        return f"it refuses connections, or its address does not exist ({error})"
    if isinstance(error, ConnectionError) and pool.get_security is not None:
        return 'it breaks off the TLS handshake; if it wants a client certificate, set "cert" and "key"'
    return f"it cannot be connected to ({error})"
