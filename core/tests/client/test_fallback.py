"""Servers that do not speak the transport that is tried first, and are reached by its fallback."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.errors import error_of_exception
from mcp_gateway.client.fallback.transport import FallbackTransport
from mcp_gateway.client.handshake import negotiate
from mcp_gateway.plugin import Credentials, ServerUnavailable, TransportFault

from ..support.gateway import spec

SECONDS = 10
REFUSED = MCPError(TransportFault.UNSUPPORTED, "HTTP 405 Method Not Allowed", {"status": 405})


@dataclass(eq=False)
class Way:
    """A transport whose server answers `initialize`, or refuses it, or the connection, with an error."""

    refusal: Exception | None = None
    refusal_of_connection: Exception | None = None
    refused: tuple[str, ...] = ("initialize",)
    connections: int = 0
    closed: int = 0
    methods: list[str] = field(default_factory=list)
    on_message: object = None
    on_close: object = None
    carries_credentials: bool = True

    @asynccontextmanager
    async def connect(self, credentials):
        if self.refusal_of_connection is not None:
            raise self.refusal_of_connection
        self.connections += 1
        try:
            yield self
        finally:
            self.closed += 1
            if self.on_close is not None:
                self.on_close()

    def start(self, on_message, on_close):
        self.on_message, self.on_close = on_message, on_close

    def request(self, message, request_id, headers, handler):
        method = json.loads(message)["method"]
        self.methods.append(method)
        call_soon = asyncio.get_running_loop().call_soon
        if self.refusal is not None and method in self.refused:
            call_soon(handler.on_failure, self.refusal)
        elif method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
            call_soon(handler.on_response, json.dumps({"jsonrpc": "2.0", "id": request_id, "result": result}).encode())
        else:
            error = {"code": -32601, "message": "unknown"}
            call_soon(handler.on_response, json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode())
        return lambda: None

    async def send(self, message, headers):
        self.methods.append(json.loads(message)["method"])

    def set_reading_paused(self, *, paused):
        pass


def pair(first, second, hint=""):
    return FallbackTransport(spec("old"), ("http", "sse"), first, second, hint)


async def negotiate_over(transport):
    """Open a session, as the gateway does, and return its error."""
    with anyio.fail_after(SECONDS):
        try:
            async with open_connection(transport.connect(Credentials())) as connection:
                await negotiate(connection)
                assert connection.version == "2025-11-25"
        except Exception as error:
            return str(error_of_exception("old", error))
    return ""


async def test_a_server_that_refuses_the_first_transport_is_reached_by_the_other_and_that_is_remembered():
    first, second = Way(REFUSED), Way()
    transport = pair(first, second)
    for _ in range(2):
        assert await negotiate_over(transport) == ""
    assert (first.connections, second.connections, second.closed) == (1, 2, 2)
    assert second.methods[:2] == ["initialize", "notifications/initialized"]


async def test_all_that_was_refused_is_sent_over_the_other_transport():
    second = Way()
    assert await negotiate_over(pair(Way(REFUSED, refused=("initialize", "server/discover")), second)) == ""
    assert second.methods == ["server/discover", "initialize", "notifications/initialized"]


async def test_the_first_transport_is_tried_again_when_the_server_has_become_a_newer_one():
    first, second = Way(REFUSED), Way()
    transport = pair(first, second)
    assert await negotiate_over(transport) == ""
    first.refusal, second.refusal_of_connection = None, REFUSED
    for _ in range(2):
        assert await negotiate_over(transport) == ""
    assert (first.connections, second.connections) == (3, 1)


async def test_a_server_that_speaks_the_first_transport_never_hears_of_the_other():
    first, second = Way(), Way()
    assert await negotiate_over(pair(first, second)) == ""
    assert (first.connections, second.connections) == (1, 0)


@pytest.mark.parametrize(
    "second, words",
    [
        (
            Way(MCPError(TransportFault.UNSUPPORTED, "HTTP 404 Not Found")),
            "nor does 'sse' reach it: HTTP 404 Not Found",
        ),
        (Way(refusal_of_connection=ServerUnavailable("it refuses")), "nor does 'sse' reach it: it refuses"),
        (Way(refusal_of_connection=ValueError("s3cr3t")), "nor does 'sse' reach it: ValueError"),
    ],
    ids=["not spoken", "unreachable", "broken"],
)
async def test_a_server_that_neither_reaches_is_named_with_both_reasons(second, words):
    transport = pair(Way(REFUSED), second)
    said = await negotiate_over(transport)
    assert said == f"server 'old' cannot be reached: HTTP 405 Method Not Allowed; {words}"
    assert not transport.is_second_used


async def test_rejected_credentials_of_the_other_transport_are_what_counts():
    rejected = MCPError(TransportFault.UNAUTHORIZED, "HTTP 401 Unauthorized", {"status": 401})
    assert "refused the credentials: HTTP 401" in await negotiate_over(pair(Way(REFUSED), Way(rejected)))


async def test_a_missing_plugin_is_named_with_the_line_that_installs_it():
    said = await negotiate_over(pair(Way(REFUSED), None, "try: pip install it"))
    assert said.endswith("HTTP 405 Method Not Allowed; another transport may reach it: try: pip install it")


async def test_other_failures_are_no_reason_to_try_another_transport():
    second = Way()
    said = await negotiate_over(pair(Way(MCPError(TransportFault.UNREACHABLE, "HTTP 500", {"status": 500})), second))
    assert said == "server 'old' cannot be reached: HTTP 500"
    assert second.connections == 0
