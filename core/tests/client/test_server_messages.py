"""For whom a server's questions and notifications are: the request they belong to, the one client, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.protocol.client_channel import ClientChannel

from ..support.fake_servers import until

ROOTS = {"roots": {}}
MESSAGE = "notifications/message"


def context_of(request_id=None):
    """Make the context of a message that belongs to a request, if the transport says so."""
    return SimpleNamespace(message_metadata=request_id and ServerMessageMetadata(related_request_id=request_id))


@dataclass
class Client:
    """A client that remembers what it was told, and answers with its name."""

    name: str

    def __post_init__(self):
        self.notifications = []

    async def notify(self, method, params):
        self.notifications.append((method, params))

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
    async with router.during(1, ann.exchange()), router.during(2, bob.exchange()):
        assert (await router.on_request(context_of(1), "roots/list", {}))["answered"] == "ann"
        assert (await router.on_request(context_of(2), "roots/list", None))["answered"] == "bob"


async def test_without_such_a_stream_it_goes_to_the_one_client_with_requests_under_way(ann):
    router = ServerMessageRouter(ROOTS, way_to={"ann": ann.channel}.get)
    async with (
        router.during(1, ann.exchange()),
        router.during(2, ann.exchange()),
        router.during(3, InFlightRequest()),
    ):
        assert (await router.on_request(context_of(), "roots/list", {}))["answered"] == "ann"


async def test_a_client_that_may_be_several_people_is_asked_only_if_one_request_of_its_is_under_way(ann):
    router = ServerMessageRouter(ROOTS)
    async with router.during(1, ann.exchange()):
        assert (await router.on_request(context_of(), "roots/list", {}))["answered"] == "ann"
        async with router.during(2, ann.exchange()):
            with pytest.raises(MCPError, match="cannot be told"):
                await router.on_request(context_of(), "roots/list", {})
            await router.on_notification(context_of(), MESSAGE, {"data": "secret"})
    assert ann.notifications == []


async def test_if_it_may_be_for_one_of_several_clients_nobody_is_asked(ann, bob):
    router = ServerMessageRouter(ROOTS)
    async with router.during(1, ann.exchange()), router.during(2, bob.exchange()):
        with pytest.raises(MCPError, match="cannot be told to which client's"):
            await router.on_request(context_of(), "roots/list", {})


async def test_beside_all_requests_it_goes_to_the_only_client_that_has_used_the_session(ann):
    router = ServerMessageRouter(ROOTS, way_to={"ann": ann.channel}.get)
    with pytest.raises(MCPError, match="belongs to no request"):
        await router.on_request(context_of(), "roots/list", {})
    router.add_client("ann")
    assert (await router.on_request(context_of(), "roots/list", {}))["answered"] == "ann"
    router.add_client("bob")
    with pytest.raises(MCPError, match="belongs to no request"):
        await router.on_request(context_of(), "roots/list", {})


async def test_what_the_server_was_not_told_of_it_cannot_ask(ann):
    router = ServerMessageRouter(ROOTS)
    async with router.during(1, ann.exchange()):
        with pytest.raises(MCPError, match="did not declare that it can answer sampling/createMessage"):
            await router.on_request(context_of(1), "sampling/createMessage", {})
    assert await router.on_request(context_of(), "ping", None) == {}


async def test_that_a_server_asks_is_noted(ann):
    asked = []
    router = ServerMessageRouter(ROOTS, on_asked=asked.append)
    async with router.during(1, ann.exchange()):
        await router.on_request(context_of(1), "roots/list", {})
        await router.on_request(context_of(), "roots/list", {})
    assert asked == [True, False]


async def test_a_client_that_cannot_be_asked_now_is_an_error_for_the_server():
    router = ServerMessageRouter(ROOTS)
    async with router.during(1, InFlightRequest("ann")):
        with pytest.raises(MCPError, match="cannot be asked for roots/list at this moment"):
            await router.on_request(context_of(1), "roots/list", {})


async def test_a_question_ends_with_the_request_that_it_belongs_to():
    began, errors = anyio.Event(), []

    async def ask(*_):
        began.set()
        await anyio.sleep_forever()

    router = ServerMessageRouter(ROOTS)

    async def asked():
        with pytest.raises(MCPError, match="gave up its request") as caught:
            await router.on_request(context_of(1), "roots/list", {})
        errors.append(caught.value)

    async with anyio.create_task_group() as tasks:
        async with router.during(1, InFlightRequest("ann", ClientChannel(ask=ask))):
            tasks.start_soon(asked)
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
        answers.append(await router.on_request(context_of(), "roots/list", {}))

    async with anyio.create_task_group() as tasks:
        async with router.during(1, InFlightRequest("ann", ClientChannel(ask=ask))):
            tasks.start_soon(asked)
            await began.wait()
        may_answer.set()
    assert answers == [{"roots": []}]


async def test_progress_goes_to_the_request_whose_id_was_its_token(ann, bob):
    router = ServerMessageRouter()
    step = {"progress": 1, "vendor": [None]}
    async with router.during(1, ann.exchange()), router.during(2, bob.exchange()):
        for token in (2, "2"):
            await router.on_notification(context_of(1), "notifications/progress", {**step, "progressToken": token})
        await router.on_notification(context_of(1), "notifications/progress", {**step, "progressToken": 9})
    assert (len(ann.notifications), len(bob.notifications)) == (0, 2)
    assert bob.notifications[0][1]["vendor"] == [None]


async def test_a_message_beside_all_requests_is_for_the_only_client_or_for_nobody(ann, bob):
    router = ServerMessageRouter(way_to={"ann": ann.channel, "bob": bob.channel}.get, clients={"ann"})
    await router.on_notification(context_of(), MESSAGE, {"data": 1})
    router.add_client("bob")
    await router.on_notification(context_of(), MESSAGE, {"data": 2})
    assert (ann.notifications, bob.notifications) == ([(MESSAGE, {"data": 1})], [])


async def test_an_answer_waits_for_the_notifications_that_came_before_it():
    order, may_go = [], anyio.Event()

    async def slow(_, params):
        await may_go.wait()
        order.append(params["data"])

    async def release():
        may_go.set()

    router = ServerMessageRouter()
    async with anyio.create_task_group() as tasks:
        async with router.during(1, InFlightRequest("ann", ClientChannel(slow))):
            tasks.start_soon(router.on_notification, context_of(1), MESSAGE, {"data": "told"})
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(release)
        order.append("answered")
    assert order == ["told", "answered"]


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
        await router.on_request(context_of(), "roots/list", {})
    await router.on_notification(context_of(), MESSAGE, {"data": "secret"})
    assert ann.notifications == []
