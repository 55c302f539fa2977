"""For whom a server's questions and notifications are: the request they belong to, the one client, or nobody."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from msgspec import Raw

from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.protocol.client_channel import ClientChannel
from mcp_gateway.protocol.raw_json import decode_members, encode_members

from ..support.fake_servers import until

ROOTS = {"roots": {}}
MESSAGE = "notifications/message"


@contextmanager
def in_flight(router, request_id, exchange):
    """Have a request in flight during the block."""
    router.enter(request_id, exchange)
    try:
        yield exchange
    finally:
        router.leave(request_id)


@dataclass
class Client:
    """A client that remembers what it was told, and answers with its name."""

    name: str

    def __post_init__(self):
        self.notifications = []

    def notify(self, method, params):
        self.notifications.append((method, decode_members(params)))

    async def ask(self, method, params):
        return {"answered": self.name, "to": method, **params}

    @property
    def channel(self):
        return ClientChannel(self.notify, self.ask, wants_progress=True)

    def exchange(self):
        return InFlightRequest(self.name, self.channel)


@pytest.fixture
def ann():
    return Client("ann")


@pytest.fixture
def bob():
    return Client("bob")


async def test_a_question_goes_to_the_request_on_whose_stream_it_came(ann, bob):
    router = ServerMessageRouter(ROOTS)
    with in_flight(router, 1, ann.exchange()) as anns, in_flight(router, 2, bob.exchange()) as bobs:
        assert (await router.on_request("roots/list", {}, anns))["answered"] == "ann"
        assert (await router.on_request("roots/list", {}, bobs))["answered"] == "bob"


async def test_without_such_a_stream_it_goes_to_the_one_client_with_requests_under_way(ann):
    router = ServerMessageRouter(ROOTS, way_to={"ann": ann.channel}.get)
    with (
        in_flight(router, 1, ann.exchange()),
        in_flight(router, 2, ann.exchange()),
        in_flight(router, 3, InFlightRequest()),
    ):
        assert (await router.on_request("roots/list", {}))["answered"] == "ann"


async def test_a_client_that_may_be_several_people_is_asked_only_if_one_request_of_its_is_under_way(ann):
    router = ServerMessageRouter(ROOTS)
    with in_flight(router, 1, ann.exchange()):
        assert (await router.on_request("roots/list", {}))["answered"] == "ann"
        with in_flight(router, 2, ann.exchange()):
            with pytest.raises(MCPError, match="cannot be told"):
                await router.on_request("roots/list", {})
            router.on_notification(MESSAGE, encode_members({"data": "secret"}))
    assert ann.notifications == []


async def test_if_it_may_be_for_one_of_several_clients_nobody_is_asked(ann, bob):
    router = ServerMessageRouter(ROOTS)
    with (
        in_flight(router, 1, ann.exchange()),
        in_flight(router, 2, bob.exchange()),
        pytest.raises(MCPError, match="cannot be told to which client's"),
    ):
        await router.on_request("roots/list", {})


async def test_beside_all_requests_it_goes_to_the_only_client_that_has_used_the_session(ann):
    router = ServerMessageRouter(ROOTS, way_to={"ann": ann.channel}.get)
    with pytest.raises(MCPError, match="belongs to no request"):
        await router.on_request("roots/list", {})
    router.add_client("ann")
    assert (await router.on_request("roots/list", {}))["answered"] == "ann"
    router.add_client("bob")
    with pytest.raises(MCPError, match="belongs to no request"):
        await router.on_request("roots/list", {})


async def test_what_the_server_was_not_told_of_it_cannot_ask(ann):
    router = ServerMessageRouter(ROOTS)
    with (
        in_flight(router, 1, ann.exchange()) as exchange,
        pytest.raises(MCPError, match="did not declare that it can answer sampling/createMessage"),
    ):
        await router.on_request("sampling/createMessage", {}, exchange)
    assert await router.on_request("ping", {}) == {}


async def test_that_a_server_asks_is_noted(ann):
    asked = []
    router = ServerMessageRouter(ROOTS, on_asked=asked.append)
    with in_flight(router, 1, ann.exchange()) as exchange:
        await router.on_request("roots/list", {}, exchange)
        await router.on_request("roots/list", {})
    assert asked == [True, False]


async def test_a_client_that_cannot_be_asked_now_is_an_error_for_the_server():
    router = ServerMessageRouter(ROOTS)
    with (
        in_flight(router, 1, InFlightRequest("ann")) as exchange,
        pytest.raises(MCPError, match="cannot be asked for roots/list at this moment"),
    ):
        await router.on_request("roots/list", {}, exchange)


async def test_a_question_ends_with_the_request_that_it_belongs_to():
    began, errors = anyio.Event(), []

    async def ask(*_):
        began.set()
        await anyio.sleep_forever()

    router = ServerMessageRouter(ROOTS)

    async def asked(exchange):
        with pytest.raises(MCPError, match="gave up its request") as caught:
            await router.on_request("roots/list", {}, exchange)
        errors.append(caught.value)

    async with anyio.create_task_group() as tasks:
        with in_flight(router, 1, InFlightRequest("ann", ClientChannel(ask=ask))) as exchange:
            tasks.start_soon(asked, exchange)
            await began.wait()
        await until(lambda: errors)


async def test_a_question_that_only_seems_to_belong_to_a_request_outlives_it(ann):
    began, may_answer, answers = anyio.Event(), anyio.Event(), []

    async def ask(*_):
        began.set()
        await may_answer.wait()
        return {"roots": []}

    router = ServerMessageRouter(ROOTS, way_to={"ann": ann.channel}.get)

    async def asked():
        answers.append(await router.on_request("roots/list", {}))

    async with anyio.create_task_group() as tasks:
        with in_flight(router, 1, InFlightRequest("ann", ClientChannel(ask=ask))):
            tasks.start_soon(asked)
            await began.wait()
        may_answer.set()
    assert answers == [{"roots": []}]


@pytest.mark.parametrize("token", [b"2", b'"2"', b"2.0", b"2e0", b"20e-1"])
def test_progress_goes_to_the_request_whose_id_was_its_token(ann, bob, token):
    router = ServerMessageRouter()
    with in_flight(router, 1, ann.exchange()) as exchange, in_flight(router, 2, bob.exchange()):
        params = {"progress": Raw(b"1"), "vendor": Raw(b"[null]"), "progressToken": Raw(token)}
        router.on_notification("notifications/progress", params, exchange)
    assert ann.notifications == []
    assert [params["vendor"] for _, params in bob.notifications] == [[None]]


@pytest.mark.parametrize(
    "token",
    [
        b"9",
        b"null",
        b"true",
        b"2.5",
        b"-2",
        b"[2]",
        b'{"a":2}',
        b'""',
        b'"x"',
        '"٢"'.encode(),
        b'"\\ud800"',
        b"1e999",
        b"2" * 5000,
        b'"%b"' % (b"2" * 5000),
    ],
    ids=lambda token: token[:8],
)
def test_progress_with_a_token_that_is_of_no_request_is_for_nobody(ann, token):
    router = ServerMessageRouter(way_to={"ann": ann.channel}.get, clients={"ann"})
    with in_flight(router, 2, ann.exchange()) as exchange:
        router.on_notification("notifications/progress", {"progress": Raw(b"1"), "progressToken": Raw(token)}, exchange)
        router.on_notification("notifications/progress", {"progress": Raw(b"1")}, exchange)
    assert ann.notifications == []


def test_a_message_beside_all_requests_is_for_the_only_client_or_for_nobody(ann, bob):
    router = ServerMessageRouter(way_to={"ann": ann.channel, "bob": bob.channel}.get, clients={"ann"})
    router.on_notification(MESSAGE, encode_members({"data": 1}))
    router.add_client("bob")
    router.on_notification(MESSAGE, encode_members({"data": 2}))
    assert (ann.notifications, bob.notifications) == ([(MESSAGE, {"data": 1})], [])


async def test_what_comes_on_the_stream_of_the_gateways_own_request_is_not_guessed_to_be_a_clients(ann, bob):
    asked = []
    router = ServerMessageRouter(ROOTS, way_to={"ann": ann.channel}.get, on_asked=asked.append)
    with in_flight(router, 1, bob.exchange()):
        router.on_notification(MESSAGE, {"data": Raw(b"1")}, InFlightRequest())
        with pytest.raises(MCPError, match="belongs to no request"):
            await router.on_request("roots/list", {}, InFlightRequest())
        assert (bob.notifications, asked) == ([], [True])
        router.add_client("ann")
        router.on_notification(MESSAGE, {"data": Raw(b"2")}, InFlightRequest())
        assert (await router.on_request("roots/list", {}, InFlightRequest()))["answered"] == "ann"
    assert (ann.notifications, bob.notifications) == ([(MESSAGE, {"data": 2})], [])


async def test_a_session_is_attended_as_long_as_a_client_that_used_it_is_connected(ann):
    ways = {"ann": ann.channel}
    router = ServerMessageRouter(way_to=ways.get, clients={"ann"})
    assert router.has_client
    ways.clear()
    assert not router.has_client


def test_of_clients_that_cannot_be_reached_and_never_leave_no_more_are_noted_than_make_several():
    router = ServerMessageRouter()
    for number in range(1000):
        router.add_client(f"stranger {number}")
        router.add_client("stranger 0")
    assert router.clients == {"stranger 0", "stranger 1"}


async def test_a_client_that_comes_after_many_others_that_cannot_be_reached_is_never_taken_for_the_only_one(ann, bob):
    ways = {"ann": ann.channel, "bob": bob.channel}
    router = ServerMessageRouter(ROOTS, way_to=ways.get)
    for client in ("ann", "bob", "stranger 1", "stranger 2", "stranger 3"):
        router.add_client(client)
    for client in ("bob", "ann"):
        del ways[client]
        router.remove_client(client)
    assert len(router.clients) == 2
    ways["ann"] = ann.channel
    router.add_client("ann")
    assert router.has_client
    with pytest.raises(MCPError, match="belongs to no request"):
        await router.on_request("roots/list", {})
    router.on_notification(MESSAGE, encode_members({"data": "secret"}))
    assert ann.notifications == []
