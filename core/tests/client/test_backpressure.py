"""Servers that say more than their clients take."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from mcp_gateway.client import backpressure, open_requests
from mcp_gateway.client.backpressure import MAX_DELIVERIES, MAX_DELIVERY_BYTES
from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.open_requests import MAX_OPEN_BYTES, MAX_OPEN_REQUESTS
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.protocol.client_channel import ClientChannel

FLOOD = 5 * MAX_DELIVERIES
LOG = "notifications/message"


class Client:
    """Takes messages only when it is let."""

    def __init__(self) -> None:
        self.may_take, self.taken = anyio.Event(), []

    async def notify(self, _method, params):
        await self.may_take.wait()
        self.taken.append(params["data"])


@asynccontextmanager
async def session(client):
    """Open a session with a server that is this test; yield the connection, the stream into it, and its requests."""
    say, incoming = anyio.create_memory_object_stream(0)
    outgoing, asked = anyio.create_memory_object_stream(10)

    @asynccontextmanager
    async def transport():
        yield incoming, outgoing

    router = ServerMessageRouter()
    with anyio.fail_after(30):
        async with open_connection(transport(), router) as connection:
            connection.version = "2025-11-25"
            router.enter(99, InFlightRequest("me", ClientChannel(client.notify)))
            with say, asked:
                yield connection, say, asked


def message(number, text="x"):
    notification = JSONRPCNotification(jsonrpc="2.0", method=LOG, params={"level": "info", "data": f"{number} {text}"})
    return SessionMessage(notification, ServerMessageMetadata(related_request_id=99))


async def flood(say, count, text="x"):
    for number in range(count):
        await say.send(message(number, text))


async def test_a_burst_arrives_whole_and_in_order_when_the_client_takes_it():
    client = Client()
    async with session(client) as (connection, say, _), anyio.create_task_group() as tasks:
        tasks.start_soon(flood, say, FLOOD)
        await anyio.wait_all_tasks_blocked()
        assert MAX_DELIVERIES <= connection.router.deliveries.count < MAX_DELIVERIES + 10
        client.may_take.set()
    assert [int(text.split()[0]) for text in client.taken] == list(range(FLOOD))


async def test_large_messages_are_fewer_on_the_way():
    client, text = Client(), "x" * (MAX_DELIVERY_BYTES // 10)
    async with session(client) as (connection, say, _), anyio.create_task_group() as tasks:
        tasks.start_soon(flood, say, 50, text)
        await anyio.wait_all_tasks_blocked()
        assert connection.router.deliveries.count < 15
        client.may_take.set()
    assert len(client.taken) == 50


async def test_an_answer_comes_through_though_the_client_takes_nothing(monkeypatch: pytest.MonkeyPatch):
    """What it does not take is dropped then, and what comes after it takes again arrives again."""
    monkeypatch.setattr(backpressure, "WAIT_SECONDS", 0.05)
    client, found = Client(), []
    async with session(client) as (connection, say, asked), anyio.create_task_group() as tasks:

        async def ask():
            found.append(await connection.request("ping", {}))

        tasks.start_soon(ask)
        request = (await asked.receive()).message
        await flood(say, FLOOD)
        await say.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=request.id, result={"a": 1})))
        while not found:
            await anyio.lowlevel.checkpoint()
        assert connection.router.deliveries.count < MAX_DELIVERIES + 10
        assert connection.router.deliveries.dropped > FLOOD / 2
        client.may_take.set()
        while connection.router.deliveries.count:
            await anyio.lowlevel.checkpoint()
        await say.send(message("last"))
        while client.taken[-1] != "last x":
            await anyio.lowlevel.checkpoint()
    assert found == [{"a": 1}]


def question(request_id, method="sampling/createMessage", text="x"):
    asked = JSONRPCRequest(jsonrpc="2.0", id=request_id, method=method, params={"messages": text})
    return SessionMessage(asked, ServerMessageMetadata(related_request_id=99))


@asynccontextmanager
async def asking():
    """Open a session whose client thinks about questions until it is let answer."""
    may_answer, asked = anyio.Event(), []

    async def ask(_method, params):
        asked.append(params["messages"])
        await may_answer.wait()
        return {}

    async with session(Client()) as (connection, say, written):
        connection.router.capabilities = {"sampling": {}}
        connection.router.enter(99, InFlightRequest("me", ClientChannel(ask=ask)))
        yield connection.router.open_requests, say, written, asked, may_answer


async def test_questions_above_the_bound_are_refused_until_others_are_answered():
    async with asking() as (open_, say, written, asked, may_answer):
        for number in range(MAX_OPEN_REQUESTS):
            await say.send(question(number))
        await say.send(question("more"))
        refusal = (await written.receive()).message
        assert (refusal.id, refusal.error.code) == ("more", -32600)
        await anyio.wait_all_tasks_blocked()
        assert (open_.count, len(asked)) == (MAX_OPEN_REQUESTS, MAX_OPEN_REQUESTS)
        may_answer.set()
        answers = [(await written.receive()).message.id for _ in range(MAX_OPEN_REQUESTS)]
        assert sorted(answers) == list(range(MAX_OPEN_REQUESTS))
        await say.send(question("again"))
        assert (await written.receive()).message.result == {}
        await anyio.wait_all_tasks_blocked()
        assert (open_.count, open_.size) == (0, 0)


async def test_one_question_may_be_large_but_not_many():
    async with asking() as (open_, say, written, asked, _):
        for number in range(3):
            await say.send(question(number, text="x" * MAX_OPEN_BYTES))
        assert [(await written.receive()).message.id for _ in range(2)] == [1, 2]
        assert (open_.count, len(asked)) == (1, 1)


async def test_questions_that_are_taken_back_or_have_one_id_are_counted_once_each():
    async with asking() as (open_, say, _, asked, _answer):
        for _ in range(2):
            await say.send(question(7))
        await anyio.wait_all_tasks_blocked()
        assert (open_.count, len(asked)) == (2, 2)
        for request_id in (7, 7, 8):
            taken_back = JSONRPCNotification(
                jsonrpc="2.0", method="notifications/cancelled", params={"requestId": request_id}
            )
            await say.send(SessionMessage(taken_back))
        await anyio.wait_all_tasks_blocked()
        assert (open_.count, open_.size) == (0, 0)


async def test_a_server_that_pings_and_does_not_read_takes_no_memory(monkeypatch):
    monkeypatch.setattr(open_requests, "REFUSAL_SECONDS", 0.05)
    async with session(Client()) as (connection, say, written):
        for number in range(5 * MAX_OPEN_REQUESTS):  # nobody reads the answers
            await say.send(question(number, "ping"))
        assert connection.router.open_requests.count == MAX_OPEN_REQUESTS
        assert connection.router.open_requests.refused > 3 * MAX_OPEN_REQUESTS
        for _ in range(MAX_OPEN_REQUESTS):
            await written.receive()
        await anyio.wait_all_tasks_blocked()
        await say.send(question("last", "ping"))
        with anyio.fail_after(10):
            while (await written.receive()).message.id != "last":
                pass
