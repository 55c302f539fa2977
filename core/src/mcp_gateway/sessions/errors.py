"""Errors of unanswered requests, recorded in the circuit breaker."""

from __future__ import annotations

from mcp.shared.exceptions import MCPError

from mcp_gateway.client.errors import Rejected, SessionLost, of_answer
from mcp_gateway.client.request_timeout import Patience
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.plugin import AuthError, ConnectionDropped, GatewayError, NotSent, ServerTimeout
from mcp_gateway.sessions.session import Keeper


async def failure_of(keeper: Keeper, error: MCPError) -> GatewayError | None:
    """Return the gateway error behind an `MCPError`, recording the outcome.

    None if the error is the server's answer.
    """
    failure = of_answer(keeper.server, error)
    if isinstance(failure, ConnectionDropped):
        failure = await keeper.last_words(failure)
    if isinstance(failure, SessionLost):
        keeper.on_lost(keeper)
    if isinstance(failure, SessionLost | Rejected | AuthError | None):
        keeper.breaker.answered()
    elif isinstance(failure, NotSent):
        pass  # it may be sent yet
    elif keeper.peer is not None:  # else its keeper has counted it
        keeper.breaker.unanswered(failure)
    return failure


def lateness(keeper: Keeper, spec: ServerSpec, patience: Patience) -> ServerTimeout:
    """Return what to say of a request that took too long."""
    if patience.exhausted:
        return ServerTimeout(
            f"server {spec.name!r} reports progress but has not come to an end within {spec.max_call_time:g} s; "
            'raise its "max_call_time" or MCP_GATEWAY_MAX_CALL_TIME if it needs longer'
        )
    too_slow = ServerTimeout(keeper.too_slow)
    keeper.breaker.unanswered(too_slow)
    return too_slow
