"""An in-flight request and its back-channel to the client."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from msgspec import Struct

from mcp_gateway.protocol.client_channel import ALONE, ClientChannel, Json
from mcp_gateway.protocol.raw_json import Fields

ASK_SECONDS = 600.0
"""How long a client may take to answer a server request: a person may have to decide."""

_SIGNS_OF_LIFE = ("notifications/progress", "notifications/message")


class RequestTimer(Protocol):
    """The time limit of a request."""

    def reset(self) -> None:
        """Restart the time limit after a sign of activity."""
        ...

    def pause(self) -> AbstractContextManager[None]:
        """Pause the time limit during the block."""
        ...


class InFlightRequest(Struct, eq=False):
    """A client's request in flight.

    `client` is the sender, None for the gateway itself; `questions` are the open requests of the server.
    """

    client: str | None = None
    channel: ClientChannel = ALONE
    timer: RequestTimer | None = None
    questions: set[anyio.CancelScope] | None = None

    def on_notification(self, method: str, params: Fields, *, dropped: bool = False) -> None:
        """Forward a notification of the server to the client, unless `dropped`."""
        # It shows that the server works, even if the client does not receive it.
        if self.timer is not None and method in _SIGNS_OF_LIFE:
            self.timer.reset()
        if not dropped:
            self.channel.notify(method, params)

    async def on_request(self, method: str, params: Json) -> Json:
        """Forward a server request to the client; return its response.

        Raises:
            MCPError: the client cannot be asked, answered with an error, or did not answer in time.

        """
        if self.questions is None:
            self.questions = set()
        with self.pause_timeout():
            return await send_to_client(self.channel, method, params, ASK_SECONDS, self.questions)

    def pause_timeout(self) -> AbstractContextManager[None]:
        """Pause the request's timeout while the server waits for its client."""
        return self.timer.pause() if self.timer is not None else nullcontext()


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
