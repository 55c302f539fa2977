"""Where requests go, and what each says of it."""

from __future__ import annotations

import pytest
from mcp_gateway_transport_http.client.request_target import Endpoint

from mcp_gateway.plugin import can_connect_directly


@pytest.mark.parametrize(
    "url, origin, target, host",
    [
        ("http://here.test", "http://here.test:80", "/", "here.test"),
        ("http://here.test:80/mcp?a=b#c", "http://here.test:80", "/mcp?a=b", "here.test"),
        ("https://here.test/mcp", "https://here.test:443", "/mcp", "here.test"),
        ("https://here.test:80/mcp", "https://here.test:80", "/mcp", "here.test:80"),
        ("http://[::1]:8080/mcp", "http://[::1]:8080", "/mcp", "[::1]:8080"),
        ("http://me:pw@here.test/", "http://here.test:80", "/", "here.test"),
    ],
)
def test_a_url_is_an_origin_and_a_target(url, origin, target, host):
    endpoint = Endpoint.of(url)
    assert (endpoint.origin, endpoint.target, endpoint.host) == (origin, target, host)


def test_credentials_replace_what_is_usual_and_no_field_comes_twice():
    fields = Endpoint.of("http://me:p%40w@here.test/").encode_fields({"X-Api-Key": "k", "User-Agent": "mine"})
    lines = fields.decode().split("\r\n")
    assert "authorization: Basic bWU6cEB3" in lines
    assert {"x-api-key: k", "user-agent: mine", "accept-encoding: identity", "host: here.test"} < set(lines)
    assert fields.lower().count(b"user-agent") == 1
    own = Endpoint.of("http://me:pw@here.test/").encode_fields({"Authorization": "Bearer x", "Host": "else"})
    assert (b"authorization: Bearer x\r\n" in own, b"Basic" in own, b"else" in own) == (True, False, False)


def test_values_are_latin_1_or_else_utf_8():
    fields = Endpoint.of("http://here.test/").encode_fields({"a": "\xe9", "b": "\u20ac"})
    assert b"a: \xe9\r\nb: \xe2\x82\xac\r\n" in fields


def test_servers_behind_a_proxy_are_reached_by_it(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert can_connect_directly("http://example.org/mcp")
    assert can_connect_directly("http://me:secret@example.org/mcp")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert not can_connect_directly("http://example.org/mcp")
    monkeypatch.setenv("no_proxy", "example.org")
    assert can_connect_directly("http://example.org/mcp")
