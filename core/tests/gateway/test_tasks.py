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

ALICE, MALLORY = Principal("https://login.example", "alice"), Principal("https://login.example", "mallory")


class Spec:
    name = "jobs"


async def listed(_spec):
    return {"tasks": [{"taskId": "of-alice"}, {"taskId": "of-nobody"}]}


@pytest.fixture
def tasks():
    listing = Listing("jobs", initialize_result={"capabilities": {"tasks": {}}})
    tasks = Tasks(Registry({"jobs": Spec()}, Catalog({"jobs": listing})))
    tasks.register("jobs", {"task": {"taskId": "of-alice"}}, ALICE)
    tasks.register("jobs", {"task": {"taskId": "of-nobody"}})
    return tasks


@pytest.mark.parametrize("principal", [MALLORY, None])
async def test_nobody_else_can_ask_for_it(tasks, principal):
    with pytest.raises(MCPError, match="no server here knows the task"):
        await tasks.forward(Request("tasks/get", {"taskId": "of-alice"}), tasks.registry.catalog, listed, principal)
    assert await tasks.forward(Request("tasks/get", {"taskId": "of-alice"}), tasks.registry.catalog, listed, ALICE)


@pytest.mark.parametrize("principal, seen", [(ALICE, "of-alice"), (None, "of-nobody")])
async def test_everybody_sees_a_list_of_their_own(tasks, principal, seen):
    found = await tasks.forward(Request("tasks/list", {}), tasks.registry.catalog, listed, principal)
    assert [task["taskId"] for task in found["tasks"]] == [seen]
    assert (await tasks.forward(Request("tasks/list", {}), tasks.registry.catalog, listed, MALLORY))["tasks"] == []
