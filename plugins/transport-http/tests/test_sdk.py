"""Private names of the SDK: what breaks if they change."""

import inspect

import pytest
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_gateway_transport_http.options import ListenOptions
from mcp_gateway_transport_http.server.event_store import RawEvent
from mcp_gateway_transport_http.server.message_request import cors_headers
from mcp_gateway_transport_http.server.session_limits import LimitedSessionManager
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware


@pytest.mark.parametrize(
    "ours, name, base",
    [
        # Else there is no bound on open requests, and sessions are open to others than their owners.
        (LimitedSessionManager, "_handle_request", StreamableHTTPSessionManager),
        (LimitedSessionManager, "_handle_stateful_request", StreamableHTTPSessionManager),
        (LimitedSessionManager, "_admit_session", StreamableHTTPSessionManager),
        (LimitedSessionManager, "_discard_session", StreamableHTTPSessionManager),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_overridden_is_there_and_takes_as_many_arguments(ours, name, base):
    assert name in vars(ours)
    wanted, given = (inspect.signature(getattr(owner, name)).parameters for owner in (base, ours))
    assert len(given) == len(wanted)
    assert inspect.iscoroutinefunction(getattr(ours, name)) is inspect.iscoroutinefunction(getattr(base, name))


def test_a_session_manager_has_its_sessions_by_their_ids():
    # Else sessions without requests of the SDK's path end early, and more are open than may be.
    manager = LimitedSessionManager(ListenOptions.model_validate({}), app=Server("x"))
    assert manager._server_instances == {}
    assert StreamableHTTPServerTransport("id").idle_scope is None


def test_each_session_gets_an_event_store_of_its_own():
    # Else a client could ask for the events of another's session.
    reads = inspect.getsource(StreamableHTTPSessionManager._admit_session)
    assert "event_store=self.event_store" in reads
    manager = LimitedSessionManager(ListenOptions.model_validate({}), app=Server("x"))
    assert manager.event_store is not manager.event_store


def test_an_event_is_encoded_by_the_method_that_ours_have():
    # Else what was stored as bytes cannot be sent again.
    writes = inspect.getsource(StreamableHTTPServerTransport._create_event_data)
    assert "event_message.message.model_dump_json(by_alias=True, exclude_unset=True)" in writes
    assert RawEvent(b'{"a":1}').model_dump_json(by_alias=True, exclude_unset=True) == '{"a":1}'


def test_the_lines_that_cors_adds_are_there_without_a_wait():
    # Else answers to web pages that were not made by ASGI cannot be read by them.
    cors = CORSMiddleware(Starlette(), allow_origins=["https://app.example"])
    lines = cors_headers(cors, [(b"origin", b"https://app.example")])
    assert b"access-control-allow-origin: https://app.example\r\n" in lines
