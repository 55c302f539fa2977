"""The life of a connection: it is read all the time, its end ends what was asked, and places are bounded."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest

from mcp_gateway.control.gateways.calls import RunningCaller
from mcp_gateway.control.gateways.client import (
    GatewayGone,
    GatewaySilent,
    MessageTooLarge,
    Refusal,
    open_running_client,
)
from mcp_gateway.local_socket import connection, listener, messages
from mcp_gateway.local_socket.folder import list_endpoints
from mcp_gateway.local_socket.methods import Methods, Serving
from mcp_gateway.local_socket.stream import LocalStream
from mcp_gateway.runtime.log_buffer import BUFFER, MAX_CHARACTERS, MAX_LINES

from ..support.fake_servers import Remote, text, tool, until
from ..support.local_socket import connect, find_running, hello, read_all, send

CALL = {"method": "tools/call", "params": {"name": "alpha__hang"}}


class Hanging(Remote):
    """A server whose tool hangs until the call is cancelled."""

    def __init__(self) -> None:
        super().__init__(tool("hang"))
        self.begun, self.cancelled = anyio.Event(), anyio.Event()
        self.answers["hang"] = self._hang

    async def _hang(self, _):
        self.begun.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise


@asynccontextmanager
async def hanging_call(alpha):
    """Connect to the only gateway, and have a call hang; yield the connection."""
    (endpoint,) = list_endpoints()
    async with await connect(endpoint) as stream:
        await hello(stream)
        await send(stream, id=2, method="request", params=CALL)
        await alpha.begun.wait()
        yield stream


async def test_a_client_that_vanishes_ends_its_call(listening):
    alpha = Hanging()
    async with listening(alpha=alpha) as opened:
        (endpoint,) = list_endpoints()
        stream = await connect(endpoint)
        await hello(stream)
        await send(stream, id=2, method="request", params=CALL)
        with anyio.fail_after(10):
            await alpha.begun.wait()
            assert opened.gateway.pool.load.running == 1
            await stream.aclose()
            await alpha.cancelled.wait()
            await until(lambda: opened.gateway.pool.load.running == 0)


async def test_a_client_that_vanishes_ends_its_session_with_a_server_that_has_one_a_client(gateway, tmp_path):
    alpha = Hanging()
    async with gateway({"alpha": alpha}, alpha={"connection_mode": "stateful", "timeout": 60}) as opened:
        methods = Methods(opened.gateway, opened.lazy_server, Serving("http", tmp_path))
        async with listener.open_local_socket(methods, "auto"):
            await until(lambda: not opened.gateway.discovery.running)
            before = alpha.open
            (endpoint,) = list_endpoints()
            async with open_running_client(endpoint) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(client.ask, "request", CALL)
                await alpha.begun.wait()
                assert alpha.open == before + 1
                tasks.cancel_scope.cancel()
            with anyio.fail_after(10):
                await alpha.cancelled.wait()
                await until(lambda: alpha.open == before)


async def test_a_left_question_is_not_waited_for(listening):
    alpha = Remote(tool("ask"), handshake=True)
    ended = anyio.Event()

    async def ask(ctx):
        try:
            await ctx.session.elicit_form("Sure?", {"type": "object", "properties": {}}, ctx.request_id)
        finally:
            ended.set()
        return text("done")

    alpha.answers["ask"] = ask
    async with listening(alpha=alpha) as opened:
        suspended = opened.gateway.bridge.suspended
        (endpoint,) = list_endpoints()
        async with open_running_client(endpoint) as client:
            call = {"method": "tools/call", "params": {"name": "alpha__ask"}, "capabilities": {"elicitation": {}}}
            answer = await client.ask("request", call)
            assert (answer["resultType"], len(suspended)) == ("input_required", 1)
        with anyio.fail_after(10):
            await until(lambda: len(suspended) == 0 and opened.gateway.pool.load.running == 0)


async def test_followers_that_leave_give_their_places_back(listening, monkeypatch):
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 2)
    async with listening():
        (endpoint,) = list_endpoints()
        for _ in range(3):
            followers = [await connect(endpoint) for _ in range(2)]
            for follower in followers:
                assert "result" in await hello(follower)
                await send(follower, id=2, method="logs", params={"follow": True})
            with pytest.raises(Refusal, match=r"all 2 connections .* are in use: end a 'logs -f'"):
                async with open_running_client(endpoint):
                    pass
            for follower in followers:
                await follower.aclose()

            async def has_room():
                try:
                    async with open_running_client(endpoint):
                        return True
                except Refusal:
                    return False

            with anyio.fail_after(10):
                while not await has_room():
                    await anyio.lowlevel.checkpoint()


async def test_one_request_at_a_time_is_answered(listening):
    alpha = Hanging()
    async with listening(alpha=alpha), hanging_call(alpha) as stream:
        await send(stream, id=3, method="status")
        refused = await messages.MessageReader(stream, messages.MAX_REQUEST).read()
        assert (refused["id"], "one request at a time" in refused["error"]["message"]) == (3, True)
        assert not alpha.cancelled.is_set()


async def test_requests_that_come_together_are_answered_in_turn(listening):
    async with listening():
        (endpoint,) = list_endpoints()
        async with open_running_client(endpoint) as client:
            for _ in range(50):
                assert "pid" in await client.ask("status")


@pytest.mark.parametrize("data", [b"no JSON\n", b"x" * 5000], ids=["garbage", "endless"])
async def test_garbage_in_the_middle_of_an_answer_ends_it_in_a_sentence(listening, monkeypatch, data):
    monkeypatch.setattr(connection, "MAX_REQUEST", 4000)
    alpha = Hanging()
    async with listening(alpha=alpha):
        (endpoint,) = list_endpoints()
        async with hanging_call(alpha) as stream:
            await stream.send(data)
            with anyio.fail_after(10):
                assert b'"error"' in await read_all(stream)
                await alpha.cancelled.wait()
        assert await find_running() == [endpoint]


async def test_half_a_message_is_not_waited_for(listening, monkeypatch):
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.2)
    async with listening():
        (endpoint,) = list_endpoints()
        async with await connect(endpoint) as stream:
            await hello(stream)
            await stream.send(b'{"id": 2, "met')
            with anyio.fail_after(10):
                assert await read_all(stream) == b""
        assert await find_running() == [endpoint]


async def test_an_answer_may_take_longer_than_a_connection_may_be_idle(listening, monkeypatch):
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.05)
    alpha = Hanging()
    async with listening(alpha=alpha), hanging_call(alpha):
        with anyio.move_on_after(0.3):
            await alpha.cancelled.wait()
        assert not alpha.cancelled.is_set()


async def test_those_that_do_not_greet_end_and_take_no_place_of_others(listening, monkeypatch):
    monkeypatch.setattr(listener, "MAX_GREETINGS", 3)
    monkeypatch.setattr(listener, "GREET_SECONDS", 60)
    async with listening("loopback"):
        (endpoint,) = list_endpoints()
        silent = [await connect(endpoint) for _ in range(3)]
        half = await connect(endpoint)
        await half.send(b'{"id": 1, "meth')
        with anyio.fail_after(10):
            assert await read_all(silent[0]) == b""  # it has waited longest, and makes room
            for _ in range(10):
                assert await find_running() == [endpoint]
        monkeypatch.setattr(listener, "GREET_SECONDS", 0.1)
        late = await connect(endpoint)
        with anyio.fail_after(10):
            assert await read_all(late) == b""
        for stream in (*silent, half, late):
            await stream.aclose()


async def test_whoever_reads_nothing_is_left(listening, monkeypatch):
    monkeypatch.setattr(connection, "WRITE_SECONDS", 0.2)
    left = anyio.Event()
    close = LocalStream.aclose

    async def close_and_tell(stream):
        await close(stream)
        left.set()

    for _ in range(MAX_LINES):
        BUFFER.add("alpha", "x" * MAX_CHARACTERS)
    async with listening():
        (endpoint,) = list_endpoints()
        async with await connect(endpoint) as stream:
            await hello(stream)
            monkeypatch.setattr(LocalStream, "aclose", close_and_tell)
            await send(stream, id=2, method="logs")
            with anyio.fail_after(20):
                await left.wait()
                answer = await read_all(stream)
        assert len(answer) < MAX_LINES * MAX_CHARACTERS
        assert await find_running() == [endpoint]


async def test_a_follower_is_told_how_many_lines_it_missed(listening):
    async with listening():
        (endpoint,) = list_endpoints()
        came = []
        BUFFER.add("alpha", "the first")
        async with open_running_client(endpoint) as client, anyio.create_task_group() as tasks:
            wanted = {"server": "alpha", "follow": True}
            tasks.start_soon(client.ask, "logs", wanted, lambda *notification: came.append(notification))
            await until(lambda: came and came[-1][1]["text"] == "the first")
            for number in range(MAX_LINES + 5):
                BUFFER.add("alpha", str(number))
            await until(lambda: came[-1][1].get("text") == str(MAX_LINES + 4))
            assert [params for method, params in came if method == "missed"] == [{"lines": 5}]
            tasks.cancel_scope.cancel()


async def test_lines_of_a_server_that_was_removed_are_shown(listening):
    async with listening():
        BUFFER.add("removed", "its last words")
        (endpoint,) = list_endpoints()
        lines = []
        async with open_running_client(endpoint) as client:
            await client.ask("logs", {"server": "removed"}, lambda _, params: lines.append(params["text"]))
            assert lines[-1] == "its last words"
            with pytest.raises(Refusal, match=r"no server 'alpa'; did you mean 'alpha'\?.*servers: .*alpha.*removed"):
                await client.ask("logs", {"server": "alpa"})


async def test_progress_of_a_call_is_sent_to_who_wants_it(listening):
    alpha = Remote(tool("slow"))

    async def answer(ctx):
        await ctx.session.report_progress(1, 2, "half")
        return text("done")

    alpha.answers["slow"] = answer
    async with listening(alpha=alpha):
        (endpoint,) = list_endpoints()
        async with open_running_client(endpoint) as client:
            shown = []
            result = await RunningCaller(client).call("alpha__slow", {}, on_progress=shown.append)
            assert (result["content"][0]["text"], shown) == ("done", ["1 of 2: half"])


# -- what goes wrong is said


async def test_an_answer_that_is_too_large_is_said_so(listening, monkeypatch):
    monkeypatch.setattr(connection, "MAX_ANSWER", 5000)
    alpha = Remote(tool("large"))
    alpha.answers["large"] = text("x" * 6000)
    async with listening(alpha=alpha):
        (endpoint,) = list_endpoints()
        async with open_running_client(endpoint) as client:
            call = {"method": "tools/call", "params": {"name": "alpha__large"}}
            with pytest.raises(Refusal, match=r"the answer has 6\d\d\d bytes, and the local socket carries 5000"):
                await client.ask("request", call)
            assert "pid" in await client.ask("status")
            monkeypatch.setattr(connection, "MAX_ANSWER", 10_000)
            client._reader.max_bytes = 5000
            with pytest.raises(MessageTooLarge, match="too large: a message has more than 5000 bytes"):
                await client.ask("request", call)


async def test_a_request_that_is_too_large_is_not_sent(listening):
    async with listening():
        (endpoint,) = list_endpoints()
        async with open_running_client(endpoint) as client:
            call = {"method": "tools/call", "params": {"name": "alpha__echo", "arguments": {"text": "x" * 2**20}}}
            with pytest.raises(MessageTooLarge, match=r"the request has 1048\d\d\d bytes, and .* 1048576"):
                await client.ask("request", call)
            assert "pid" in await client.ask("status")


async def test_an_unforeseen_error_is_answered_and_ends_only_the_request(listening, monkeypatch):
    async with listening():
        (endpoint,) = list_endpoints()
        async with open_running_client(endpoint) as client:
            with monkeypatch.context() as broken:
                broken.setattr(Methods, "describe", lambda _: 1 / 0)
                with pytest.raises(Refusal, match=r"status has failed in the gateway \(ZeroDivisionError\)"):
                    await client.ask("status")
            assert "pid" in await client.ask("status")


async def test_a_gateway_that_does_not_answer_is_not_waited_for(listening):
    alpha = Hanging()
    async with listening(alpha=alpha):
        (endpoint,) = list_endpoints()
        async with open_running_client(endpoint) as client:
            with pytest.raises(GatewaySilent, match=r"has not answered for 0\.2 s: it is busy or hangs"):
                await client.ask("request", CALL, seconds=0.2)


async def test_a_gateway_that_ends_while_it_is_asked_is_gone(listening):
    alpha = Hanging()
    async with anyio.create_task_group() as tasks:
        answered = anyio.Event()

        async def ask(endpoint):
            async with open_running_client(endpoint) as client:
                with pytest.raises(GatewayGone, match="has ended, or has closed the connection"):
                    await client.ask("request", CALL)
            answered.set()

        async with listening(alpha=alpha):
            (endpoint,) = list_endpoints()
            tasks.start_soon(ask, endpoint)
            await alpha.begun.wait()
        with anyio.fail_after(10):
            await answered.wait()
