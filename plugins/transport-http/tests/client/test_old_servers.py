"""Servers that refuse a POST as those over HTTP+SSE do: another transport is to be tried."""

import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import TransportFault

from .scripted_server import MESSAGE, response, scripted

INITIALIZE = b'{"jsonrpc":"2.0","id":5,"method":"initialize","params":{}}'
OWN = b'{"jsonrpc":"2.0","id":5,"error":{"code":-32022,"message":"Unsupported protocol version"}}'
OTHER_FAULTS = {TransportFault.UNREACHABLE, TransportFault.UNAUTHORIZED}
PLAIN = response(b"Method Not Allowed", "405 Method Not Allowed", "text/plain")


@pytest.mark.parametrize("carrier", ["direct", "httpx"])
@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "405 Method Not Allowed", "501 Unsupported"])
async def test_a_refused_initialize_says_that_the_transport_is_not_spoken(carrier, status):
    async with scripted(response(b"<html>", status, "text/html"), carrier=carrier) as wire:
        with pytest.raises(MCPError) as caught:
            await wire.send(message=INITIALIZE)
    assert caught.value.code == TransportFault.UNSUPPORTED
    assert caught.value.error.data == {"status": int(status[:3])}


@pytest.mark.parametrize(
    "answer, message",
    [
        (response(OWN, "400 Bad Request"), INITIALIZE),
        (response(b"", "401 Unauthorized"), INITIALIZE),
        (response(b"", "500 Internal Server Error"), INITIALIZE),
        (PLAIN, MESSAGE),
    ],
    ids=["an error of its own", "no credentials", "a failure", "another request"],
)
async def test_other_refusals_say_nothing_of_the_transport(answer, message):
    async with scripted(answer) as wire:
        heard, _ = wire.begin(message=message)
        await heard.ended.wait()
    (outcome,) = heard.outcomes
    assert outcome == OWN if message == INITIALIZE and b"error" in answer else outcome.code in OTHER_FAULTS
