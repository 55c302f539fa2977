"""Which task is whose: a task of one person is nobody else's."""

from __future__ import annotations

import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.snapshot import Catalog
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
