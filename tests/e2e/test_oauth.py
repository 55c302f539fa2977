"""Servers that want a login: a person's by a browser, or the gateway's own; against real authorization servers."""

from __future__ import annotations

import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .support.authorization_server import (
    AuthorizationServer,
    browse,
    start_authorization_server,
    start_protected_server,
)
from .support.gateways import GATEWAY, HttpGateway, Launcher, free_port, plain_entry, until
from .support.raw_clients import HttpClient, Json

LINK = re.compile(r"http://127\.0\.0\.1:\d+/login/[\w-]+")
URL_MODE: Json = {"elicitation": {"form": {}, "url": {}}}


class LoginSetup:
    """An authorization server, a server that it protects, and gateways that log in to it."""

    def __init__(self, launcher: Launcher, *arguments: str, **keys: Any) -> None:
        self.launcher = launcher
        self.authority: AuthorizationServer = start_authorization_server(launcher, *arguments)
        self.url = start_protected_server(launcher, self.authority.issuer)
        self.entry = {"name": "crm", "url": self.url, "auth_type": "oauth", **keys}
        self.folder = launcher.folder / "oauth"

    @property
    def variables(self) -> dict[str, str]:
        return {"GATEWAY_OAUTH_FOLDER": str(self.folder), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}

    @property
    def config(self) -> Path:
        return self.launcher.config(self.entry)

    def gateway(self, **more: str) -> HttpGateway:
        return self.launcher.start_http(self.config, **self.variables, **more)

    def log_in(self, server: str = "crm") -> str:
        """Log in by the command, and a browser; return what it printed."""
        command = [GATEWAY, "login", server, "--no-browser"]
        process = self.launcher.start(command, self.launcher.environment(self.config, **self.variables))
        assert process.popen.stdout is not None
        link = next(found for line in process.popen.stdout if (found := LINK.search(line)))
        page = browse(link[0])
        assert page.status_code == 200, page.text
        rest = process.popen.stdout.read()
        assert process.popen.wait(60) == 0
        return rest


def who(client: HttpClient) -> Json:
    result = client.call("crm__whoami", {})["result"]
    assert not result.get("isError"), result
    found: Json = result["structuredContent"]
    return found


def link_in(text: str) -> str:
    found = LINK.search(text)
    assert found, text
    return found[0]


def test_a_person_logs_in_by_the_command_and_gateways_that_run_notice(launcher: Launcher) -> None:
    setup = LoginSetup(launcher)
    client = HttpClient(setup.gateway().url, modern=True)
    refused = client.call("crm__whoami", {})["result"]
    assert refused["structuredContent"]["error_code"] == "login_needed"
    assert "mcp-orchestration-gateway login crm" in refused["structuredContent"]["error"]
    assert "You are logged in to crm" in setup.log_in()
    assert who(client)["subject"] == "alice"
    asked = setup.authority.change()["seen"]
    assert asked[-1]["code_challenge_method"] == "S256"
    assert asked[-1]["resource"] == setup.url
    assert setup.authority.stats["register"] == 1
    again = HttpClient(setup.gateway().url, modern=False)
    assert who(again)["subject"] == "alice"
    assert setup.authority.stats["authorize"] == 1


def test_the_tool_search_says_that_a_login_is_needed_and_where(launcher: Launcher) -> None:
    setup = LoginSetup(launcher)
    client = HttpClient(setup.gateway().url, modern=True)
    answer = client.call("tool_search", {"query": "who am i"})["result"]["structuredContent"]
    assert answer["tools"] == []
    assert browse(link_in(str(answer["servers"]))).status_code == 200

    def found() -> Any:
        return client.call("tool_search", {"query": "who am i"})["result"]["structuredContent"]["tools"]

    assert until(found, "the tools are found after the login")[0]["tool_name"] == "crm__whoami"


@pytest.mark.parametrize("modern", [True, False])
def test_a_client_that_can_open_links_is_asked_and_the_call_goes_on(launcher: Launcher, modern: bool) -> None:
    setup = LoginSetup(launcher)
    clicked: list[str] = []

    def answer(method: str, params: Json) -> Json:
        assert (method, params["mode"]) == ("elicitation/create", "url")
        clicked.append(params["url"])
        threading.Thread(target=browse, args=[params["url"]]).start()
        return {"action": "accept"}

    client = HttpClient(setup.gateway().url, modern=modern, capabilities=URL_MODE, answers={"elicitation/create": {}})
    client._answer = answer  # type: ignore[method-assign]
    result = client.request_with_answers("tools/call", {"name": "crm__whoami", "arguments": {}})["result"]
    assert result["structuredContent"].get("subject") == "alice", result
    assert len(clicked) == 1
    assert LINK.fullmatch(clicked[0])


@pytest.mark.parametrize("modern", [True, False])
def test_a_client_whose_user_declines_gets_the_error(launcher: Launcher, modern: bool) -> None:
    setup = LoginSetup(launcher)
    answers = {"elicitation/create": {"action": "decline"}}
    client = HttpClient(setup.gateway().url, modern=modern, capabilities=URL_MODE, answers=answers)
    result = client.request_with_answers("tools/call", {"name": "crm__whoami", "arguments": {}})["result"]
    assert result["structuredContent"]["error_code"] == "login_needed"


def test_only_the_browser_that_began_a_login_can_end_it(launcher: Launcher) -> None:
    setup = LoginSetup(launcher)
    client = HttpClient(setup.gateway().url, modern=True)
    link = link_in(client.call("crm__whoami", {})["result"]["structuredContent"]["error"])
    with httpx2.Client(timeout=60) as victim:
        begun = victim.get(link)
        assert begun.status_code == 302
        assert "HttpOnly" in begun.headers["set-cookie"]
        allowed = victim.get(begun.headers["location"])
        back = allowed.headers["location"]
        stranger = httpx2.get(back)
        assert stranger.status_code == 400
        forged = victim.get(re.sub(r"state=[^&]+", "state=other", back))
        assert forged.status_code == 502
        again = victim.get(link)
        assert again.status_code == 302
        page = victim.get(again.headers["location"]).headers["location"].partition("?")[0]
        state = httpx2.URL(again.headers["location"]).params["state"]
        no = {"error": "access_denied", "error_description": "<b>no</b>"}
        # Neither whoever does not know the state nor another authorization server can end it, or say why.
        foreign = victim.get(page, params=no)
        assert (foreign.status_code, "no&lt;" in foreign.text) == (502, False)
        denied = victim.get(page, params={**no, "state": state, "iss": setup.authority.issuer})
        assert denied.status_code == 502
        assert "&lt;b&gt;no" in denied.text
        assert victim.get(link).status_code == 302
        state = httpx2.URL(victim.get(link).headers["location"]).params["state"]
        lying = victim.get(page, params={**no, "state": state, "iss": "https://evil.example"})
        assert (lying.status_code, "no&lt;" in lying.text) == (502, False)
    assert client.call("crm__whoami", {})["result"]["isError"] is True
    assert httpx2.get(link, headers={"host": "evil.example"}).status_code == 400
    for unknown in ("xyz", "%C3%A9%00%FF"):
        assert httpx2.get(link[:-3] + unknown).status_code == 404
    assert httpx2.get(page, headers={"cookie": f"login-{httpx2.URL(link).port}=é".encode()}).status_code == 400
    assert browse(link).status_code == 200
    assert who(client)["subject"] == "alice"


def test_tokens_are_kept_encrypted_and_for_their_owner_only(launcher: Launcher) -> None:
    setup = LoginSetup(launcher)
    setup.log_in()
    kept = list(setup.folder.iterdir())
    assert {path.suffix for path in kept} >= {"", ".login"}
    for path in kept:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"access_token" not in path.read_bytes()
        assert b"eyJ" not in path.read_bytes()
    assert stat.S_IMODE(setup.folder.stat().st_mode) == 0o700


def test_tokens_that_grow_old_are_refreshed_once_however_many_calls_there_are(launcher: Launcher) -> None:
    setup = LoginSetup(launcher, "--lifetime", "4")
    setup.log_in()
    first, second = (HttpClient(setup.gateway().url, modern=True) for _ in range(2))
    before = {who(first)["jti"], who(second)["jti"]}
    until(lambda: not {who(first)["jti"]} & before, "the token is another")
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            names = list(pool.map(lambda client: who(client)["subject"], [first, second] * 4))
            assert set(names) == {"alice"}
    stats = setup.authority.stats
    assert stats["refresh_token"] >= 1
    assert "reused" not in stats
    assert stats["authorize"] == 1


def test_a_token_that_is_refused_is_replaced_and_the_call_repeated(launcher: Launcher) -> None:
    setup = LoginSetup(launcher)
    setup.log_in()
    client = HttpClient(setup.gateway().url, modern=True)
    before = who(client)["jti"]
    assert client.call("crm__refuse", {})["result"]
    assert who(client)["jti"] != before
    assert setup.authority.stats["refresh_token"] == 1


@pytest.mark.parametrize("modern", [True, False])
def test_a_rejected_token_is_noticed_as_a_session_is_opened_too(launcher: Launcher, modern: bool) -> None:
    """A modern server's error for `initialize` says nothing of the token."""
    setup = LoginSetup(launcher)
    setup.entry["url"] = start_protected_server(launcher, setup.authority.issuer, "--modern-only")
    setup.log_in()
    client = HttpClient(setup.gateway().url, modern=True)
    before = who(client)["jti"]
    assert client.call("crm__refuse", {})["result"]
    later = HttpClient(setup.gateway().url, modern=modern)
    assert who(later)["jti"] != before
    setup.authority.change(withdraw=True)
    assert later.call("crm__refuse", {})["result"]
    last = HttpClient(setup.gateway().url, modern=modern)
    assert last.call("crm__whoami", {})["result"]["structuredContent"]["error_code"] == "login_needed"


@pytest.mark.parametrize("modern", [True, False])
def test_a_client_is_asked_for_a_wider_login_once_and_the_call_goes_on(launcher: Launcher, modern: bool) -> None:
    setup = LoginSetup(launcher, scopes="")
    setup.entry["url"] = start_protected_server(launcher, setup.authority.issuer, "--scopes", "read", "--admin")
    setup.log_in()
    asked: list[str] = []

    def answer(method: str, params: Json) -> Json:
        asked.append(params["url"])
        threading.Thread(target=browse, args=[params["url"]]).start()
        return {"action": "accept"}

    client = HttpClient(setup.gateway().url, modern=modern, capabilities=URL_MODE, answers={"elicitation/create": {}})
    client._answer = answer  # type: ignore[method-assign]
    assert who(client)["scope"] == "read"
    result = client.request_with_answers("tools/call", {"name": "crm__rule", "arguments": {}})["result"]
    assert result["structuredContent"] == {"scope": "read admin"}
    assert len(asked) == 1
    assert setup.authority.stats["register"] == 1


def test_a_login_that_is_withdrawn_has_to_be_made_anew(launcher: Launcher) -> None:
    setup = LoginSetup(launcher)
    setup.log_in()
    client = HttpClient(setup.gateway().url, modern=True)
    assert who(client)
    setup.authority.change(withdraw=True)
    assert client.call("crm__refuse", {})["result"]
    refused = client.call("crm__whoami", {})["result"]["structuredContent"]
    assert refused["error_code"] == "login_needed"
    assert browse(link_in(refused["error"])).status_code == 200
    assert who(client)


def test_the_gateway_logs_in_with_client_credentials_of_its_own(launcher: Launcher) -> None:
    setup = LoginSetup(launcher, grant="client_credentials", client_id="machine", client_secret="${SECRET}")
    setup.entry["issuer"] = setup.authority.issuer
    client = HttpClient(setup.gateway(SECRET="machine-secret").url, modern=True)
    assert who(client)["subject"] == "machine"
    assert setup.authority.stats["client_credentials"] == 1
    assert client.call("crm__refuse", {})["result"]
    assert who(client)["subject"] == "machine"
    assert setup.authority.stats["client_credentials"] == 2


def test_client_credentials_go_to_their_own_issuer_only(launcher: Launcher) -> None:
    setup = LoginSetup(launcher, grant="client_credentials", client_id="machine", client_secret="machine-secret")
    setup.entry["issuer"] = "https://login.example"
    client = HttpClient(setup.gateway().url, modern=True)
    refused = client.call("crm__whoami", {})["result"]["structuredContent"]
    assert refused["error_code"] == "unauthorized"
    assert "client_credentials" not in setup.authority.stats
    assert "machine-secret" not in str(refused)


def test_a_client_that_is_known_already_asks_for_the_scopes_that_are_configured(launcher: Launcher) -> None:
    setup = LoginSetup(launcher, client_id="known", scopes="crm:read crm:write", callback_port=0)
    port = setup.entry["callback_port"] = free_port()
    redirect = f"http://127.0.0.1:{port}/callback"
    setup.authority.change(clients={"known": {"redirect_uris": [redirect]}})
    setup.log_in()
    found = who(HttpClient(setup.gateway().url, modern=True))
    assert (found["client"], found["scope"]) == ("known", "crm:read crm:write")
    assert "register" not in setup.authority.stats


def test_a_gateway_logs_in_to_a_gateway(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> None:
    setup = LoginSetup(launcher)
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    inner = Launcher(tmp_path_factory.mktemp("inner"), launcher._stack)
    inner.start_http(
        inner.config(plain_entry("plain")),
        GATEWAY_PORT=str(port),
        GATEWAY_AUTH_ISSUER=setup.authority.issuer,
        GATEWAY_AUTH_AUDIENCE=url,
    )
    setup.entry["url"] = url
    setup.log_in()
    client = HttpClient(setup.gateway().url, modern=True)
    found = client.call("crm__call_remote_tool", {"tool_name": "plain__echo", "arguments": {"text": "x"}})["result"]
    assert found["structuredContent"]["arguments"] == {"text": "x"}


def test_the_command_says_when_nobody_can_log_in(launcher: Launcher) -> None:
    setup = LoginSetup(launcher)
    setup.entry["auth_type"] = "none"
    assert "server 'crm' has no login" in launcher.run("login", "crm", config=setup.config).stderr
    assert "there is no server 'nope'" in launcher.run("login", "nope", config=setup.config).stderr
