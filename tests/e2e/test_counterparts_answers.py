"""Users who decline, users who cannot be asked, users who are asked at the same time, and tasks that ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from .counterparts.clients import ANSWERS, RefusedError
from .counterparts.gateways import PYTHON, Town, Visit
from .support.gateways import until

SendFn = Callable[..., Visit]


@pytest.fixture
def send(town: Town) -> Iterator[SendFn]:
    """Send clients to places for one test."""
    with ExitStack() as stack:
        yield lambda client, place, answers: town.send(stack, client, place, answers)


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_server_hears_that_a_user_does_not_want_to_answer(visit: Visit, action: str) -> None:
    no = {"action": action}
    with visit.person.answering(form=no, url=no):
        for server in PYTHON:
            assert json.loads(visit.text(server, "ask")) == no
            assert json.loads(visit.text(server, "visit")) == no
        result = visit.call("everything", "trigger-elicitation-request")
        assert json.loads(result["content"][-1]["text"].partition("Raw result: ")[2]) == no


@pytest.mark.parametrize("client", ["mcp1", "mcp2-auto", "fastmcp4-auto"])
def test_a_user_who_cannot_be_asked_is_not_and_everything_else_works(send: SendFn, client: str) -> None:
    visit = send(client, "http", {})
    for server in PYTHON:
        for tool in ("ask", "visit", "think", "where"):
            with suppress(RefusedError):
                assert visit.call(server, tool)["isError"] is True
        assert visit.text(server, "count") == "counted"
        assert [told[1] for told in visit.person.told("progressed") if server in told[0]] == [1, 2, 3]
    assert visit.text("everything", "echo", message="hello") == "Echo: hello"
    assert visit.person.told("asked") == []


@pytest.mark.parametrize("clients", [("mcp1", "mcp2-auto"), ("mcp2-auto", "fastmcp4-auto")])
def test_each_of_two_users_answers_for_himself(send: SendFn, clients: tuple[str, str]) -> None:
    visits = {}
    for client, name in zip(clients, ("Ada", "Bob"), strict=True):
        answer = {"action": "accept", "content": {"name": name}}
        visits[name] = send(client, "http", {**ANSWERS, "form": answer})
    for server in [*PYTHON, *PYTHON]:
        begun = {
            name: visit.person.begin("call", name=visit.place.named(server, "ask"), arguments={})
            for name, visit in visits.items()
        }
        for name, number in begun.items():
            result = visits[name].person.finish(number)
            assert json.loads(result["content"][0]["text"]) == {"action": "accept", "name": name}
    for visit in visits.values():
        asked = [params for method, params in visit.person.told("asked") if method == "elicitation/create"]
        assert [params["message"] for params in asked] == ["Your name?"] * 4


@pytest.mark.parametrize("place", ["stdio", "http"])
def test_a_task_of_the_handshake_era_asks_and_comes_to_its_result(send: SendFn, place: str) -> None:
    chosen = {"action": "accept", "content": {"interpretation": "snake"}}
    visit = send("mcp1", place, {**ANSWERS, "form": chosen})
    name = visit.place.named("everything", "simulate-research-query")
    until(lambda: name in visit.names(), "the tool is listed")
    result = visit.person.do("task", name=name, arguments={"topic": "python", "ambiguous": True})
    assert "# Research Report: python (snake)" in result["content"][0]["text"]
    assert ["input_required"] in visit.person.told("state")
    asked = [params for method, params in visit.person.told("asked") if method == "elicitation/create"]
    options = asked[0]["requestedSchema"]["properties"]["interpretation"]["oneOf"]
    assert [option["const"] for option in options] == ["programming", "snake", "comedy"]
