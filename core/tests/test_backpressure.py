"""Servers that say more than their clients take."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCResponse

from mcp_gateway.interaction import Interaction
from mcp_gateway.sessions import backpressure
from mcp_gateway.sessions.audience import Audience
from mcp_gateway.sessions.backpressure import MAX_DELIVERIES, MAX_DELIVERY_BYTES
from mcp_gateway.sessions.exchange import Exchange
from mcp_gateway.sessions.peer import connected

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
    """Open a session with a server that is this test; yield the peer, what the server says by, and its requests."""
    say, incoming = anyio.create_memory_object_stream(0)
    outgoing, asked = anyio.create_memory_object_stream(10)

    @asynccontextmanager
    async def transport():
        yield incoming, outgoing

    audience = Audience()
    with anyio.fail_after(30):
        async with connected(transport(), audience) as peer:
            peer.version = "2025-11-25"
            audience.enter(99, Exchange("me", Interaction(client.notify)))
            with say, asked:
                yield peer, say, asked


def message(number, text="x"):
    told = JSONRPCNotification(jsonrpc="2.0", method=LOG, params={"level": "info", "data": f"{number} {text}"})
    return SessionMessage(told, ServerMessageMetadata(related_request_id=99))


async def flood(say, count, text="x"):
    for number in range(count):
        await say.send(message(number, text))


async def test_a_burst_arrives_whole_and_in_order_when_the_client_takes_it():
    client = Client()
    async with session(client) as (peer, say, _), anyio.create_task_group() as tasks:
        tasks.start_soon(flood, say, FLOOD)
        await anyio.wait_all_tasks_blocked()
        assert MAX_DELIVERIES <= peer.audience.deliveries.count < MAX_DELIVERIES + 10
        client.may_take.set()
    assert [int(text.split()[0]) for text in client.taken] == list(range(FLOOD))


async def test_large_messages_are_fewer_on_the_way():
    client, text = Client(), "x" * (MAX_DELIVERY_BYTES // 10)
    async with session(client) as (peer, say, _), anyio.create_task_group() as tasks:
        tasks.start_soon(flood, say, 50, text)
        await anyio.wait_all_tasks_blocked()
        assert peer.audience.deliveries.count < 15
        client.may_take.set()
    assert len(client.taken) == 50


async def test_an_answer_comes_through_though_the_client_takes_nothing(monkeypatch: pytest.MonkeyPatch):
    """What it does not take is dropped then, and what comes after it takes again arrives again."""
    monkeypatch.setattr(backpressure, "WAIT_SECONDS", 0.05)
    client, found = Client(), []
    async with session(client) as (peer, say, asked), anyio.create_task_group() as tasks:

        async def ask():
            found.append(await peer.request("ping", {}))

        tasks.start_soon(ask)
        request = (await asked.receive()).message
        await flood(say, FLOOD)
        await say.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=request.id, result={"a": 1})))
        while not found:
            await anyio.lowlevel.checkpoint()
        assert peer.audience.deliveries.count < MAX_DELIVERIES + 10
        assert peer.audience.deliveries.dropped > FLOOD / 2
        client.may_take.set()
        while peer.audience.deliveries.count:
            await anyio.lowlevel.checkpoint()
        await say.send(message("last"))
        while client.taken[-1] != "last x":
            await anyio.lowlevel.checkpoint()
    assert found == [{"a": 1}]
