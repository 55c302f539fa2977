"""Lists in pages: each item once, and what is missing is said."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.handshake import negotiate
from mcp_gateway.client.pagination import MAX_DEPTH, PaginatedList
from mcp_gateway.plugin import Credentials
from mcp_gateway.protocol.primitives import TOOLS

from ..support.fake_servers import Remote, scripted_streams, tool

CAPABILITIES = {"tools": {}, "prompts": {}}
OLD = {"initialize": {"protocolVersion": "2025-11-25", "capabilities": CAPABILITIES}}
NEW = {
    "server/discover": {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": CAPABILITIES,
    }
}


def ignore() -> None:
    """Nothing is to be done after a page."""


@asynccontextmanager
async def opened(answers, handshake=OLD):
    with anyio.fail_after(20):
        async with open_connection(scripted_streams({**handshake, **answers})) as connection:
            await negotiate(connection)
            yield connection


async def read(answer, handshake=OLD, **limits):
    """Return the names of the tools, and what is said to be missing."""
    async with opened({"tools/list": answer}, handshake) as connection:
        page = await PaginatedList(connection, TOOLS, **limits).read(ignore)
        return [item["name"] for item in page.items], [omission.reason for omission in page.omissions]


def paged(*pages):
    """Make a server that lists these pages: pairs of a number of tools, and the next cursor; by cursor."""
    by_cursor = {}
    cursor, number = None, 0
    for size, following in pages:
        names = [f"t{number + at}" for at in range(size)]
        more = {} if following is None else {"nextCursor": following}
        by_cursor[cursor] = {"tools": [tool(name) for name in names], **more}
        cursor, number = following, number + size

    def answer(params):
        cursor = (params or {}).get("cursor")
        if cursor not in by_cursor:
            raise MCPError(-32602, "invalid cursor")
        return by_cursor[cursor]

    return answer


def numbered(count):
    return [f"t{number}" for number in range(count)]


@pytest.mark.parametrize("handshake", [False, True])
async def test_a_list_of_tools_is_read_page_by_page_whole(handshake):
    remote = Remote(*(tool(f"t{number}", odd=None) for number in range(7)), handshake=handshake)
    remote.page_size = 3
    touched = []
    async with open_connection(remote.connect(Credentials())) as connection:
        await negotiate(connection)
        page = await PaginatedList(connection, TOOLS).read(lambda: touched.append(1))
        assert (page.items, page.omissions) == (remote.tools, ())
    assert len(touched) == remote.listed == 3


@pytest.mark.parametrize("handshake", [OLD, NEW])
@pytest.mark.parametrize("cursor", ["", 0, 1, 2**70, 1.5, {"offset": 1}, [1], True])
async def test_a_cursor_of_any_kind_goes_back_as_it_came(cursor, handshake):
    sent = []

    def answer(params):
        sent.append((params or {}).get("cursor"))
        return {"tools": [tool("a")], "nextCursor": cursor} if len(sent) == 1 else {"tools": [tool("b")]}

    assert await read(answer, handshake) == (["a", "b"], [])
    assert sent == [None, cursor]


async def test_a_number_goes_back_as_text_to_a_server_that_takes_nothing_else():
    def answer(params):
        cursor = (params or {}).get("cursor", "0")
        if not isinstance(cursor, str):
            raise MCPError(-32602, "expected string, received number")
        more = {"nextCursor": int(cursor) + 1} if int(cursor) < 3 else {}
        return {"tools": [tool(f"t{cursor}")], **more}

    assert await read(answer) == (numbered(4), [])


@pytest.mark.parametrize("end", [None, False])
async def test_a_cursor_that_is_none_ends_the_list(end):
    assert await read({"tools": [tool("a")], "nextCursor": end}) == (["a"], [])


@pytest.mark.parametrize("end", ["", 0])
@pytest.mark.parametrize("refuses", [False, True])
async def test_servers_may_mean_the_end_by_an_empty_cursor(end, refuses):
    def answer(params):
        if refuses and "cursor" in (params or {}):
            raise MCPError(-32602, "invalid cursor")
        return {"tools": [tool("a")], "nextCursor": end}

    assert await read(answer) == (["a"], [])


async def test_a_list_that_comes_back_to_where_it_was_is_cut():
    names, missing = await read({"tools": [tool("a"), tool("b")], "nextCursor": "again"})
    assert names == ["a", "b"]
    assert missing == ["it does not end: it is cut after page 2, which leads back to what has come"]
    pages = {None: ("a", "x"), "x": ("b", "y"), "y": ("c", "x")}

    def answer(params):
        name, following = pages[(params or {}).get("cursor")]
        return {"tools": [tool(name)], "nextCursor": following}

    names, missing = await read(answer)
    assert names == ["a", "b", "c"]
    assert missing == ["it does not end: it is cut after page 3, which leads back to what has come"]


@pytest.mark.parametrize("tools", [[], ["a", "b"]])
async def test_a_list_that_never_brings_anything_new_is_cut(tools):
    asked = []

    def answer(_):
        asked.append(1)
        return {"tools": [tool(name) for name in tools], "nextCursor": str(len(asked))}

    names, missing = await read(answer)
    assert names == tools
    assert missing == [f"it does not end: it is cut after page {len(asked)}, which leads back to what has come"]
    assert len(asked) < 30


async def test_pages_may_be_empty():
    assert await read(paged((1, "a"), *((0, f"x{number}") for number in range(15)), (2, None))) == (numbered(3), [])


async def test_a_list_has_so_many_pages():
    names, missing = await read(paged(*((1, f"c{number}") for number in range(10))), max_pages=5)
    assert (names, missing) == (numbered(5), ["it is cut after 5 pages"])


async def test_an_item_that_stands_twice_counts_once():
    twice = {"tools": [tool("a", "first"), tool("b"), tool("a", "last")]}
    async with opened({"tools/list": twice}) as connection:
        page = await PaginatedList(connection, TOOLS).read(ignore)
        assert [(item["name"], item["description"]) for item in page.items] == [("a", "last"), ("b", "")]


async def test_what_came_before_an_error_is_kept():
    def answer(params):
        if "cursor" in (params or {}):
            raise MCPError(-32602, "invalid cursor")
        return {"tools": [tool("a")], "nextCursor": "2"}

    async with opened({"tools/list": answer}) as connection:
        wanted = PaginatedList(connection, TOOLS)
        with pytest.raises(MCPError, match="invalid cursor"):
            await wanted.read(ignore)
        assert (wanted.pages, [item["name"] for item in wanted.page().items]) == (1, ["a"])


@pytest.mark.parametrize("tools", [None, 3, {}, "text"])
async def test_what_is_no_list_is_empty(tools):
    assert await read({"tools": tools}) == ([], [])


async def test_what_is_no_definition_is_left_out():
    names, missing = await read({"tools": [3, None, {}, {"name": ""}, tool("a"), {"name": 3}]})
    assert (names, missing) == (["a"], ["5 without a 'name' left out"])


def nested(depth):
    """Make a tool that is nested so many levels deep, in all."""
    schema = "x"
    for _ in range(depth - 2):
        schema = [schema]
    return {"name": "deep", "inputSchema": {"default": schema}}


@pytest.mark.parametrize("handshake", [OLD, NEW])
async def test_a_definition_that_is_too_deep_is_left_out_by_name(handshake):
    deep = nested(MAX_DEPTH)
    async with opened({"tools/list": {"tools": [deep, tool("a")]}}, handshake) as connection:
        page = await PaginatedList(connection, TOOLS).read(ignore)
        assert (page.items, page.omissions) == ([deep, tool("a")], ())
    said = [f"'deep' is left out: it is nested more than {MAX_DEPTH} levels deep"]
    assert await read({"tools": [nested(MAX_DEPTH + 1), tool("a")]}, handshake) == (["a"], said)
    assert await read({"tools": [tool("a"), nested(300)]}, handshake) == (["a"], said)


async def test_a_modern_servers_tool_with_invalid_header_annotations_is_left_out():
    bad = {"type": "object", "properties": {"a": {"type": "object", "x-mcp-header": "A"}}}
    remote = Remote(tool("good"), {**tool("bad"), "inputSchema": bad})
    async with open_connection(remote.connect(Credentials())) as connection:
        await negotiate(connection)
        page = await PaginatedList(connection, TOOLS).read(ignore)
        assert [found["name"] for found in page.items] == ["good"]
        (omission,) = page.omissions
        assert omission.reason.startswith("'bad' is left out: its x-mcp-header annotation is invalid: property 'a'")


async def test_a_server_that_lists_too_much_is_read_so_far():
    remote = Remote(*(tool(f"t{number}") for number in range(50)))
    remote.page_size = 20
    async with open_connection(remote.connect(Credentials())) as connection:
        await negotiate(connection)
        page = await PaginatedList(connection, TOOLS, max_definitions=30).read(ignore)
        assert (len(page.items), remote.listed) == (30, 2)
        assert [omission.reason for omission in page.omissions] == [
            "it is cut at 30 definitions; raise GATEWAY_MAX_DEFINITIONS for more"
        ]
        assert (await PaginatedList(connection, TOOLS, max_definitions=50).read(ignore)).omissions == ()


async def test_a_list_has_so_many_bytes(monkeypatch):
    monkeypatch.setattr("mcp_gateway.client.pagination.MAX_LIST_BYTES", 20_000)
    remote = Remote(*(tool(f"t{number}", "x" * 1000) for number in range(50)))
    remote.page_size = 10
    async with open_connection(remote.connect(Credentials())) as connection:
        await negotiate(connection)
        page = await PaginatedList(connection, TOOLS).read(ignore)
        assert len(page.items) < 20
        assert len(page.omissions) == 1
