"""For whom a server's questions and notifications are: the request they belong to, the one client, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

from mcp_gateway.client.in_flight import Exchange
from mcp_gateway.client.server_messages import Audience
from mcp_gateway.protocol.client_channel import Interaction

from ..support.fake_servers import until

ROOTS = {"roots": {}}
MESSAGE = "notifications/message"


def about(request_id=None):
    """Make the context of a message that belongs to a request, if the transport says so."""
    return SimpleNamespace(message_metadata=request_id and ServerMessageMetadata(related_request_id=request_id))


@dataclass
class Client:
    """A client that remembers what it was told, and answers with its name."""

    name: str

    def __post_init__(self):
        self.told = []

    async def notify(self, method, params):
        self.told.append((method, params))

    async def ask(self, method, params):
        return {"answered": self.name, "to": method, **params}

    @property
    def way(self):
        return Interaction(self.notify, self.ask, wants_progress=True)

    def exchange(self):
        return Exchange(self.name, self.way)


@pytest.fixture
def ann():
    return Client("ann")


@pytest.fixture
def bob():
    return Client("bob")


async def test_a_question_goes_to_the_request_on_whose_stream_it_came(ann, bob):
    audience = Audience(ROOTS)
    async with audience.during(1, ann.exchange()), audience.during(2, bob.exchange()):
        assert (await audience.asked(about(1), "roots/list", {}))["answered"] == "ann"
        assert (await audience.asked(about(2), "roots/list", None))["answered"] == "bob"


async def test_without_such_a_stream_it_goes_to_the_one_client_with_requests_under_way(ann):
    audience = Audience(ROOTS, way_to={"ann": ann.way}.get)
    async with audience.during(1, ann.exchange()), audience.during(2, ann.exchange()), audience.during(3, Exchange()):
        assert (await audience.asked(about(), "roots/list", {}))["answered"] == "ann"


async def test_a_client_that_may_be_several_people_is_asked_only_if_one_request_of_its_is_under_way(ann):
    audience = Audience(ROOTS)
    async with audience.during(1, ann.exchange()):
        assert (await audience.asked(about(), "roots/list", {}))["answered"] == "ann"
        async with audience.during(2, ann.exchange()):
            with pytest.raises(MCPError, match="cannot be told"):
                await audience.asked(about(), "roots/list", {})
            await audience.notified(about(), MESSAGE, {"data": "secret"})
    assert ann.told == []


async def test_if_it_may_be_for_one_of_several_clients_nobody_is_asked(ann, bob):
    audience = Audience(ROOTS)
    async with audience.during(1, ann.exchange()), audience.during(2, bob.exchange()):
        with pytest.raises(MCPError, match="cannot be told to which client's"):
            await audience.asked(about(), "roots/list", {})


async def test_beside_all_requests_it_goes_to_the_only_client_that_has_used_the_session(ann):
    audience = Audience(ROOTS, way_to={"ann": ann.way}.get)
    with pytest.raises(MCPError, match="belongs to no request"):
        await audience.asked(about(), "roots/list", {})
    audience.used_by("ann")
    assert (await audience.asked(about(), "roots/list", {}))["answered"] == "ann"
    audience.used_by("bob")
    with pytest.raises(MCPError, match="belongs to no request"):
        await audience.asked(about(), "roots/list", {})


async def test_what_the_server_was_not_told_of_it_cannot_ask(ann):
    audience = Audience(ROOTS)
    async with audience.during(1, ann.exchange()):
        with pytest.raises(MCPError, match="did not declare that it can answer sampling/createMessage"):
            await audience.asked(about(1), "sampling/createMessage", {})
    assert await audience.asked(about(), "ping", None) == {}


async def test_that_a_server_asks_is_noted(ann):
    asked = []
    audience = Audience(ROOTS, on_asked=asked.append)
    async with audience.during(1, ann.exchange()):
        await audience.asked(about(1), "roots/list", {})
        await audience.asked(about(), "roots/list", {})
    assert asked == [True, False]


async def test_a_client_that_cannot_be_asked_now_is_an_error_for_the_server():
    audience = Audience(ROOTS)
    async with audience.during(1, Exchange("ann")):
        with pytest.raises(MCPError, match="cannot be asked for roots/list at this moment"):
            await audience.asked(about(1), "roots/list", {})


async def test_a_question_ends_with_the_request_that_it_belongs_to():
    began, errors = anyio.Event(), []

    async def ask(*_):
        began.set()
        await anyio.sleep_forever()

    audience = Audience(ROOTS)

    async def asked():
        with pytest.raises(MCPError, match="gave up its request") as caught:
            await audience.asked(about(1), "roots/list", {})
        errors.append(caught.value)

    async with anyio.create_task_group() as tasks:
        async with audience.during(1, Exchange("ann", Interaction(ask=ask))):
            tasks.start_soon(asked)
            await began.wait()
        await until(lambda: errors)


async def test_a_question_that_only_seems_to_belong_to_a_request_outlives_it(ann):
    began, may_answer, answers = anyio.Event(), anyio.Event(), []

    async def ask(*_):
        began.set()
        await may_answer.wait()
        return {"roots": []}

    audience = Audience(ROOTS, way_to={"ann": ann.way}.get)

    async def asked():
        answers.append(await audience.asked(about(), "roots/list", {}))

    async with anyio.create_task_group() as tasks:
        async with audience.during(1, Exchange("ann", Interaction(ask=ask))):
            tasks.start_soon(asked)
            await began.wait()
        may_answer.set()
    assert answers == [{"roots": []}]


async def test_progress_goes_to_the_request_whose_id_was_its_token(ann, bob):
    audience = Audience()
    step = {"progress": 1, "vendor": [None]}
    async with audience.during(1, ann.exchange()), audience.during(2, bob.exchange()):
        for token in (2, "2"):
            await audience.notified(about(1), "notifications/progress", {**step, "progressToken": token})
        await audience.notified(about(1), "notifications/progress", {**step, "progressToken": 9})
    assert (len(ann.told), len(bob.told)) == (0, 2)
    assert bob.told[0][1]["vendor"] == [None]


async def test_a_message_beside_all_requests_is_for_the_only_client_or_for_nobody(ann, bob):
    audience = Audience(way_to={"ann": ann.way, "bob": bob.way}.get, clients={"ann"})
    await audience.notified(about(), MESSAGE, {"data": 1})
    audience.used_by("bob")
    await audience.notified(about(), MESSAGE, {"data": 2})
    assert (ann.told, bob.told) == ([(MESSAGE, {"data": 1})], [])


async def test_an_answer_waits_for_the_notifications_that_came_before_it():
    order, may_go = [], anyio.Event()

    async def slow(_, params):
        await may_go.wait()
        order.append(params["data"])

    async def release():
        may_go.set()

    audience = Audience()
    async with anyio.create_task_group() as tasks:
        async with audience.during(1, Exchange("ann", Interaction(slow))):
            tasks.start_soon(audience.notified, about(1), MESSAGE, {"data": "told"})
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(release)
        order.append("answered")
    assert order == ["told", "answered"]


async def test_a_session_is_attended_as_long_as_a_client_that_used_it_is_connected(ann):
    ways = {"ann": ann.way}
    audience = Audience(way_to=ways.get, clients={"ann"})
    assert audience.attended
    ways.clear()
    assert not audience.attended


def test_of_clients_that_cannot_be_reached_and_never_leave_no_more_are_noted_than_make_several():
    audience = Audience()
    for number in range(1000):
        audience.used_by(f"stranger {number}")
        audience.used_by("stranger 0")
    assert audience.clients == {"stranger 0", "stranger 1"}


async def test_a_client_that_comes_after_many_others_that_cannot_be_reached_is_never_taken_for_the_only_one(ann, bob):
    ways = {"ann": ann.way, "bob": bob.way}
    audience = Audience(ROOTS, way_to=ways.get)
    for client in ("ann", "bob", "stranger 1", "stranger 2", "stranger 3"):
        audience.used_by(client)
    for client in ("bob", "ann"):
        del ways[client]
        audience.left(client)
    assert len(audience.clients) == 2
    ways["ann"] = ann.way
    audience.used_by("ann")
    assert audience.attended
    with pytest.raises(MCPError, match="belongs to no request"):
        await audience.asked(about(), "roots/list", {})
    await audience.notified(about(), MESSAGE, {"data": "secret"})
    assert ann.told == []
