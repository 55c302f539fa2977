"""Plain calls that are begun at once, without a task: however they end, somebody hears of it, once."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable

from ..server.fast_path.test_dispatch import MODERN, call, discover_alpha
from ..support.fake_servers import Remote, text, tool, until
from ..support.gateway import server_of

RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'


class RawWriteStream:
    """A write stream with raw requests; what is sent past the SDK waits until the test says what comes of it."""

    def __init__(self, stream, sent):
        self._stream, self._sent = stream, sent

    def request_raw_nowait(self, message, request_id, headers, seconds, done):
        self._sent.append(done)
        return lambda: self._sent.remove(done)

    async def request_raw(self, message, request_id, headers, seconds):
        raise RequestNotSent("only at once")

    async def send(self, item):
        await self._stream.send(item)

    async def aclose(self):
        await self._stream.aclose()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.aclose()


class RawServer(Remote):
    """A server with such a write stream. `sent` has the callbacks of the calls that were sent on it."""

    def __init__(self, *tools, **options):
        super().__init__(*tools, **options)
        self.sent, self.cancelled = [], []

    @asynccontextmanager
    async def connect(self, credentials):
        async with super().connect(credentials) as (read, write):
            yield read, RawWriteStream(write, self.sent)

    async def _raw(self, ctx, call_next):
        if ctx.method == "notifications/cancelled":
            self.cancelled.append(ctx.params)
        return await super()._raw(ctx, call_next)


@asynccontextmanager
async def open_call(gateway, alpha, **keys):
    """Begin a call on a session that is open; yield it, the answers that come, and the gateway."""
    async with gateway({"alpha": alpha}, alpha=keys) as opened:
        await server_of(await discover_alpha(opened)).dispatch_raw(call())
        alpha.calls.clear()
        calling, answers = server_of(opened).dispatch_raw(call()), []
        assert calling.start(answers.append)
        yield calling, answers, opened
        load = opened.gateway.pool.load
        await until(lambda: load.count_pending() == 0)
        assert server_of(opened)._direct.under_way == {}


async def test_the_response_is_the_answer(gateway):
    alpha = RawServer(tool("x"))
    async with open_call(gateway, alpha) as (_, answers, opened):
        assert opened.gateway.pool.load.count_pending() == 1
        alpha.sent.pop()(RESULT)
        assert json.loads(answers[0].message)["result"]["content"] == []
    assert alpha.calls == []


@pytest.mark.parametrize(
    "outcome, said",
    [
        (b"nonsense", "cannot be read"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"own words"}}', "own words"),
        (ServerUnavailable("it burns"), "it burns"),
        (ConnectionDropped("it closed the connection"), "closed the connection"),
    ],
)
async def test_a_failure_is_the_answer_too(gateway, outcome, said):
    alpha = RawServer(tool("x"))
    async with open_call(gateway, alpha) as (_, answers, _opened):
        alpha.sent.pop()(outcome)
        await until(lambda: answers)
        assert said in answers[0].message.decode()


async def test_what_was_not_sent_takes_the_sdk_path(gateway):
    alpha = RawServer(tool("x"))
    async with open_call(gateway, alpha) as (_, answers, _opened):
        alpha.sent.pop()(RequestNotSent("it has just ended"))
        await until(lambda: answers)
        assert json.loads(answers[0].message)["result"]["content"] == text("done")["content"]
    assert len(alpha.calls) == 1


async def test_silence_has_an_end_and_the_server_is_notified(gateway):
    alpha = RawServer(tool("x"))
    async with open_call(gateway, alpha, timeout=0.5) as (_, answers, _opened):
        await until(lambda: answers)
        assert "gave no answer within 0.5 s" in answers[0].message.decode()
        assert alpha.sent == []
        await until(lambda: alpha.cancelled)


async def test_a_call_that_its_client_cancels_is_answered_with_nothing(gateway):
    alpha = RawServer(tool("x"))
    async with open_call(gateway, alpha) as (_, answers, opened):
        server_of(opened)._direct.cancel("pipe", 7)
        assert [answer.message for answer in answers] == [b""]
        assert alpha.sent == []
        await until(lambda: alpha.cancelled)


async def test_a_caller_that_gives_up_gets_no_answer(gateway):
    alpha = RawServer(tool("x"))
    async with open_call(gateway, alpha) as (calling, answers, _opened):
        calling.cancel()
        assert alpha.sent == []
        await until(lambda: alpha.cancelled)
        assert answers == []


async def test_a_call_that_must_wait_for_its_turn_is_not_begun(gateway):
    alpha = RawServer(tool("x"))
    async with open_call(gateway, alpha, max_calls=1) as (_, _answers, opened):
        assert not server_of(opened).dispatch_raw(call(meta=MODERN, id=8)).start(print)
        alpha.sent.pop()(RESULT)
