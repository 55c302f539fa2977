"""What servers that others made tell while they work, and when things change, is heard by clients that others made."""

from __future__ import annotations

import uuid
from contextlib import suppress

import pytest

from .counterparts.clients import RefusedError
from .counterparts.gateways import PYTHON, SERVERS, Visit
from .support.gateways import until


@pytest.mark.parametrize("server", PYTHON)
def test_each_step_of_progress_is_heard_in_order_and_before_the_result(visit: Visit, server: str) -> None:
    since = len(visit.person.lines)
    assert visit.text(server, "count") == "counted"
    told = visit.person.lines[since:]
    tool = visit.place.named(server, "count")
    steps = [["progressed", tool, step, 3, f"step {step}"] for step in (1, 2, 3)]
    assert [line for line in told if line[0] in ("progressed", "result")][:3] == steps


def test_the_progress_of_a_long_operation_is_heard(visit: Visit) -> None:
    since = len(visit.person.lines)
    text = visit.text("everything", "trigger-long-running-operation", duration=0.2, steps=4)
    assert text == "Long running operation completed. Duration: 0.2 seconds, Steps: 4."
    assert [told[1:] for told in visit.person.told("progressed", since)] == [[n, 4, None] for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("server", PYTHON)
def test_log_messages_arrive_with_text_level_and_logger(visit: Visit, server: str) -> None:
    if not visit.modern:
        visit.person.do("level", level="debug")
    since = len(visit.person.lines)
    assert visit.text(server, "say") == "said"
    for level, text in (("debug", "quiet"), ("warning", "loud")):
        (logged,) = visit.person.heard("logged", lambda told, level=level: told[0]["level"] == level, since)
        assert logged["logger"] == "voice"
        assert text in (logged["data"], logged["data"].get("msg") if isinstance(logged["data"], dict) else None)


def test_a_client_hears_no_messages_below_its_level(visit: Visit) -> None:
    if visit.modern:
        return  # the level stands in each request, and these clients always say the lowest
    visit.person.do("level", level="warning")
    since = len(visit.person.lines)
    for server in PYTHON:
        assert visit.text(server, "say") == "said"
    until(lambda: len(voices(visit, since)) >= 2, "both servers are heard")
    assert [logged["level"] for logged in voices(visit, since)] == ["warning", "warning"]
    visit.person.do("level", level="debug")


def voices(visit: Visit, since: int) -> list[dict]:
    """Return the messages of the loggers called `voice`."""
    return [logged for (logged,) in visit.person.told("logged", since) if logged.get("logger") == "voice"]


def test_messages_beside_requests_reach_clients_that_have_a_connection(visit: Visit) -> None:
    if not visit.modern:
        visit.person.do("level", level="debug")
    since = len(visit.person.lines)
    assert "simulated" in visit.text("everything", "toggle-simulated-logging")
    within_a_request = visit.place.over["everything"] == "stdio"
    if within_a_request or not (visit.modern or visit.place.chained):
        (logged,) = visit.person.heard("logged", lambda told: "evel" in str(told[0]["data"]), since)
        assert "message" in logged["data"]
        assert logged["level"] in logged["data"].lower()
    assert "Stopped" in visit.text("everything", "toggle-simulated-logging")


def test_a_new_tool_is_announced_listed_and_called(visit: Visit) -> None:
    listens = visit.program == "mcp2" and visit.modern
    if listens:
        assert visit.person.do("listen", name="tools", tools_list_changed=True) == {"toolsListChanged": True}
    since, name = len(visit.person.lines), f"new-{uuid.uuid4().hex[:6]}"
    assert visit.text("mcp1", "grow", name=name) == "grown"
    if listens:
        visit.person.heard("changed", lambda told: told == ["ToolsListChanged"], since)
    elif not visit.modern:
        visit.person.heard("changed", lambda told: told == ["notifications/tools/list_changed"], since)
    full = visit.place.named("mcp1", name)
    until(lambda: full in visit.names(), "the new tool is listed")
    assert visit.text("mcp1", name) == "new"


@pytest.mark.parametrize("server", PYTHON)
def test_giving_up_a_call_cancels_it_at_the_server(visit: Visit, server: str) -> None:
    if visit.program == "mcp1":
        return  # this client does not say that it gives up
    before = visit.place.log(server)
    number = visit.person.begin("call", name=visit.place.named(server, "wait"), arguments={})
    until(lambda: visit.place.log(server) == [*before, "waiting"], "the server is at work")
    visit.person.abandon(number)
    until(lambda: visit.place.log(server) == [*before, "waiting", "cancelled"], "the call is cancelled")
    assert visit.text(server, "count") == "counted"


@pytest.mark.parametrize("server", SERVERS)
def test_calls_at_the_same_time_hear_of_their_own_progress_only(visit: Visit, server: str) -> None:
    tool = "trigger-long-running-operation" if server == "everything" else "count"
    arguments = {"duration": 0.2, "steps": 3} if server == "everything" else {}
    since = len(visit.person.lines)
    name = visit.place.named(server, tool)
    numbers = [visit.person.begin("call", name=name, arguments=arguments) for _ in range(4)]
    for number in numbers:
        assert not visit.person.finish(number).get("isError")
    assert sorted(told[1] for told in visit.person.told("progressed", since)) == sorted([1, 2, 3] * 4)


def test_a_tool_that_does_not_exist_is_an_error_that_names_it(visit: Visit) -> None:
    for server in SERVERS:
        with suppress(RefusedError):
            result = visit.call(server, "no-such-tool")
            assert result["isError"] is True
            assert "no-such-tool" in result["content"][0]["text"]
