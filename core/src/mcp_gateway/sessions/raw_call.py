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

from mcp_gateway.client.connection import Peer
from mcp_gateway.client.in_flight import Exchange
from mcp_gateway.plugin import NotSent, ServerTimeout, ServerUnavailable
from mcp_gateway.protocol.client_channel import ALONE
from mcp_gateway.sessions.errors import failure_of
from mcp_gateway.sessions.session import Keeper

_CANCEL_SECONDS = 2.0

HeardFn = Callable[[bytes | Awaitable[bytes]], None]
"""Hears a response, or what has to be awaited for it."""


@dataclass(slots=True, eq=False)
class _Entered:
    """A `tools/call` in progress that is counted by admission control.

    It holds the message and what passes during the request.
    """

    keeper: Keeper
    peer: Peer
    request_id: int
    message: bytes
    headers: Mapping[str, str]
    exchange: Exchange | None

    def leave(self) -> None:
        """Count it out."""
        keeper = self.keeper
        keeper.load.leave(keeper.server)
        keeper.users -= 1
        keeper.used = asyncio.get_running_loop().time()
        keeper.audience.leave(self.request_id)

    async def concluded(self, answering: Awaitable[bytes]) -> bytes:
        """Wait for the response, and count the request out."""
        keeper, answered = self.keeper, False
        try:
            response = await answering
            answered = True
            keeper.breaker.answered()
            if self.exchange is not None:
                await self.exchange.delivered()
        except TimeoutError:
            raise _too_slow(keeper) from None
        except NotSent:
            answered = True
            raise
        except MCPError as error:  # the transport's answer, in the server's place
            answered = True
            raise await failure_of(keeper, error) or error from error
        except ServerUnavailable as error:
            answered = True
            raise await _failed(keeper, error) from error
        finally:
            self.leave()
            if not answered:
                await self.give_up()
        return response

    async def give_up(self) -> None:
        """Cancel the request at the server."""
        if self.keeper.peer is not None:
            with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
                await self.keeper.peer.give_up(self.request_id)


@dataclass(slots=True, eq=False)
class Sending:
    """A `tools/call` under way without a task."""

    _entered: _Entered
    _heard: HeardFn
    _give_up: Callable[[], None] | None = None

    def begin(self) -> bool:
        """Send the request without awaiting; return success.

        Nothing is sent if something had to be awaited.
        """
        entered, prompt = self._entered, self._entered.peer.prompt
        if prompt is None:
            return False
        seconds = entered.keeper.timeout
        self._give_up = prompt.send_now(entered.message, entered.request_id, entered.headers, seconds, self._outcome)
        if self._give_up is None:
            return False
        entered.keeper.deadlines.begin(entered.request_id, self._expired)
        return True

    def cancel(self) -> Awaitable[None]:
        """Give it up; return what tells the server so."""
        self._end()
        self._entered.leave()
        return self._entered.give_up()

    def _end(self) -> None:
        self._entered.keeper.deadlines.end(self._entered.request_id)
        if self._give_up is not None:
            self._give_up()

    def _expired(self) -> None:
        self._end()
        self._outcome(TimeoutError())

    def _outcome(self, outcome: bytes | Exception) -> None:
        entered = self._entered
        entered.keeper.deadlines.end(entered.request_id)
        if isinstance(outcome, bytes) and (entered.exchange is None or entered.exchange.is_delivered):
            entered.leave()
            entered.keeper.breaker.answered()
            self._heard(outcome)
        else:
            self._heard(entered.concluded(_known(outcome)))


def sending(keeper: Keeper, params: bytes, headers: Mapping[str, str], client: str, heard: HeardFn) -> Sending | None:
    """Send a `tools/call` without awaiting, or return None without effect.

    `params` is JSON, `headers` are for a modern server over HTTP, `client` is who sent it.
    """
    if keeper.peer is None or keeper.peer.prompt is None or not keeper.load.enter(keeper.server, keeper.max_calls):
        return None
    entered = _entered(keeper, keeper.peer, params, headers, client)
    begun = Sending(entered, heard)
    if begun.begin():
        return begun
    entered.leave()
    return None


async def exchanged(keeper: Keeper, params: bytes, headers: Mapping[str, str], client: str) -> bytes:
    """Send a `tools/call`; return the raw response.

    The parameters are those of `start_raw_call`.

    Raises:
        Overloaded: too many calls are under way.
        NotSent: the session has ended meanwhile; the call was not made.
        ServerTimeout: the server did not answer within its `timeout`.
        ConnectionDropped: the connection closed.
        ServerUnavailable: the server failed without an answer of its own, or has lost the session.
        AuthError: the server refused the credentials.

    """
    if not keeper.load.enter(keeper.server, keeper.max_calls):
        await keeper.load.turn(keeper.server, keeper.max_calls)
    peer = keeper.peer
    if peer is None or peer.wire is None:
        keeper.load.leave(keeper.server)
        raise NotSent(f"server {keeper.server!r}: the session has just ended")
    entered = _entered(keeper, peer, params, headers, client)
    answering = peer.wire.exchange(entered.message, entered.request_id, entered.headers, keeper.timeout)
    return await entered.concluded(answering)


def _entered(keeper: Keeper, peer: Peer, params: bytes, headers: Mapping[str, str], client: str) -> _Entered:
    """Take note of a request that begins, and that counts already."""
    request_id = next(peer.ids)
    message = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%b}' % (request_id, params)
    keeper.users += 1
    keeper.audience.used_by(client)
    exchange = None
    if not peer.modern:
        headers = {MCP_PROTOCOL_VERSION_HEADER: peer.version}
        exchange = Exchange(client, keeper.audience.way_to(client) or ALONE)
        keeper.audience.enter(request_id, exchange)
    return _Entered(keeper, peer, request_id, message, headers, exchange)


async def _known(outcome: bytes | Exception) -> bytes:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _too_slow(keeper: Keeper) -> ServerTimeout:
    error = ServerTimeout(keeper.too_slow)
    keeper.breaker.unanswered(error)
    return error


async def _failed(keeper: Keeper, error: ServerUnavailable) -> ServerUnavailable:
    failure = await keeper.last_words(error)
    if keeper.peer is not None:  # else its keeper has counted it
        keeper.breaker.unanswered(failure)
    return failure
