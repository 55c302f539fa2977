"""What a server asks and takes back, on a connection: who answers, with which id, and what is never answered."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.plugin import ConnectionDropped, Credentials, RequestNotSent, ServerUnavailable
from mcp_gateway.protocol.client_channel import ClientChannel
from mcp_gateway.protocol.envelope import ServerError

from ..support.fake_channel import HANDSHAKE, MODERN, FakeServer
from ..support.fake_servers import until

IDS = [
    b"7",
    b"0",
    b"-1",
    b"7.0",
    b"7.50",
    b"1E2",
    b'"7"',
    b'""',
    b'"q-1"',
    b'"\\u00e9\\/"',
    '"é"'.encode(),
    b"%d" % 2**70,
    b"9" * 5000,
    b"true",
    b'{"odd":[1]}',
]


@asynccontextmanager
async def connected(ask=None, version=HANDSHAKE, **options):
    """Open a connection with a request of a client in flight, which answers by `ask`."""
    server, router = FakeServer(**options), ServerMessageRouter({"roots": {}})
    with anyio.fail_after(30):
        async with open_connection(server.connect(Credentials()), router) as connection:
            connection.set_version(version, {})
            router.enter(99, InFlightRequest("me", ClientChannel(ask=ask)))
            yield connection, server


async def answered(server, count=1):
    await until(lambda: len(server.raw_sent) >= count)
    return server.raw_sent[-1]


@pytest.mark.parametrize("request_id", IDS, ids=lambda value: value[:8])
async def test_a_ping_is_answered_and_its_id_goes_back_byte_for_byte(request_id):
    async with connected() as (_, server):
        server.say(b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % request_id)
        assert await answered(server) == b'{"jsonrpc":"2.0","id":%b,"result":{}}' % request_id


@pytest.mark.parametrize("request_id", IDS, ids=lambda value: value[:8])
async def test_so_does_that_of_a_refusal(request_id):
    async with connected() as (_, server):
        server.say(b'{"jsonrpc":"2.0","id":%b,"method":"sampling/createMessage","params":{}}' % request_id)
        assert (await answered(server)).startswith(b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32601,' % request_id)


async def test_a_question_is_answered_by_the_client():
    async def ask(method, params):
        return {"asked": method, **params}

    async with connected(ask) as (_, server):
        server.tell("roots/list", {"a": [None, 2**70], "b": "\ud800"}, id="q")
        assert json.loads(await answered(server)) == {
            "jsonrpc": "2.0",
            "id": "q",
            "result": {"asked": "roots/list", "a": [None, 2**70], "b": "\ufffd"},
        }


async def test_an_error_of_the_clients_is_the_answer():
    async def ask(*_):
        raise MCPError(-5, "no", {"why": 1})

    async with connected(ask) as (_, server):
        server.tell("roots/list", id=1)
        assert json.loads(await answered(server))["error"] == {"code": -5, "message": "no", "data": {"why": 1}}


async def test_an_answer_that_cannot_be_given_is_an_error_and_the_next_one_can():
    answers = [{"n": float("inf")}, ValueError, KeyError("s3cr3t"), {"a": 1}]

    async def ask(*_):
        answer = answers.pop(0)
        if not isinstance(answer, dict):
            raise answer
        return answer

    async with connected(ask) as (_, server):
        for number, code in enumerate((-32602, -32602, -32603), 1):
            server.tell("roots/list", id=number)
            error = json.loads(await answered(server, number))["error"]
            assert error["code"] == code
            assert "s3cr3t" not in error["message"]
        server.tell("roots/list", id=9)
        assert json.loads(await answered(server, 4))["result"] == {"a": 1}


@pytest.mark.parametrize(
    "params",
    [b"9" * 5000, b"[" * 900 + b"]" * 900, b"1e999"],
    ids=["digits", "nesting", "infinity"],
)
async def test_params_that_python_cannot_read_are_an_error_for_the_server(params):
    async def ask(_, params):
        return params

    async with connected(ask) as (connection, server):
        server.say(b'{"jsonrpc":"2.0","id":"q","method":"roots/list","params":{"a":%b}}' % params)
        error = json.loads(await answered(server))
        assert (error["id"], error["error"]["code"]) == ("q", -32602)
        assert connection.router.open_requests.count == 0


@pytest.mark.parametrize("request_id", [b"7", b'"q"', b"%d" % 2**70])
async def test_a_question_that_the_server_takes_back_gets_no_answer(request_id):
    ended = []

    async def ask(*_):
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)

    async with connected(ask) as (connection, server):
        server.say(b'{"jsonrpc":"2.0","id":%b,"method":"roots/list"}' % request_id)
        await until(lambda: connection.server_requests._open)
        await anyio.wait_all_tasks_blocked()
        cancelled = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%b}}' % request_id
        server.say(cancelled)
        await until(lambda: ended)
        server.say(cancelled)
        server.say(b'{"jsonrpc":"2.0","method":"notifications/cancelled"}')
        server.tell("ping", id="after")
        assert await answered(server) == b'{"jsonrpc":"2.0","id":"after","result":{}}'
        assert len(server.raw_sent) == 1
        assert (connection.router.open_requests.count, connection.server_requests._open) == (0, {})


async def test_a_request_whose_id_is_null_is_a_notification():
    async with connected() as (_, server):
        server.say(b'{"jsonrpc":"2.0","id":null,"method":"ping"}')
        server.tell("ping", id=1)
        await answered(server)
        assert [message["id"] for message in server.sent] == [1]


async def test_a_server_that_is_gone_when_its_answer_comes_breaks_nothing():
    class Gone(FakeServer):
        async def send(self, message, headers):
            await super().send(message, headers)
            raise ServerUnavailable("gone")

    server = Gone()
    async with open_connection(server.connect(Credentials())) as connection:
        for number in range(3):
            server.tell("ping", id=number)
            await answered(server, number + 1)
        assert connection.router.open_requests.count == 0


# -- requests of the gateway's own


@pytest.mark.parametrize("version", [HANDSHAKE, MODERN])
async def test_a_request_of_our_own_that_is_cancelled_is_abandoned_and_the_server_is_told_once(version):
    async with connected(version=version) as (connection, server):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.request, "prompts/list", {})
            request = await server.next_request()
            tasks.cancel_scope.cancel()
        await until(lambda: server.sent)
        await anyio.wait_all_tasks_blocked()
        assert request.is_abandoned
        assert [(it["method"], it["params"]) for it in server.sent] == [
            ("notifications/cancelled", {"requestId": request.request_id})
        ]
        assert ("_meta" in request.content["params"]) is (version == MODERN)


async def test_before_the_handshake_nothing_is_cancelled():
    async with connected(version="") as (connection, server):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.send, "prompts/list", {}, {}, 1)
            request = await server.next_request()
            tasks.cancel_scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert (request.is_abandoned, server.sent) == (True, [])


async def test_a_cancellation_that_the_server_does_not_take_is_given_up(monkeypatch):
    monkeypatch.setattr("mcp_gateway.client.connection._CANCEL_SECONDS", 0.01)
    async with connected() as (connection, server):
        server.may_take = anyio.Event()
        connection.cancel_request(1)
        await anyio.wait_all_tasks_blocked()
        await until(lambda: not connection.tasks._tasks)
        server.may_take.set()
        connection.closed.set()
        connection.cancel_request(2)
        await anyio.wait_all_tasks_blocked()
        assert server.sent == []


@pytest.mark.parametrize("error", [RequestNotSent("unsent"), ConnectionDropped("cut"), MCPError(-31001, "fault")])
async def test_a_failure_of_the_channel_is_raised_as_it_is(error):
    async with connected(faults=[error]) as (connection, _):
        with pytest.raises(type(error)) as caught:
            await connection.request("prompts/list", {})
        assert caught.value is error


async def test_a_servers_error_is_a_servers_error():
    async with connected() as (connection, server), anyio.create_task_group() as tasks:
        errors = []

        async def request():
            with pytest.raises(ServerError) as caught:
                await connection.request("prompts/list", {})
            errors.append(caught.value)

        tasks.start_soon(request)
        (await server.next_request()).respond(error="go away")
        await until(lambda: errors)
        assert (errors[0].code, errors[0].error.message) == (-32603, "go away")


async def test_what_comes_on_the_stream_of_our_own_request_is_not_for_a_client_that_has_one_in_flight():
    told = []
    async with connected() as (connection, server), anyio.create_task_group() as tasks:
        connection.router.enter(99, InFlightRequest("me", ClientChannel(lambda *heard: told.append(heard))))
        tasks.start_soon(connection.request, "prompts/list", {})
        request = await server.next_request()
        request.tell("notifications/message", {"data": 1})
        request.tell("roots/list", {}, id="q")
        assert "belongs to no request" in json.loads(await answered(server))["error"]["message"]
        server.tell("notifications/message", {"data": 2})
        request.respond()
    assert [method for method, _ in told] == ["notifications/message"]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
async def test_what_json_has_no_form_for_is_not_sent(odd):
    async with connected() as (connection, server):
        with pytest.raises(MCPError, match="cannot be sent"):
            await connection.request("prompts/list", {"n": odd})
        assert server.requests == []


async def test_on_a_connection_that_is_closed_nothing_is_sent():
    async with connected() as (connection, server):
        server.close()
        with pytest.raises(RequestNotSent):
            await connection.request("prompts/list", {})
        assert server.requests == []
