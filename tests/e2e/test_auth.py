"""Credentials go where they are meant to go, and nowhere else; nobody gets in who should not."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .support.gateways import Launcher, plain_entry, read_log
from .support.raw_clients import HttpClient, Json

CALLER = {"authorization": "Bearer of-the-caller"}


def seen_by(client: HttpClient, server: str, **arguments: Any) -> dict[str, str]:
    """Return the headers that a server saw, by way of call_remote_tool."""
    result = client.call("call_remote_tool", {"tool_name": f"{server}__whoami", **arguments})["result"]
    assert not result.get("isError"), result
    headers: dict[str, str] = result["structuredContent"]["headers"]
    return headers


def refusal(client: HttpClient, server: str, **arguments: Any) -> str:
    result = client.call("call_remote_tool", {"tool_name": f"{server}__whoami", **arguments})["result"]
    assert result["isError"] is True
    assert result["structuredContent"]["error_code"] == "unauthorized"
    return str(result["structuredContent"]["error"])


def entries(url: str) -> list[Json]:
    return [
        {"name": "open", "url": url},
        {
            "name": "saved",
            "url": url,
            "auth_type": "static",
            "auth_headers": {"X-Key": "k", "Authorization": "Bearer s"},
        },
        {"name": "forward", "url": url, "auth_type": "forward"},
        {"name": "other", "url": url, "auth_type": "forward", "auth_header_name": "X-User"},
    ]


@pytest.fixture
def servers(launcher: Launcher) -> list[Json]:
    return entries(launcher.start_plain_http("--era", "modern")[0])


def test_each_server_gets_its_own_credentials_only(launcher: Launcher, servers: list[Json]) -> None:
    gateway = launcher.start_http(launcher.config(*servers))
    client = HttpClient(gateway.url, modern=True, headers={**CALLER, "x-user": "me", "cookie": "c=1"})
    assert "authorization" not in seen_by(client, "open")
    saved = seen_by(client, "saved")
    assert (saved["authorization"], saved["x-key"]) == ("Bearer s", "k")
    assert seen_by(client, "forward")["authorization"] == "Bearer of-the-caller"
    other = seen_by(client, "other")
    assert other["x-user"] == "me"
    assert "authorization" not in other
    for server in ("open", "saved", "forward", "other"):
        assert "cookie" not in seen_by(client, server)


def test_callers_do_not_share_a_session_with_each_other(launcher: Launcher, servers: list[Json]) -> None:
    gateway = launcher.start_http(launcher.config(*servers))
    for token in ("a", "b", "a"):
        client = HttpClient(gateway.url, modern=True, headers={"authorization": f"Bearer {token}"})
        assert seen_by(client, "forward")["authorization"] == f"Bearer {token}"
    nobody = HttpClient(gateway.url, modern=True)
    assert "caller's own Authorization header" in refusal(nobody, "forward")


def test_a_call_can_bring_credentials_of_its_own(launcher: Launcher, servers: list[Json]) -> None:
    client = HttpClient(launcher.start_http(launcher.config(*servers, plain_entry("child"))).url, modern=True)
    for server in ("open", "saved", "forward"):
        assert seen_by(client, server, auth_header="Bearer once")["authorization"] == "Bearer once"
    assert seen_by(client, "saved")["authorization"] == "Bearer s"
    assert "leave auth_header out" in refusal(client, "child", auth_header="Bearer once")
    injected = client.call("call_remote_tool", {"tool_name": "open__whoami", "auth_header": "a\r\nx-evil: 1"})["result"]
    assert injected["structuredContent"]["error_code"] == "invalid_arguments"


def test_a_header_that_is_not_ascii_is_sent_as_it_came(launcher: Launcher, servers: list[Json]) -> None:
    gateway = launcher.start_http(launcher.config(*servers))
    client = HttpClient(gateway.url, modern=True, headers={"authorization": "Bearer é".encode()})  # type: ignore[dict-item]
    assert seen_by(client, "forward")["authorization"].encode("latin-1").decode() == "Bearer é"
    assert seen_by(client, "open", auth_header="Bearer ☃")["authorization"].encode("latin-1").decode() == "Bearer ☃"


def test_auth_mode_static_forwards_nothing(launcher: Launcher, servers: list[Json]) -> None:
    gateway = launcher.start_http(launcher.config(*servers), GATEWAY_AUTH_MODE="static")
    client = HttpClient(gateway.url, modern=True, headers=CALLER)
    assert "authorization" not in seen_by(client, "open")
    assert seen_by(client, "saved")["authorization"] == "Bearer s"
    assert "authorization" not in seen_by(client, "forward")
    assert "GATEWAY_AUTH_MODE=static" in refusal(client, "open", auth_header="Bearer once")


def test_auth_mode_forward_passes_the_caller_on_where_nothing_is_saved(launcher: Launcher, servers: list[Json]) -> None:
    gateway = launcher.start_http(launcher.config(*servers), GATEWAY_AUTH_MODE="forward")
    client = HttpClient(gateway.url, modern=True, headers=CALLER)
    assert seen_by(client, "open")["authorization"] == "Bearer of-the-caller"
    assert seen_by(client, "saved")["authorization"] == "Bearer s"
    assert "authorization" not in seen_by(HttpClient(gateway.url, modern=True), "open")


def test_a_server_that_refuses_the_credentials_says_which_and_what_to_do(launcher: Launcher) -> None:
    url, _ = launcher.start_plain_http("--era", "modern", PLAIN_TOKEN="right")
    wrong = {"name": "locked", "url": url, "auth_type": "static", "auth_headers": {"Authorization": "Bearer wr0ng"}}
    client = HttpClient(launcher.start_http(launcher.config(wrong)).url, modern=True)
    said = refusal(client, "locked")
    assert "server 'locked' refused the credentials: HTTP 401 Unauthorized" in said
    assert "wr0ng" not in said
    assert seen_by(client, "locked", auth_header="Bearer right")["authorization"] == "Bearer right"


def test_credentials_do_not_follow_a_redirect_to_another_origin(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "elsewhere"
    elsewhere, _ = launcher.start_plain_http("--era", "modern", log=log)
    here, _ = launcher.start_plain_http("--era", "modern", PLAIN_REDIRECT=elsewhere)
    saved = {"Authorization": "Bearer saved"}
    away = {"name": "away", "url": here, "auth_type": "static", "auth_headers": saved, "max_retries": 0}
    forward = {"name": "mine", "url": here, "auth_type": "forward", "max_retries": 0}
    client = HttpClient(launcher.start_http(launcher.config(away, forward)).url, modern=True, headers=CALLER)
    for server in ("away", "mine"):
        for tool in (server, f"{server}__whoami"):
            name, arguments = ("discover_tools", {"server_name": tool})
            if "__" in tool:
                name, arguments = "call_remote_tool", {"tool_name": tool}
            assert client.call(name, arguments)["result"]["isError"] is True
    assert read_log(log, "server/discover") == read_log(log, "tools/list") == read_log(log, "tools/call") == []
    assert read_log(log, "initialize") == []


def test_a_servers_401_is_the_servers_and_never_the_gateways(launcher: Launcher) -> None:
    url, _ = launcher.start_plain_http("--era", "modern", PLAIN_TOKEN="right")
    gateway = launcher.start_http(launcher.config({"name": "locked", "url": url, "auth_type": "forward"}))
    right = HttpClient(gateway.url, modern=True, headers={"authorization": "Bearer right"})
    assert seen_by(right, "locked")["authorization"] == "Bearer right"
    wrong = HttpClient(gateway.url, modern=True, headers={"authorization": "Bearer wrong"})
    for tool, arguments in (("locked__whoami", {}), ("call_remote_tool", {"tool_name": "locked__whoami"})):
        answered = wrong.post("tools/call", {"name": tool, "arguments": arguments})
        assert (answered.status_code, answered.headers.get("www-authenticate")) == (200, None)
        assert "server 'locked' refused the credentials: HTTP 401 Unauthorized" in answered.text


def test_what_a_server_lists_for_one_caller_is_shown_to_no_other(launcher: Launcher) -> None:
    url, _ = launcher.start_plain_http("--era", "modern", "--full", PLAIN_TOKEN="right")
    locked = {"name": "locked", "url": url, "auth_type": "forward", "expose_tools": True}
    gateway = launcher.start_http(launcher.config(locked))
    right = HttpClient(gateway.url, modern=True, headers={"authorization": "Bearer right"})
    others = [HttpClient(gateway.url, modern=True, headers=headers) for headers in ({}, {"authorization": "Bearer x"})]
    lists = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
    for method in lists:
        assert any(word in str(right.ask(method, {})["result"]) for word in ("locked__", "plain://")), method
    for other in others:
        for method in lists:
            listed = str(other.ask(method, {})["result"])
            assert "locked__" not in listed
            assert "plain://" not in listed
        found = other.call("tool_search", {"query": "echo whoami"})["result"]["structuredContent"]
        assert found["tools"] == []
        assert "locked__echo" not in str(other.call("locked__ech", {}))


def test_a_forward_server_is_searched_once_a_caller_has_credentials_for_it(launcher: Launcher) -> None:
    url, _ = launcher.start_plain_http("--era", "modern", PLAIN_TOKEN="right")
    gateway = launcher.start_http(launcher.config({"name": "locked", "url": url, "auth_type": "forward"}))
    nobody = HttpClient(gateway.url, modern=True).call("tool_search", {"query": "echo"})["result"]["structuredContent"]
    assert nobody["tools"] == []
    assert "locked: needs login" in nobody["servers"][0]
    caller = HttpClient(gateway.url, modern=True, headers={"authorization": "Bearer right"})
    found = caller.call("tool_search", {"query": "echo"})["result"]["structuredContent"]
    assert found["tools"][0]["tool_name"] == "locked__echo"


def test_the_gateways_own_token_is_wanted_and_never_sent_on(launcher: Launcher, servers: list[Json]) -> None:
    gateway = launcher.start_http(
        launcher.config(*servers), GATEWAY_AUTH_TOKEN="gateway-token", GATEWAY_AUTH_MODE="forward"
    )
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "gateway-token"}):
        refused = httpx2.post(gateway.url, json={}, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    client = HttpClient(gateway.url, modern=True, headers={"authorization": "Bearer gateway-token"})
    assert "gateway-token" not in str(seen_by(client, "open"))
    assert "caller's own Authorization header" in refusal(client, "forward")
    both = HttpClient(gateway.url, modern=True, headers={"x-mcp-gateway-token": "gateway-token", **CALLER})
    seen = seen_by(both, "forward")
    assert seen["authorization"] == "Bearer of-the-caller"
    assert "gateway-token" not in str(seen)


def test_without_a_token_other_machines_are_refused_in_one_sentence(launcher: Launcher) -> None:
    address = own_address()
    gateway = launcher.start_http(launcher.config(), GATEWAY_HOST="0.0.0.0")
    port = gateway.url.split(":")[2]
    refused = httpx2.post(f"http://{address}:{port}", json={})
    assert refused.status_code == 403
    assert "set GATEWAY_AUTH_TOKEN" in refused.json()["error"]["message"]
    assert HttpClient(f"http://127.0.0.1:{port}", modern=True).ask("tools/list", {})["result"]


def test_with_a_token_other_machines_are_served(launcher: Launcher) -> None:
    gateway = launcher.start_http(launcher.config(), GATEWAY_HOST="0.0.0.0", GATEWAY_AUTH_TOKEN="gateway-token")
    url = f"http://{own_address()}:{gateway.url.split(':')[2]}"
    assert httpx2.post(url, json={}).status_code == 401
    client = HttpClient(url, modern=False, headers={"authorization": "Bearer gateway-token"})
    assert client.ask("tools/list", {})["result"]


def test_a_web_page_of_another_origin_gets_nothing(launcher: Launcher) -> None:
    gateway = launcher.start_http(launcher.config(), GATEWAY_CORS_ORIGINS="https://friend.example")
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    for origin, welcome in (
        ("https://evil.example", False),
        ("null", False),
        ("http://localhost.evil.example", False),
        ("https://friend.example", True),
        ("http://localhost:3000", True),
    ):
        asked = httpx2.options(gateway.url, headers={"origin": origin, **preflight})
        assert (asked.headers.get("access-control-allow-origin") == origin) is welcome
        sent = httpx2.post(gateway.url, json={}, headers={"origin": origin})
        assert (sent.status_code != 403) is welcome
    rebound = httpx2.post(gateway.url, json={}, headers={"host": "attacker.example:8080"})
    assert rebound.status_code == 421


def test_secrets_are_in_no_log_and_no_answer(launcher: Launcher, servers: list[Json]) -> None:
    secrets = ["S3CRET-saved", "S3CRET-caller", "S3CRET-once", "S3CRET-token", "S3CRET-env", "S3CRET-url"]
    saved = {**servers[1], "auth_headers": {"Authorization": f"Bearer {secrets[0]}"}}
    child = plain_entry("child", None, env={"KEY": secrets[4]})
    gone = {"name": "gone", "url": f"http://user:{secrets[5]}@127.0.0.1:9/mcp?key={secrets[5]}", "max_retries": 0}
    gateway = launcher.start_http(
        launcher.config(saved, servers[2], child, gone),
        GATEWAY_AUTH_TOKEN=secrets[3],
        GATEWAY_LOG_LEVEL="debug",
    )
    headers = {"x-mcp-gateway-token": secrets[3], "authorization": f"Bearer {secrets[1]}"}
    client = HttpClient(gateway.url, modern=True, headers=headers)
    answers = [
        client.call("tool_search", {"query": "whoami"}),
        client.call("discover_tools", {"server_name": "gone"}),
        client.call("call_remote_tool", {"tool_name": "saved__nope", "auth_header": secrets[2]}),
        client.call("call_remote_tool", {"tool_name": "child__echo", "auth_header": secrets[2]}),
        client.call("call_remote_tool", {"tool_name": 5, "auth_header": secrets[2], "x": secrets[2]}),
    ]
    gateway.end()
    gateway.errors.until(lambda line: "stopping" in line)
    everything = "\n".join([str(answers), *gateway.errors.seen])
    leaked = [secret for secret in secrets if secret in everything]
    assert not leaked


def own_address() -> str:
    """Return an address of this machine that is not loopback; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
