"""Requests under way without a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable
from mcp_gateway_transport_http.client.redirects import follow_redirect
from mcp_gateway_transport_http.client.response_limits import LimitExceeded
from mcp_gateway_transport_http.fast_path.http1_client import Connection
from mcp_gateway_transport_http.fast_path.responses import ConnectionLost, RawHttpResponse

if TYPE_CHECKING:
    from mcp_gateway_transport_http.fast_path.raw_channel import RawChannel


@dataclass(slots=True, eq=False)
class RawRequest:
    """A request under way without a task."""

    wire: RawChannel
    connection: Connection
    request: bytes
    request_id: int
    headers: Mapping[str, str]
    seconds: float
    done: Callable[[bytes | Exception], None] | None
    task: asyncio.Task[None] | None = None

    def give_up(self) -> None:
        """Close the connection, and say nothing any more."""
        if self._over() is not None:
            self.connection.close()
        if self.task is not None:
            self.task.cancel()

    def on_reply(self, reply: RawHttpResponse | ConnectionLost | LimitExceeded) -> None:
        """Pass a reply on, or wait for the rest of it."""
        if isinstance(reply, RawHttpResponse) and (reply.pieces is not None or reply.location):
            self.task = asyncio.get_running_loop().create_task(self._read_stream(reply))
        elif (done := self._over()) is not None:
            done(self._outcome(reply))

    def _over(self) -> Callable[[bytes | Exception], None] | None:
        """Count it out; return who is to hear of it, once."""
        done, self.done = self.done, None
        if done is not None:
            self.wire.connections.outbox.requests_in_flight -= 1
        return done

    def _outcome(self, reply: RawHttpResponse | ConnectionLost | LimitExceeded) -> bytes | Exception:
        if not isinstance(reply, RawHttpResponse):
            return failure_of(reply)
        # Before the response is read: whatever it says, the connection is free.
        self.wire.release(self.connection)
        try:
            return self.wire.response_from(reply)
        except MCPError as error:
            return error

    async def _read_stream(self, reply: RawHttpResponse) -> None:
        deadline = asyncio.get_running_loop().time() + self.seconds
        outcome: bytes | Exception
        try:
            outcome = await self._outcome_of(reply, deadline)
        except (ServerUnavailable, MCPError, TimeoutError) as error:
            outcome = error
        except Exception as error:  # noqa: BLE001  # whatever it is, who waits must hear of it
            outcome = ServerUnavailable(f"its stream cannot be read: {error}")
        if (done := self._over()) is not None:
            done(outcome)

    async def _outcome_of(self, reply: RawHttpResponse, deadline: float) -> bytes:
        elsewhere = follow_redirect(self.request, reply, self.wire.connections.origin)
        if elsewhere is not None:
            return await self.wire.follow_redirect(self.connection, elsewhere, self.request_id, self.headers, deadline)
        return await self.wire.read_stream(self.connection, reply, self.request_id, self.headers, deadline)


def failure_of(error: ConnectionLost | LimitExceeded) -> ServerUnavailable:
    """Return the error of a failed request.

    It says whether any of it can have reached the server.

    One whose answer is too long is not worth repeating.
    """
    if isinstance(error, LimitExceeded):
        return ServerUnavailable(str(error))
    return ConnectionDropped(str(error)) if error.was_written else RequestNotSent(str(error))
