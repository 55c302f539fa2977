"""The gateway as an OAuth resource server: only tokens of its authorization server, made out to it, are accepted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from .support.authorization_server import AuthorizationServer, start_authorization_server
from .support.gateways import HttpGateway, Launcher, free_port, plain_entry, until
from .support.raw_clients import HttpClient, Json


class ResourceServer:
    """A gateway behind an authorization server."""

    def __init__(self, launcher: Launcher, *servers: Json, **variables: str) -> None:
        self.authority: AuthorizationServer = start_authorization_server(launcher)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/mcp"
        trusted = {"GATEWAY_AUTH_ISSUER": self.authority.issuer, "GATEWAY_AUTH_AUDIENCE": self.url}
        config = launcher.config(*servers)
        self.gateway: HttpGateway = launcher.start_http(config, GATEWAY_PORT=str(port), **trusted, **variables)

    def token(self, subject: str = "alice", by: str = "us", header: Json | None = None, **claims: Any) -> str:
        wanted = {"aud": self.url, "sub": subject, **claims}
        return self.authority.token(by=by, claims=wanted, header=header or {})

    def get_health(self, token: str | None, **headers: str) -> httpx2.Response:
        """Ask for the gateway's health, which is as well guarded as the rest."""
        sent = {"authorization": f"Bearer {token}"} if token is not None else {}
        return httpx2.get(self.url.replace("/mcp", "/health"), headers={**sent, **headers})

    def client(self, token: str, *, modern: bool = True, **options: Any) -> HttpClient:
        return HttpClient(self.url, modern=modern, headers={"authorization": f"Bearer {token}"}, **options)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResourceServer]:
    """One gateway for all tests that change nothing about it: two processes take a while to start."""
    with ExitStack() as stack:
        yield ResourceServer(Launcher(tmp_path_factory.mktemp("server"), stack))


def test_a_token_for_this_gateway_opens_it(server: ResourceServer) -> None:
    for modern in (True, False):
        assert server.client(server.token(), modern=modern).ask("tools/list", {})["result"]["tools"]


def test_without_a_token_a_client_learns_where_to_get_one(server: ResourceServer) -> None:
    refused = server.get_health(None)
    assert refused.status_code == 401
    challenge = refused.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    where = challenge.partition('resource_metadata="')[2].partition('"')[0]
    metadata = httpx2.get(where).json()
    assert metadata["resource"] == server.url
    assert metadata["authorization_servers"] == [server.authority.issuer]


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
def test_every_other_token_is_refused_and_the_reason_said(server: ResourceServer, wrong: Json, reason: str) -> None:
    refused = server.get_health(server.token(**wrong))
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert reason in refused.headers["www-authenticate"]
    assert server.get_health(server.token()).status_code == 200


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.", "WyI" * 4000, "W1tb" * 3000 + ".e30.e30"], ids=len)
def test_what_is_no_token_at_all_is_refused(server: ResourceServer, token: str) -> None:
    assert server.get_health(token).status_code == 401


def test_scopes_that_are_wanted_must_be_there(launcher: Launcher) -> None:
    server = ResourceServer(launcher, GATEWAY_AUTH_SCOPES="mcp:use, mcp:see")
    refused = server.get_health(server.token(scope="mcp:use"))
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert 'scope="mcp:use mcp:see"' in refused.headers["www-authenticate"]
    assert server.get_health(server.token(scope="mcp:see other mcp:use")).status_code == 200
    assert server.get_health(server.token(scope=None, scp=["mcp:see", "mcp:use"])).status_code == 200


def test_keys_that_nobody_knows_do_not_make_the_gateway_ask_again_and_again(launcher: Launcher) -> None:
    server = ResourceServer(launcher)
    assert server.get_health(server.token()).status_code == 200
    before = server.authority.stats["jwks"]
    for number in range(20):
        assert server.get_health(server.token(header={"kid": f"unknown-{number}"})).status_code == 401
    assert server.authority.stats["jwks"] <= before + 2


def test_a_new_key_is_taken_and_the_old_one_is_not(launcher: Launcher) -> None:
    server = ResourceServer(launcher)
    old = server.token()
    assert server.get_health(old).status_code == 200
    other = server.token(subject="bob")
    server.authority.change(rotate=True)
    until(lambda: server.get_health(server.token()).status_code == 200, "the new key is known")
    assert server.get_health(other).status_code == 401


def test_without_its_keys_nobody_comes_in_and_the_gateway_says_why(launcher: Launcher) -> None:
    server = ResourceServer(launcher)
    server.authority.change(published=False)
    assert server.get_health(server.token()).status_code == 503
    server.authority.change(published=True)
    until(lambda: server.get_health(server.token()).status_code == 200, "the keys are there")


def test_the_gateways_own_token_opens_it_as_well(launcher: Launcher) -> None:
    server = ResourceServer(launcher, GATEWAY_AUTH_TOKEN="gateway-token")
    assert server.get_health("gateway-token").status_code == 200
    assert server.get_health(None, **{"x-mcp-gateway-token": "gateway-token"}).status_code == 200
    assert server.get_health(server.token()).status_code == 200
    assert server.get_health(None, **{"x-mcp-gateway-token": server.token()}).status_code == 200
    assert server.get_health("gateway-tokem").status_code == 401


def test_the_callers_token_goes_only_where_a_server_says_forward(launcher: Launcher) -> None:
    url, _ = launcher.start_plain_http("--era", "modern")
    servers = [{"name": "open", "url": url}, {"name": "forward", "url": url, "auth_type": "forward"}]
    server = ResourceServer(launcher, *servers, GATEWAY_AUTH_MODE="forward")
    token = server.token()
    for _ in range(3):  # the first call may take another path than those after it
        client = server.client(token)
        open_ = client.call("open__whoami")["result"]["structuredContent"]["headers"]
        assert token not in str(open_)
        forward = client.call("forward__whoami")["result"]["structuredContent"]["headers"]
        assert forward["authorization"] == f"Bearer {token}"


def test_a_session_belongs_to_the_person_who_opened_it(launcher: Launcher) -> None:
    server = ResourceServer(launcher, plain_entry("child", None))
    alice = server.client(server.token(), modern=False)
    assert alice.call("child__echo", {"text": "x"})["result"]
    session = alice._session["mcp-session-id"]
    accept = {"accept": "application/json, text/event-stream", "mcp-session-id": session}

    def call(token: str) -> int:
        headers = {**accept, "authorization": f"Bearer {token}", "mcp-protocol-version": "2025-11-25"}
        params = {"name": "child__echo", "arguments": {}}
        body = {"jsonrpc": "2.0", "id": uuid4().hex, "method": "tools/call", "params": params}
        return httpx2.post(server.url, json=body, headers=headers, timeout=60).status_code

    mallory = server.token(subject="mallory")
    assert server.get_health(mallory).status_code == 200
    assert call(mallory) == 404
    assert call(server.token()) == 200


TASKS = "io.modelcontextprotocol/tasks"
FORM = {"mode": "form", "message": "Your name?", "requestedSchema": {"type": "object", "properties": {}}}


def test_calls_that_wait_and_tasks_are_each_persons_own_whatever_their_token(launcher: Launcher) -> None:
    asker, _ = launcher.start_plain_http("--era", "handshake", "--full")
    worker, _ = launcher.start_plain_http("--era", "modern", "--full")
    server = ResourceServer(launcher, {"name": "asker", "url": asker}, {"name": "worker", "url": worker})
    can: Json = {"elicitation": {"form": {}}, "extensions": {TASKS: {}}}
    answers = {"elicitation/create": {"action": "accept", "content": {}}}
    people = [server.token(), server.token(), server.token(subject="mallory")]
    alice, again, mallory = (server.client(token, capabilities=can, answers=answers) for token in people)
    params = {"name": "asker__ask", "arguments": {"rounds": [[["elicitation/create", FORM]]]}}
    asked = alice.ask("tools/call", params)["result"]
    assert asked["resultType"] == "input_required", asked
    answered = {**params, **alice.answers_to(asked)}
    assert mallory.ask("tools/call", answered)["error"]["code"] == -32602
    assert again.ask("tools/call", answered)["result"]["structuredContent"]["answers"]
    task = alice.call("worker__job", {})["result"]["taskId"]
    assert "error" in mallory.ask("tasks/get", {"taskId": task})
    assert again.ask("tasks/get", {"taskId": task})["result"]["taskId"] == task
