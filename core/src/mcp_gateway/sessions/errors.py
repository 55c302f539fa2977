"""Failures of requests, recorded in the circuit breaker."""

from __future__ import annotations

from mcp.shared.exceptions import MCPError

from mcp_gateway.client.errors import RequestRejected, SessionLost, error_of_answer, explain_unsent
from mcp_gateway.config.time_limits import TimeLimit
from mcp_gateway.plugin import (
    AuthError,
    ConnectionDropped,
    GatewayError,
    RequestNotSent,
    ServerTimeout,
    ServerUnavailable,
    SupportsUnreadableOutput,
)
from mcp_gateway.protocol.envelope import UnreadableResponse
from mcp_gateway.sessions.session import Session
from mcp_gateway.text.characters import escape_line, remove_terminal_sequences


async def record_failure(session: Session, error: MCPError | ServerUnavailable) -> GatewayError | None:
    """Return the gateway error behind a failed request; record it.

    The error has the server's name.

    None if the error is the server's own response.
    """
    if isinstance(error, ServerTimeout):
        return error  # recorded where it was found
    failure = _error_of_answer(session, error) if isinstance(error, MCPError) else _name_server(session, error)
    if isinstance(failure, ConnectionDropped):
        failure = await session.enrich_error(failure)
    if isinstance(failure, SessionLost):
        session.on_lost(session)
    if isinstance(failure, SessionLost | RequestRejected | AuthError | None):
        session.breaker.record_answer()
    elif isinstance(failure, RequestNotSent):
        pass  # a retry may still send it: not a failure yet
    elif session.connection is not None:  # otherwise the session itself has recorded the failure
        session.breaker.record_no_answer(failure)
    return failure


def _error_of_answer(session: Session, error: MCPError) -> GatewayError | None:
    if isinstance(error, UnreadableResponse):
        return RequestRejected(f"server {session.server!r} sent a response that cannot be read: {error.problem}")
    return error_of_answer(session.server, error, credentials=session.credentials)


def _name_server(session: Session, error: ServerUnavailable) -> ServerUnavailable:
    if str(error).startswith("server "):
        return error
    if isinstance(error, RequestNotSent):
        message = explain_unsent(session.server, error)
    else:
        message = f"server {session.server!r}: {error}"
    named = type(error)(message)
    named.permanent = error.permanent
    return named


def record_timeout(
    session: Session, limit: TimeLimit, *, is_exhausted: bool, request_id: int | None = None
) -> ServerTimeout:
    """Return the error of a request that timed out, recording the outcome.

    With `is_exhausted` it has used up all of its `max_call_time`. `request_id` is given if it was a single request.
    """
    name = session.server
    if is_exhausted:
        seconds = session.time_limits.max_call_time
        return ServerTimeout(
            f"server {name!r} shows that it works but has not come to an end within {seconds:g} s; "
            'raise its "max_call_time" or MCP_GATEWAY_MAX_CALL_TIME if it needs longer'
        )
    too_slow = ServerTimeout(
        f"server {name!r} gave no answer within {limit}; {limit.hint}{_tell_unreadable(session, request_id)}"
    )
    session.breaker.record_no_answer(too_slow)
    return too_slow


def _tell_unreadable(session: Session, request_id: int | None) -> str:
    """Tell what the server sent in place of messages, if anything."""
    channel = None if session.connection is None else session.connection.channel
    output = channel.describe_unreadable(request_id) if isinstance(channel, SupportsUnreadableOutput) else ""
    return f"; since its last answer {escape_line(remove_terminal_sequences(output))}" if output else ""
