"""The first handshake is answered before the gateway's server is there, and as that would answer it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.client._memory import InMemoryTransport
from mcp.shared.exceptions import MCPError

from mcp_gateway.app import open_gateway
from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.handshake import _initialize
from mcp_gateway.config.settings import read_settings
from mcp_gateway.plugin import ANONYMOUS, LazyServer
from mcp_gateway.protocol.client_channel import ALONE

from ..support.fake_plugins import everything, providers_of
from ..support.fake_servers import WAIT_SECONDS, Remote, tool, until
from ..support.gateway import read

INFO = {"name": "a", "version": "1"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": INFO,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def initialize(version="2025-11-25", **changes):
    return "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": INFO, **changes}


def discover(**changes):
    return "server/discover", {"_meta": {**META, **changes}}


def line(method, params, **changes):
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **changes}).encode()


@asynccontextmanager
async def open_lazy_gateway(folder, **keys):
    """Open a gateway whose server is not there yet."""
    providers = providers_of(everything({"alpha": Remote(tool("x"))}))
    entry = {"name": "alpha", "transport": "memory", "timeout": WAIT_SECONDS, **keys}
    servers = read(folder, {"servers": [entry]}, providers)
    with anyio.fail_after(6 * WAIT_SECONDS):
        async with open_gateway(read_settings({}, providers), servers, later=True) as opened:
            assert isinstance(opened.lazy_server, LazyServer)
            yield opened


HANDSHAKES = [
    initialize(version) for version in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "x")
]
HANDSHAKES += [
    initialize(
        capabilities={"roots": {"listChanged": True}, "elicitation": {"form": {}}, "experimental": {"x": {"y": [1]}}}
    ),
    initialize(_meta={"x": 1}, more=None),
    discover(),
    discover(**{"io.modelcontextprotocol/clientCapabilities": {"sampling": {"tools": {}}}, "com.example/x": 1}),
]


@pytest.mark.parametrize("discovered", [False, True])
@pytest.mark.parametrize("handshake", HANDSHAKES)
async def test_the_answer_is_the_one_that_the_server_gives(tmp_path, handshake, discovered):
    method, params = handshake
    async with open_lazy_gateway(tmp_path) as opened:
        if discovered:
            await opened.gateway.discover("alpha", ANONYMOUS)
        early = json.loads(opened.lazy_server.early_initialize(line(method, params)))
        async with open_connection(InMemoryTransport(await opened.lazy_server.load())) as connection:
            assert early == {"jsonrpc": "2.0", "id": 1, "result": await connection.request(method, params)}


@pytest.mark.parametrize(
    "message",
    [
        b"nonsense",
        b"\xff",
        b"[" * 100_000,
        line("ping", {}),
        line("tools/list", {"_meta": META}),
        line(*initialize(), id=None),
        line(*initialize(), id=1.5),
        line(*initialize(), jsonrpc="1.0"),
        line(*initialize(version=7)),
        line(*initialize(capabilities=None)),
        line(*initialize(capabilities={"sampling": 3})),
        line(*initialize(clientInfo={"name": "a"})),
        line(*initialize(clientInfo={"name": "a" * 100_000, "version": "1"})),
        line(*discover(**{"io.modelcontextprotocol/protocolVersion": "2027-01-01"})),
        line(*discover(**{"io.modelcontextprotocol/clientInfo": None})),
        line(*discover(**{"io.modelcontextprotocol/clientCapabilities": None})),
        line("server/discover", {}),
    ],
)
async def test_what_is_not_a_proper_handshake_is_left_to_the_server(tmp_path, message):
    async with open_lazy_gateway(tmp_path) as opened:
        assert opened.lazy_server.early_initialize(message) is None
        assert opened.lazy_server.early_initialize(line(*initialize())) is not None


async def test_a_second_handshake_and_one_that_comes_late_are_left_to_the_server(tmp_path):
    async with open_lazy_gateway(tmp_path) as opened:
        assert opened.lazy_server.early_initialize(line(*initialize())) is not None
        assert opened.lazy_server.early_initialize(line(*initialize())) is None
    async with open_lazy_gateway(tmp_path) as opened:
        assert await opened.lazy_server.load() is await opened.lazy_server.load()
        assert opened.lazy_server.early_initialize(line(*initialize())) is None


async def test_where_the_only_server_answers_for_itself_the_handshake_waits_for_it(tmp_path):
    async with open_lazy_gateway(tmp_path, namespace=None, expose_tools=True) as opened:
        assert opened.lazy_server.early_initialize(line(*initialize())) is None


async def test_servers_are_asked_as_soon_as_the_client_has_said_what_it_can_do(tmp_path):
    async with open_lazy_gateway(tmp_path) as opened:
        assert opened.gateway.discovery.waiting
        opened.lazy_server.early_initialize(line(*initialize(capabilities={"roots": {}})))
        assert opened.gateway.discovery.host.capabilities == {"roots": {}}
        await until(lambda: "alpha" in opened.gateway.registry.catalog.servers)
        assert opened.lazy_server.opened is None


async def test_a_question_to_a_client_whose_handshake_was_answered_early_waits_until_the_server_can_pass_it_on(
    tmp_path,
):
    async with open_lazy_gateway(tmp_path) as opened, anyio.create_task_group() as tasks:
        opened.lazy_server.early_initialize(line(*initialize()))
        client, asked = opened.gateway.discovery.host.client, anyio.Event()
        assert client is None  # it can do nothing that a server would be told
        guest = opened.lazy_server._guest
        way = opened.gateway.pool.way_to(guest.name)

        async def ask():
            with pytest.raises(MCPError, match="roots/list"):
                await way.ask("roots/list", {})
            asked.set()

        tasks.start_soon(ask)
        async with open_connection(InMemoryTransport(await opened.lazy_server.load())) as connection:
            assert not asked.is_set()
            await _initialize(connection)
            await asked.wait()
        await until(lambda: opened.gateway.pool.way_to(guest.name) is None)


async def test_a_modern_client_whose_handshake_was_answered_early_cannot_be_asked(tmp_path):
    async with open_lazy_gateway(tmp_path) as opened:
        opened.lazy_server.early_initialize(line(*discover()))
        assert opened.gateway.pool.way_to("pipe") is ALONE
        assert opened.gateway.pool.way_to("another") is None
