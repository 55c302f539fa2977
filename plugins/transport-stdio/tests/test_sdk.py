"""Private names of the SDK: what breaks if they change."""

from contextlib import AbstractAsyncContextManager
from typing import get_args

from mcp_gateway_transport_stdio._sdk import Transport, TransportStreams
from mcp_gateway_transport_stdio.client_transport import StdioClientTransport
from mcp_gateway_transport_stdio.options import StdioOptions

from mcp_gateway.plugin import Credentials


def test_a_connection_to_a_child_is_a_context_of_two_streams():
    # Else the core cannot open sessions with what this plugin gives it.
    reading, writing = get_args(TransportStreams)
    assert hasattr(reading, "receive")
    assert hasattr(writing, "send")
    assert issubclass(Transport, AbstractAsyncContextManager)
    connection = StdioClientTransport(StdioOptions(name="x", command="true")).connect(Credentials())
    assert isinstance(connection, AbstractAsyncContextManager)
