import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from mcp_gateway_transport_http.auth.bearer import BearerAuthMiddleware
from mcp_gateway_transport_http.options import ListenOptions
from pydantic import ValidationError

TOKEN = "the-gateways-own"
TOKENED = {"GATEWAY_AUTH_TOKEN": TOKEN}
Pairs = list[tuple[str, str]]


@dataclass
class Exchange:
    """A request and its response: the status, the body, and the headers that the application got, if it got it."""

    status: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    passed: list[tuple[str, str]] | None = None

    @property
    def error_message(self) -> str:
        return self.body["error"]["message"]


async def send_request(
    *sent: tuple[str, str],
    client: tuple[str, int] | None = ("127.0.0.1", 5),
    host: bool = True,
    version: str = "1.1",
    path: str = "/mcp",
    **options: str,
) -> Exchange:
    """Send a request with `sent` headers; `host` is that of this machine unless it is among them."""
    result = Exchange()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        result.passed = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            result.status = message["status"]
            result.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            result.body = json.loads(message["body"])

    own = [("host", "127.0.0.1:8080")] if host and not any(name == "host" for name, _ in sent) else []
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in [*own, *sent]]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "client": client}
    scope["http_version"] = version
    await BearerAuthMiddleware(app, ListenOptions.model_validate(options))(scope, None, send)  # type: ignore[arg-type]
    return result


LOOPBACK = [("127.0.0.1", 1), ("127.8.8.8", 1), ("::1", 1), ("::ffff:127.0.0.1", 1)]
REMOTE_CLIENTS = [
    ("192.168.1.9", 1),
    ("8.8.8.8", 1),
    ("fe80::1", 1),
    ("::ffff:10.0.0.1", 1),
    ("0.0.0.0", 1),
    ("testclient", 1),
    None,
]


@pytest.mark.parametrize("client", LOOPBACK, ids=str)
async def test_this_machine_may_come_in_without_a_token(client):
    assert (await send_request(client=client)).status == 200


@pytest.mark.parametrize("client", REMOTE_CLIENTS, ids=str)
async def test_other_machines_may_not_and_are_told_what_to_do(client):
    result = await send_request(client=client)
    assert (result.status, result.passed) == (403, None)
    assert "GATEWAY_AUTH_TOKEN" in result.error_message


async def test_an_address_in_a_header_is_not_believed():
    sent = [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"), ("x-real-ip", "127.0.0.1")]
    assert (await send_request(*sent, client=("8.8.8.8", 1))).status == 403


@pytest.mark.parametrize("client", [*LOOPBACK, *REMOTE_CLIENTS], ids=str)
async def test_with_a_token_set_everyone_needs_it(client):
    assert (await send_request(client=client, **TOKENED)).status == 401
    assert (await send_request(("authorization", f"Bearer {TOKEN}"), client=client, **TOKENED)).status == 200


@pytest.mark.parametrize(
    "value",
    ["", TOKEN, f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer tökén"],
    ids=ascii,
)
async def test_a_wrong_token_is_none(value):
    result = await send_request(("authorization", value), **TOKENED)
    assert (result.status, result.passed) == (401, None)
    assert result.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in json.dumps(result.body)


@pytest.mark.parametrize("value", [f"bearer {TOKEN}", f"BEARER   {TOKEN}", f"Bearer {TOKEN} "])
async def test_the_scheme_is_read_as_http_says(value):
    assert (await send_request(("authorization", value), **TOKENED)).status == 200


async def test_the_gateways_token_is_not_passed_on():
    result = await send_request(("authorization", f"Bearer {TOKEN}"), ("x-other", "stays"), **TOKENED)
    assert result.passed == [("host", "127.0.0.1:8080"), ("x-other", "stays")]


async def test_a_token_in_its_own_header_leaves_authorization_to_the_servers():
    result = await send_request(("authorization", "Bearer downstream"), ("x-mcp-gateway-token", TOKEN), **TOKENED)
    assert result.passed == [("host", "127.0.0.1:8080"), ("authorization", "Bearer downstream")]


async def test_the_token_is_not_passed_on_when_it_is_sent_in_both_headers():
    sent = [("Authorization", f"Bearer {TOKEN}"), ("X-MCP-Gateway-Token", TOKEN)]
    result = await send_request(*[(name.lower(), value) for name, value in sent], **TOKENED)
    assert TOKEN not in str(result.passed)


async def test_who_sends_a_wrong_token_hears_that_it_arrived():
    wrong = await send_request(("authorization", "Bearer wrong"), **TOKENED)
    assert "What was sent is not this gateway's token" in json.dumps(wrong.body)
    assert "This gateway wants its token" in json.dumps((await send_request(**TOKENED)).body)


async def test_a_wrong_token_in_its_own_header_is_not_let_in_nor_passed_on():
    assert (await send_request(("x-mcp-gateway-token", "wrong"), **TOKENED)).status == 401
    result = await send_request(("authorization", f"Bearer {TOKEN}"), ("x-mcp-gateway-token", "wrong"), **TOKENED)
    assert "x-mcp-gateway-token" not in dict(result.passed or [])


async def test_a_caller_without_token_keeps_its_authorization_where_none_is_set():
    result = await send_request(("authorization", "Bearer downstream"))
    assert dict(result.passed or [])["authorization"] == "Bearer downstream"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080"])
async def test_names_of_this_machine_are_known(host):
    assert (await send_request(("host", host))).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[::1", "localhost@evil"]
)
async def test_a_host_that_was_rebound_to_this_machine_is_refused(host):
    result = await send_request(("host", host))
    assert (result.status, result.passed) == (421, None)
    assert "GATEWAY_ALLOWED_HOSTS" in result.error_message


async def test_a_name_can_be_allowed():
    assert (await send_request(("host", "gate.example:443"), GATEWAY_ALLOWED_HOSTS="gate.example, other")).status == 200


async def test_with_a_token_any_host_will_do_unless_names_were_given():
    bearer = ("authorization", f"Bearer {TOKEN}")
    assert (await send_request(("host", "gate.example"), bearer, **TOKENED)).status == 200
    assert (
        await send_request(("host", "gate.example"), bearer, **TOKENED, GATEWAY_ALLOWED_HOSTS="other")
    ).status == 421


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:5"])
async def test_web_pages_of_this_machine_are_friends(origin):
    assert (await send_request(("origin", origin))).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://localhost.evil.example", "file://localhost", "http://[::1"]
)
async def test_other_web_pages_are_refused_even_with_the_token(origin):
    assert (await send_request(("origin", origin))).status == 403
    result = await send_request(("origin", origin), ("authorization", f"Bearer {TOKEN}"), **TOKENED)
    assert (result.status, result.passed) == (403, None)
    assert "GATEWAY_CORS_ORIGINS" in result.error_message


async def test_an_origin_can_be_allowed():
    origins = "https://app.example, https://other.example"
    assert (await send_request(("origin", "https://app.example"), GATEWAY_CORS_ORIGINS=origins)).status == 200
    assert (await send_request(("origin", "https://app.example.evil"), GATEWAY_CORS_ORIGINS=origins)).status == 403
    token = ("authorization", f"Bearer {TOKEN}")
    assert (
        await send_request(("origin", "https://any.example"), token, GATEWAY_CORS_ORIGINS="*", **TOKENED)
    ).status == 200


def test_all_origins_may_be_allowed_only_with_a_token():
    with pytest.raises(ValidationError, match=r"GATEWAY_CORS_ORIGINS=\* .* set GATEWAY_AUTH_TOKEN"):
        ListenOptions.model_validate({"GATEWAY_CORS_ORIGINS": "https://app.example, *"})


PROXY_HEADERS = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-anything",
    "via",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "x-client-ip",
]


@pytest.mark.parametrize("name", PROXY_HEADERS)
@pytest.mark.parametrize("value", ["127.0.0.1", "8.8.8.8", ""])
async def test_without_a_token_what_a_proxy_has_passed_on_is_refused_and_told_what_to_do(name, value):
    result = await send_request((name, value))
    assert (result.status, result.passed) == (403, None)
    assert "GATEWAY_AUTH_TOKEN" in result.error_message
    assert name in result.error_message
    assert (await send_request((name, value), ("authorization", f"Bearer {TOKEN}"), **TOKENED)).status == 200


@pytest.mark.parametrize("options", [{}, TOKENED], ids=["open", "token"])
async def test_there_is_exactly_one_host(options):
    token = ("authorization", f"Bearer {TOKEN}")
    two = await send_request(("host", "localhost"), ("host", "localhost"), token, **options)
    assert (two.status, two.passed, two.headers["connection"]) == (400, None, "close")
    none = await send_request(token, host=False, **options)
    assert (none.status, none.passed) == (400, None)
    assert "exactly one Host" in none.error_message


async def test_http_1_0_may_do_without_a_host_but_then_has_no_name_of_this_machine():
    token = ("authorization", f"Bearer {TOKEN}")
    assert (await send_request(token, host=False, version="1.0", **TOKENED)).status == 200
    assert (await send_request(host=False, version="1.0")).status == 421


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/mcp/.well-known/openid-configuration",
        "/register",
    ],
)
async def test_where_clients_look_for_oauth_there_is_nothing_and_no_401(path):
    result = await send_request(path=path, **TOKENED)
    assert result.passed is not None  # and behind the gate it is a 404
    assert (await send_request(path=path, client=("8.8.8.8", 1))).status == 403


@pytest.mark.parametrize("path", ["/", "/mcp", "/health", "/registers", "/register/x", "/well-known/x"])
async def test_everywhere_else_the_token_is_wanted(path):
    assert (await send_request(path=path, **TOKENED)).status == 401


@pytest.mark.parametrize("length, is_wise", [(8, False), (15, False), (16, True)])
def test_a_short_token_is_taken_with_a_caution(length, is_wise):
    caution = ListenOptions.model_validate({"GATEWAY_AUTH_TOKEN": "x" * length}).caution
    assert (caution is None) is is_wise
    assert is_wise or "16 characters" in str(caution)


async def test_what_is_no_http_request_passes():
    seen = []

    async def app(scope: Any, *_: Any) -> None:
        seen.append(scope["type"])

    await BearerAuthMiddleware(app, ListenOptions())({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == ["lifespan"]


@pytest.mark.parametrize("token", ["short", "token with spaces", "t\u00f6ken-of-some-length", "line\nbreak-in-it"])
def test_a_token_that_no_client_could_send_is_refused(token):
    with pytest.raises(ValidationError, match="use at least 8 printable ASCII characters") as caught:
        ListenOptions.model_validate({"GATEWAY_AUTH_TOKEN": token})
    assert token not in str(caught.value)
