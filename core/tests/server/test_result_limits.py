"""A result that is too large fails with a word on how large, or is cut and can be read whole for a while."""

from __future__ import annotations

import json

import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.resolver import UnknownResource
from mcp_gateway.discovery.refresher import ANONYMOUS
from mcp_gateway.plugin import Caller
from mcp_gateway.protocol.raw_json import decode_members, encode_members
from mcp_gateway.server import result_limits as module
from mcp_gateway.server.result_limits import PREFIX, ResultLimits, ResultTooLarge

from ..support.fake_servers import Remote, text, tool
from ..support.gateway import ask, client
from ..support.raw_client import call, dispatch

LONG = "ü\n" * 10_000
ENVIRON = {"GATEWAY_MAX_RESULT_BYTES": "10000"}
CUT = {**ENVIRON, "GATEWAY_RESULT_OVERFLOW": "cut"}
ME, OTHER = Caller(client="me"), Caller(client="other")


entrances = pytest.mark.parametrize("entrance", ["bytes", "sdk"])


async def call_through(opened, connection, entrance):
    """Call through one of the two entrances; return the result."""
    if entrance == "bytes":
        await opened.gateway.discover("alpha", ANONYMOUS)
        return (await dispatch(opened, call()))["result"]
    return await ask(connection, "alpha__x", _meta={"progressToken": 1})


class ReadResults:
    """Result limits whose results are read."""

    def __init__(self, **limits):
        self.limits = ResultLimits(**limits)

    def limit(self, what, result, caller):
        return decode_members(self.limits.limit(lambda: what, encode_members(result), caller))

    def read(self, uri, caller):
        return decode_members(self.limits.read(uri, caller))


@entrances
async def test_what_is_too_large_is_an_error_that_names_tool_server_size_and_limit(gateway, entrance):
    alpha = Remote(tool("x"))
    alpha.answers["x"] = text(LONG)
    async with gateway({"alpha": alpha}, ENVIRON) as opened, client(opened) as connection:
        result = await call_through(opened, connection, entrance)
        said = result["structuredContent"]
        alpha.answers["x"] = text("short")
        assert (await call_through(opened, connection, entrance))["content"] == text("short")["content"]
    assert (result["isError"], said["error_code"]) == (True, "result_too_large")
    for word in ("x'", "'alpha'", "bytes, more than the 10000 of GATEWAY_MAX_RESULT_BYTES"):
        assert word in said["error"]


@entrances
async def test_what_is_cut_says_where_the_whole_is(gateway, entrance):
    alpha = Remote(tool("x"))
    alpha.answers["x"] = {**text(LONG), "_meta": {"vendor/x": 1}, "structuredContent": {"result": LONG}}
    async with gateway({"alpha": alpha}, CUT) as opened, client(opened) as connection:
        result = await call_through(opened, connection, entrance)
        shown, note, link = result["content"]
        assert len(json.dumps(result)) < 10_000
        assert LONG.startswith(shown["text"])
        assert len(shown["text"]) > 1000
        assert link["uri"] in note["text"]
        assert link["uri"].startswith(PREFIX)
        assert result["_meta"]["vendor/x"] == 1
        whole = await connection.request("resources/read", {"uri": link["uri"]})
        assert whole["contents"][0] == {"uri": link["uri"], "mimeType": "text/plain", "text": LONG}


async def test_nobody_else_reads_it_and_nobody_reads_it_for_ever(monkeypatch):
    results = ReadResults(max_bytes=10_000, cuts=True)
    uri = results.limit("it", text(LONG), ME)["content"][-1]["uri"]
    assert results.read(uri, ME)["contents"][0]["text"] == LONG
    with pytest.raises(UnknownResource, match="call the tool again"):
        results.read(uri, OTHER)
    monkeypatch.setattr(module, "KEPT_SECONDS", -1.0)
    results = ReadResults(max_bytes=10_000, cuts=True)
    uri = results.limit("it", text(LONG), ME)["content"][-1]["uri"]
    with pytest.raises(UnknownResource):
        results.read(uri, ME)


async def test_what_is_kept_takes_no_more_memory_than_it_may():
    results = ReadResults(max_bytes=10_000, cuts=True, room=100_000)
    uris = [results.limit("it", text(LONG), ME)["content"][-1]["uri"] for _ in range(20)]
    kept = results.limits._kept
    assert 0 < sum(one.size for one in kept.values()) <= 100_000
    assert list(kept) == uris[-len(kept) :]


async def test_other_blocks_stay_and_then_the_whole_is_json():
    results, picture = (
        ReadResults(max_bytes=10_000, cuts=True),
        {"type": "image", "data": "AAAA", "mimeType": "image/png"},
    )
    result = {"content": [*text(LONG)["content"], picture, *text("end")["content"]]}
    cut = results.limit("it", result, ME)
    assert picture in cut["content"]
    kept = results.read(cut["content"][-1]["uri"], ME)["contents"][0]
    assert (kept["mimeType"], json.loads(kept["text"])) == ("application/json", result)


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "image", "data": "A" * 20_000, "mimeType": "image/png"}]},
        {"content": [], "structuredContent": {"n": ["x"] * 10_000}},
        text("x" * 200_000),
    ],
    ids=["a picture", "no text", "more than is kept"],
)
async def test_what_cannot_be_cut_is_an_error(result):
    with pytest.raises(ResultTooLarge, match="and cannot be cut"):
        ReadResults(max_bytes=10_000, cuts=True, room=100_000).limit("it", result, ME)


async def test_resources_and_prompts_are_bounded_too(gateway):
    async with gateway({"alpha": Remote(tool("x"))}, CUT) as opened, client(opened) as connection:
        with pytest.raises(MCPError, match="no result"):
            await connection.request("resources/read", {"uri": f"{PREFIX}guessed"})
    with pytest.raises(ResultTooLarge, match="the resource 'a:b' has"):
        ReadResults(max_bytes=10_000, cuts=True).limit("the resource 'a:b'", {"contents": [{"text": LONG}]}, ME)


async def test_text_that_is_longer_as_json_is_cut_to_fit():
    cut = ReadResults(max_bytes=10_000, cuts=True, room=1 << 30).limit("it", text("\x00" * (20 << 20)), ME)
    assert len(json.dumps(cut)) < 10_000
