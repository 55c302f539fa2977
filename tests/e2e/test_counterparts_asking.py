"""Servers that others made ask users who use clients that others made: the question and the answer arrive whole."""

from __future__ import annotations

import json

import pytest

from .counterparts.clients import ANSWERS
from .counterparts.gateways import PYTHON, Visit
from .support.gateways import until

FORM = {"properties": {"name": {"title": "Name", "type": "string"}}, "required": ["name"], "type": "object"}
FORMS = {"mcp1": {**FORM, "title": "Person"}, "fastmcp4": FORM}
LOGIN = {"mode": "url", "message": "Log in", "url": "https://login.example/"}


def questions(visit: Visit, method: str, since: int) -> list[dict]:
    """Return what the user was asked, without what the envelope adds."""
    asked = [params for name, params in visit.person.told("asked", since) if name == method]
    return [{key: value for key, value in params.items() if key not in ("_meta", "elicitationId")} for params in asked]


@pytest.mark.parametrize("server", PYTHON)
def test_a_user_gets_the_very_question_and_the_server_the_answer(visit: Visit, server: str) -> None:
    since = len(visit.person.lines)
    assert json.loads(visit.text(server, "ask")) == {"action": "accept", "name": "Ada"}
    question = {"mode": "form", "message": "Your name?", "requestedSchema": FORMS[server]}
    assert questions(visit, "elicitation/create", since) == [question]


@pytest.mark.parametrize("server", PYTHON)
def test_a_server_may_ask_again_after_an_answer(visit: Visit, server: str) -> None:
    since = len(visit.person.lines)
    assert visit.text(server, "ask_twice") == "accept accept"
    assert [asked["message"] for asked in questions(visit, "elicitation/create", since)] == ["First?", "Second?"]


@pytest.mark.parametrize("server", PYTHON)
def test_a_user_is_sent_to_the_very_url(visit: Visit, server: str) -> None:
    since = len(visit.person.lines)
    assert json.loads(visit.text(server, "visit")) == {"action": "accept"}
    assert questions(visit, "elicitation/create", since) == [LOGIN]


def test_a_client_of_the_handshake_era_hears_that_a_visit_is_over(visit: Visit) -> None:
    if visit.modern or visit.place.chained:
        return  # the modern era has neither ids of questions nor this notification
    since = len(visit.person.lines)
    assert json.loads(visit.text("mcp1", "visit")) == {"action": "accept"}
    assert [params["elicitationId"] for _, params in visit.person.told("asked", since)] == ["visit-1"]
    visit.person.heard("completed", lambda told: told == ["visit-1"], since)


@pytest.mark.parametrize("server", PYTHON)
def test_a_server_samples_the_users_model(visit: Visit, server: str) -> None:
    since = len(visit.person.lines)
    said = json.loads(visit.text(server, "think"))
    assert said.pop("stopReason", "endTurn") == "endTurn"
    assert said == {key: value for key, value in ANSWERS["sampling"].items() if key != "stopReason"}
    (asked,) = questions(visit, "sampling/createMessage", since)
    assert asked["messages"] == [{"role": "user", "content": {"type": "text", "text": "Say a word"}}]
    assert (asked["systemPrompt"], asked["maxTokens"]) == ("Be brief.", 5)


@pytest.mark.parametrize("server", PYTHON)
def test_a_server_asks_for_the_users_roots(visit: Visit, server: str) -> None:
    since = len(visit.person.lines)
    assert json.loads(visit.text(server, "where")) == [["file:///home/ada", "home"]]
    assert {} in questions(visit, "roots/list", since)


def test_a_form_with_all_kinds_of_fields_reaches_the_user(visit: Visit) -> None:
    since = len(visit.person.lines)
    result = visit.call("everything", "trigger-elicitation-request")
    assert "- Name: Ada" in result["content"][1]["text"]
    assert json.loads(result["content"][2]["text"].partition("Raw result: ")[2]) == ANSWERS["form"]
    (asked,) = questions(visit, "elicitation/create", since)
    fields = asked["requestedSchema"]["properties"]
    assert asked["message"] == "Please provide inputs for the following fields:"
    assert asked["requestedSchema"]["required"] == ["name"]
    assert list(fields)[:4] == ["name", "check", "firstLine", "email"]
    assert fields["number"] == {
        "title": "Number in range 1-1000",
        "type": "number",
        "description": "Favorite number (there are no wrong answers)",
        "minimum": 0,
        "maximum": 1000,
        "default": 3.14,
    }
    assert fields["titledMultipleSelectEnum"]["items"]["anyOf"][2] == {"const": "fish-3", "title": "Trout"}
    assert fields["legacyTitledEnum"]["enumNames"] == ["Cats", "Dogs", "Birds", "Fish", "Reptiles"]


def test_a_server_from_npm_sends_the_user_to_a_url(visit: Visit) -> None:
    since = len(visit.person.lines)
    text = visit.text("everything", "trigger-url-elicitation", url=LOGIN["url"], message="Log in")
    assert "User completed the URL elicitation flow" in text
    assert questions(visit, "elicitation/create", since) == [LOGIN]


def test_a_server_from_npm_samples_the_users_model(visit: Visit) -> None:
    since = len(visit.person.lines)
    text = visit.text("everything", "trigger-sampling-request", prompt="a word", maxTokens=7)
    assert json.loads(text.partition("\n")[2]) == ANSWERS["sampling"]
    (asked,) = questions(visit, "sampling/createMessage", since)
    content = {"type": "text", "text": "Resource trigger-sampling-request context: a word"}
    assert asked["messages"] == [{"role": "user", "content": content}]
    assert (asked["systemPrompt"], asked["maxTokens"]) == ("You are a helpful test server.", 7)
    assert asked["temperature"] == 0.7


def test_a_server_from_npm_asks_for_the_users_roots(visit: Visit) -> None:
    text = visit.text("everything", "get-roots-list")
    assert "Current MCP Roots (1 total)" in text
    assert "1. home\n   URI: file:///home/ada" in text
    assert ["roots/list", {}] in visit.person.told("asked") or visit.modern


def test_a_server_hears_that_the_users_roots_have_changed(visit: Visit) -> None:
    if visit.modern or visit.place.chained:
        return  # the modern era has no such notification: its servers ask each time
    for roots in ([{"uri": "file:///elsewhere", "name": "new"}], ANSWERS["roots"]):
        since = len(visit.person.lines)
        with visit.person.answering(roots=roots):
            visit.person.do("roots_changed")
            visit.person.heard("asked", lambda told: told[0] == "roots/list", since)
            uri = f"URI: {roots[0]['uri']}"
            until(lambda uri=uri: uri in visit.text("everything", "get-roots-list"), "the server knows the roots")
