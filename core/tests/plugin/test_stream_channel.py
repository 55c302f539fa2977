"""The SDK's streams as a channel: what third parties' transports read and write becomes bytes, in its order."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter

from mcp_gateway.plugin import (
    ConnectionDropped,
    RequestNotSent,
    ServerUnavailable,
    SupportsUnreadableOutput,
    open_stream_channel,
)

from ..support.fake_servers import until

REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","odd":[null,1.0]}}'
NOTIFICATION = JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={"data": 1})


class Handler:
    """A `ResponseHandler` that keeps what it is told, in order."""

    def __init__(self):
        self.messages, self.responses, self.failures = [], [], []

    def on_message(self, message):
        assert not self.responses, "overtaken by the response"
        self.messages.append(json.loads(message))

    def on_response(self, response):
        self.responses.append(json.loads(response))

    def on_failure(self, error):
        self.failures.append(error)


class Wire:
    """Both ends of a transport's streams, and the channel over them."""

    def __init__(self, room=10):
        self.say, self.read = anyio.create_memory_object_stream(room)
        self.write, self.written = anyio.create_memory_object_stream(room)
        self.messages, self.closed, self.handler = [], [], Handler()

    async def respond(self, request_id=1, related=None, **result):
        metadata = None if related is None else ServerMessageMetadata(related_request_id=related)
        await self.say.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=request_id, result=result), metadata))


@asynccontextmanager
async def open_wire(room=10):
    wire = Wire(room)
    with anyio.fail_after(10), wire.say, wire.written, wire.read, wire.write:
        async with open_stream_channel(wire.read, wire.write) as wire.channel:
            wire.channel.start(lambda message: wire.messages.append(json.loads(message)), lambda: wire.closed.append(1))
            yield wire


async def test_a_request_is_written_and_its_response_is_handed_over():
    async with open_wire() as wire:
        wire.channel.request(REQUEST, 1, {"mcp-method": "tools/call"}, wire.handler)
        item = await wire.written.receive()
        assert item.message.model_dump(by_alias=True, exclude_unset=True) == json.loads(REQUEST)
        assert item.metadata.headers == {"mcp-method": "tools/call"}
        await wire.respond(a=None, b=2**70)
        await until(lambda: wire.handler.responses)
        assert wire.handler.responses == [{"jsonrpc": "2.0", "id": 1, "result": {"a": None, "b": 2**70}}]
        await wire.respond(second=1)
        await until(lambda: wire.messages)
        assert (len(wire.handler.responses), wire.messages[0]["result"]) == (1, {"second": 1})


async def test_what_is_still_written_of_a_request_after_its_response_is_given_up():
    async with open_wire(room=0) as wire:
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        await until(lambda: wire.write.statistics().tasks_waiting_send)
        await wire.respond()
        await until(lambda: wire.handler.responses)
        await until(lambda: not wire.write.statistics().tasks_waiting_send)
        assert wire.handler.failures == []


@pytest.mark.parametrize("request_id", [1, "1", "1.0", "1e0"])
async def test_the_id_of_a_response_may_be_a_text(request_id):
    async with open_wire() as wire:
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        await wire.respond(request_id)
        await until(lambda: wire.handler.responses)
        assert wire.messages == []


@pytest.mark.parametrize("request_id", [2, "2", "x", "", 2**70])
async def test_a_foreign_response_is_for_nobody_in_particular(request_id):
    async with open_wire() as wire:
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        await wire.respond(request_id)
        await until(lambda: wire.messages)
        assert (wire.handler.responses, wire.messages[0]["id"]) == ([], request_id)


@pytest.mark.parametrize("error_id", [None, "server-error", -1])
async def test_an_error_without_an_id_of_ours_answers_the_request_on_whose_stream_it_came(error_id):
    error = {"jsonrpc": "2.0", "id": error_id, "error": {"code": -1, "message": "no"}}
    async with open_wire() as wire:
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        message = JSONRPCError.model_validate(error)
        await wire.say.send(SessionMessage(message, ServerMessageMetadata(related_request_id=1)))
        await until(lambda: wire.handler.responses)
        assert wire.handler.responses[0]["error"] == error["error"]
        await wire.say.send(SessionMessage(message))
        await until(lambda: wire.messages)


async def test_what_cannot_be_read_is_told_until_the_next_response():
    async with open_wire() as wire:
        assert isinstance(wire.channel, SupportsUnreadableOutput)
        assert wire.channel.describe_unreadable(1) == ""
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        await wire.say.send(ValueError("no JSON"))
        await until(lambda: wire.channel.describe_unreadable(1))
        assert wire.channel.describe_unreadable(1) == "it sent 1 message that cannot be read"
        await wire.respond()
        await until(lambda: wire.handler.responses)
        assert wire.channel.describe_unreadable(1) == ""


async def test_what_comes_before_the_response_is_handed_over_before_it():
    async with open_wire() as wire:
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        for number in range(50):
            told = JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={"data": number})
            related = ServerMessageMetadata(related_request_id="1" if number % 2 else 1)
            await wire.say.send(SessionMessage(told, related))
        asked = JSONRPCRequest(jsonrpc="2.0", id="q", method="ping", params=None)
        await wire.say.send(SessionMessage(asked, ServerMessageMetadata(related_request_id=1)))
        await wire.respond()
        await until(lambda: wire.handler.responses)
        assert [message["params"]["data"] for message in wire.handler.messages[:-1]] == list(range(50))
        assert wire.handler.messages[-1]["id"] == "q"
        await wire.say.send(SessionMessage(NOTIFICATION))
        await wire.say.send(SessionMessage(NOTIFICATION, ServerMessageMetadata(related_request_id=1)))
        await until(lambda: len(wire.messages) == 2)


async def test_an_abandoned_request_hears_nothing_and_is_not_written_any_more():
    async with open_wire(room=0) as wire:
        abandon = wire.channel.request(REQUEST, 1, {}, wire.handler)
        await anyio.wait_all_tasks_blocked()
        abandon()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.WouldBlock):
            wire.written.receive_nowait()
        abandon()
        await wire.respond()
        await until(lambda: wire.messages)
        assert (wire.handler.responses, wire.handler.failures) == ([], [])


async def test_requests_that_are_open_when_the_connection_closes_were_dropped_and_later_ones_are_not_sent():
    async with open_wire() as wire:
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        await wire.written.receive()
        wire.say.close()
        await until(lambda: wire.closed)
        assert [type(error) for error in wire.handler.failures] == [ConnectionDropped]
        later = Handler()
        wire.channel.request(REQUEST, 1, {}, later)
        assert later.failures == [], "not before it has returned"
        await until(lambda: later.failures)
        assert [type(error) for error in later.failures] == [RequestNotSent]
        assert wire.closed == [1]


async def test_a_request_that_cannot_be_written_was_not_sent():
    async with open_wire() as wire:
        wire.written.close()
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        await until(lambda: wire.handler.failures)
        assert [type(error) for error in wire.handler.failures] == [RequestNotSent]
        with pytest.raises(ServerUnavailable):
            await wire.channel.send(b'{"jsonrpc":"2.0","method":"a/b"}', {})


@pytest.mark.parametrize("error", [MCPError(-31002, "in its place"), ServerUnavailable("gone")])
async def test_a_failure_of_the_transport_is_the_requests(error):
    async with open_wire() as wire:

        class Failing:
            async def send(self, _):
                raise error

        wire.channel._write = Failing()
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        await until(lambda: wire.handler.failures)
        assert wire.handler.failures == [error]


async def test_while_it_is_paused_nothing_more_is_read():
    async with open_wire(room=0) as wire:
        wire.channel.set_reading_paused(paused=True)
        wire.channel.set_reading_paused(paused=True)
        await wire.say.send(SessionMessage(NOTIFICATION))  # it was waited for already
        await until(lambda: wire.messages)
        with pytest.raises(anyio.WouldBlock):
            wire.say.send_nowait(SessionMessage(NOTIFICATION))
        wire.channel.set_reading_paused(paused=False)
        await wire.say.send(SessionMessage(NOTIFICATION))
        await until(lambda: len(wire.messages) == 2)


async def test_what_the_transport_could_not_read_is_left_out():
    async with open_wire() as wire:
        await wire.say.send(ValueError("no JSON"))
        await wire.say.send(SessionMessage(NOTIFICATION))
        await until(lambda: wire.messages)
        assert len(wire.messages) == 1


async def test_responses_and_notifications_are_written_as_they_are():
    async with open_wire() as wire:
        for message in (
            b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
            b'{"jsonrpc":"2.0","id":"q","result":{"a":null}}',
            b'{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no","data":{"b":1.5}}}',
        ):
            await wire.channel.send(message, {})
            item = await wire.written.receive()
            assert item.message.model_dump(by_alias=True, exclude_unset=True) == json.loads(message)
            assert type(item.message) is type(jsonrpc_message_adapter.validate_json(message))


@pytest.mark.parametrize("message", [REQUEST.replace(b"null", b"9" * 5000), b"nonsense"])
async def test_a_request_that_the_sdk_cannot_carry_fails_alone(message):
    async with open_wire() as wire:
        wire.channel.request(message, 1, {}, wire.handler)
        other = Handler()
        wire.channel.request(REQUEST.replace(b'"id":1', b'"id":2'), 2, {}, other)
        await until(lambda: wire.handler.failures)
        assert [(type(error), error.code) for error in wire.handler.failures] == [(MCPError, -32602)]
        assert "9999" not in str(wire.handler.failures[0])
        with pytest.raises(MCPError, match="cannot carry"):
            await wire.channel.send(message, {})
        await wire.respond(2)
        await until(lambda: other.responses)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth, is_readable", [(300, True), (600, True), (50_000, False)])
async def test_a_message_that_is_nested_too_deeply_is_lost_alone(depth, is_readable):
    async with open_wire() as wire:
        wire.channel.request(REQUEST, 1, {}, wire.handler)
        told = JSONRPCNotification.model_construct(jsonrpc="2.0", method="a/b", params={"data": nested(depth)})
        await wire.say.send(SessionMessage(told))
        response = JSONRPCResponse.model_construct(jsonrpc="2.0", id=1, result={"a": nested(depth)})
        await wire.say.send(SessionMessage(response))
        await until(lambda: wire.handler.responses)
        [found] = wire.handler.responses
        assert ("result" in found, len(wire.messages)) == (is_readable, int(is_readable))
        if not is_readable:
            assert "cannot be read" in found["error"]["message"]
        await wire.say.send(SessionMessage(NOTIFICATION))
        await until(lambda: wire.messages[-1:] == [NOTIFICATION.model_dump(exclude_unset=True)])
