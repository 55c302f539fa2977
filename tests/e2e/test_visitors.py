"""The gateway as an OAuth resource server: only tokens of its authorization server, made out to it, open the door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from .support.authorization_server import Authority, authority
from .support.gateways import Listening, Workshop, free_port, plain_entry, until
from .support.raw_clients import HttpClient, Json


class Door:
    """A gateway behind an authorization server."""

    def __init__(self, workshop: Workshop, *servers: Json, **variables: str) -> None:
        self.authority: Authority = authority(workshop)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/mcp"
        trusted = {"GATEWAY_AUTH_ISSUER": self.authority.issuer, "GATEWAY_AUTH_AUDIENCE": self.url}
        config = workshop.config(*servers)
        self.gateway: Listening = workshop.listening(config, GATEWAY_PORT=str(port), **trusted, **variables)

    def token(self, subject: str = "alice", by: str = "us", header: Json | None = None, **claims: Any) -> str:
        wanted = {"aud": self.url, "sub": subject, **claims}
        return self.authority.token(by=by, claims=wanted, header=header or {})

    def knock(self, token: str | None, **headers: str) -> httpx2.Response:
        """Ask for the gateway's health, which is as well guarded as the rest."""
        sent = {"authorization": f"Bearer {token}"} if token is not None else {}
        return httpx2.get(self.url.replace("/mcp", "/health"), headers={**sent, **headers})

    def client(self, token: str, *, modern: bool = True, **options: Any) -> HttpClient:
        return HttpClient(self.url, modern=modern, headers={"authorization": f"Bearer {token}"}, **options)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One door for all who change nothing about it: two processes take a while to start."""
    with ExitStack() as stack:
        yield Door(Workshop(tmp_path_factory.mktemp("door"), stack))


def test_a_token_for_this_gateway_opens_it(door: Door) -> None:
    for modern in (True, False):
        assert door.client(door.token(), modern=modern).ask("tools/list", {})["result"]["tools"]


def test_without_a_token_a_client_learns_where_to_get_one(door: Door) -> None:
    refused = door.knock(None)
    assert refused.status_code == 401
    challenge = refused.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    where = challenge.partition('resource_metadata="')[2].partition('"')[0]
    metadata = httpx2.get(where).json()
    assert metadata["resource"] == door.url
    assert metadata["authorization_servers"] == [door.authority.issuer]


@pytest.mark.parametrize(
    "wrong, reason",
    [
        ({"aud": "https://other.example/mcp"}, "audience"),
        ({"aud": None}, "JWT"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": None}, "JWT"),
        ({"exp": 1_700_000_000}, "expired"),
        ({"exp": None}, "JWT"),
        ({"nbf": 4_000_000_000}, "JWT"),
        ({"sub": None}, "JWT"),
        ({"sub": ""}, "sub is empty"),
        ({"sub": " "}, "sub is empty"),
        ({"by": "nobody"}, "public-key algorithm"),
        ({"by": "public key"}, "public-key algorithm"),
        ({"by": "another key"}, "JWT"),
        ({"header": {"kid": "nobody-knows"}}, "does not publish"),
    ],
    ids=str,
)
def test_every_other_token_is_refused_and_the_reason_said(door: Door, wrong: Json, reason: str) -> None:
    refused = door.knock(door.token(**wrong))
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert reason in refused.headers["www-authenticate"]
    assert door.knock(door.token()).status_code == 200


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.", "WyI" * 4000, "W1tb" * 3000 + ".e30.e30"], ids=len)
def test_what_is_no_token_at_all_is_refused(door: Door, token: str) -> None:
    assert door.knock(token).status_code == 401


def test_scopes_that_are_wanted_must_be_there(workshop: Workshop) -> None:
    door = Door(workshop, GATEWAY_AUTH_SCOPES="mcp:use, mcp:see")
    refused = door.knock(door.token(scope="mcp:use"))
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert 'scope="mcp:use mcp:see"' in refused.headers["www-authenticate"]
    assert door.knock(door.token(scope="mcp:see other mcp:use")).status_code == 200
    assert door.knock(door.token(scope=None, scp=["mcp:see", "mcp:use"])).status_code == 200


def test_keys_that_nobody_knows_do_not_make_the_gateway_ask_again_and_again(workshop: Workshop) -> None:
    door = Door(workshop)
    assert door.knock(door.token()).status_code == 200
    before = door.authority.stats["jwks"]
    for number in range(20):
        assert door.knock(door.token(header={"kid": f"unknown-{number}"})).status_code == 401
    assert door.authority.stats["jwks"] <= before + 2


def test_a_new_key_is_taken_and_the_old_one_is_not(workshop: Workshop) -> None:
    door = Door(workshop)
    old = door.token()
    assert door.knock(old).status_code == 200
    other = door.token(subject="bob")
    door.authority.change(rotate=True)
    until(lambda: door.knock(door.token()).status_code == 200, "the new key is known")
    assert door.knock(other).status_code == 401


def test_without_its_keys_nobody_comes_in_and_the_gateway_says_why(workshop: Workshop) -> None:
    door = Door(workshop)
    door.authority.change(published=False)
    assert door.knock(door.token()).status_code == 503
    door.authority.change(published=True)
    until(lambda: door.knock(door.token()).status_code == 200, "the keys are there")


def test_the_gateways_own_token_opens_it_as_well(workshop: Workshop) -> None:
    door = Door(workshop, GATEWAY_AUTH_TOKEN="gateway-token")
    assert door.knock("gateway-token").status_code == 200
    assert door.knock(None, **{"x-mcp-gateway-token": "gateway-token"}).status_code == 200
    assert door.knock(door.token()).status_code == 200
    assert door.knock(None, **{"x-mcp-gateway-token": door.token()}).status_code == 200
    assert door.knock("gateway-tokem").status_code == 401


def test_the_callers_token_goes_only_where_a_server_says_forward(workshop: Workshop) -> None:
    url, _ = workshop.plain_http("--era", "modern")
    servers = [{"name": "open", "url": url}, {"name": "forward", "url": url, "auth_type": "forward"}]
    door = Door(workshop, *servers, GATEWAY_AUTH_MODE="forward")
    token = door.token()
    for _ in range(3):  # the first call may take another lane than those after it
        client = door.client(token)
        open_ = client.call("open__whoami")["result"]["structuredContent"]["headers"]
        assert token not in str(open_)
        forward = client.call("forward__whoami")["result"]["structuredContent"]["headers"]
        assert forward["authorization"] == f"Bearer {token}"


def test_a_session_belongs_to_the_person_who_opened_it(workshop: Workshop) -> None:
    door = Door(workshop, plain_entry("child", None))
    alice = door.client(door.token(), modern=False)
    assert alice.call("child__echo", {"text": "x"})["result"]
    session = alice._session["mcp-session-id"]
    accept = {"accept": "application/json, text/event-stream", "mcp-session-id": session}

    def call(token: str) -> int:
        headers = {**accept, "authorization": f"Bearer {token}", "mcp-protocol-version": "2025-11-25"}
        params = {"name": "child__echo", "arguments": {}}
        body = {"jsonrpc": "2.0", "id": uuid4().hex, "method": "tools/call", "params": params}
        return httpx2.post(door.url, json=body, headers=headers, timeout=60).status_code

    mallory = door.token(subject="mallory")
    assert door.knock(mallory).status_code == 200
    assert call(mallory) == 404
    assert call(door.token()) == 200


TASKS = "io.modelcontextprotocol/tasks"
FORM = {"mode": "form", "message": "Your name?", "requestedSchema": {"type": "object", "properties": {}}}


def test_calls_that_wait_and_tasks_are_each_persons_own_whatever_their_token(workshop: Workshop) -> None:
    asker, _ = workshop.plain_http("--era", "handshake", "--full")
    worker, _ = workshop.plain_http("--era", "modern", "--full")
    door = Door(workshop, {"name": "asker", "url": asker}, {"name": "worker", "url": worker})
    can: Json = {"elicitation": {"form": {}}, "extensions": {TASKS: {}}}
    answers = {"elicitation/create": {"action": "accept", "content": {}}}
    people = [door.token(), door.token(), door.token(subject="mallory")]
    alice, again, mallory = (door.client(token, capabilities=can, answers=answers) for token in people)
    params = {"name": "asker__ask", "arguments": {"rounds": [[["elicitation/create", FORM]]]}}
    asked = alice.ask("tools/call", params)["result"]
    assert asked["resultType"] == "input_required", asked
    answered = {**params, **alice.answers_to(asked)}
    assert mallory.ask("tools/call", answered)["error"]["code"] == -32602
    assert again.ask("tools/call", answered)["result"]["structuredContent"]["answers"]
    task = alice.call("worker__job", {})["result"]["taskId"]
    assert "error" in mallory.ask("tasks/get", {"taskId": task})
    assert again.ask("tasks/get", {"taskId": task})["result"]["taskId"] == task
