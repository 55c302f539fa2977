"""Sending a request past the SDK, on the bytes of the session's own wire."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER

from mcp_gateway.interaction import ALONE
from mcp_gateway.plugin import NotSent, ServerTimeout, ServerUnavailable
from mcp_gateway.sessions.exchange import Exchange
from mcp_gateway.sessions.keeper import Keeper

_CANCEL_SECONDS = 2.0


async def exchanged(keeper: Keeper, params: bytes, headers: Mapping[str, str], client: str) -> bytes:
    """Send a `tools/call`; return the response as it came.

    `params` is JSON, `headers` are for a modern server over HTTP, `client` is who sent it.

    Raises:
        Overloaded: too many calls are under way.
        NotSent: the session has ended meanwhile; the call was not made.
        ServerTimeout: the server did not answer within its `timeout`.
        ConnectionDropped: the connection closed.
        ServerUnavailable: the server failed without an answer of its own.

    """
    if not keeper.load.enter(keeper.server, keeper.max_calls):
        await keeper.load.turn(keeper.server, keeper.max_calls)
    peer = keeper.peer
    if peer is None or peer.wire is None:
        keeper.load.leave(keeper.server)
        raise NotSent(f"server {keeper.server!r}: the session has just ended")
    request_id = next(peer.ids)
    message = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%b}' % (request_id, params)
    keeper.users += 1
    keeper.audience.used_by(client)
    exchange = None
    if not peer.modern:
        headers = {MCP_PROTOCOL_VERSION_HEADER: peer.version}
        exchange = Exchange(client, keeper.audience.way_to(client) or ALONE)
        keeper.audience.enter(request_id, exchange)
    answered = False
    try:
        response = await peer.wire.exchange(message, request_id, headers, keeper.timeout)
        answered = True
        keeper.breaker.answered()
        if exchange is not None:
            await exchange.delivered()
    except TimeoutError:
        raise _too_slow(keeper) from None
    except NotSent:
        answered = True
        raise
    except ServerUnavailable as error:
        answered = True
        raise await _failed(keeper, error) from error
    finally:
        keeper.load.leave(keeper.server)
        keeper.users -= 1
        keeper.used = anyio.current_time()
        keeper.audience.leave(request_id)
        if not answered:
            await _give_up(keeper, request_id)
    return response


def _too_slow(keeper: Keeper) -> ServerTimeout:
    error = ServerTimeout(keeper.too_slow)
    keeper.breaker.unanswered(error)
    return error


async def _failed(keeper: Keeper, error: ServerUnavailable) -> ServerUnavailable:
    failure = await keeper.last_words(error)
    if keeper.peer is not None:  # else its keeper has counted it
        keeper.breaker.unanswered(failure)
    return failure


async def _give_up(keeper: Keeper, request_id: int) -> None:
    """Tell the server that nobody waits for an answer any more."""
    if keeper.peer is not None:
        with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
            await keeper.peer.give_up(request_id)
