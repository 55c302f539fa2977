"""A channel that may move to another transport before its first result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.errors import leaf_of
from mcp_gateway.client.fallback.refusals import add_alternative, add_hint, is_unsupported
from mcp_gateway.plugin import ResponseHandler, ServerChannel, open_stream_channel
from mcp_gateway.protocol.envelope import parse_response


async def enter_channel(stack: AsyncExitStack, connection: AbstractAsyncContextManager[Any]) -> ServerChannel:
    """Open a transport's connection; adapt the SDK's streams if it yields them."""
    yielded = await stack.enter_async_context(connection)
    opened: object = yielded
    if isinstance(opened, ServerChannel):
        return opened
    return await stack.enter_async_context(open_stream_channel(*yielded))


class FallbackChannel:
    """The channel of one transport, or of its fallback.

    Once a result has come, it only passes on. `on_reached` hears then whether it has moved.
    """

    def __init__(
        self,
        channel: ServerChannel,
        alternative: AbstractAsyncContextManager[Any] | None,
        name: str,
        hint: str,
        on_reached: Callable[[bool], None],
    ) -> None:
        """Begin over `channel`; `alternative` is not opened unless it is needed."""
        self._channel, self._alternative, self._name, self._hint = channel, alternative, name, hint
        self._on_reached = on_reached
        self._is_settled = self._has_moved = False
        self._moving: list[tuple[_OpeningRequest, MCPError]] = []
        self._tasks: TaskGroup = anyio.create_task_group()
        self._over = anyio.Event()
        self._on_message: Callable[[bytes], None] = lambda _: None
        self._on_close: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        """Enter the task group that an alternative lives in."""
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Close the alternative; the first channel is its opener's to close."""
        self._over.set()
        return await self._tasks.__aexit__(kind, error, trace)

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """Begin to receive; see `ServerChannel`."""
        self._on_message, self._on_close = on_message, on_close
        self._channel.start(on_message, self._on_first_closed)

    def request(
        self, message: bytes, request_id: int, headers: Mapping[str, str], handler: ResponseHandler
    ) -> Callable[[], None]:
        """Send a request; see `ServerChannel`."""
        if self._is_settled:
            return self._channel.request(message, request_id, headers, handler)
        opening = _OpeningRequest(self, message, request_id, headers, handler)
        opening.send(self._channel)
        return opening.abandon

    async def send(self, message: bytes, headers: Mapping[str, str]) -> None:
        """Send a notification or a response; see `ServerChannel`."""
        await self._channel.send(message, headers)

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading or go on; see `ServerChannel`."""
        self._channel.set_reading_paused(paused=paused)

    def on_response(self, response: bytes) -> None:
        """Stay with the transport over which a result has come.

        An error may be that of a server which does not know `server/discover`, or what it is spoken to.
        """
        if self._is_settled:
            return
        try:
            parse_response(response)
        except (MCPError, ValueError):
            return
        self._is_settled = True
        self._on_reached(self._has_moved)

    def move(self, opening: _OpeningRequest, refusal: MCPError) -> None:
        """Send a request that the server refused over the alternative."""
        alternative, self._alternative = self._alternative, None
        if alternative is not None:
            self._moving = [(opening, refusal)]
            self._tasks.start_soon(self._hold_alternative, alternative)
        elif self._moving:
            self._moving.append((opening, refusal))
        elif self._has_moved and opening.channel is not self._channel:
            self._send_over_alternative(opening, refusal)
        else:
            opening.fail(opening.explain_failure(refusal) if self._has_moved else add_hint(refusal, self._hint))

    async def _hold_alternative(self, alternative: AbstractAsyncContextManager[Any]) -> None:
        async with AsyncExitStack() as stack:
            try:
                channel = await enter_channel(stack, alternative)
            except Exception as error:  # noqa: BLE001  # a border with foreign code: transports may raise anything
                refused, self._moving = self._moving, []
                for opening, refusal in refused:
                    opening.fail(add_alternative(refusal, self._name, leaf_of(error)))
                return
            self._channel, self._has_moved = channel, True
            channel.start(self._on_message, self._on_close)
            refused, self._moving = self._moving, []
            for opening, refusal in refused:
                self._send_over_alternative(opening, refusal)
            await self._over.wait()

    def _send_over_alternative(self, opening: _OpeningRequest, refusal: MCPError) -> None:
        opening.explain_failure = lambda error: add_alternative(refusal, self._name, error)
        opening.send(self._channel)

    def _on_first_closed(self) -> None:
        if not self._has_moved:
            self._on_close()


class _OpeningRequest:
    """A request before the first result, perhaps sent over both transports."""

    def __init__(
        self,
        owner: FallbackChannel,
        message: bytes,
        request_id: int,
        headers: Mapping[str, str],
        handler: ResponseHandler,
    ) -> None:
        self._owner, self._handler = owner, handler
        self._message, self._request_id, self._headers = message, request_id, headers
        self.channel: ServerChannel | None = None
        self._is_abandoned = False
        self._abandon_sent: Callable[[], None] = lambda: None
        self.explain_failure: Callable[[Exception], Exception] = lambda error: error

    def send(self, channel: ServerChannel) -> None:
        """Send it, unless it was abandoned meanwhile."""
        self.channel = channel
        if not self._is_abandoned:
            self._abandon_sent = channel.request(self._message, self._request_id, self._headers, self)

    def abandon(self) -> None:
        """Forget it, over whichever transport it is under way."""
        self._is_abandoned = True
        self._abandon_sent()

    def fail(self, error: Exception) -> None:
        """Tell the sender that there is no response."""
        if not self._is_abandoned:
            self._handler.on_failure(error)

    def on_message(self, message: bytes) -> None:
        """Pass a message of the request's own stream on."""
        self._handler.on_message(message)

    def on_response(self, response: bytes) -> None:
        """Pass the response on."""
        self._owner.on_response(response)
        self._handler.on_response(response)

    def on_failure(self, error: Exception) -> None:
        """Try the other transport, if the server does not speak this one."""
        if isinstance(error, MCPError) and is_unsupported(error):
            self._owner.move(self, error)
        else:
            self.fail(self.explain_failure(error))
