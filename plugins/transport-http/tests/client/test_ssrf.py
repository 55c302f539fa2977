"""Where the gateway does not go: to the addresses at which clouds keep the credentials of their machines."""

import anyio
import pytest
from mcp_gateway_transport_http.client.carriers.connection_pool import ConnectionPool
from mcp_gateway_transport_http.client.channel import HttpChannel
from mcp_gateway_transport_http.client.request_target import Endpoint
from mcp_gateway_transport_http.client.session import HttpSession
from pydantic import ValidationError

from mcp_gateway.plugin import LinkLocalAddress, RequestNotSent, SsrfGuard, UrlOptions
from mcp_gateway.plugin.utilities.ssrf import check_address

from .scripted_server import CARRIERS, MESSAGE, Heard, load_certificates

FORBIDDEN = [
    "169.254.169.254",
    "169.254.170.2",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.254.169.254.",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "\N{FULLWIDTH DIGIT ONE}69.254.169.254",
]


@pytest.mark.parametrize("host", FORBIDDEN, ids=ascii)
def test_a_url_that_says_so_is_refused_unless_it_is_allowed(host):
    with pytest.raises(ValidationError, match="allow_link_local") as caught:
        UrlOptions.model_validate({"url": f"http://{host}/latest/s3cr3t"})
    assert "s3cr3t" not in str(caught.value)
    assert UrlOptions.model_validate({"url": f"http://{host}/", "allow_link_local": True}).allow_link_local


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "example.org", "[fd00::1]", "8.8.8.8"]
)
def test_other_addresses_are_everybodys_own_affair(host):
    assert UrlOptions.model_validate({"url": f"http://{host}/mcp"})


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.0.1", "100.100.100.200"])
@pytest.mark.parametrize("carrier", ["direct", "httpx"])
async def test_a_name_that_resolves_to_one_is_not_connected_to(address, carrier):
    async def resolve(_host):
        return ["127.0.0.1", address]

    session = HttpSession(Endpoint.of("http://innocent.example/mcp"), {})
    channel = HttpChannel(session, CARRIERS[carrier](load_certificates, SsrfGuard(resolve)), 1000)
    heard = Heard()
    channel.request(MESSAGE, 5, {}, heard)
    with anyio.fail_after(20), pytest.raises(RequestNotSent, match="link-local"):
        await heard.response()
    await channel.aclose()


async def test_a_connection_that_came_to_be_at_one_is_closed_before_anything_is_sent():
    class Stream:
        closed = False

        def get_extra_info(self, _name):
            return ("169.254.169.254", 80)

        async def aclose(self):
            self.closed = True

    stream = Stream()
    with pytest.raises(LinkLocalAddress):
        await SsrfGuard().on_trace("connection.connect_tcp.complete", {"return_value": stream})
    assert stream.closed


async def test_a_name_that_has_another_address_by_then_is_not_connected_to():
    async def resolve(_host):
        return ["127.0.0.1", "169.254.169.254"]

    with pytest.raises(LinkLocalAddress):
        await ConnectionPool("innocent.example", 80, None, SsrfGuard(resolve)).open()


async def test_a_name_that_resolves_to_nothing_is_for_connecting_to_say():
    with anyio.fail_after(60):
        await SsrfGuard().check_name("no.such.host.invalid")
    check_address("no address")
