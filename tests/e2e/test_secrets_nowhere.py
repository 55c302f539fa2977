"""Secrets stay in: one is planted in every place where one can come in, and everything that comes out is searched."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis import Redis

from .support.authorization_server import start_authorization_server, start_protected_server
from .support.gateways import GATEWAY, HttpGateway, Launcher, free_port, plain_entry, redis_server
from .support.raw_clients import HttpClient, Json, StdioClient

CHATTY = """
import os, sys
print("starting with", os.environ["API_KEY"], os.environ["DATABASE_URL"], sys.argv[2], file=sys.stderr, flush=True)
sys.exit("cannot log in with " + os.environ["API_KEY"])
"""
"""A server that tells what it was given in confidence, and ends."""


def secret(place: str) -> str:
    """Mark a secret with the place where it is planted."""
    return f"S3CRET-{place}-x7"


def plant_secrets(url: str, away: str) -> list[Json]:
    """Configure servers with a secret in every key that may hold one."""
    userinfo = away.replace("http://", f"http://user:{secret('userinfo')}@")
    return [
        {
            "name": "saved",
            "url": f"{url}?key={secret('query')}",
            "auth_type": "static",
            "auth_headers": {"Authorization": f"Bearer {secret('saved')}", "X-Key": secret("key")},
        },
        {"name": "mine", "url": url, "auth_type": "forward", "expose_tools": True},
        {"name": "other", "url": url, "auth_type": "forward", "auth_header_name": "X-User"},
        {"name": "gone", "url": f"{userinfo}?token={secret('gone')}", "max_retries": 0},
        {
            "name": "wrong",
            "url": url,
            "auth_type": "static",
            "auth_headers": {"Authorization": secret("wrong")},
            "max_retries": 0,
        },
        plain_entry("child", None, env={"TOKEN": secret("env"), "PASSED_ON": "${PLANTED}"}),
        {
            "name": "chatty",
            "command": sys.executable,
            "args": ["-c", CHATTY, "--api-key", secret("argument")],
            "env": {"API_KEY": secret("chatty"), "DATABASE_URL": f"postgres://me:{secret('dsn')}@db/x"},
            "max_retries": 0,
        },
        {"name": "unset", "url": f"http://x/?key={secret('beside')}&y=${{NOT_SET_ANYWHERE}}"},
    ]


CALLER = {
    "authorization": f"Bearer {secret('caller')}",
    "x-user": secret("user"),
    "cookie": f"session={secret('cookie')}",
    "x-mcp-gateway-token": secret("token"),
}


def use_gateway(gateway: HttpGateway) -> list[str]:
    """Use a gateway in all ways, right and wrong; return all answers, with their headers."""
    answers: list[str] = []
    for modern in (True, False):
        client = HttpClient(gateway.url, modern=modern, headers=CALLER)
        answers += [str(client.ask(method, {})) for method in ("tools/list", "prompts/list", "resources/list")]
        calls: list[tuple[str, Json]] = [
            ("tool_search", {"query": "echo whoami", "explain": True}),
            ("tool_search", {"query": f"({secret('pattern')}", "use_regex": True}),
            *(
                ("discover_tools", {"server_name": name})
                for name in ("saved", "mine", "gone", "wrong", "chatty", "unset")
            ),
            ("call_remote_tool", {"tool_name": "saved__nope", "auth_header": secret("once")}),
            ("call_remote_tool", {"tool_name": "saved__fail", "arguments": {"password": secret("password")}}),
            ("call_remote_tool", {"tool_name": "child__crash", "arguments": {"password": secret("password")}}),
            ("call_remote_tool", {"tool_name": "child__fail", "auth_header": secret("once")}),
            ("call_remote_tool", {"tool_name": 5, "auth_header": secret("once"), "password": secret("password")}),
            ("call_remote_tool", {"tool_name": "gone__x", "arguments": {"password": secret("password")}}),
            ("mine__fail", {"password": secret("password")}),
            ("other__echo", {"nothing": "secret"}),
        ]
        for tool, arguments in calls:
            response = client.post("tools/call", {"name": tool, "arguments": arguments})
            answers.append(f"{response.headers} {response.text}")
        client.close()
    for sent in ({"authorization": f"Bearer {secret('guess')}"}, {"x-mcp-gateway-token": secret("guess")}):
        refused = httpx2.post(
            f"{gateway.url}?token={secret('guess')}", json={"password": secret("guess")}, headers=sent
        )
        answers.append(f"{refused.status_code} {refused.headers} {refused.text}")
    for path in ("/health", "/metrics", "/"):
        found = httpx2.get(gateway.url.replace("/mcp", path), headers={"x-mcp-gateway-token": secret("token")})
        answers.append(f"{found.headers} {found.text}")
    return answers


def arguments_of(process: Any) -> str:
    """Return the command line of a process as others see it."""
    return Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def files_in(folder: Path) -> Iterator[str]:
    """Iterate over the content of all files, and their names."""
    for path in folder.rglob("*"):
        yield str(path)
        if path.is_file():
            yield path.read_bytes().decode("utf-8", "replace")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """Run a Redis with a password."""
    port, folder = free_port(), tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder, port), Redis(port=port) as client:
        client.config_set("requirepass", secret("redis"))
        yield client


def read_storage(client: Redis) -> str:
    """Return all that is in a Redis."""
    client.execute_command("AUTH", secret("redis"))
    found: list[str] = []
    for key in client.keys("*"):
        value = client.get(key) if client.type(key) == b"string" else b""
        with suppress(zlib.error):
            value += zlib.decompress(value.partition(b"\n")[2])
        found.append(f"{key!r} {value!r}")
    return "\n".join(found)


def find_secrets(said: str) -> list[str]:
    return sorted({word.split("-x7")[0] for word in said.split("S3CRET-")[1:]})


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")
def test_secrets_come_out_nowhere(launcher: Launcher, redis: Redis, tmp_path: Path) -> None:
    url, _ = launcher.start_plain_http("--era", "modern")
    away = f"http://127.0.0.1:{free_port()}/mcp"
    port = redis.connection_pool.connection_kwargs["port"]
    gateway = launcher.start_http(
        launcher.config(*plant_secrets(url, away)),
        GATEWAY_AUTH_TOKEN=secret("token"),
        GATEWAY_LOG_LEVEL="debug",
        STORAGE_BACKEND="redis",
        REDIS_URL=f"redis://:{secret('redis')}@127.0.0.1:{port}/0",
        PLANTED=secret("planted"),
        GATEWAY_AUTH_TOKNE=secret("misspelt"),
        GATEWAY_STATE_DIR=str(tmp_path / "state"),
    )
    answers = use_gateway(gateway)
    seen = {"answers": "\n".join(answers), "command line": arguments_of(gateway.popen), "storage": read_storage(redis)}
    limits = Path(f"/proc/{gateway.popen.pid}/limits").read_text(encoding="utf-8")
    gateway.end()
    gateway.errors.until(lambda line: "stopping" in line)
    assert gateway.popen.stdout is not None
    seen |= {"log": "\n".join(gateway.errors.seen), "standard output": gateway.popen.stdout.read()}
    seen["files"] = "\n".join(files_in(tmp_path / "state"))
    echoed = {"pattern"}  # the model's own words: a query is no secret place, and its answer repeats it
    found = {where: [name for name in find_secrets(said) if name not in echoed] for where, said in seen.items()}
    assert found == {where: [] for where in seen}
    assert "mcp-gateway" in seen["storage"], "the storage was used"
    assert '"chatty' in seen["log"], "the log was searched in earnest"
    core = next(line.split()[4] for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core == "0", "a crash leaves no core dump"


def test_a_state_folder_and_a_storage_that_fails_hold_none_either(launcher: Launcher, tmp_path: Path) -> None:
    url, _ = launcher.start_plain_http("--era", "modern")
    config = launcher.config(*plant_secrets(url, f"http://127.0.0.1:{free_port()}/mcp"))
    gateway = launcher.start_http(
        config,
        GATEWAY_AUTH_TOKEN=secret("token"),
        GATEWAY_LOG_LEVEL="debug",
        STORAGE_BACKEND="redis",
        REDIS_URL=f"redis://me:{secret('redis')}@127.0.0.1:{free_port()}/0",
        PLANTED=secret("planted"),
    )
    answers = use_gateway(gateway)
    gateway.end()
    gateway.errors.until(lambda line: "stopping" in line)
    said = "\n".join([*answers, *gateway.errors.seen, *files_in(launcher.folder / "state")])
    assert [name for name in find_secrets(said) if name != "pattern"] == []


@pytest.mark.parametrize("command", [["check"], ["check", "--json"], ["plugins"], ["pins"], ["servers"], ["tools"]])
def test_no_command_prints_one(launcher: Launcher, command: list[str]) -> None:
    url, _ = launcher.start_plain_http("--era", "modern")
    config = launcher.config(*plant_secrets(url, f"http://127.0.0.1:{free_port()}/mcp"))
    variables = {"GATEWAY_AUTH_TOKEN": secret("token"), "PLANTED": secret("planted"), "GATEWAY_TRANSPORT": "http"}
    done = launcher.run(*command, config=config, **variables)
    assert done.stdout or done.stderr
    assert find_secrets(done.stdout + done.stderr) == []


def test_a_configuration_that_is_wrong_repeats_none(launcher: Launcher) -> None:
    wrong = [
        {"name": "a", "url": f"ftp://u:{secret('scheme')}@x", "auth_heders": {"X": secret("typo")}},
        {"name": "b", "command": {"x": secret("command")}},
        {"name": "c", "url": "http://x", "auth_type": "static", "auth_headers": secret("headers")},
    ]
    done = launcher.run("serve", config=launcher.config(*wrong), GATEWAY_PORT=secret("port"), GATEWAY_TRANSPORT="http")
    assert done.returncode == 1
    assert find_secrets(done.stdout + done.stderr) == []
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(launcher.config(*wrong))), modern=False)
    told = client.handshake_result["instructions"]
    assert "server 'a'" in told
    assert "server 'c'" in told
    searched = client.call("tool_search", {"query": "x"})
    assert find_secrets(f"{told} {searched}") == []


def test_tokens_of_an_authorization_server_come_out_nowhere(launcher: Launcher) -> None:
    server, port = start_authorization_server(launcher), free_port()
    address = f"http://127.0.0.1:{port}/mcp"
    gateway = launcher.start_http(
        launcher.config(plain_entry("plain")),
        GATEWAY_PORT=str(port),
        GATEWAY_AUTH_ISSUER=server.issuer,
        GATEWAY_AUTH_AUDIENCE=address,
        GATEWAY_LOG_LEVEL="debug",
    )
    right = server.token(by="us", claims={"aud": address, "sub": "alice"}, header={})
    answers: list[str] = []
    for token in (right, f"{right[:-4]}AAAA", secret("token"), f"a.{secret('token')}.c"):
        sent = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
        answered = httpx2.post(gateway.url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=sent)
        answers.append(f"{answered.headers} {answered.text}")
    gateway.end()
    gateway.errors.until(lambda line: "stopping" in line)
    said = "\n".join([*answers, *gateway.errors.seen])
    assert right.rpartition(".")[2] not in said
    assert find_secrets(said) == []


def test_logins_of_the_gateways_own_come_out_nowhere(launcher: Launcher) -> None:
    server = start_authorization_server(launcher)
    entry = {
        "name": "crm",
        "url": start_protected_server(launcher, server.issuer),
        "auth_type": "oauth",
        "grant": "client_credentials",
        "client_id": "machine",
        "client_secret": "machine-secret",
        "issuer": server.issuer,
    }
    folder = launcher.folder / "oauth"
    variables = {"GATEWAY_OAUTH_FOLDER": str(folder), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    gateway = launcher.start_http(launcher.config(entry), GATEWAY_LOG_LEVEL="debug", **variables)
    client = HttpClient(gateway.url, modern=True)
    answers = [str(client.call(tool, {})) for tool in ("crm__whoami", "crm__refuse", "crm__whoami", "crm__nope")]
    assert "machine" in answers[0], "the login works"
    gateway.end()
    gateway.errors.until(lambda line: "stopping" in line)
    said = "\n".join([*answers, *gateway.errors.seen, *files_in(folder), *files_in(launcher.folder / "state")])
    assert "machine-secret" not in said
    assert "eyJ" not in said, "that is how access tokens begin"


def test_what_is_searched_would_be_found(launcher: Launcher) -> None:
    """Try the search itself: what a tool answers is the server's own, and comes out."""
    gateway = launcher.start_http(launcher.config(plain_entry("plain")))
    client = HttpClient(gateway.url, modern=True)
    answered = client.call("plain__echo", {"password": secret("answer")})
    assert find_secrets(json.dumps(answered)) in (["answer"], [])
    assert find_secrets(f"x {secret('a')} y {secret('b')}") == ["a", "b"]
    assert GATEWAY
