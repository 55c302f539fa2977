"""Channels: JSON-RPC messages as bytes, towards servers and towards clients.

A message is one JSON-RPC object in UTF-8, without a line end. Channels call back synchronously and in the order of
the wire: so a response never overtakes a notification that came before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp_gateway.plugin.values import Principal, RawResponse


class ResponseHandler(Protocol):
    """Receives what a server sends for one request.

    Its methods do not raise, and do not wait.
    """

    def on_message(self, message: bytes) -> None:
        """Handle a message that came on this request's own stream.

        It is a notification or a request, and comes before the response.

        Only channels that know to which request a message belongs call it: HTTP does, the pipes of a process do not.
        """
        ...

    def on_response(self, response: bytes) -> None:
        """Handle the response, once.

        Its id is that of the request, as the server has written it.
        """
        ...

    def on_failure(self, error: Exception) -> None:
        """Handle that there will be no response, once.

        The error is one of these:

        RequestNotSent: not a byte of it can have reached the server; it may be sent again.
        ConnectionDropped: the connection closed after something was written and before the response.
        MCPError: the channel answers in the server's place, by a `TransportFault`.
        ServerUnavailable: the server failed in any other way.
        """
        ...


@runtime_checkable
class ServerChannel(Protocol):
    """An open connection to one server, as `ClientTransport.connect` yields it."""

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """Begin to receive; called once, before anything is sent.

        `on_message` hears every message that no `ResponseHandler` gets: notifications, requests of the server, and
        responses to requests that nobody waits for any more. `on_close` is called once, when the connection is over.
        """
        ...

    def request(
        self, message: bytes, request_id: int, headers: Mapping[str, str], handler: ResponseHandler
    ) -> Callable[[], None]:
        """Send a request without waiting; return what abandons it.

        `request_id` is the id in `message`; `headers` are those that the protocol wants with it over HTTP. Neither the
        response nor a failure is told before this method has returned. What must be waited for (a connection, room in
        a pipe) is waited for inside the channel. An abandoned request is not sent if that has not happened yet; its
        handler hears nothing more. The channel does not tell the server so, except by closing a stream of its own.
        The caller keeps the time.
        """
        ...

    async def send(self, message: bytes, headers: Mapping[str, str]) -> None:
        """Send a notification, or the response to a request of the server's.

        Raises:
            MCPError: it cannot be delivered.
            ServerUnavailable: the connection is closed.

        """
        ...

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading from the server, or go on.

        It is stopped while its clients do not keep up.
        """
        ...


@runtime_checkable
class SupportsLastLine(ServerChannel, Protocol):
    """Optional: a channel to a server that writes for people, too.

    It is shown while the server starts.
    """

    @property
    def last_line(self) -> str:
        """The last line that the server has written, or an empty string.

        Secrets are masked in it.
        """
        ...


@runtime_checkable
class SupportsUnreadableOutput(ServerChannel, Protocol):
    """Optional: a channel that knows of output in place of messages.

    The error of a request without an answer tells it.
    """

    def describe_unreadable(self, request_id: int | None) -> str:
        """Return what came since the last response and is no message.

        For example "it wrote 3 lines that are no MCP messages, first '{'"; an empty string if nothing came. It may be
        quoted only if it cannot be about another request than this one, whose caller may be another. Secrets are masked
        in it.
        """
        ...


def open_stream_channel(read: Any, write: Any) -> AbstractAsyncContextManager[ServerChannel]:
    """Return the unopened channel over an SDK transport's opened pair of streams.

    It costs a model and a task for each message: a transport that carries many calls is better a channel itself.
    A message whose `ServerMessageMetadata.related_request_id` is set goes to the handler of that request.
    """
    # The event loop is not loaded by what only declares plugins.
    from mcp_gateway.plugin.utilities.stream_channel import StreamChannel

    return StreamChannel(read, write)


class ResponseWriter(Protocol):
    """Writes to a client the messages of one of its requests.

    Server transports make one for each request.
    """

    @property
    def is_congested(self) -> bool:
        """Whether the client does not read what has been written."""
        ...

    def write(self, message: bytes) -> None:
        """Write a notification, or a request to the client.

        It comes before the response. No-op if the client has gone.
        """
        ...

    def finish(self, response: RawResponse) -> None:
        """Write the response, once; no-op if the client has gone."""
        ...


@runtime_checkable
class SupportsRawDispatch(Protocol):
    """Optional, of the gateway's server: dispatch of messages as bytes.

    Server transports offer it every message first.
    """

    def dispatch_raw(
        self,
        message: bytes,
        headers: Mapping[str, str] | None,
        principal: Principal | None,
        writer: ResponseWriter,
    ) -> Callable[[], None] | None:
        """Begin to answer a message; return what abandons it.

        None means that the message is not for this way: it must go to the SDK's server.

        `headers` are those of its HTTP request, in lower case, none of them twice; None means that it came from the
        only client there is, or by the pipe of `SupportsPipes` whose method this is. What is derived from them is kept
        by the object, so it must not change afterwards; the same object for equal headers saves time. `principal` is
        who has sent it, if an authorization server has said so. `writer.finish` is called exactly once, after this
        method has returned, unless the message was abandoned: with a response, with an empty one if the client does not
        want it any more, or with `accepted` for a message that has none.
        """
        ...


@runtime_checkable
class SupportsPipes(Protocol):
    """Optional, of the gateway's server: pipes, each of one client.

    A server transport without headers that serves several clients opens one for each.
    """

    def open_pipe(self) -> AbstractContextManager[SupportsRawDispatch]:
        """Return an unopened pipe, which yields what dispatches its messages.

        The SDK's server is to be run for that client by the task that opens the pipe. When it is closed, the gateway
        forgets the client.
        """
        ...
