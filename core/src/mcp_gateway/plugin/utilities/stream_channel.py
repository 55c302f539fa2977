"""The SDK's pair of message streams as a channel of bytes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio

from mcp_gateway.plugin.errors import ConnectionDropped, RequestNotSent, ServerUnavailable
from mcp_gateway.plugin.utilities.request_ids import read_own_id

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from mcp.shared.exceptions import MCPError
    from mcp.shared.message import SessionMessage

    from mcp_gateway.plugin.channel import ResponseHandler

log = logging.getLogger(__name__)

_CLOSED = "it closed the connection"

_DRAIN_SECONDS = 1.0
"""How long a request may still be on its way after its response has come."""

# JSON-RPC's codes; the SDK's types are not loaded by what only declares plugins.
_INVALID_PARAMS = -32602
_INTERNAL_ERROR = -32603


@dataclass(slots=True, eq=False)
class _Request:
    """A request and the scope in which it is written."""

    handler: ResponseHandler
    writing: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class StreamChannel:
    """A `ServerChannel` over the streams of an SDK transport.

    Enter it before use.

    It costs a model and a task for each message: a transport that carries many calls is better a channel itself.
    A message whose `ServerMessageMetadata.related_request_id` is set goes to the handler of that request.
    """

    def __init__(self, read: Any, write: Any) -> None:
        """Bind to an opened pair of streams, as `mcp.client.Transport` yields it."""
        self._read, self._write = read, write
        self._tasks: TaskGroup = anyio.create_task_group()
        self._requests: dict[int, _Request] = {}
        self._resumed = anyio.Event()
        self._resumed.set()
        self._closed = False
        self._unreadable = 0

    async def __aenter__(self) -> Self:
        """Enter the task group that reads and writes."""
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Stop reading and writing; the streams are their opener's to close."""
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """Begin to receive; see `ServerChannel`."""
        self._tasks.start_soon(self._receive, on_message, on_close)

    def request(
        self, message: bytes, request_id: int, headers: Mapping[str, str], handler: ResponseHandler
    ) -> Callable[[], None]:
        """Send a request; see `ServerChannel`."""
        request = _Request(handler)
        if self._closed:
            asyncio.get_running_loop().call_soon(handler.on_failure, RequestNotSent("the session has just ended"))
            return request.writing.cancel
        self._requests[request_id] = request
        self._tasks.start_soon(self._send_request, message, request_id, headers)

        def abandon() -> None:
            request.writing.cancel()
            if self._requests.get(request_id) is request:
                del self._requests[request_id]

        return abandon

    async def send(self, message: bytes, headers: Mapping[str, str]) -> None:
        """Send a notification or a response; see `ServerChannel`."""
        try:
            await self._write.send(_encode(message, headers))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise ServerUnavailable(_CLOSED) from None
        except ValueError as error:
            raise _not_carried(error) from None

    def describe_unreadable(self, request_id: int | None) -> str:  # noqa: ARG002  # nothing is quoted
        """Return how many messages cannot be read; see `SupportsUnreadableOutput`.

        Nobody knows what is secret in them.
        """
        messages = "1 message" if self._unreadable == 1 else f"{self._unreadable} messages"
        return f"it sent {messages} that cannot be read" if self._unreadable else ""

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading or go on; see `ServerChannel`."""
        if not paused:
            self._resumed.set()
        elif self._resumed.is_set():
            self._resumed = anyio.Event()

    async def _send_request(self, message: bytes, request_id: int, headers: Mapping[str, str]) -> None:
        from mcp.shared.exceptions import MCPError

        if (request := self._requests.get(request_id)) is None:
            return
        try:
            with request.writing:
                await self._write.send(_encode(message, headers))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._fail(request_id, RequestNotSent("the session has just ended"))
        except (MCPError, ServerUnavailable) as error:
            self._fail(request_id, error)
        except ValueError as error:
            # Only this request fails: the session is shared with others.
            self._fail(request_id, _not_carried(error))

    def _fail(self, request_id: int, error: Exception) -> None:
        if (request := self._requests.pop(request_id, None)) is not None:
            request.handler.on_failure(error)

    async def _receive(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        try:
            async for item in self._read:
                if isinstance(item, Exception):
                    self._unreadable += 1
                    log.debug("message unreadable", extra={"reason": str(item)})
                else:
                    self._hand_over(item, on_message)
                await self._resumed.wait()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            log.debug("stream closed")
        finally:
            self._closed = True
            for request_id in list(self._requests):
                self._fail(request_id, ConnectionDropped(_CLOSED))
            on_close()

    def _hand_over(self, item: SessionMessage, on_message: Callable[[bytes], None]) -> None:
        content = _content(item)
        try:
            message = json.dumps(content, separators=(",", ":")).encode()
        except (ValueError, RecursionError) as error:
            # Only this message is lost: the session is shared with others.
            log.debug("message unreadable", extra={"reason": str(error)})
            if "method" in content:
                return
            problem = {"code": _INTERNAL_ERROR, "message": f"the server sent a response that cannot be read: {error}"}
            message = json.dumps({"jsonrpc": "2.0", "id": content.get("id"), "error": problem}).encode()
        related = getattr(item.metadata, "related_request_id", None)
        if "method" in content:
            request = self._requests.get(_own_id(related))
            (on_message if request is None else request.handler.on_message)(message)
            return
        # An error without an id of ours answers the request on whose stream it came.
        answered = _own_id(content.get("id"))
        request = self._requests.pop(answered or ("error" in content and _own_id(related)), None)
        if request is None:
            on_message(message)
            return
        # A transport may wait for more, for a status of HTTP: nobody needs that now.
        request.writing.deadline = anyio.current_time() + _DRAIN_SECONDS
        self._unreadable = 0
        request.handler.on_response(message)


def _own_id(value: object) -> int:
    """Read an id of ours as a server returns it; otherwise 0."""
    if type(value) is int:  # nearly always
        return max(value, 0)
    return (read_own_id(json.dumps(value).encode()) if isinstance(value, str | float) else None) or 0


def _content(item: SessionMessage) -> dict[str, Any]:
    """Return the members of a message.

    A dump of the whole model would limit the depth of its payload.
    """
    message = item.message
    content = {name: getattr(message, name) for name in message.model_fields_set}
    if "error" in content:
        content["error"] = content["error"].model_dump(exclude_unset=True)
    return content


def _not_carried(problem: ValueError) -> MCPError:
    from mcp.shared.exceptions import MCPError

    # Pydantic's text quotes the message, which may hold secrets.
    kind = type(problem).__name__
    return MCPError(_INVALID_PARAMS, f"the server's transport cannot carry this message ({kind}): numbers too long?")


def _encode(message: bytes, headers: Mapping[str, str]) -> SessionMessage:
    from mcp.shared.message import ClientMessageMetadata, SessionMessage
    from mcp_types import jsonrpc_message_adapter

    parsed = jsonrpc_message_adapter.validate_json(message, by_name=False)
    return SessionMessage(parsed, ClientMessageMetadata(headers=dict(headers)) if headers else None)
