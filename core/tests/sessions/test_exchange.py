"""A client's request on a session: however it ends, its caller hears of it once, and nothing is left of it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from msgspec import Raw
from structlog.testing import capture_logs

from mcp_gateway.gateway.request import Request
from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerTimeout, ServerUnavailable
from mcp_gateway.protocol.client_channel import ClientChannel
from mcp_gateway.protocol.envelope import ServerError, UnreadableResponse
from mcp_gateway.protocol.raw_json import decode_members, encode_object
from mcp_gateway.sessions.exchange import Exchange

from ..support.fake_channel import FakeServer, SentRequest
from ..support.fake_servers import text, until
from .test_session import make_session, open_session

CALL = Request("tools/call", {"name": Raw(b'"x"'), "arguments": Raw(b'{"n":1.0}')})
PROGRESS, LOG = "notifications/progress", "notifications/message"


@dataclass(eq=False)
class Running:
    """An exchange that is under way, and how it ends."""

    exchange: Exchange
    request: SentRequest
    scope: anyio.CancelScope
    outcomes: list = field(default_factory=list)

    async def outcome(self):
        await until(lambda: self.outcomes)
        [found] = self.outcomes
        return found


@asynccontextmanager
async def running(server, channel=None, request=CALL, **keys):
    """Run a request on an open session; check that nothing is left of it afterwards."""
    async with open_session(make_session(server, **keys)) as session, anyio.create_task_group() as tasks:
        exchange = Exchange("me", channel or ClientChannel(), session=session)
        run = Running(exchange, None, anyio.CancelScope())

        async def carry():
            with run.scope:
                try:
                    run.outcomes.append(await exchange.run(request))
                except Exception as error:
                    run.outcomes.append(error)

        tasks.start_soon(carry)
        run.request = await server.next_request()
        yield run
        if not run.outcomes and not run.scope.cancelled_caught:
            run.request.respond()
            await until(lambda: run.outcomes)
        assert session.router._exchanges == {}
        assert session.deadlines._ends == {}
        assert exchange._last is None or exchange._last.cancelled()


async def test_the_result_is_what_the_server_has_sent_byte_for_byte():
    odd = b'{"z":1.0,"big":123456789012345678901234567890,"a":{"b":[1 ,2]},"\\u00e9":"\\u2028"}'
    async with running(FakeServer()) as run:
        sent = run.request.content
        assert (sent["method"], sent["params"]["name"]) == ("tools/call", "x")
        assert b'"arguments":{"n":1.0}' in run.request.message
        run.request.send(b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (run.request.request_id, odd))
        assert encode_object(await run.outcome()) == odd.replace(b"\\u00e9", "é".encode())


@pytest.mark.parametrize("raw", [b"9" * 5000, b'"\\ud800"', b"[" * 500 + b"]" * 500, b"1e9999"], ids=len)
@pytest.mark.parametrize("modern", [True, False])
async def test_what_the_payload_is_does_not_matter_to_the_way(raw, modern):
    """Numbers that Python does not read, and deep nesting, pass through; halves of characters become U+FFFD."""
    request = Request("tools/call", {"name": Raw(b'"x"'), "arguments": Raw(raw)})
    async with running(FakeServer(modern=modern), request=request) as run:
        assert raw in run.request.message
        run.request.send(b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":%b}}' % raw)
        assert bytes((await run.outcome())["structuredContent"]) == raw.replace(b"\\ud800", b"\\ufffd")


@pytest.mark.parametrize(
    "error, code, message, data",
    [
        ({"code": -5, "message": "own words", "data": {"why": [None]}}, -5, "own words", {"why": [None]}),
        ("just words", -32603, "just words", None),
        (["a", 1], -32603, '["a", 1]', None),
        (7, -32603, "7", None),
        (True, -32603, "true", None),
        ({}, -32603, "", None),
        ({"message": "no code"}, -32603, "no code", None),
        ({"code": None, "message": "null code"}, -32603, "null code", None),
        ({"code": "-32002", "message": "text"}, -32002, "text", None),
        ({"code": " 17 ", "message": "blanks"}, 17, "blanks", None),
        ({"code": "ENOENT", "message": "no file"}, -32603, "ENOENT: no file", None),
        ({"code": "ENOENT"}, -32603, "ENOENT", None),
        ({"code": "9" * 5000, "message": "long"}, -32603, f"{'9' * 5000}: long", None),
        ({"code": -32602.0, "message": "float"}, -32602, "float", None),
        ({"code": 1.5, "message": "half"}, -32603, "half", None),
        ({"code": True, "message": "bool"}, -32603, "bool", None),
        ({"code": 1, "message": {"en": "words"}}, 1, '{"en": "words"}', None),
        ({"code": 1, "message": None}, 1, "null", None),
        ({"code": 1, "message": "\ud800 half"}, 1, "\ufffd half", None),
        ({"code": 2**70, "message": "big"}, 2**70, "big", None),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"result": None}, {"result": {"a": 1}}])
async def test_an_error_of_an_odd_shape_keeps_its_words(error, code, message, data, beside):
    async with running(FakeServer()) as run:
        run.request.respond(error=error, **beside)
        found = await run.outcome()
    assert isinstance(found, ServerError)
    assert (found.error.code, found.error.message, found.error.data) == (code, message, data)


async def test_an_error_that_is_null_beside_a_result_is_none():
    async with running(FakeServer()) as run:
        run.request.send(b'{"jsonrpc":"2.0","id":1,"error":null,"result":{"content":[]}}')
        assert decode_members(await run.outcome()) == {"content": []}


@pytest.mark.parametrize(
    "response",
    [
        b"nonsense",
        b"",
        b"[]",
        b"null",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"error":null}',
        b'{"jsonrpc":"2.0","id":1,"result":null}',
        b'{"jsonrpc":"2.0","id":1,"result":3}',
        b'{"jsonrpc":"2.0","id":1,"result":"x"}',
        b'{"jsonrpc":"2.0","id":1,"result":[]}',
        b'{"jsonrpc":"2.0","id":1,"result":{"n":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"n":-Infinity}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"n":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"jsonrpc":"2.0","id":1,"result":{}',
    ],
    ids=lambda response: str(response[:50]),
)
async def test_a_response_that_cannot_be_read_is_an_error_of_the_servers(response):
    async with running(FakeServer()) as run:
        run.request.send(response)
        found = await run.outcome()
    assert isinstance(found, UnreadableResponse)
    assert found.error.code == -32603
    assert found.error.message.startswith("the server sent a response that cannot be read: ")


@pytest.mark.parametrize(
    "error, kind",
    [
        (RequestNotSent("unsent"), RequestNotSent),
        (ConnectionDropped("cut"), ConnectionDropped),
        (ServerUnavailable("it burns"), ServerUnavailable),
        (MCPError(-31001, "in its place"), MCPError),
        (ValueError("a channel with a bug"), ServerUnavailable),
    ],
)
async def test_a_failure_of_the_channel_is_raised_as_it_is(error, kind):
    async with running(FakeServer()) as run:
        run.request.fail(error)
        found = await run.outcome()
    assert type(found) is kind
    assert not isinstance(found, ServerError)
    assert str(error) in str(found)


async def test_only_what_comes_first_counts():
    async with running(FakeServer()) as run:
        run.request.respond(text("first"))
        run.request.respond(text("second"))
        run.request.fail(ConnectionDropped("cut"))
        assert decode_members(await run.outcome()) == text("first")


async def test_on_a_session_that_has_ended_nothing_is_sent():
    server = FakeServer()
    async with open_session(make_session(server)) as session:
        connection = session.connection
        connection.on_close()
        with pytest.raises(RequestNotSent):
            await Exchange(session=session).run(CALL)
        session.connection = None
        with pytest.raises(RequestNotSent):
            await Exchange(session=session).run(CALL)
    assert server.requests == []


# -- cancelled, or too slow


async def test_a_request_that_is_cancelled_is_abandoned_and_the_server_is_told_once():
    server = FakeServer()
    async with running(server) as run:
        run.scope.cancel()
        await until(lambda: server.sent)
        await anyio.wait_all_tasks_blocked()
        assert run.request.is_abandoned
        cancelled = {"requestId": run.request.request_id}
        assert server.sent == [{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}]
        run.request.respond(text("late"))
    assert run.outcomes == []


async def test_silence_has_an_end_and_the_server_is_notified():
    server = FakeServer()
    async with running(server, timeout=0.1) as run:
        found = await run.outcome()
        assert run.request.is_abandoned
        await until(lambda: server.sent)
    assert isinstance(found, ServerTimeout)
    assert "gave no answer within 0.1 s" in str(found)
    assert [message["params"] for message in server.sent] == [{"requestId": run.request.request_id}]
    assert run.exchange.session.breaker.failures == 1


async def test_the_error_of_a_request_without_an_answer_quotes_what_came_in_its_place():
    server = FakeServer()
    server.describe_unreadable = lambda request_id: f"it wrote 1 line, first '\x1b[31mhello\n', to {request_id}"
    async with running(server, timeout=0.1) as run:
        found = str(await run.outcome())
    assert found.endswith(f"; since its last answer it wrote 1 line, first 'hello\\n', to {run.request.request_id}")


async def test_a_request_that_has_an_answer_or_a_failure_is_neither_abandoned_nor_cancelled():
    for end in (lambda request: request.respond(), lambda request: request.fail(ConnectionDropped("cut"))):
        server = FakeServer()
        async with running(server) as run:
            end(run.request)
            await run.outcome()
        assert (run.request.is_abandoned, server.sent) == (False, [])


def report(server, run, count=1):
    server.tell(PROGRESS, {"progressToken": run.request.request_id, "progress": count})


async def report_for(server, run, seconds):
    began = anyio.current_time()
    while not run.outcomes and anyio.current_time() - began < seconds:
        report(server, run)
        await anyio.lowlevel.checkpoint()


async def test_progress_restarts_the_time():
    server = FakeServer()
    async with running(server, timeout=0.3) as run:
        await report_for(server, run, 0.7)
        assert run.outcomes == []
        run.request.respond(text("done"))
        assert decode_members(await run.outcome()) == text("done")


@pytest.mark.parametrize("seconds", [0.2, 30.0], ids=["timeout below", "timeout above"])
async def test_but_not_beyond_the_total_limit(seconds):
    """Also if the last report came just before it: the time of silence is not added to the total."""
    server = FakeServer()
    async with running(server, timeout=seconds, max_call_time=0.5) as run:
        began = anyio.current_time()
        await report_for(server, run, 5.0)
        found = await run.outcome()
        assert anyio.current_time() - began < 4.0
    assert isinstance(found, ServerTimeout)
    assert 'has not come to an end within 0.5 s; raise its "max_call_time"' in str(found)
    assert run.exchange.session.breaker.failures == 0, "it has shown that it is alive"


async def test_a_report_just_before_the_total_limit_does_not_put_it_off():
    server = FakeServer()
    async with running(server, timeout=30.0, max_call_time=30.5) as run:
        ends = run.exchange._end
        run.exchange._end = anyio.current_time() + 0.1  # as if nearly all of it had passed
        report(server, run)
        assert run.exchange._last.when() == run.exchange._end < ends
        report(server, run)
        assert run.exchange._last.when() == run.exchange._end
        assert isinstance(await run.outcome(), ServerTimeout)


async def test_progress_of_another_request_restarts_nothing():
    server = FakeServer()
    async with running(server, timeout=0.2) as run:
        began = anyio.current_time()
        while not run.outcomes and anyio.current_time() - began < 5:
            server.tell(PROGRESS, {"progressToken": run.request.request_id + 1, "progress": 1})
            await anyio.lowlevel.checkpoint()
        assert isinstance(await run.outcome(), ServerTimeout)


async def test_a_log_message_on_the_requests_stream_restarts_the_time():
    server = FakeServer()
    async with running(server, timeout=0.3) as run:
        began = anyio.current_time()
        while not run.outcomes and anyio.current_time() - began < 0.7:
            run.request.tell(LOG, {"level": "info", "data": "working"})
            await anyio.lowlevel.checkpoint()
        assert run.outcomes == []
        run.request.respond(text("done"))
        assert decode_members(await run.outcome()) == text("done")


@asynccontextmanager
async def two_running(server, **keys):
    """Run the requests of two clients on one session: what belongs to no stream may belong to either."""
    async with running(server, **keys) as run, anyio.create_task_group() as tasks:
        other, outcomes = Exchange("you", ClientChannel(), session=run.exchange.session), []

        async def carry():
            try:
                outcomes.append(await other.run(CALL))
            except ServerTimeout as error:
                outcomes.append(error)

        tasks.start_soon(carry)
        request = await server.next_request()
        yield run, outcomes
        if not outcomes:
            request.respond()


async def log_for(server, outcomes, seconds):
    began = anyio.current_time()
    while not outcomes and anyio.current_time() - began < seconds:
        server.tell(LOG, {"level": "info", "data": "working"})
        await anyio.lowlevel.checkpoint()


async def test_a_log_message_that_names_no_call_restarts_the_time_of_all():
    server = FakeServer(modern=False)
    async with two_running(server, timeout=0.3) as (run, outcomes):
        await log_for(server, outcomes, 0.7)
        assert (run.outcomes, outcomes) == ([], [])
        await until(lambda: run.outcomes and outcomes)
        for found in (*run.outcomes, *outcomes):
            assert "gave no answer within 0.3 s" in str(found), "once it has fallen silent"


async def test_but_neither_beyond_the_total_limit():
    server = FakeServer(modern=False)
    async with two_running(server, timeout=0.3, max_call_time=0.7) as (run, outcomes):
        began = anyio.current_time()
        await log_for(server, outcomes, 5.0)
        await until(lambda: run.outcomes and outcomes)
        assert anyio.current_time() - began < 4.0
        for found in (*run.outcomes, *outcomes):
            assert "has not come to an end within 0.7 s" in str(found)


# -- what comes meanwhile


class Client:
    """A client that keeps what it is told, and thinks about questions until it may answer."""

    def __init__(self):
        self.told, self.asked, self.may_answer = [], [], anyio.Event()
        self.channel = ClientChannel(self.notify, self.ask, wants_progress=True)

    def notify(self, method, params):
        self.told.append((method, decode_members(params)))

    async def ask(self, method, params):
        self.asked.append((method, params))
        await self.may_answer.wait()
        return {"answer": 1}


async def test_notifications_reach_the_client_in_their_order_before_the_response():
    server, client, order = FakeServer(modern=False), Client(), []
    async with running(server, client.channel) as run:
        assert run.request.content["params"]["_meta"] == {"progressToken": run.request.request_id}
        for number in range(100):
            if number % 2:
                report(server, run, number)
            else:
                run.request.tell(LOG, {"level": "info", "data": number})
            order.append(number)
        run.request.respond()
        assert [params.get("data", params.get("progress")) for _, params in client.told] == order, "at once"
        await run.outcome()
        report(server, run, 101)
        run.request.tell(LOG, {"level": "info", "data": 101})
    # What comes on a request's stream after its response still is its client's; progress without a request is not.
    assert len(client.told) == 101


async def test_what_cannot_be_read_among_it_is_dropped_and_counted():
    server, client = FakeServer(modern=False), Client()
    async with running(server, client.channel) as run:
        connection = run.exchange.session.connection
        for number, odd in enumerate(
            [
                b"nonsense",
                b"\xff",
                b'{"jsonrpc":"2.0","method":3}',
                b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":NaN}}',
                b'{"jsonrpc":"2.0","method":"notifications/message","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
                b'{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"n":' + b"9" * 5000 + b"}}",
                b'{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"n":'
                + b"[" * 900
                + b"]" * 900
                + b"}}",
            ],
            1,
        ):
            run.request.handler.on_message(odd)
            assert connection.dropped == number
        assert client.told == []


@pytest.mark.parametrize(
    "raw", [b"9" * 5000, b"[" * 150 + b"]" * 150, b'"\\ud800"', b"1e9999", b"9" * 5000 + b".5"], ids=len
)
async def test_odd_values_in_notifications_pass_through(raw):
    server, told = FakeServer(modern=False), []
    async with running(server, ClientChannel(lambda _, params: told.append(bytes(params["data"])))) as run:
        run.request.handler.on_message(b'{"jsonrpc":"2.0","method":"%b","params":{"data":%b}}' % (LOG.encode(), raw))
    assert told == [raw.replace(b"\\ud800", b"\\ufffd")]


@pytest.mark.parametrize("request_id", [b"1", b'"1"', b"1.0", b"99", b"null", b'"x"', b"9" * 5000, b"{}"])
async def test_responses_that_are_late_or_foreign_are_dropped_and_counted(request_id):
    server = FakeServer()
    async with running(server) as run:
        connection = run.exchange.session.connection
        with capture_logs() as logged:
            for outcome in (b'"result":{}', b'"error":{"code":1,"message":"x"}', b'"result":null'):
                server.say(b'{"jsonrpc":"2.0","id":%b,%b}' % (request_id, outcome))
        assert {(line["event"], line["server"]) for line in logged} == {("message dropped", "alpha")}
        assert (connection.dropped, run.outcomes, server.sent) == (3, [], [])


async def test_the_time_stands_still_while_a_question_is_open():
    server, client = FakeServer(modern=False), Client()
    async with running(server, client.channel, timeout=0.1, max_call_time=0.2) as run:
        session = run.exchange.session
        session.router.capabilities = {"roots": {}}
        run.request.tell("roots/list", {}, id="q1")
        await until(lambda: client.asked)
        assert session.deadlines._ends == {}
        began, ends = anyio.current_time(), run.exchange._end
        await until(lambda: anyio.current_time() > began + 0.2)
        run.request.tell("roots/list", {}, id="q2")
        report(server, run)
        await until(lambda: len(client.asked) == 2)
        assert session.deadlines._ends == {}, "progress does not start the clock, either"
        await until(lambda: anyio.current_time() > began + 0.6)
        assert run.outcomes == []
        client.may_answer.set()
        await until(lambda: len(server.sent) == 2)
        waited = anyio.current_time() - began
        assert 0.6 <= run.exchange._end - ends < waited + 0.2, "two questions at once stop one clock"
        run.request.respond(text("done"))
        assert decode_members(await run.outcome()) == text("done")
    assert sorted(answer["id"] for answer in server.sent) == ["q1", "q2"]


async def test_it_goes_on_afterwards():
    server, client = FakeServer(modern=False), Client()
    async with running(server, client.channel, timeout=0.2) as run:
        run.exchange.session.router.capabilities = {"roots": {}}
        run.request.tell("roots/list", {}, id="q1")
        await until(lambda: client.asked)
        client.may_answer.set()
        assert isinstance(await run.outcome(), ServerTimeout)


async def test_questions_end_with_their_request():
    server, client = FakeServer(modern=False), Client()
    async with running(server, client.channel) as run:
        run.exchange.session.router.capabilities = {"roots": {}}
        run.request.tell("roots/list", {}, id="q1")
        await until(lambda: client.asked)
        run.request.respond()
        await run.outcome()
        await until(lambda: server.sent)
    [answer] = server.sent
    assert (answer["id"], answer["error"]["code"]) == ("q1", -32600)
    assert "gave up its request" in answer["error"]["message"]


# -- the log level


async def test_a_server_that_does_not_answer_to_a_log_level_is_not_waited_for_for_ever():
    server = FakeServer(modern=False, capabilities={"tools": {}, "logging": {}})
    async with running(server, ClientChannel(log_level="debug"), timeout=0.1) as run:
        assert run.request.method == "logging/setLevel"
        assert isinstance(await run.outcome(), ServerTimeout)
        assert run.request.is_abandoned
    assert len(server.requests) == 1


async def test_a_log_level_is_set_before_the_request_and_once():
    server = FakeServer(modern=False, capabilities={"tools": {}, "logging": {}})
    async with running(server, ClientChannel(log_level="debug")) as run:
        assert json.loads(run.request.message)["params"] == {"level": "debug"}
        run.request.respond()
        (await server.next_request(2)).respond(text("done"))
        assert decode_members(await run.outcome()) == text("done")
    assert [request.method for request in server.requests] == ["logging/setLevel", "tools/call"]
