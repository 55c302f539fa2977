"""Discovery of servers whose lists break off."""

from __future__ import annotations

from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.server_health import State
from mcp_gateway.plugin import ANONYMOUS

from ..support.fake_plugins import MemoryStorage
from ..support.fake_servers import ScriptedTransport, tool
from .test_refresher import names, state, wait_until_settled


def in_two_pages(second):
    hello = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "a"}}
    answers = {None: {"tools": [tool("x")], "nextCursor": "2"}, "2": second}

    def answer(params):
        found = answers[(params or {}).get("cursor")]
        if isinstance(found, Exception):
            raise found
        return found

    return ScriptedTransport({"initialize": hello, "tools/list": answer}), answers


async def test_a_server_whose_tools_were_not_all_listed_is_asked_again(gateway):
    alpha, answers = in_two_pages(MCPError(-32602, "invalid cursor"))
    async with gateway({"alpha": alpha}) as opened:
        await wait_until_settled(opened)
        assert (state(opened), names(opened)) == (State.DEGRADED, ["alpha__x"])
        said = "did not list all of its tools: what follows page 1 is missing: invalid cursor"
        assert any(said in note for note in opened.gateway.registry.notes())
        answers["2"] = {"tools": [tool("y")]}
        opened.gateway.discovery.scheduler.on_success(("alpha", None))  # its back-off is over
        opened.gateway.discovery.refresh_stale(ANONYMOUS)
        await wait_until_settled(opened)
        assert (state(opened), names(opened)) == (State.READY, ["alpha__x", "alpha__y"])


async def test_a_failed_page_takes_nothing_that_was_known(gateway):
    alpha, answers = in_two_pages({"tools": [tool("y")]})
    async with gateway({"alpha": alpha}) as opened:
        await wait_until_settled(opened)
        answers["2"] = MCPError(-32603, "no database")
        await opened.gateway.discover("alpha", ANONYMOUS)
        assert (state(opened), names(opened)) == (State.DEGRADED, ["alpha__x", "alpha__y"])


async def test_a_part_of_a_list_is_not_for_other_replicas(gateway):
    storage = MemoryStorage()
    alpha, answers = in_two_pages(MCPError(-32602, "invalid cursor"))
    async with gateway({"alpha": alpha}, storage=storage) as opened:
        await wait_until_settled(opened)
        assert names(opened) == ["alpha__x"]
        answers["2"] = {"tools": [tool("y")]}
        async with gateway({"alpha": alpha}, storage=storage) as other:
            await wait_until_settled(other)
            assert (state(other), names(other)) == (State.READY, ["alpha__x", "alpha__y"])
