"""Servers that others made ask users who use clients that others made: the question and the answer arrive whole."""

from __future__ import annotations

import json

import pytest

from .counterparts.clients import ANSWERS
from .counterparts.gateways import PYTHON, ClientSession
from .support.gateways import until

FORM = {"properties": {"name": {"title": "Name", "type": "string"}}, "required": ["name"], "type": "object"}
FORMS = {"mcp1": {**FORM, "title": "Person"}, "fastmcp4": FORM}
LOGIN = {"mode": "url", "message": "Log in", "url": "https://login.example/"}


def questions(session: ClientSession, method: str, since: int) -> list[dict]:
    """Return what the user was asked, without what the envelope adds."""
    asked = [params for name, params in session.client.events("asked", since) if name == method]
    return [{key: value for key, value in params.items() if key not in ("_meta", "elicitationId")} for params in asked]


@pytest.mark.parametrize("server", PYTHON)
def test_a_user_gets_the_very_question_and_the_server_the_answer(session: ClientSession, server: str) -> None:
    since = len(session.client.lines)
    assert json.loads(session.text(server, "ask")) == {"action": "accept", "name": "Ada"}
    question = {"mode": "form", "message": "Your name?", "requestedSchema": FORMS[server]}
    assert questions(session, "elicitation/create", since) == [question]


@pytest.mark.parametrize("server", PYTHON)
def test_a_server_may_ask_again_after_an_answer(session: ClientSession, server: str) -> None:
    since = len(session.client.lines)
    assert session.text(server, "ask_twice") == "accept accept"
    assert [asked["message"] for asked in questions(session, "elicitation/create", since)] == ["First?", "Second?"]


@pytest.mark.parametrize("server", PYTHON)
def test_a_user_is_sent_to_the_very_url(session: ClientSession, server: str) -> None:
    since = len(session.client.lines)
    assert json.loads(session.text(server, "visit")) == {"action": "accept"}
    assert questions(session, "elicitation/create", since) == [LOGIN]


def test_a_client_of_the_handshake_era_is_notified_that_a_url_elicitation_is_complete(session: ClientSession) -> None:
    if session.modern or session.deployment.chained:
        return  # the modern era has neither ids of questions nor this notification
    since = len(session.client.lines)
    assert json.loads(session.text("mcp1", "visit")) == {"action": "accept"}
    # Servers ask for roots by themselves, at any time.
    asked = [params for name, params in session.client.events("asked", since) if name == "elicitation/create"]
    assert [params["elicitationId"] for params in asked] == ["visit-1"]
    session.client.wait_for_event("completed", lambda event: event == ["visit-1"], since)


@pytest.mark.parametrize("server", PYTHON)
def test_a_server_samples_the_users_model(session: ClientSession, server: str) -> None:
    since = len(session.client.lines)
    said = json.loads(session.text(server, "think"))
    assert said.pop("stopReason", "endTurn") == "endTurn"
    assert said == {key: value for key, value in ANSWERS["sampling"].items() if key != "stopReason"}
    (asked,) = questions(session, "sampling/createMessage", since)
    assert asked["messages"] == [{"role": "user", "content": {"type": "text", "text": "Say a word"}}]
    assert (asked["systemPrompt"], asked["maxTokens"]) == ("Be brief.", 5)


@pytest.mark.parametrize("server", PYTHON)
def test_a_server_asks_for_the_users_roots(session: ClientSession, server: str) -> None:
    since = len(session.client.lines)
    assert json.loads(session.text(server, "where")) == [["file:///home/ada", "home"]]
    assert {} in questions(session, "roots/list", since)


def test_a_form_with_all_kinds_of_fields_reaches_the_user(session: ClientSession) -> None:
    since = len(session.client.lines)
    result = session.call("everything", "trigger-elicitation-request")
    assert "- Name: Ada" in result["content"][1]["text"]
    assert json.loads(result["content"][2]["text"].partition("Raw result: ")[2]) == ANSWERS["form"]
    (asked,) = questions(session, "elicitation/create", since)
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


def test_a_server_from_npm_sends_the_user_to_a_url(session: ClientSession) -> None:
    since = len(session.client.lines)
    text = session.text("everything", "trigger-url-elicitation", url=LOGIN["url"], message="Log in")
    assert "User completed the URL elicitation flow" in text
    assert questions(session, "elicitation/create", since) == [LOGIN]


def test_a_server_from_npm_samples_the_users_model(session: ClientSession) -> None:
    since = len(session.client.lines)
    text = session.text("everything", "trigger-sampling-request", prompt="a word", maxTokens=7)
    assert json.loads(text.partition("\n")[2]) == ANSWERS["sampling"]
    (asked,) = questions(session, "sampling/createMessage", since)
    content = {"type": "text", "text": "Resource trigger-sampling-request context: a word"}
    assert asked["messages"] == [{"role": "user", "content": content}]
    assert (asked["systemPrompt"], asked["maxTokens"]) == ("You are a helpful test server.", 7)
    assert asked["temperature"] == 0.7


def test_a_server_from_npm_asks_for_the_users_roots(session: ClientSession) -> None:
    text = session.text("everything", "get-roots-list")
    assert "Current MCP Roots (1 total)" in text
    assert "1. home\n   URI: file:///home/ada" in text
    assert ["roots/list", {}] in session.client.events("asked") or session.modern


def test_a_server_is_notified_that_the_users_roots_have_changed(session: ClientSession) -> None:
    if session.modern or session.deployment.chained:
        return  # the modern era has no such notification: its servers ask each time
    for roots in ([{"uri": "file:///elsewhere", "name": "new"}], ANSWERS["roots"]):
        since = len(session.client.lines)
        with session.client.with_answers(roots=roots):
            session.client.run("roots_changed")
            session.client.wait_for_event("asked", lambda event: event[0] == "roots/list", since)
            uri = f"URI: {roots[0]['uri']}"
            until(lambda uri=uri: uri in session.text("everything", "get-roots-list"), "the server knows the roots")
