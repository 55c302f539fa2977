"""Servers of the modern era that ask back reach clients of both eras, and nobody who did not say that he can answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from .support.gateways import GATEWAY, HERE, Launcher, free_port, plain_entry
from .support.raw_clients import HttpClient

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")]

ASKING = str(HERE / "servers" / "asking.py")


async def elicited(_: Any, params: Any) -> types.ElicitResult:
    if isinstance(params, types.ElicitRequestURLParams):
        return types.ElicitResult(action="decline")
    return types.ElicitResult(action="accept", content={"name": "Ada"})


async def sampled(_: Any, __: Any) -> types.CreateMessageResult:
    content = types.TextContent(type="text", text="word")
    return types.CreateMessageResult(role="assistant", content=content, model="none")


async def rooted(_: Any) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///home", name="home")])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Launcher, Path]]:
    with ExitStack() as stack:
        launcher = Launcher(tmp_path_factory.mktemp("asking"), stack)
        port = free_port()
        over_http = launcher.start([sys.executable, ASKING, "http", str(port)], launcher.environment(Path("none")))
        over_http.errors.until(lambda line: "running on" in line)
        yield (
            launcher,
            launcher.config(
                {"name": "stdio", "command": sys.executable, "args": [ASKING, "stdio"]},
                {"name": "http", "url": f"http://127.0.0.1:{port}/mcp"},
            ),
        )


@pytest.fixture(scope="module")
def url(place: tuple[Launcher, Path]) -> str:
    return place[0].start_http(place[1]).url


@pytest.fixture(params=["stdio", "http"])
def target(request: pytest.FixtureRequest, place: tuple[Launcher, Path], url: str) -> Any:
    if request.param == "http":
        return url
    return StdioServerParameters(command=GATEWAY, env={"SERVER_CONFIG_PATH": str(place[1])})


@pytest.mark.parametrize("server", ["stdio", "http"])
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_questions_reach_the_client_and_its_answers_the_server(target: Any, mode: Any, server: str) -> None:
    callbacks = {"elicitation_callback": elicited, "sampling_callback": sampled, "list_roots_callback": rooted}
    async with Client(target, mode=mode, **callbacks) as client:
        for tool, told in (
            ("form", '1: {"action":"accept","content":{"name":"Ada"}'),
            ("link", '1: {"action":"decline"'),
            ("sampling", '"text":"word"'),
            ("roots", '"uri":"file:///home"'),
            ("twice", '2: {"action":"accept"'),
        ):
            remote = {"tool_name": f"{server}__{tool}"}
            for name, arguments in ((f"{server}__{tool}", {}), ("call_remote_tool", remote)):
                result = await client.call_tool(name, arguments)
                assert told in result.content[0].text, (tool, name)  # type: ignore[union-attr]


async def test_a_client_of_the_handshake_era_that_cannot_answer_is_not_asked(url: str) -> None:
    async with Client(url, mode="legacy") as client:
        result = await client.call_tool("http__form", {})
        assert result.is_error is True
        assert "asks for elicitation/create" in result.content[0].text  # type: ignore[union-attr]


def test_a_server_is_offered_what_the_client_declared_and_no_more(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("plain", None, "--era", "modern"))
    url = launcher.start_http(config).url
    for declared in ({}, {"elicitation": {"form": {}}, "vendor": {"x": None}}):
        for client in (
            HttpClient(url, modern=True, capabilities=declared),
            HttpClient(url, False, capabilities=declared),
        ):
            echoed = client.call("plain__echo")["result"]["structuredContent"]["params"]["_meta"]
            offered = echoed["io.modelcontextprotocol/clientCapabilities"]
            assert offered.get("elicitation") == declared.get("elicitation")
            assert "sampling" not in offered


async def test_a_server_that_asks_without_end_is_given_up(url: str) -> None:
    async with Client(url, mode="legacy", elicitation_callback=elicited) as client:
        result = await client.call_tool("http__endless", {})
        assert "asked back 20 times without coming to a result" in result.content[0].text  # type: ignore[union-attr]
