"""Clients without headers are told apart by their pipes."""

from __future__ import annotations

import json

import anyio
import pytest

from ...support.fake_servers import Remote, text, tool, until
from ...support.gateway import server_of
from ...support.raw_client import MODERN, RawClient, call, discover_alpha, encode_request

CANCELLED = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}


class Waiting:
    """A tool that answers when it may."""

    def __init__(self):
        self.count = 0
        self.may_answer = anyio.Event()

    async def __call__(self, _):
        self.count += 1
        await self.may_answer.wait()
        return text("done")


def cancel(pipe):
    return pipe.dispatch_raw(json.dumps(CANCELLED).encode(), None, None, RawClient())


async def test_a_client_cancels_its_own_call_and_not_that_of_the_same_id_by_another_pipe(gateway):
    alpha, writers = Remote(tool("x")), [RawClient(), RawClient()]
    alpha.answers["x"] = work = Waiting()
    async with gateway({"alpha": alpha}) as opened:
        server = server_of(await discover_alpha(opened))
        with server.open_pipe() as first, server.open_pipe() as second, server.open_pipe() as idle:
            for pipe, writer in zip((first, second), writers, strict=True):
                assert pipe.dispatch_raw(call(), None, None, writer) is not None
            await until(lambda: work.count == 2)
            assert cancel(idle) is None
            assert cancel(first) is not None
            assert (await writers[0].response()).message == b""
            assert not writers[1].has_response
            work.may_answer.set()
            assert (await writers[1].answer())["id"] == 7


async def test_a_modern_client_by_a_pipe_is_one_person_until_the_pipe_is_closed(gateway):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        server = server_of(await discover_alpha(opened))
        with server.open_pipe() as pipe, server.open_pipe() as other:
            client = RawClient()
            pipe.dispatch_raw(call(meta=MODERN), None, None, client)
            await client.answer()
            assert server.way_to(pipe.name) is not None
            assert server.way_to(other.name) is None
            assert server.pipes.names == {pipe.name, other.name}
        assert server.way_to(pipe.name) is None
        assert server.pipes.names == set()


async def test_what_is_under_way_ends_with_its_pipe(gateway):
    alpha, client = Remote(tool("x")), RawClient()
    alpha.answers["x"] = work = Waiting()
    async with gateway({"alpha": alpha}) as opened:
        server = server_of(await discover_alpha(opened))
        with server.open_pipe() as pipe:
            pipe.dispatch_raw(call(), None, None, client)
            await until(lambda: work.count == 1)
        assert (await client.response()).message == b""


@pytest.mark.parametrize("session", ["pipe", "pipe-1", ""])
async def test_no_session_id_is_taken_for_a_pipe(gateway, session):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        server = server_of(await discover_alpha(opened))
        with server.open_pipe():
            ping = encode_request("tools/list", {})
            assert server.dispatch_raw(ping, {"mcp-session-id": session}, None, RawClient()) is None
