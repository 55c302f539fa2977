"""Private names of the SDK: what breaks if they change."""

import inspect

import pytest
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_gateway_transport_http.event_store import ResumableSessionManager
from mcp_gateway_transport_http.session_limits import LimitedSessionManager


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
    manager = ResumableSessionManager(app=Server("x"))
    assert manager._server_instances == {}
    assert StreamableHTTPServerTransport("id").idle_scope is None


def test_each_session_gets_an_event_store_of_its_own():
    # Else a client could ask for the events of another's session.
    reads = inspect.getsource(StreamableHTTPSessionManager._admit_session)
    assert "event_store=self.event_store" in reads
    manager = ResumableSessionManager(app=Server("x"))
    assert manager.event_store is not manager.event_store
