"""Which task is whose: a task of one person is nobody else's."""

from __future__ import annotations

import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.gateway import tasks as module
from mcp_gateway.gateway.request import Request
from mcp_gateway.gateway.tasks import Tasks
from mcp_gateway.plugin import Principal
from mcp_gateway.protocol.raw_json import decode_members, encode_members

ALICE, MALLORY = Principal("https://login.example", "alice"), Principal("https://login.example", "mallory")


class Spec:
    name = "jobs"


async def listed(_spec):
    return encode_members({"tasks": [{"taskId": "of-alice"}, {"taskId": "of-nobody"}]})


@pytest.fixture
def tasks():
    listing = Listing("jobs", initialize_result={"capabilities": {"tasks": {}}})
    tasks = Tasks(Registry({"jobs": Spec()}, Catalog({"jobs": listing})))
    tasks.register("jobs", encode_members({"task": {"taskId": "of-alice"}}), ALICE)
    tasks.register("jobs", encode_members({"task": {"taskId": "of-nobody"}}))
    return tasks


@pytest.mark.parametrize(
    "result", [{"task": {"taskId": "new"}}, {"resultType": "task", "taskId": "new"}], ids=["handshake", "modern"]
)
async def test_the_task_of_a_result_is_known_in_either_era(tasks, result):
    tasks.register("jobs", encode_members(result), ALICE)
    asked = Request("tasks/get", encode_members({"taskId": "new"}))
    with pytest.raises(MCPError, match="no server here knows the task 'new'"):
        await tasks.forward(asked, tasks.registry.catalog, listed, MALLORY)
    assert await tasks.forward(asked, tasks.registry.catalog, listed, ALICE)


@pytest.mark.parametrize("principal", [MALLORY, None])
async def test_nobody_else_can_ask_for_it(tasks, principal):
    asked = Request("tasks/get", encode_members({"taskId": "of-alice"}))
    with pytest.raises(MCPError, match="no server here knows the task"):
        await tasks.forward(asked, tasks.registry.catalog, listed, principal)
    assert await tasks.forward(asked, tasks.registry.catalog, listed, ALICE)


@pytest.mark.parametrize("principal, seen", [(ALICE, "of-alice"), (None, "of-nobody")])
async def test_everybody_sees_a_list_of_their_own(tasks, principal, seen):
    for caller, expected in ((principal, [seen]), (MALLORY, [])):
        found = await tasks.forward(Request("tasks/list", {}), tasks.registry.catalog, listed, caller)
        assert [task["taskId"] for task in decode_members(found)["tasks"]] == expected


def asking(task):
    return Request("tasks/get", encode_members({"taskId": task}))


async def test_what_is_known_of_tasks_is_bounded_however_it_was_learned(monkeypatch, tasks):
    monkeypatch.setattr(module, "MAX_KNOWN", 3)
    known = Tasks(tasks.registry)
    for number in range(10):
        await known.forward(asking(f"asked-{number}"), tasks.registry.catalog, listed)
        assert len(known._known) <= 3
    for number in range(10):
        known.register("jobs", encode_members({"task": {"taskId": f"begun-{number}"}}), ALICE)
    assert [task.owner for task in known._known.values()] == [ALICE] * 3
    assert set(known._known) == {"begun-7", "begun-8", "begun-9"}, "the first that came is the first to go"


async def test_the_first_server_and_owner_of_an_id_keep_it(tasks):
    tasks.register("thief", encode_members({"task": {"taskId": "of-alice"}}), MALLORY)
    asked = []

    async def send(spec):
        asked.append(spec.name)
        return {}

    await tasks.forward(asking("of-alice"), tasks.registry.catalog, send, ALICE)
    assert asked == ["jobs"]
    with pytest.raises(MCPError, match="no server here knows the task"):
        await tasks.forward(asking("of-alice"), tasks.registry.catalog, send, MALLORY)
