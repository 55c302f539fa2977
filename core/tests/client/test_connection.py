"""A connection to a server: which era it is of, and raw JSON either way."""

from __future__ import annotations

import anyio
import pytest
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

from mcp_gateway.client import handshake as module
from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.handshake import negotiate
from mcp_gateway.plugin import Credentials, TransportFault
from mcp_gateway.protocol.envelope import ServerError

from ..support.fake_channel import FakeServer
from ..support.fake_servers import Remote, scripted_streams, text, tool

MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"

INITIALIZE_RESULT = {
    "protocolVersion": HANDSHAKE,
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "old", "version": "1"},
}
DISCOVER_RESULT = {"resultType": "complete", "supportedVersions": [MODERN], "capabilities": {"tools": {}}}


@pytest.fixture(autouse=True)
def _short_probe(monkeypatch):
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)


async def negotiate_with(answers):
    """Negotiate with a server that gives these answers; return what is known of it."""
    with anyio.fail_after(5):
        async with open_connection(scripted_streams(answers)) as connection:
            await negotiate(connection)
            return connection


async def negotiation_error(answers):
    """Negotiate in vain; return the error."""
    with anyio.fail_after(5):
        async with open_connection(scripted_streams(answers)) as connection:
            with pytest.raises(MCPError) as caught:
                await negotiate(connection)
            return str(caught.value)


@pytest.mark.parametrize("handshake", [False, True])
async def test_a_server_of_the_sdk_is_taken_in_the_newest_era_it_has(handshake):
    with anyio.fail_after(5):
        async with open_connection(Remote(handshake=handshake).connect(Credentials())) as connection:
            await negotiate(connection)
            assert (connection.version, connection.modern) == ((HANDSHAKE, False) if handshake else (MODERN, True))
            assert "tools" in connection.initialize_result["capabilities"]


async def test_a_server_that_refuses_discover_is_initialized_in_the_handshake_era():
    connection = await negotiate_with({"initialize": INITIALIZE_RESULT})
    assert (connection.version, connection.initialize_result) == (HANDSHAKE, INITIALIZE_RESULT)


async def test_a_server_that_is_silent_to_discover_is_initialized_in_the_handshake_era():
    connection = await negotiate_with({"server/discover": ..., "initialize": INITIALIZE_RESULT})
    assert connection.version == HANDSHAKE


@pytest.mark.parametrize("silent", [True, False])
async def test_a_server_that_is_slow_to_discover_is_not_mistaken_for_an_old_one(silent):
    tried = anyio.Event()

    async def discover(_):
        await tried.wait()
        return DISCOVER_RESULT

    async def initialize(_):
        tried.set()
        if silent:
            await anyio.sleep_forever()
        raise MCPError(-32601, "no")

    assert (await negotiate_with({"server/discover": discover, "initialize": initialize})).modern


async def test_a_modern_server_without_our_version_is_initialized_in_the_handshake_era():
    connection = await negotiate_with(
        {"server/discover": {"supportedVersions": ["2099-01-01"]}, "initialize": INITIALIZE_RESULT}
    )
    assert connection.version == HANDSHAKE


@pytest.mark.parametrize("versions", [None, [], 3])
async def test_a_server_that_answers_discover_with_nonsense_is_initialized_in_the_handshake_era(versions):
    connection = await negotiate_with(
        {"server/discover": {"supportedVersions": versions}, "initialize": INITIALIZE_RESULT}
    )
    assert connection.version == HANDSHAKE


async def test_a_server_that_refuses_both_is_an_error_with_its_words():
    assert (
        await negotiation_error({"server/discover": MCPError(-32601, "no"), "initialize": MCPError(-32500, "go away")})
        == "go away"
    )


class Refusing(FakeServer):
    """A server that answers neither handshake with a result."""

    def _answer(self, method):
        return None


def rejection(status):
    return MCPError(TransportFault.UNAUTHORIZED, f"HTTP {status}", {"status": status, "challenge": "Bearer"})


TOO_NEW = ServerError(-32022, "Unsupported protocol version", None)


@pytest.mark.parametrize("initialize_first", [False, True])
@pytest.mark.parametrize(
    "discover, initialize, said",
    [
        (rejection(401), TOO_NEW, "HTTP 401"),
        (rejection(403), TOO_NEW, "HTTP 403"),
        (rejection(403), rejection(401), "HTTP 401"),
        (ServerError(-32601, "no", None), rejection(401), "HTTP 401"),
        # The code of a fault in a server's own error is no fault.
        (ServerError(TransportFault.UNAUTHORIZED, "HTTP 401", {"status": 401}), TOO_NEW, "Unsupported"),
    ],
)
async def test_rejected_credentials_are_not_hidden_by_the_error_of_the_other_handshake(
    discover, initialize, said, initialize_first
):
    server = Refusing(faults=[initialize, discover, initialize] if initialize_first else [discover, initialize])
    with anyio.fail_after(5):
        async with open_connection(server.connect(Credentials())) as connection:
            with pytest.raises(MCPError, match=said):
                await negotiate(connection, initialize_first=initialize_first)


async def test_a_server_that_rejects_discover_alone_is_initialized_in_the_handshake_era():
    server = FakeServer(modern=False)
    server._answer = lambda method: None if method == "server/discover" else FakeServer._answer(server, method)
    server.faults.append(rejection(401))
    with anyio.fail_after(5):
        async with open_connection(server.connect(Credentials())) as connection:
            await negotiate(connection)
            assert connection.version == HANDSHAKE


async def test_a_server_of_an_unknown_version_is_an_error_that_names_it():
    said = await negotiation_error({"initialize": {**INITIALIZE_RESULT, "protocolVersion": "1999-01-01"}})
    assert said == "the server speaks protocol version '1999-01-01', unknown here"


@pytest.mark.parametrize(
    "supported", [["2024-11-05"], ["2030-01-01", "2024-11-05", None, "2025-06-18"], ["2026-07-28", "2025-06-18"]]
)
async def test_a_server_that_refuses_our_version_and_names_its_own_gets_the_newest_of_those(supported):
    seen = []

    def initialize(params):
        seen.append(params["protocolVersion"])
        if seen[-1] not in supported:
            raise MCPError(-32602, "Unsupported protocol version", {"supported": supported, "requested": seen[-1]})
        return {**INITIALIZE_RESULT, "protocolVersion": seen[-1]}

    connection = await negotiate_with({"initialize": initialize})
    newest = "2025-06-18" if len(supported) > 1 else "2024-11-05"
    assert (connection.version, seen) == (newest, [HANDSHAKE, newest])


@pytest.mark.parametrize(
    "data", [None, "x", {"supported": "2025-06-18"}, {"supported": []}, {"supported": [HANDSHAKE, "2025-06-18"]}]
)
async def test_a_refusal_that_names_no_older_version_of_ours_is_an_error(data):
    assert await negotiation_error({"initialize": MCPError(-32602, "not this one", data)}) == "not this one"


async def test_a_server_that_refuses_the_version_it_has_named_is_asked_no_third_time():
    seen = []

    def initialize(params):
        seen.append(params["protocolVersion"])
        raise MCPError(-32602, f"not {seen[-1]}", {"supported": ["2025-06-18"]})

    assert await negotiation_error({"initialize": initialize}) == "not 2025-06-18"
    assert seen == [HANDSHAKE, "2025-06-18"]


async def test_an_old_server_gets_the_params_as_they_are_and_a_modern_one_an_envelope():
    seen = []

    def answer(params):
        seen.append(params)
        return text("done")

    for handshake in ({"initialize": INITIALIZE_RESULT}, {"server/discover": DISCOVER_RESULT}):
        async with open_connection(scripted_streams({**handshake, "tools/call": answer})) as connection:
            await negotiate(connection)
            await connection.request("tools/call", {"name": "x", "arguments": {"n": 2**70}, "_meta": {"mine": 1}})
    old, new = seen
    assert old == {"name": "x", "arguments": {"n": 2**70}, "_meta": {"mine": 1}}
    assert new["arguments"] == old["arguments"]
    assert new["_meta"]["mine"] == 1
    assert new["_meta"]["io.modelcontextprotocol/protocolVersion"] == MODERN
    assert new["_meta"]["io.modelcontextprotocol/clientCapabilities"] == {}


async def test_a_request_of_the_servers_is_refused_but_for_ping():
    asked = []

    async def ask(ctx):
        asked.append(await ctx.session.send_ping())
        with (
            pytest.warns(MCPDeprecationWarning),
            pytest.raises(MCPError, match="did not declare that it can answer roots/list"),
        ):
            await ctx.session.list_roots()
        return text("done")

    remote = Remote(tool("ask"), handshake=True)
    remote.answers["ask"] = ask
    async with open_connection(remote.connect(Credentials())) as connection:
        await negotiate(connection)
        assert await connection.request("tools/call", {"name": "ask"}) == text("done")
    assert len(asked) == 1


async def test_a_connection_that_closes_says_so():
    remote = Remote()
    with anyio.fail_after(5):
        async with open_connection(remote.connect(Credentials())) as connection:
            await negotiate(connection)
            await remote.die()
            await connection.closed.wait()
