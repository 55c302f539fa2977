"""An in-flight request and its back-channel to the client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.request_timeout import InactivityTimeout
from mcp_gateway.protocol.client_channel import ALONE, ClientChannel, Json

ASK_SECONDS = 600.0
"""How long a client may take to answer a server request: a person may have to decide."""

# A client that does not read its notifications must not delay its own response for ever.
_DELIVERY_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class InFlightRequest:
    """A client's request in flight.

    `client` is the sender, None for the gateway itself.
    """

    client: str | None = None
    channel: ClientChannel = ALONE
    inactivity: InactivityTimeout | None = None
    _questions: set[anyio.CancelScope] = field(default_factory=set)
    _deliveries: int = 0
    _delivered: anyio.Event | None = None

    async def on_notification(self, method: str, params: Json, *, dropped: bool = False) -> None:
        """Forward a notification of the server to the client.

        With `dropped` it is not delivered. Progress gets this request's progress token.
        """
        # Progress shows that the server works, even if the client does not receive it.
        if self.inactivity is not None and method == "notifications/progress":
            self.inactivity.reset()
        if dropped:
            return
        self._deliveries += 1
        try:
            await self.channel.notify(method, params)
        finally:
            self._deliveries -= 1
            if not self._deliveries and self._delivered is not None:
                self._delivered.set()

    async def on_request(self, method: str, params: Json) -> Json:
        """Forward a server request to the client; return its response.

        Raises:
            MCPError: the client cannot be asked, answered with an error, or did not answer in time.

        """
        with self.pause_timeout():
            return await send_to_client(self.channel, method, params, ASK_SECONDS, self._questions)

    def pause_timeout(self) -> AbstractContextManager[None]:
        """Pause the request's timeout while the server waits for its client."""
        return self.inactivity.pause() if self.inactivity is not None else nullcontext()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the request in flight during the block.

        A response never overtakes a notification, and no server request outlives the request.
        """
        try:
            yield
            await self.wait_delivered()
        finally:
            self.cancel_server_requests()

    @property
    def is_delivered(self) -> bool:
        """Whether all notifications have been delivered to the client."""
        return not self._deliveries

    async def wait_delivered(self) -> None:
        """Wait until all notifications are delivered, for a bounded time."""
        if self._deliveries:
            self._delivered = anyio.Event()
            with anyio.move_on_after(_DELIVERY_SECONDS):
                await self._delivered.wait()

    def cancel_server_requests(self) -> None:
        """Cancel the open server requests."""
        for question in self._questions:
            question.cancel()


async def send_to_client(
    channel: ClientChannel, method: str, params: Json, seconds: float, open_questions: set[anyio.CancelScope]
) -> Json:
    """Send a server request to the client; return its response.

    It waits at most `seconds`, or until the request is cancelled.
    """
    if channel.ask is None:
        raise MCPError(types.INVALID_REQUEST, f"the client cannot be asked for {method} at this moment")
    with anyio.CancelScope(deadline=anyio.current_time() + seconds) as question:
        open_questions.add(question)
        try:
            return await channel.ask(method, params)
        finally:
            open_questions.discard(question)
    raise MCPError(types.INVALID_REQUEST, f"the client did not answer {method} in time, or gave up its request")
