"""The contract with uvicorn: all that the connections of clients rely on. Run it against a new release of uvicorn."""

import ast
import asyncio
import inspect
import textwrap
from http import HTTPStatus

import pytest
from mcp_gateway_transport_http._uvicorn import (
    HIGH_WATER_LIMIT,
    STATUS_LINE,
    FlowControl,
    HttpToolsProtocol,
    ServerState,
)
from mcp_gateway_transport_http.http1.backpressure import ReadFlow
from mcp_gateway_transport_http.http1.bounded_protocol import BoundedProtocol
from mcp_gateway_transport_http.http1.request_head import RequestHead
from mcp_gateway_transport_http.server.message_protocol import MessageProtocol
from mcp_gateway_transport_http.server.response_protocol import ResponseProtocol
from mcp_gateway_transport_http.server.response_writer import HttpResponseWriter
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

OURS = (BoundedProtocol, ResponseProtocol, MessageProtocol)


def tree_of(item):
    """Return the syntax tree of a function or class."""
    return ast.parse(textwrap.dedent(inspect.getsource(item)))


def asked_of(owner, *items):
    """Return the names of what functions or classes ask of `owner`, such as `self.cycle`."""
    nodes = [node for item in items for node in ast.walk(tree_of(item)) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if ast.unparse(node.value).replace("super()", "self") == owner}


def set_by(cls):
    """Return the names of the attributes that a class sets when it is made."""
    nodes = [node for node in ast.walk(tree_of(cls.__init__)) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if isinstance(node.ctx, ast.Store)}


async def app(_scope, _receive, _send):
    """Answer nothing."""


@pytest.fixture
async def protocol():
    return HttpToolsProtocol(Config(app), ServerState(), {}, asyncio.get_running_loop())


def test_a_protocol_is_made_from_what_uvicorn_gives():
    # Else no connection is accepted.
    given = [*inspect.signature(HttpToolsProtocol.__init__).parameters]
    assert given == ["self", "config", "server_state", "app_state", "_loop"]


async def test_a_connection_has_all_that_is_asked_of_it(protocol):
    # Else requests fail with an AttributeError.
    own = {name for ours in OURS for name in {*vars(ours), *set_by(ours)}}
    asked = asked_of("self", *OURS) - (own - set(dir(HttpToolsProtocol)))
    assert {"transport", "flow", "cycle", "scope", "headers", "loop", "client", "server_state", "tasks"} <= asked
    protocol.on_message_begin()
    protocol.on_url(b"/mcp")
    assert sorted(name for name in asked if not hasattr(protocol, name)) == []


def test_what_is_overridden_is_called():
    # Else bounds and the dispatch of messages are passed by without a word.
    by_others = {*dir(asyncio.Protocol), "shutdown", *(name for name in vars(HttpToolsProtocol) if name[:3] == "on_")}
    overridden = {name for ours in OURS for name in vars(ours) if name in vars(HttpToolsProtocol) and name[:2] != "__"}
    assert {"data_received", "on_headers_complete", "on_response_complete", "shutdown"} <= overridden
    assert overridden <= by_others | asked_of("self", HttpToolsProtocol)


def test_a_head_stands_in_for_the_parser_that_uvicorn_asks():
    # Else a request that was read here fails in uvicorn.
    read_here = {"__init__", "data_received"}
    asking = [
        item for name, item in vars(HttpToolsProtocol).items() if inspect.isfunction(item) and name not in read_here
    ]
    asked = asked_of("self.parser", *asking)
    assert {"get_method", "get_http_version", "should_upgrade"} <= asked  # newer ones ask should_keep_alive, too
    assert sorted(name for name in asked if not hasattr(RequestHead, name)) == []


def test_a_cycle_has_what_is_asked_of_it():
    # Else requests behind one another are answered out of order.
    asked = asked_of("self.cycle", *OURS)
    assert {"response_complete", "message_event"} <= asked
    assert asked <= set_by(RequestResponseCycle)


def test_a_raw_call_has_what_uvicorn_asks_of_a_cycle():
    # Else the end of a connection, or of the gateway, fails while a raw call is under way.
    asked = asked_of("self.cycle", HttpToolsProtocol.shutdown, HttpToolsProtocol.connection_lost)
    assert {"response_complete", "keep_alive"} <= asked
    assert asked <= set(dir(HttpResponseWriter))


def test_flow_control_has_what_is_asked_of_it():
    # Else a client that does not read fills the memory.
    asked = asked_of("self.flow", *OURS) | asked_of("self", ReadFlow)
    assert {"write_paused", "read_paused", "pause_reading"} <= asked
    flow = ReadFlow(asyncio.Transport(), lambda: None)
    assert sorted(name for name in asked if not hasattr(flow, name)) == []
    # Overridden: what uvicorn calls it is what it has to be called here.
    assert "resume_reading" in vars(FlowControl)
    assert isinstance(HIGH_WATER_LIMIT, int)


def test_there_is_a_status_line_for_every_status():
    # Else refusals and raw answers cannot be written.
    assert STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"
    assert all(STATUS_LINE[status].startswith(b"HTTP/1.1 %d " % status) for status in HTTPStatus)


def test_the_state_of_a_server_counts_requests_and_has_headers():
    # Else answers lack the date, and the gateway does not end.
    state = ServerState()
    assert (state.total_requests, state.tasks, state.connections, state.default_headers) == (0, set(), set(), [])
