"""Redirects: within the origin, or from HTTP to HTTPS of the same host, and nowhere else."""

from __future__ import annotations

import pytest
from mcp_gateway_transport_http.client.carriers.carrier import HttpRequest, ResponseHead
from mcp_gateway_transport_http.client.drop_counter import DropCounter
from mcp_gateway_transport_http.client.exchange import Link
from mcp_gateway_transport_http.client.redirects import follow_redirect
from mcp_gateway_transport_http.client.request_exchange import RequestExchange
from mcp_gateway_transport_http.client.request_target import Endpoint
from mcp_gateway_transport_http.client.session import HttpSession

from .scripted_server import ANSWER, Heard, response, scripted

POST = HttpRequest("POST", "http://here.test:80", "/mcp?a=b", b"authorization: Bearer me\r\n", b"{}")


@pytest.mark.parametrize(
    "location, origin, target",
    [
        ("/next?c=d%20e", "http://here.test:80", "/next?c=d%20e"),
        ("last", "http://here.test:80", "/last"),
        ("?x", "http://here.test:80", "/mcp?x"),
        ("http://HERE.test/ö", "http://here.test:80", "/%C3%B6"),
        ("https://here.test/mcp/", "https://here.test:443", "/mcp/"),
    ],
)
def test_a_redirect_keeps_the_method_the_message_and_the_credentials(location, origin, target):
    found = follow_redirect(POST, ResponseHead(307, location=location))
    assert found == HttpRequest("POST", origin, target, POST.fields, b"{}")


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/mcp", "http://here.test:81/mcp", "https://127.0.0.1/mcp", "https://here.test:8443/",
        "//other.test/mcp", "http://me:pw@here.test/mcp", "https://me@here.test/", "http://[", "ftp://here.test/", "",
    ],
)  # fmt: skip
def test_a_redirect_elsewhere_is_not_followed_and_no_credentials_go_there(location):
    assert follow_redirect(POST, ResponseHead(307, location=location)) is None


def test_https_does_not_become_http_and_another_port_is_no_upgrade():
    secure = HttpRequest("POST", "https://here.test:443", "/mcp", b"", b"{}")
    assert follow_redirect(secure, ResponseHead(308, location="http://here.test/mcp")) is None
    other = HttpRequest("POST", "http://here.test:8080", "/mcp", b"", b"{}")
    assert follow_redirect(other, ResponseHead(308, location="https://here.test/mcp")) is None


@pytest.mark.parametrize("status", [200, 300, 301, 302, 303, 304])
def test_no_message_becomes_a_request_without_one(status):
    assert follow_redirect(POST, ResponseHead(status, location="/next")) is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_follows_all_of_them(status):
    get = HttpRequest("GET", "http://here.test:80", "/mcp", b"")
    assert follow_redirect(get, ResponseHead(status, location="/next")) == HttpRequest(
        "GET", "http://here.test:80", "/next", b""
    )


@pytest.mark.parametrize("carrier", ["direct", "httpx"])
async def test_a_redirect_to_another_host_does_not_take_the_credentials_along(carrier):
    async with scripted(response(ANSWER), carrier=carrier) as thief:
        where = thief.session.endpoint.origin
        moved = response(b"", "307 Temporary Redirect", more=f"location: {where}/mcp\r\n")
        async with scripted(moved, carrier=carrier) as wire:
            heard, _ = wire.begin()
            await heard.ended.wait()
            assert "HTTP 307" in str(heard.outcomes[0])
        assert (thief.requests, thief.connections) == ([], 0)


class Recorder:
    """A carrier that answers the first request with a redirect, and others with a response."""

    def __init__(self):
        self.requests, self.receivers = [], []

    def send(self, request, receiver):
        self.requests.append(request)
        self.receivers.append(receiver)
        return Flow()

    async def aclose(self):
        pass


class Flow:
    is_complete = True

    def close(self):
        pass

    release = close

    def set_reading_paused(self, *, paused):
        pass


async def test_after_a_redirect_to_https_everything_goes_there():
    session = HttpSession(Endpoint.of("http://here.test/mcp"), {})
    link = Link(session, Recorder(), 1000)
    for _ in range(2):
        heard = Heard()
        RequestExchange(link, 5, heard, DropCounter("here.test"), print).begin(b"{}", {})
        if len(link.carrier.requests) == 1:
            link.carrier.receivers[-1].on_head(ResponseHead(308, location="https://here.test/mcp"))
            link.carrier.receivers[-1].on_end()
        link.carrier.receivers[-1].on_head(ResponseHead(200, "application/json"))
        link.carrier.receivers[-1].on_body(ANSWER)
        link.carrier.receivers[-1].on_end()
        assert heard.outcomes == [ANSWER]
    assert [request.origin for request in link.carrier.requests] == [
        "http://here.test:80",
        "https://here.test:443",
        "https://here.test:443",
    ]
    assert b"host: here.test\r\n" in link.carrier.requests[2].fields
