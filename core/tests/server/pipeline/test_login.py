"""A call that needs a login asks its client for one, in the words of the client's era."""

from __future__ import annotations

import pytest

from mcp_gateway.gateway import login as module
from mcp_gateway.gateway.login import QUESTION
from mcp_gateway.plugin import Credentials, LoginRequired

from ...support import fake_plugins
from ...support.era_client import open_era_client
from ...support.fake_servers import Remote, text, tool

entrances = pytest.mark.parametrize("entrance", ["bytes", "sdk"])
eras = pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])

ABLE = {"elicitation": {"form": {}, "url": {}}}
LINK = "https://login.example/start"
CALL = {"name": "alpha__x", "arguments": {"n": 1}}
ASKED = {"mode": "url", "url": LINK, "message": "Log in to alpha, and then come back."}


class Person:
    """Logs in when it is shown the link, if it is willing."""

    def __init__(self, *, willing=True):
        self.willing, self.shown, self.has_logged_in = willing, [], False

    def __call__(self, params):
        self.shown.append(params)
        self.has_logged_in = self.willing
        return {"action": "accept" if self.willing else "decline"}


@pytest.fixture
def person(monkeypatch):
    """Return a person without whose login there are no credentials."""
    person = Person()

    async def credentials(_self, _caller):
        if not person.has_logged_in:
            raise LoginRequired(LINK)
        return Credentials.of({"Authorization": "Bearer x"})

    monkeypatch.setattr(fake_plugins.Forward, "credentials", credentials)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    return person


def locked():
    """Return a server that wants a login, and its entry."""
    alpha = Remote(tool("x"), credentials=True)
    return alpha, {"alpha": {"auth_type": "forward"}}


@entrances
async def test_a_handshake_client_is_asked_during_its_call(gateway, person, entrance):
    alpha, entry = locked()
    async with (
        gateway({"alpha": alpha}, **entry) as opened,
        open_era_client(opened, entrance, modern=False, capabilities=ABLE, **{"elicitation/create": person}) as client,
    ):
        response = await client.request("tools/call", CALL, token=1)
    assert response["result"]["content"] == text("done")["content"]
    assert person.shown == [{**ASKED, "elicitationId": f"{QUESTION}-alpha"}]
    assert [item["arguments"] for item in alpha.calls] == [{"n": 1}]


@entrances
async def test_a_modern_client_is_asked_by_the_result_and_calls_again(gateway, person, entrance):
    alpha, entry = locked()
    async with (
        gateway({"alpha": alpha}, **entry) as opened,
        open_era_client(opened, entrance, modern=True, capabilities=ABLE) as client,
    ):
        required = (await client.request("tools/call", CALL))["result"]
        assert required["resultType"] == "input_required"
        assert required["inputRequests"] == {QUESTION: {"method": "elicitation/create", "params": ASKED}}
        answer = person(required["inputRequests"][QUESTION]["params"])
        response = await client.request("tools/call", {**CALL, "inputResponses": {QUESTION: answer}})
    assert response["result"]["content"] == text("done")["content"]
    assert "inputResponses" not in alpha.calls[0]


@entrances
async def test_a_login_that_a_challenge_wants_is_waited_for_though_there_are_credentials(
    gateway, person, entrance, monkeypatch
):
    alpha, entry = locked()
    person.has_logged_in, pending = True, [False, True, True]
    monkeypatch.setattr(module.CredentialResolver, "is_login_pending", lambda *_: pending.pop())
    async with (
        gateway({"alpha": alpha}, **entry) as opened,
        open_era_client(opened, entrance, modern=True, capabilities=ABLE) as client,
    ):
        answered = {**CALL, "inputResponses": {QUESTION: {"action": "accept"}}}
        response = await client.request("tools/call", answered)
    assert response["result"]["content"] == text("done")["content"]
    assert pending == []


@entrances
@eras
async def test_without_consent_or_the_capability_the_result_has_the_link(gateway, person, entrance, modern):
    person.willing = False
    alpha, entry = locked()
    async with gateway({"alpha": alpha}, **entry) as opened:
        for capabilities in ({}, {"elicitation": {}}, ABLE):
            async with open_era_client(
                opened, entrance, modern=modern, capabilities=capabilities, **{"elicitation/create": person}
            ) as client:
                declined = {"inputResponses": {QUESTION: {"action": "decline"}}} if modern else {}
                result = (await client.request("tools/call", {**CALL, **declined}))["result"]
                assert (result["isError"], result["structuredContent"]["error_code"]) == (True, "login_needed")
                assert LINK in result["structuredContent"]["error"]
    assert len(person.shown) == (not modern)
    assert alpha.calls == []
