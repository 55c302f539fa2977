"""Private names of the SDK: what breaks if they change."""

import inspect
from contextlib import AbstractAsyncContextManager
from typing import get_args

import anyio
from mcp.client._transport import TransportStreams
from mcp.server.session import ServerSession

from mcp_gateway.protocol._sdk import ReadStream, Transport, WriteStream, connection_of, request_outbound_of


def test_a_client_transport_is_a_context_of_two_streams():
    # Else plugins' transports and the core's connections no longer fit together.
    assert issubclass(Transport, AbstractAsyncContextManager)
    assert [item.__origin__ for item in get_args(TransportStreams)] == [ReadStream, WriteStream]


def test_streams_are_what_anyio_makes():
    # Else the core's own streams, which wrap anyio's, have methods too few.
    async_methods = {"aclose", "__aenter__", "__aexit__"}
    for protocol, verb in ((ReadStream, "receive"), (WriteStream, "send")):
        wanted = {name for name, value in vars(protocol).items() if inspect.iscoroutinefunction(value)}
        assert {*async_methods, verb} <= wanted
    send, receive = anyio.create_memory_object_stream[int](1)
    with send, receive:
        assert all(hasattr(stream, name) for stream in (send, receive) for name in async_methods)


def test_a_session_has_its_connection_and_the_channel_of_its_request():
    # Else no client gets notifications, and no question of a server reaches its client.
    session = ServerSession.__new__(ServerSession)
    given = inspect.signature(ServerSession.__init__).parameters
    assert {"request_outbound", "connection"} <= given.keys()
    session._connection, session._request_outbound = "connection", "outbound"
    assert (connection_of(session), request_outbound_of(session)) == ("connection", "outbound")
    assert {"_connection", "_request_outbound"} <= set(ServerSession.__init__.__code__.co_names)
