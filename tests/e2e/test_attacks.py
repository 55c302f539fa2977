"""Attacks on the gateway's defaults, each through the real front door or the real reader of the configuration."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from .support.gateways import HttpGateway, Launcher, plain_entry, read_log, until
from .support.raw_clients import HttpClient, Json, add_envelope
from .test_auth import own_address

TOKEN = "the-gateways-own"
ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


class Target:
    """A gateway, the server behind it, and what that server has seen."""

    def __init__(self, launcher: Launcher, **variables: str) -> None:
        self.log = launcher.folder / "seen.log"
        url, _ = launcher.start_plain_http("--era", "modern", log=self.log)
        servers = [{"name": "open", "url": url}, {"name": "forward", "url": url, "auth_type": "forward"}]
        self.gateway: HttpGateway = launcher.start_http(launcher.config(*servers), **variables)
        self.url = self.gateway.url
        warm = HttpClient(self.url, modern=True, headers={"x-mcp-gateway-token": TOKEN})
        until(lambda: warm.call("open__echo", {})["result"].get("structuredContent"), "the server is there")
        assert self.calls

    @property
    def calls(self) -> int:
        return len(read_log(self.log, "tools/call"))

    def post(self, body: bytes | str, **headers: str) -> httpx2.Response:
        sent = body.encode() if isinstance(body, str) else body
        return httpx2.post(self.url, content=sent, headers={**ACCEPT, **headers}, timeout=60)

    def call(self, arguments: str = "{}", tool: str = "open__echo", **headers: str) -> httpx2.Response:
        """Send a plain call of the modern era, with its arguments as text."""
        params = json.dumps(add_envelope({"name": tool}))[:-1] + f', "arguments": {arguments}}}'
        body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'
        routing = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": tool}
        return self.post(body, **{**routing, **headers})

    def lives(self) -> bool:
        return bool(self.call().json()["result"]["structuredContent"])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway that nobody changes."""
    with ExitStack() as stack:
        yield Target(Launcher(tmp_path_factory.mktemp("target"), stack))


# -- who gets in


def test_another_machine_gets_in_without_a_token_at_no_url(launcher: Launcher) -> None:
    target = Target(launcher, GATEWAY_HOST="0.0.0.0")
    before = target.calls
    url = target.url.replace("127.0.0.1", own_address())
    target.url = url
    assert target.call().status_code == 403
    assert target.call(**{"x-forwarded-for": "127.0.0.1", "host": "127.0.0.1"}).status_code == 403
    for path in ("/health", "/", "/mcp/", "/.well-known/oauth-protected-resource/mcp", "//mcp"):
        assert httpx2.get(url.replace("/mcp", path)).status_code == 403
    assert target.calls == before


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize(
    "header",
    ["forwarded", "x-forwarded-for", "x-forwarded-proto", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"],
)
def test_no_header_of_a_proxy_admits_a_caller(target: Target, header: str, modern: bool) -> None:
    client = HttpClient(target.url, modern=modern)
    assert "result" in client.call("open__echo", {})
    before = target.calls
    client.headers = {header: "127.0.0.1"}
    requests = [("tools/call", {"name": "open__echo", "arguments": {}}), ("tools/list", {}), ("prompts/list", {})]
    for method, params in requests:
        refused = client.post(method, params)
        assert refused.status_code == 403, method
        assert "set GATEWAY_AUTH_TOKEN" in refused.json()["error"]["message"]
    assert target.calls == before


def test_a_forwarded_address_is_not_believed_whatever_the_environment_says(launcher: Launcher) -> None:
    target = Target(launcher, GATEWAY_HOST="0.0.0.0", FORWARDED_ALLOW_IPS="*")
    before = target.calls
    target.url = target.url.replace("127.0.0.1", own_address())
    assert target.call(**{"x-forwarded-for": "127.0.0.1", "host": "localhost"}).status_code == 403
    assert target.calls == before


def test_without_oauth_clients_find_none_where_they_look_for_it(launcher: Launcher) -> None:
    target = Target(launcher, GATEWAY_AUTH_TOKEN=TOKEN)
    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/openid-configuration", "/register"):
        assert httpx2.get(target.url.replace("/mcp", path)).status_code == 404
        assert httpx2.post(target.url.replace("/mcp", path), json={}).status_code == 404
    assert httpx2.get(target.url).status_code == 401


def test_a_short_token_is_a_warning_in_check_and_in_the_log_and_never_shown(launcher: Launcher) -> None:
    config, short = launcher.config(), "s3cret-tok"
    checked = launcher.run("check", config=config, GATEWAY_TRANSPORT="http", GATEWAY_AUTH_TOKEN=short)
    assert checked.returncode == 0
    assert "warning: environment: GATEWAY_AUTH_TOKEN has fewer than 16 characters" in checked.stdout
    gateway = launcher.start_http(config, GATEWAY_AUTH_TOKEN=short)
    logged = [line for line in gateway.errors.seen if "fewer than 16 characters" in line]
    assert len(logged) == 1
    assert short not in checked.stdout + "".join(gateway.errors.seen)


def test_a_token_that_is_nearly_right_is_wrong(launcher: Launcher) -> None:
    target = Target(launcher, GATEWAY_AUTH_TOKEN=TOKEN)
    before = target.calls
    wrong = [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), TOKEN + "\t" + TOKEN, f"{TOKEN},{TOKEN}", "\xff" * 16]
    for token in wrong:
        for headers in ({"authorization": f"Bearer {token}"}, {"x-mcp-gateway-token": token}):
            sent = {name: value.encode("latin-1") for name, value in headers.items()}
            assert target.call(**sent).status_code == 401, token  # type: ignore[arg-type]
    assert target.call(cookie=f"token={TOKEN}").status_code == 401
    assert httpx2.get(f"{target.url}?token={TOKEN}&access_token={TOKEN}").status_code == 401
    assert target.calls == before
    assert target.call(authorization=f"Bearer {TOKEN}").status_code == 200


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from mcp_gateway_transport_http.auth import bearer as gates
    from mcp_gateway_transport_http.options import ListenOptions

    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        assert other == TOKEN.encode()
        return False

    monkeypatch.setattr(gates.hmac, "compare_digest", compare)
    gate = gates.BearerAuthMiddleware(None, ListenOptions.model_validate({"GATEWAY_AUTH_TOKEN": TOKEN}))  # type: ignore[arg-type]
    sent = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"x-mcp-gateway-token", b"x"), (b"authorization", b"")]
    scope = {"type": "http", "path": "/mcp", "client": ("127.0.0.1", 1), "headers": [(b"host", b"127.0.0.1"), *sent]}
    assert isinstance(gate.decide(scope), gates.Refusal)
    assert sorted(compared) == sorted([TOKEN.encode(), b"x", b""])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "[::1",
        "a@127.0.0.1x",
    ],
    ids=str,
)
def test_a_name_that_was_rebound_to_this_machine_is_not_served(target: Target, host: str) -> None:
    before = target.calls
    assert target.call(host=host).status_code == 421
    assert target.calls == before


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://", ""])
def test_a_foreign_page_can_neither_ask_nor_read(target: Target, origin: str) -> None:
    before = target.calls
    simple = target.call(origin=origin, **{"content-type": "text/plain"})
    assert simple.status_code == 403
    assert target.call(origin=origin).status_code == 403
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    preflight = httpx2.options(target.url, headers={"origin": origin, **asked})
    for answer in (simple, preflight):
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
    assert target.calls == before


def test_two_host_or_origin_headers_do_not_confuse_it(target: Target) -> None:
    before = target.calls
    port = int(target.url.split(":")[2].partition("/")[0])
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    for lines in (
        b"host: evil.example\r\nhost: 127.0.0.1\r\n",
        b"host: 127.0.0.1\r\norigin: http://localhost\r\norigin: https://evil.example\r\n",
        b"host: 127.0.0.1\r\norigin: https://evil.example\r\norigin: http://localhost\r\n",
    ):
        head = b"POST /mcp HTTP/1.1\r\n" + lines + b"content-type: application/json\r\n"
        head += b"accept: application/json, text/event-stream\r\n"
        assert _raw(port, head + b"content-length: %d\r\n\r\n" % len(body) + body) in (400, 403, 421)
    assert target.calls == before


# -- what gets in


def test_what_is_too_long_is_refused_however_it_is_sent(launcher: Launcher) -> None:
    target = Target(launcher, GATEWAY_MAX_REQUEST_BYTES="10000")
    before = target.calls
    assert target.call(json.dumps({"x": "y" * 20_000})).status_code == 413
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open__echo","x":"' + b"y" * 20_000
    chunks = (body[at : at + 1000] for at in range(0, len(body), 1000))
    chunked = httpx2.post(target.url, content=chunks, headers=ACCEPT)
    assert chunked.status_code == 413
    assert target.calls == before
    assert target.lives()


@pytest.mark.parametrize("depth", [2_000, 500_000])
@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_json_that_is_nested_deeply_is_an_error_and_nothing_more(
    target: Target, depth: int, opening: str, closing: str
) -> None:
    deep = opening * depth + "1" + closing * depth
    for body in (deep, f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{deep}}}'):
        assert target.post(body).status_code in (400, 404, 413)
    for arguments in (f'{{"x": {deep}}}', deep):
        answer = target.call(arguments)
        assert answer.status_code in (200, 400, 413)
    remote = target.call(f'{{"tool_name": "open__echo", "arguments": {json.dumps(deep)}}}', "call_remote_tool")
    assert remote.status_code in (200, 400, 413)
    assert target.lives()


def test_a_key_that_stands_twice_means_the_same_to_all_who_read_it(target: Target) -> None:
    """What is checked is what is sent: the last one counts, as in the server behind."""
    twice = '{"tool_name": "forward__echo", "tool_name": "open__echo", "arguments": {"a": 1}, "arguments": {"b": 2}}'
    sent = target.call(twice, "call_remote_tool").json()["result"]
    assert sent["structuredContent"]["arguments"] == {"b": 2}
    refused = target.call(
        '{"tool_name": "open__echo", "tool_name": "forward__echo", "arguments": {}}', "call_remote_tool"
    ).json()["result"]
    assert refused["structuredContent"]["error_code"] == "unauthorized"


def test_a_name_that_stands_twice_must_be_the_one_in_the_headers(target: Target) -> None:
    before = target.calls
    params = json.dumps(add_envelope({"name": "open__echo"}))[:-1] + ', "name": "open__whoami"}'
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'
    routing = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "open__echo"}
    answer = target.post(body, **routing)
    assert answer.status_code == 400
    assert target.calls == before


def test_a_method_that_stands_twice_is_not_two(target: Target) -> None:
    before = target.calls
    body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"open__echo"}}'
    target.post(body)
    assert target.calls == before


def test_a_batch_is_refused_whole(target: Target) -> None:
    before = target.calls
    one = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": add_envelope({"name": "open__echo"})}
    for batch in ([one], [one] * 100, []):
        assert target.post(json.dumps(batch)).status_code == 400
    assert target.calls == before
    assert target.lives()


@pytest.mark.parametrize("server", ["open", "forward"])
@pytest.mark.parametrize(
    "value", ["Bearer a\r\nx-evil: 1", "Bearer a\nx-evil: 1", "a\rb", "a\x00b", "a\x1b[2Jb", "a\x7f"], ids=ascii
)
def test_a_header_cannot_be_smuggled_in_by_auth_header(target: Target, server: str, value: str) -> None:
    before = target.calls
    arguments = json.dumps({"tool_name": f"{server}__whoami", "auth_header": value})
    answer = target.call(arguments, "call_remote_tool").json()["result"]
    assert answer["isError"] is True
    assert answer["structuredContent"]["error_code"] in ("invalid_arguments", "unauthorized")
    assert "x-evil" not in str(answer)
    assert target.calls == before


@pytest.mark.parametrize(
    "value", ["Bearer a\u2028x-evil: 1", "Bearer a\x85x-evil: 1", "Bearer \u010a\u010dx-evil: 1"], ids=ascii
)
def test_letters_that_only_look_like_line_breaks_begin_no_header(target: Target, value: str) -> None:
    arguments = json.dumps({"tool_name": "open__whoami", "auth_header": value})
    result = target.call(arguments, "call_remote_tool").json()["result"]
    if not result.get("isError"):
        assert "x-evil" not in result["structuredContent"]["headers"]


# -- what the configuration may lead to


def checked(launcher: Launcher, entry: Json, **variables: str) -> str:
    """Return what `check` says of a server."""
    done = launcher.run("check", config=launcher.config(entry), **variables)
    return f"{done.returncode} {done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://x.example/mcp",
        "gopher://x.example/_x",
        "javascript:alert(1)",
        "data:text/plain,x",
        "unix:///var/run/docker.sock",
        "ws://x.example/mcp",
        "//x.example/mcp",
        "/mcp",
        "http://",
        "http:// x/",
    ],
    ids=str,
)
def test_a_url_is_http_or_https_or_refused(launcher: Launcher, url: str) -> None:
    for entry in ({"url": url}, {"url": "${WHERE}"}):
        said = checked(launcher, {"name": "a", "transport": "http", **entry}, WHERE=url)
        assert said.startswith("1 ")
        assert "url" in said
        assert "passwd" not in said


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "0xA9FEA9FE", "2852039166", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"],
    ids=str,
)
def test_the_metadata_of_a_cloud_is_out_of_reach(launcher: Launcher, host: str) -> None:
    entry = {"name": "a", "url": f"http://{host}/latest/meta-data/iam/s3cr3t"}
    said = checked(launcher, entry)
    assert said.startswith("1 ")
    assert "allow_link_local" in said
    assert "s3cr3t" not in said
    assert checked(launcher, {**entry, "allow_link_local": True}).startswith("0 ")


def test_a_redirect_leads_to_no_other_host(launcher: Launcher) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            where = "http://169.254.169.254/latest" if self.path == "/mcp" else f"http://127.0.0.1:{other}/gotcha"
            self.send_response(307)
            self.send_header("location", where)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    servers = [HTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    other = servers[1].server_port
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        first = f"http://127.0.0.1:{servers[0].server_port}"
        entries = [
            {"name": name, "url": f"{first}/{path}", "max_retries": 0} for name, path in (("a", "mcp"), ("b", "x"))
        ]
        for entry in entries:
            answer = launcher.run("tools", config=launcher.config(entry), MCP_GATEWAY_CONNECTION_TIMEOUT="10")
            assert answer.returncode == 1
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
    assert "/gotcha" not in asked


def test_variables_are_values_and_nothing_else(launcher: Launcher) -> None:
    """They are expanded once, split nowhere, run by no shell, and are no keys."""
    marker = launcher.folder / "pwned"
    log = launcher.folder / "child.log"
    entry = plain_entry("child", log, env={"KEY": "${HOSTILE}", "${KEYNAME}": "x"})
    entry["args"] += ["--place", "${HOSTILE}"]
    hostile = f"$(touch {marker}); touch {marker} ${{HOME}} ${{GATEWAY_AUTH_TOKEN}} --era handshake"
    done = launcher.run(
        "tools", config=launcher.config(entry), HOSTILE=hostile, KEYNAME="EXPANDED", GATEWAY_AUTH_TOKEN=TOKEN
    )
    assert done.returncode == 0, done.stderr
    assert not marker.exists()
    assert TOKEN not in f"{done.stdout}{done.stderr}{log.read_text(encoding='utf-8')}"


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "${HOSTILE}", "url": "http://127.0.0.1:9/mcp"},
        {"name": "a", "url": "${HOSTILE}"},
        {"name": "a", "url": "http://127.0.0.1:9/mcp", "namespace": "${HOSTILE}"},
        {"name": "a", "url": "http://127.0.0.1:9/mcp", "transport": "${HOSTILE}"},
        {"name": "a", "url": "http://127.0.0.1:9/mcp", "auth_type": "${HOSTILE}"},
        {"name": "a", "url": "http://127.0.0.1:9/mcp", "auth_type": "static", "auth_headers": {"x": "${HOSTILE}"}},
        {"name": "a", "url": "http://127.0.0.1:9/mcp", "auth_type": "forward", "auth_header_name": "${HOSTILE}"},
        {"name": "a", "url": "http://127.0.0.1:9/mcp", "timeout": "${HOSTILE}"},
    ],
    ids=str,
)
def test_a_hostile_variable_is_refused_and_never_shown(launcher: Launcher, entry: Json) -> None:
    said = checked(launcher, entry, HOSTILE="s3cr3t__\r\nx-evil: 1")
    assert said.startswith("1 ")
    assert "s3cr3t" not in said


def test_the_gateways_own_token_is_no_variable_of_the_file(launcher: Launcher) -> None:
    for text in ("${GATEWAY_AUTH_TOKEN}", "${env:GATEWAY_AUTH_TOKEN}", "${GATEWAY_AUTH_TOKEN:-x}"):
        entry = {"name": "a", "url": "http://127.0.0.1:9/mcp", "auth_type": "static", "auth_headers": {"x": text}}
        said = checked(launcher, entry, GATEWAY_AUTH_TOKEN=TOKEN)
        assert said.startswith("1 ")
        assert "own secret" in said
        assert TOKEN not in said


@pytest.mark.parametrize(
    "text, code, said",
    [
        (
            '{"servers": [{"name": "a", "url": "http://127.0.0.1:9/", "url": "http://evil.example/"}]}',
            0,
            "'url' stands twice",
        ),
        ('{"servers": [], "servers": [{"name": "a"}]}', 1, "'servers' stands twice"),
        ('{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}', 1, "'a' stands twice"),
        ("[" * 100_000 + "]" * 100_000, 1, "nested too deeply"),
        ('{"servers": ' + "[" * 100_000 + "]" * 100_000 + "}", 1, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, 1, "nested too deeply"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_file_that_means_two_things_or_has_no_end_is_not_read_in_silence(
    launcher: Launcher, text: str, code: int, said: str
) -> None:
    path = launcher.folder / "hostile.json"
    path.write_text(text, encoding="utf-8")
    done = launcher.run("check", config=path)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def _raw(port: int, request: bytes) -> int:
    """Send bytes; return the status of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        return int(connection.makefile("rb").readline().split()[1])
