"""Users who decline, users who cannot be asked, users who are asked at the same time, and tasks that ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from .counterparts.clients import ANSWERS, RefusedError
from .counterparts.gateways import PYTHON, ClientSession, Deployments
from .support.gateways import until

SendFn = Callable[..., ClientSession]


@pytest.fixture
def send(deployments: Deployments) -> Iterator[SendFn]:
    """Connect clients to deployments for one test."""
    with ExitStack() as stack:
        yield lambda client, deployment, answers: deployments.connect(stack, client, deployment, answers)


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_server_gets_the_result_of_a_user_who_does_not_want_to_answer(session: ClientSession, action: str) -> None:
    no = {"action": action}
    with session.client.with_answers(form=no, url=no):
        for server in PYTHON:
            assert json.loads(session.text(server, "ask")) == no
            assert json.loads(session.text(server, "visit")) == no
        result = session.call("everything", "trigger-elicitation-request")
        assert json.loads(result["content"][-1]["text"].partition("Raw result: ")[2]) == no


@pytest.mark.parametrize("client", ["mcp1", "mcp2-auto", "fastmcp4-auto"])
def test_a_user_who_cannot_be_asked_is_not_and_everything_else_works(send: SendFn, client: str) -> None:
    session = send(client, "http", {})
    for server in PYTHON:
        for tool in ("ask", "visit", "think", "where"):
            with suppress(RefusedError):
                assert session.call(server, tool)["isError"] is True
        assert session.text(server, "count") == "counted"
        assert [event[1] for event in session.client.events("progressed") if server in event[0]] == [1, 2, 3]
    assert session.text("everything", "echo", message="hello") == "Echo: hello"
    assert session.client.events("asked") == []


@pytest.mark.parametrize("clients", [("mcp1", "mcp2-auto"), ("mcp2-auto", "fastmcp4-auto")])
def test_each_of_two_users_answers_for_himself(send: SendFn, clients: tuple[str, str]) -> None:
    visits = {}
    for client, name in zip(clients, ("Ada", "Bob"), strict=True):
        answer = {"action": "accept", "content": {"name": name}}
        visits[name] = send(client, "http", {**ANSWERS, "form": answer})
    for server in [*PYTHON, *PYTHON]:
        begun = {
            name: session.client.begin("call", name=session.deployment.named(server, "ask"), arguments={})
            for name, session in visits.items()
        }
        for name, number in begun.items():
            result = visits[name].client.finish(number)
            assert json.loads(result["content"][0]["text"]) == {"action": "accept", "name": name}
    for session in visits.values():
        asked = [params for method, params in session.client.events("asked") if method == "elicitation/create"]
        assert [params["message"] for params in asked] == ["Your name?"] * 4


@pytest.mark.parametrize("deployment", ["stdio", "http"])
def test_a_task_of_the_handshake_era_asks_and_comes_to_its_result(send: SendFn, deployment: str) -> None:
    chosen = {"action": "accept", "content": {"interpretation": "snake"}}
    session = send("mcp1", deployment, {**ANSWERS, "form": chosen})
    name = session.deployment.named("everything", "simulate-research-query")
    until(lambda: name in session.names(), "the tool is listed")
    result = session.client.run("task", name=name, arguments={"topic": "python", "ambiguous": True})
    assert "# Research Report: python (snake)" in result["content"][0]["text"]
    assert ["input_required"] in session.client.events("state")
    asked = [params for method, params in session.client.events("asked") if method == "elicitation/create"]
    options = asked[0]["requestedSchema"]["properties"]["interpretation"]["oneOf"]
    assert [option["const"] for option in options] == ["programming", "snake", "comedy"]
