"""The lists of one server: what becomes of the others if one of them fails."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from structlog.testing import capture_logs

from mcp_gateway.discovery.list_server import list_server
from mcp_gateway.plugin import ServerUnavailable
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session_key import SessionKey

from ..support.fake_servers import ScriptedTransport, scripted_streams, tool
from ..support.gateway import spec

ANSWERS = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}, "prompts": {}, "resources": {}},
        "serverInfo": {"name": "s", "version": "1"},
    },
    "tools/list": {"tools": [tool("x")]},
    "prompts/list": {"prompts": [{"name": "p"}]},
    "resources/list": {"resources": [{"uri": "r:1", "name": "r"}]},
    "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "r:{n}", "name": "t"}]},
}
METHODS = ["prompts/list", "resources/list", "resources/templates/list"]


class DyingTransport(ScriptedTransport):
    """A client transport to a server that ends at certain requests, the first `times` times."""

    def __init__(self, *deadly, times=100):
        super().__init__({})
        self.deadly, self.left, self.opened = deadly, times, 0

    @asynccontextmanager
    async def connect(self, _):
        self.opened += 1
        dead = anyio.Event()

        async def die(_):
            if self.left:
                self.left -= 1
                dead.set()
                await anyio.sleep_forever()
            return ANSWERS[method]

        answers = dict(ANSWERS)
        for method in self.deadly:
            answers[method] = die
        async with scripted_streams(answers) as (read, write), anyio.create_task_group() as tasks:
            send, received = anyio.create_memory_object_stream(10)

            async def pass_on():
                async with send:
                    async for message in read:
                        await send.send(message)

            async def end():
                await dead.wait()
                await send.aclose()

            async with received:
                tasks.start_soon(pass_on)
                tasks.start_soon(end)
                yield received, write
                tasks.cancel_scope.cancel()


async def list_through(transport, **changes):
    """Return how many tools, prompts, resources and templates are listed, and what was logged of failures."""
    one, listing = spec(**changes), None
    with capture_logs() as logs, anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            pool = Pool(tasks, {"alpha": transport}, 60.0)
            try:
                listing = await list_server(pool, one, SessionKey(one), {})
            finally:
                await pool.close()
                tasks.cancel_scope.cancel()
    assert listing is not None
    failed = [(log["server"], log["method"], log["reason"]) for log in logs if log["event"] == "list failed"]
    return [len(part) for part in (listing.tools, listing.prompts, listing.resources, listing.templates)], failed


def without(*methods):
    return [0 if method in methods else 1 for method in ["tools/list", *METHODS]]


@pytest.mark.parametrize("method", METHODS)
async def test_a_list_that_never_answers_is_left_out(method):
    counted, failed = await list_through(ScriptedTransport({**ANSWERS, method: ...}), timeout=0.4)
    assert counted == without(method)
    assert failed == [("alpha", method, 'no answer within 0.2 s, half of the server\'s "timeout"')]


async def test_all_other_lists_may_be_missing():
    counted, failed = await list_through(ScriptedTransport({**ANSWERS, **dict.fromkeys(METHODS, ...)}), timeout=0.4)
    assert counted == without(*METHODS)
    assert [method for _, method, _ in failed] == METHODS


async def test_a_list_that_answers_with_an_error_is_left_out():
    refused = {**ANSWERS, "prompts/list": MCPError(-32603, "no database")}
    counted, failed = await list_through(ScriptedTransport(refused))
    assert (counted, failed) == (without("prompts/list"), [("alpha", "prompts/list", "no database")])


@pytest.mark.parametrize("max_retries", [0, 3])
@pytest.mark.parametrize("method", METHODS)
async def test_a_list_at_which_the_server_ends_is_left_out(method, max_retries):
    server = DyingTransport(method)
    counted, failed = await list_through(server, max_retries=max_retries)
    assert counted == without(method)
    assert failed == [("alpha", method, "the server closed the connection instead of answering")]
    assert server.opened == 2


@pytest.mark.parametrize("max_retries", [0, 3])
async def test_a_server_that_ends_at_each_list_still_has_its_tools(max_retries):
    counted, failed = await list_through(DyingTransport(*METHODS), max_retries=max_retries)
    assert counted == without(*METHODS)
    assert [method for _, method, _ in failed] == METHODS


async def test_a_server_that_ends_at_its_tools_cannot_be_listed():
    with pytest.raises(BaseExceptionGroup) as raised:
        await list_through(DyingTransport("tools/list"))
    assert raised.group_contains(ServerUnavailable, match="closed the connection")
