"""The lists of one server: what becomes of the others if one of them fails."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from structlog.testing import capture_logs

from mcp_gateway.catalog.omissions import fill_in, why_tools_are_missing
from mcp_gateway.discovery.list_server import list_server
from mcp_gateway.plugin import ServerUnavailable, TransportFault, open_stream_channel
from mcp_gateway.protocol.primitives import TOOLS
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
SILENT = (
    'no answer within 0.2 s, half of 0.4 s (its "timeout"); raise that, or set its "list_timeout", if it needs longer'
)


class DyingTransport(ScriptedTransport):
    """A client transport to a server that ends at certain requests, the first `times` times."""

    def __init__(self, *deadly, times=100, page=1):
        super().__init__({})
        self.deadly, self.left, self.page, self.opened = deadly, times, page, 0

    @asynccontextmanager
    async def connect(self, _):
        self.opened += 1
        dead = anyio.Event()

        async def die(_):
            if self.left:
                self.left -= 1
                dead.set()
                await anyio.sleep_forever()
            return ANSWERS[self.deadly[0]]

        answers = dict(ANSWERS)
        for method in self.deadly:
            answers |= {method: die if self.page == 1 else in_pages(method, die)[method]}
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


class FaultyTransport(ScriptedTransport):
    """A client transport that answers a list in the server's place, the first `times` times."""

    def __init__(self, method, status, *, times=100):
        super().__init__(ANSWERS)
        self.method, self.status, self.left, self.asked = method, status, times, 0

    @asynccontextmanager
    async def connect(self, _):
        async with scripted_streams(ANSWERS) as streams, open_stream_channel(*streams) as channel:
            yield FaultyChannel(channel, self)

    def fault(self, message):
        """Return the error for a request, if any."""
        if json.loads(message)["method"] != self.method:
            return None
        self.asked, self.left = self.asked + 1, self.left - 1
        data = {} if self.status is None else {"status": self.status}
        return MCPError(TransportFault.UNREACHABLE, f"HTTP {self.status}", data) if self.left >= 0 else None


class FaultyChannel:
    """A channel that fails at what the transport says."""

    def __init__(self, channel, transport):
        self.channel, self.transport = channel, transport
        self.start, self.send, self.set_reading_paused = channel.start, channel.send, channel.set_reading_paused

    def request(self, message, request_id, headers, handler):
        if (fault := self.transport.fault(message)) is None:
            return self.channel.request(message, request_id, headers, handler)
        asyncio.get_running_loop().call_soon(handler.on_failure, fault)
        return ignore


def ignore():
    """Nothing is left to abandon."""


async def list_through(transport, **changes):
    """Return how many tools, prompts, resources and templates are listed, and what was logged of failures."""
    listing, failed = await listing_through(transport, **changes)
    return [len(part) for part in (listing.tools, listing.prompts, listing.resources, listing.templates)], failed


async def listing_through(transport, **changes):
    """Return a listing, and what was logged of failures."""
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
    failed = [(log["server"], log["method"], log["reason"]) for log in logs if log["event"] == "list incomplete"]
    return listing, failed


def without(*methods):
    return [0 if method in methods else 1 for method in ["tools/list", *METHODS]]


@pytest.mark.parametrize("method", METHODS)
async def test_a_list_that_never_answers_is_left_out(method):
    counted, failed = await list_through(ScriptedTransport({**ANSWERS, method: ...}), timeout=0.4)
    assert counted == without(method)
    assert failed == [("alpha", method, SILENT)]


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


def in_pages(method, second):
    """Answer a list in two pages; `second` answers the second."""
    first = ANSWERS[method]

    def answer(params):
        if "cursor" not in (params or {}):
            return {**first, "nextCursor": "2"}
        if isinstance(second, Exception):
            raise second
        return second(params)

    return {**ANSWERS, method: answer}


@pytest.mark.parametrize("method", ["tools/list", *METHODS])
async def test_an_error_on_a_later_page_leaves_out_what_follows(method):
    refused = in_pages(method, MCPError(-32602, "invalid cursor"))
    counted, failed = await list_through(ScriptedTransport(refused))
    assert counted == without()
    assert failed == [("alpha", method, "what follows page 1 is missing: invalid cursor")]


@pytest.mark.parametrize("method", ["tools/list", *METHODS])
async def test_a_later_page_that_never_comes_leaves_out_what_follows(method):
    silent = in_pages(method, lambda _: anyio.sleep_forever())
    counted, failed = await list_through(ScriptedTransport(silent), timeout=0.4)
    assert counted == without()
    assert failed == [("alpha", method, f"what follows page 1 is missing: {SILENT}")]


@pytest.mark.parametrize("max_retries", [0, 3])
@pytest.mark.parametrize("method", ["tools/list", *METHODS])
async def test_a_later_page_at_which_the_server_ends_leaves_out_what_follows(method, max_retries):
    counted, failed = await list_through(DyingTransport(method, page=2), max_retries=max_retries)
    assert counted == without()
    why = "the server closed the connection instead of answering"
    assert failed == [("alpha", method, f"what follows page 1 is missing: {why}")]


async def test_a_listing_says_what_is_missing_in_it():
    refused = in_pages("tools/list", MCPError(-32602, "invalid cursor"))
    listing, _ = await listing_through(ScriptedTransport({**refused, "prompts/list": MCPError(-32603, "no database")}))
    reason = "what follows page 1 is missing: invalid cursor"
    assert why_tools_are_missing(listing) == reason
    assert list(map(str, listing.omissions)) == [f"tools/list: {reason}", "prompts/list: no database"]


async def test_what_was_known_is_kept_where_a_list_fails():
    whole, _ = await listing_through(ScriptedTransport({**ANSWERS, "tools/list": {"tools": [tool("x"), tool("y")]}}))
    refused = in_pages("tools/list", MCPError(-32602, "invalid cursor"))
    part, _ = await listing_through(ScriptedTransport({**refused, "prompts/list": MCPError(-32603, "no database")}))
    assert (len(part.tools), part.prompts) == (1, ())
    kept = fill_in(part, whole)
    assert sorted(kept.by_name) == ["x", "y"]
    assert (kept.prompts, kept.omissions) == (whole.prompts, part.omissions)
    assert fill_in(whole, part) is whole


async def test_what_was_known_is_kept_as_clients_saw_it():
    odd = {"tools": [tool("x", title=None), tool("y", title=None), tool("z", inputSchema=5)]}
    whole, _ = await listing_through(ScriptedTransport({**ANSWERS, "tools/list": odd}))
    refused = in_pages("tools/list", MCPError(-32602, "invalid cursor"))
    part, _ = await listing_through(ScriptedTransport(refused))
    kept = fill_in(part, whole)
    assert dict(kept.shown(TOOLS)) == {"alpha__x": kept.by_name["x"], "alpha__y": tool("y")}
    assert [left_out.name for left_out in kept.left_out] == ["z"]


@pytest.mark.parametrize("fault", [500, 502, 404, None])
async def test_a_list_that_the_transport_answers_with_a_status_is_left_out(fault):
    server = FaultyTransport("prompts/list", fault)
    counted, failed = await list_through(server, max_retries=0)
    assert counted == without("prompts/list")
    assert [method for _, method, _ in failed] == ["prompts/list"]
    assert server.asked == 2


async def test_a_list_that_fails_for_a_moment_is_listed():
    server = FaultyTransport("prompts/list", 502, times=1)
    assert await list_through(server, max_retries=3) == (without(), [])
