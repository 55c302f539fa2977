"""Raw `tools/call` requests on a session, bypassing the SDK.

They run in a task, or without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER

from mcp_gateway.client.connection import Connection
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.plugin import RequestNotSent, ServerTimeout, ServerUnavailable
from mcp_gateway.protocol.client_channel import ALONE
from mcp_gateway.sessions.errors import record_mcp_error
from mcp_gateway.sessions.session import Session

# It is shielded from cancellation, so a server that does not read would hold its caller.
_CANCEL_SECONDS = 2.0

HeardFn = Callable[[bytes | Awaitable[bytes]], None]
"""Hears a response, or what has to be awaited for it."""


@dataclass(slots=True, eq=False)
class _CallSlot:
    """A `tools/call` in progress that is counted by admission control.

    It holds the message and what passes during the request.
    """

    session: Session
    connection: Connection
    request_id: int
    message: bytes
    headers: Mapping[str, str]
    exchange: InFlightRequest | None

    def leave(self) -> None:
        """Count it out."""
        session = self.session
        session.load.leave(session.server)
        session.users -= 1
        session.used = asyncio.get_running_loop().time()
        session.router.leave(self.request_id)

    async def finish(self, answering: Awaitable[bytes]) -> bytes:
        """Wait for the response, and count the request out."""
        session, answered = self.session, False
        try:
            response = await answering
            answered = True
            session.breaker.record_answer()
            if self.exchange is not None:
                await self.exchange.wait_delivered()
        except TimeoutError:
            raise _too_slow(session) from None
        except RequestNotSent:
            answered = True
            raise
        except MCPError as error:  # the transport's answer, in the server's place
            answered = True
            raise await record_mcp_error(session, error) or error from error
        except ServerUnavailable as error:
            answered = True
            raise await _record_failure(session, error) from error
        finally:
            self.leave()
            if not answered:
                await self.cancel()
        return response

    async def cancel(self) -> None:
        """Cancel the request at the server."""
        if self.session.connection is not None:
            with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
                await self.session.connection.cancel_request(self.request_id)


@dataclass(slots=True, eq=False)
class RawCall:
    """A `tools/call` under way without a task."""

    _entered: _CallSlot
    _heard: HeardFn
    _give_up: Callable[[], None] | None = None

    def start(self) -> bool:
        """Send the request without awaiting; return success.

        Nothing is sent if something had to be awaited.
        """
        entered, prompt = self._entered, self._entered.connection.prompt
        if prompt is None:
            return False
        seconds = entered.session.timeout
        self._give_up = prompt.request_raw_nowait(
            entered.message, entered.request_id, entered.headers, seconds, self._on_outcome
        )
        if self._give_up is None:
            return False
        entered.session.deadlines.add(entered.request_id, self._on_timeout)
        return True

    def cancel(self) -> Awaitable[None]:
        """Give it up; return what tells the server so."""
        self._end()
        self._entered.leave()
        return self._entered.cancel()

    def _end(self) -> None:
        self._entered.session.deadlines.remove(self._entered.request_id)
        if self._give_up is not None:
            self._give_up()

    def _on_timeout(self) -> None:
        self._end()
        self._on_outcome(TimeoutError())

    def _on_outcome(self, outcome: bytes | Exception) -> None:
        entered = self._entered
        entered.session.deadlines.remove(entered.request_id)
        # A response must not overtake notifications that came before it: then it is awaited in a task.
        if isinstance(outcome, bytes) and (entered.exchange is None or entered.exchange.is_delivered):
            entered.leave()
            entered.session.breaker.record_answer()
            self._heard(outcome)
        else:
            self._heard(entered.finish(_unwrap(outcome)))


def start_raw_call(
    session: Session, params: bytes, headers: Mapping[str, str], client: str, heard: HeardFn
) -> RawCall | None:
    """Send a `tools/call` without awaiting, or return None without effect.

    `params` is JSON, `headers` are for a modern server over HTTP, `client` is who sent it.
    """
    if (
        session.connection is None
        or session.connection.prompt is None
        or not session.load.enter(session.server, session.max_calls)
    ):
        return None
    entered = _enter_call(session, session.connection, params, headers, client)
    begun = RawCall(entered, heard)
    if begun.start():
        return begun
    entered.leave()
    return None


async def send_raw_call(session: Session, params: bytes, headers: Mapping[str, str], client: str) -> bytes:
    """Send a `tools/call`; return the raw response.

    The parameters are those of `start_raw_call`.

    Raises:
        Overloaded: too many calls are under way.
        RequestNotSent: the session has ended meanwhile; the call was not made.
        ServerTimeout: the server did not answer within its `timeout`.
        ConnectionDropped: the connection closed.
        ServerUnavailable: the server failed without an answer of its own, or has lost the session.
        AuthError: the server refused the credentials.

    """
    if not session.load.enter(session.server, session.max_calls):
        await session.load.wait_turn(session.server, session.max_calls)
    connection = session.connection
    if connection is None or connection.wire is None:
        session.load.leave(session.server)
        raise RequestNotSent(f"server {session.server!r}: the session has just ended")
    entered = _enter_call(session, connection, params, headers, client)
    answering = connection.wire.request_raw(entered.message, entered.request_id, entered.headers, session.timeout)
    return await entered.finish(answering)


def _enter_call(
    session: Session, connection: Connection, params: bytes, headers: Mapping[str, str], client: str
) -> _CallSlot:
    """Take note of a request that begins, and that counts already."""
    request_id = next(connection.ids)
    message = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%b}' % (request_id, params)
    session.users += 1
    session.router.add_client(client)
    exchange = None
    if not connection.modern:
        headers = {MCP_PROTOCOL_VERSION_HEADER: connection.version}
        exchange = InFlightRequest(client, session.router.way_to(client) or ALONE)
        session.router.enter(request_id, exchange)
    return _CallSlot(session, connection, request_id, message, headers, exchange)


async def _unwrap(outcome: bytes | Exception) -> bytes:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _too_slow(session: Session) -> ServerTimeout:
    error = ServerTimeout(session.too_slow)
    session.breaker.record_no_answer(error)
    return error


async def _record_failure(session: Session, error: ServerUnavailable) -> ServerUnavailable:
    failure = await session.enrich_error(error)
    if session.connection is not None:  # else its session has counted it
        session.breaker.record_no_answer(failure)
    return failure
