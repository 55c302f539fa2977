"""Servers that say more than their clients take."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import structlog

from mcp_gateway.client import backpressure, server_requests
from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.open_requests import MAX_OPEN_BYTES, MAX_OPEN_REQUESTS, MAX_REFUSALS
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.plugin import Credentials
from mcp_gateway.protocol.client_channel import ClientChannel
from mcp_gateway.protocol.raw_json import decode_members

from ..support.fake_channel import FakeServer
from ..support.fake_servers import until

LOG = "notifications/message"


class Client:
    """A client with a request in flight, which reads only while it is not congested."""

    def __init__(self, name="me"):
        self.name, self.taken, self.is_congested = name, [], False
        self.channel = ClientChannel(self.notify, is_congested=lambda: self.is_congested)

    def notify(self, _method, params):
        self.taken.append(decode_members(params)["data"])

    def exchange(self):
        return InFlightRequest(self.name, self.channel)


@asynccontextmanager
async def session(*clients):
    """Open a session with a fake server, with a request in flight for each client; yield connection and server."""
    server, router = FakeServer(), ServerMessageRouter()
    with anyio.fail_after(30):
        async with open_connection(server.connect(Credentials()), router) as connection:
            connection.set_version("2025-11-25", {})
            for number, client in enumerate(clients):
                router.enter(1000 + number, client.exchange())
            yield connection, server


def log(connection, data, client_number=0):
    """Have the server send a message on the stream of a client's request."""
    exchange = connection.router._exchanges[1000 + client_number]
    message = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%d}}'
    connection.on_message(message % data, exchange)


async def next_check(connection):
    """Wait until it has been looked at once more whether the clients keep up."""
    timer = connection.router.backpressure._timer
    await until(lambda: connection.router.backpressure._timer is not timer)


async def test_a_server_whose_client_keeps_up_is_never_paused():
    client = Client()
    async with session(client) as (connection, server):
        for number in range(1000):
            log(connection, number)
        assert (client.taken, server.pauses) == (list(range(1000)), 0)


async def test_a_server_whose_client_is_behind_is_not_read_until_it_has_caught_up():
    client = Client()
    async with session(client) as (connection, server):
        client.is_congested = True
        for number in range(50):  # what was read already is delivered
            log(connection, number)
        assert (server.is_paused, server.pauses) == (True, 1)
        await next_check(connection)
        assert server.is_paused
        client.is_congested = False
        await until(lambda: not server.is_paused)
        log(connection, 50)
        assert client.taken == list(range(51)), "all of it, in order"
        assert (server.pauses, connection.router.backpressure.dropped) == (1, 0)


async def test_after_its_time_a_server_is_read_again_and_what_its_client_does_not_take_is_dropped(monkeypatch):
    """The server's answers must get through, whatever its clients do."""
    assert backpressure.WAIT_SECONDS <= 2.0
    monkeypatch.setattr(backpressure, "WAIT_SECONDS", 0.05)
    client = Client()
    async with session(client) as (connection, server):
        client.is_congested = True
        log(connection, 0)
        await until(lambda: not server.is_paused)
        with structlog.testing.capture_logs() as logs:
            for number in range(1, 1001):
                log(connection, number)
        assert (client.taken, connection.router.backpressure.dropped, server.pauses) == ([0], 1000, 1)
        assert [line["messages"] for line in logs] == [2**n for n in range(10)], "the log is not flooded"

        found = []

        async def ask():
            found.append(await connection.request("ping", {}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            (await server.next_request()).respond({"a": 1})
        assert found == [{"a": 1}]

        client.is_congested = False
        await until(lambda: not connection.router.backpressure._gave_up)
        log(connection, 2000)
        assert client.taken == [0, 2000]
        client.is_congested = True
        log(connection, 2001)
        assert (server.is_paused, client.taken) == (True, [0, 2000, 2001]), "it begins anew"


async def test_a_client_that_does_not_read_takes_nothing_away_from_another(monkeypatch):
    monkeypatch.setattr(backpressure, "WAIT_SECONDS", 0.05)
    slow, quick = Client("slow"), Client("quick")
    async with session(slow, quick) as (connection, server):
        slow.is_congested = True
        for number in range(3):
            log(connection, number, client_number=0)
            log(connection, number, client_number=1)
        await until(lambda: not server.is_paused)
        for number in range(3, 6):
            log(connection, number, client_number=0)
            log(connection, number, client_number=1)
        assert (slow.taken, quick.taken) == ([0, 1, 2], [0, 1, 2, 3, 4, 5])


async def test_progress_that_is_dropped_is_still_a_sign_of_life(monkeypatch):
    monkeypatch.setattr(backpressure, "WAIT_SECONDS", 0.0)
    resets = []

    class Timer:
        def reset(self):
            resets.append(1)

    client = Client()
    async with session(client) as (connection, server):
        connection.router._exchanges[1000].timer = Timer()
        client.is_congested = True
        log(connection, 0)
        await until(lambda: not server.is_paused)
        resets.clear()
        server.tell("notifications/progress", {"progressToken": 1000, "progress": 1, "data": "x"})
        assert (client.taken, resets) == ([0], [1])


async def test_a_request_that_is_over_holds_its_server_up_no_longer():
    client = Client()
    async with session(client) as (connection, server):
        client.is_congested = True
        log(connection, 0)
        connection.router.leave(1000)
        await until(lambda: not server.is_paused)
        await until(lambda: connection.router.backpressure._timer.when() < anyio.current_time())
        assert not connection.router.backpressure._gave_up


async def test_nothing_is_looked_at_any_more_once_the_connection_is_closed():
    client = Client()
    async with session(client) as (connection, _):
        client.is_congested = True
        log(connection, 0)
    assert connection.router.backpressure._timer.cancelled()


# -- what a server asks


def question(server, request_id, method="sampling/createMessage", text="x"):
    server.tell(method, {"messages": text}, id=request_id)


@asynccontextmanager
async def asking():
    """Open a session whose client thinks about questions until it is let answer."""
    may_answer, asked = anyio.Event(), []

    async def ask(_method, params):
        asked.append(params["messages"])
        await may_answer.wait()
        return {}

    async with session() as (connection, server):
        connection.router.capabilities = {"sampling": {}}
        connection.router.enter(99, InFlightRequest("me", ClientChannel(ask=ask)))
        yield connection.router.open_requests, server, asked, may_answer


async def test_questions_above_the_bound_are_refused_until_others_are_answered():
    async with asking() as (open_, server, asked, may_answer):
        for number in range(MAX_OPEN_REQUESTS):
            question(server, number)
        question(server, "more")
        await until(lambda: server.sent)
        assert [(refusal["id"], refusal["error"]["code"]) for refusal in server.sent] == [("more", -32600)]
        await until(lambda: len(asked) == MAX_OPEN_REQUESTS)
        assert open_.count == MAX_OPEN_REQUESTS
        server.raw_sent.clear()
        may_answer.set()
        await until(lambda: len(server.sent) == MAX_OPEN_REQUESTS)
        assert sorted(answer["id"] for answer in server.sent) == list(range(MAX_OPEN_REQUESTS))
        question(server, "again")
        await until(lambda: len(server.sent) > MAX_OPEN_REQUESTS)
        assert server.sent[-1] == {"jsonrpc": "2.0", "id": "again", "result": {}}
        await until(lambda: open_.count == 0)
        assert open_.size == 0


async def test_one_question_may_be_large_but_not_many():
    async with asking() as (open_, server, asked, _):
        for number in range(3):
            question(server, number, text="x" * MAX_OPEN_BYTES)
        await until(lambda: len(server.sent) == 2 and asked)
        assert [refusal["id"] for refusal in server.sent] == [1, 2]
        assert (open_.count, len(asked)) == (1, 1)


async def test_questions_that_are_taken_back_or_have_one_id_are_counted_once_each():
    async with asking() as (open_, server, asked, may_answer):
        for _ in range(3):
            question(server, 7)
        await until(lambda: len(asked) == 3)
        for request_id in (7, 7, 8):
            server.tell("notifications/cancelled", {"requestId": request_id})
            await anyio.wait_all_tasks_blocked()
        assert (open_.count, len(server.sent)) == (1, 0)
        may_answer.set()
        await until(lambda: open_.count == 0)
        assert (open_.size, [answer["id"] for answer in server.sent]) == (0, [7])


async def test_a_server_that_pings_and_does_not_read_takes_no_memory(monkeypatch):
    monkeypatch.setattr(server_requests, "REFUSAL_SECONDS", 0.05)
    async with session() as (connection, server):
        server.may_take, open_ = anyio.Event(), connection.router.open_requests
        for number in range(5 * MAX_OPEN_REQUESTS):
            question(server, number, "ping")
        assert (open_.count, open_.refused) == (MAX_OPEN_REQUESTS, 4 * MAX_OPEN_REQUESTS)
        assert open_.refusals == MAX_REFUSALS, "what is more than that is not even refused"
        await until(lambda: open_.refusals == 0)
        server.may_take.set()
        await until(lambda: open_.count == 0)
        assert sorted(answer["id"] for answer in server.sent) == list(range(MAX_OPEN_REQUESTS))
        question(server, "last", "ping")
        await until(lambda: server.sent[-1]["id"] == "last")
