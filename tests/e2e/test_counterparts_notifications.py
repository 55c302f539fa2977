"""What servers that others made tell while they work, and when things change, is heard by clients that others made."""

from __future__ import annotations

import uuid
from contextlib import suppress

import pytest

from .counterparts.clients import RefusedError
from .counterparts.gateways import PYTHON, SERVERS, ClientSession
from .support.gateways import until


@pytest.mark.parametrize("server", PYTHON)
def test_each_step_of_progress_arrives_in_order_and_before_the_result(session: ClientSession, server: str) -> None:
    since = len(session.client.lines)
    assert session.text(server, "count") == "counted"
    event = session.client.lines[since:]
    tool = session.deployment.named(server, "count")
    steps = [["progressed", tool, step, 3, f"step {step}"] for step in (1, 2, 3)]
    assert [line for line in event if line[0] in ("progressed", "result")][:3] == steps


def test_the_progress_of_a_long_operation_is_received(session: ClientSession) -> None:
    since = len(session.client.lines)
    text = session.text("everything", "trigger-long-running-operation", duration=0.2, steps=4)
    assert text == "Long running operation completed. Duration: 0.2 seconds, Steps: 4."
    assert [event[1:] for event in session.client.events("progressed", since)] == [[n, 4, None] for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("server", PYTHON)
def test_log_messages_arrive_with_text_level_and_logger(session: ClientSession, server: str) -> None:
    if not session.modern:
        session.client.run("level", level="debug")
    since = len(session.client.lines)
    assert session.text(server, "say") == "said"
    for level, text in (("debug", "quiet"), ("warning", "loud")):
        (logged,) = session.client.wait_for_event(
            "logged", lambda event, level=level: event[0]["level"] == level, since
        )
        assert logged["logger"] == "voice"
        assert text in (logged["data"], logged["data"].get("msg") if isinstance(logged["data"], dict) else None)


def test_a_client_gets_no_messages_below_its_level(session: ClientSession) -> None:
    if session.modern:
        return  # the level stands in each request, and these clients always say the lowest
    session.client.run("level", level="warning")
    since = len(session.client.lines)
    for server in PYTHON:
        assert session.text(server, "say") == "said"
    until(lambda: len(voices(session, since)) >= 2, "both servers are heard")
    assert [logged["level"] for logged in voices(session, since)] == ["warning", "warning"]
    session.client.run("level", level="debug")


def voices(session: ClientSession, since: int) -> list[dict]:
    """Return the messages of the loggers called `voice`."""
    return [logged for (logged,) in session.client.events("logged", since) if logged.get("logger") == "voice"]


def test_messages_beside_requests_reach_clients_that_have_a_connection(session: ClientSession) -> None:
    if not session.modern:
        session.client.run("level", level="debug")
    since = len(session.client.lines)
    assert "simulated" in session.text("everything", "toggle-simulated-logging")
    within_a_request = session.deployment.over["everything"] == "stdio"
    if within_a_request or not (session.modern or session.deployment.chained):
        (logged,) = session.client.wait_for_event("logged", lambda event: "evel" in str(event[0]["data"]), since)
        assert "message" in logged["data"]
        assert logged["level"] in logged["data"].lower()
    assert "Stopped" in session.text("everything", "toggle-simulated-logging")


def test_a_new_tool_is_announced_listed_and_called(session: ClientSession) -> None:
    listens = session.program == "mcp2" and session.modern
    if listens:
        assert session.client.run("listen", name="tools", tools_list_changed=True) == {"toolsListChanged": True}
    session.names()  # who has not got the list does not hear of changes
    since, name = len(session.client.lines), f"new-{uuid.uuid4().hex[:6]}"
    assert session.text("mcp1", "grow", name=name) == "grown"
    if listens:
        session.client.wait_for_event("changed", lambda event: event == ["ToolsListChanged"], since)
    elif not session.modern:
        session.client.wait_for_event("changed", lambda event: event == ["notifications/tools/list_changed"], since)
    full = session.deployment.named("mcp1", name)
    until(lambda: full in session.names(), "the new tool is listed")
    assert session.text("mcp1", name) == "new"


@pytest.mark.parametrize("server", PYTHON)
def test_giving_up_a_call_cancels_it_at_the_server(session: ClientSession, server: str) -> None:
    if session.program == "mcp1":
        return  # this client does not say that it gives up
    before = session.deployment.log(server)
    number = session.client.begin("call", name=session.deployment.named(server, "wait"), arguments={})
    until(lambda: session.deployment.log(server) == [*before, "waiting"], "the server is at work")
    session.client.cancel(number)
    until(lambda: session.deployment.log(server) == [*before, "waiting", "cancelled"], "the call is cancelled")
    assert session.text(server, "count") == "counted"


@pytest.mark.parametrize("server", SERVERS)
def test_calls_at_the_same_time_hear_of_their_own_progress_only(session: ClientSession, server: str) -> None:
    tool = "trigger-long-running-operation" if server == "everything" else "count"
    arguments = {"duration": 0.2, "steps": 3} if server == "everything" else {}
    since = len(session.client.lines)
    name = session.deployment.named(server, tool)
    numbers = [session.client.begin("call", name=name, arguments=arguments) for _ in range(4)]
    for number in numbers:
        assert not session.client.finish(number).get("isError")
    assert sorted(event[1] for event in session.client.events("progressed", since)) == sorted([1, 2, 3] * 4)


def test_a_tool_that_does_not_exist_is_an_error_that_names_it(session: ClientSession) -> None:
    for server in SERVERS:
        with suppress(RefusedError):
            result = session.call(server, "no-such-tool")
            assert result["isError"] is True
            assert "no-such-tool" in result["content"][0]["text"]
