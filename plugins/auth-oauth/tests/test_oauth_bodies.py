"""What an authorization server says without an end."""

from __future__ import annotations

import gzip
from contextlib import suppress

import anyio
import httpx2
import pytest
from mcp_gateway_auth_oauth.flows import ClientCredentialsFlow
from mcp_gateway_auth_oauth.http.bodies import MAX_BYTES
from mcp_gateway_auth_oauth.options import OAuthOptions

HEAD = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n%b\r\n"
PACKED = gzip.compress(bytes(64 << 20))


@pytest.mark.parametrize("status", [b"200 OK", b"401 Unauthorized"])
@pytest.mark.parametrize(
    "head, piece, said",
    [
        (b"", b" " * 65_536, f"has more than {MAX_BYTES} bytes"),
        (b"content-encoding: gzip\r\n", PACKED, "is compressed"),
    ],
    ids=["long", "packed"],
)
async def test_an_answer_that_is_too_long_fails_the_login(status, head, piece, said):
    """The first request of a flow is answered in a way that makes it read on: with where one logs in, say."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)

    async def answer(stream):
        async with stream:
            asked = await stream.receive()
            challenge = b"www-authenticate: Bearer\r\n" if status.startswith(b"401") else b""
            is_first = asked.startswith(b"POST")
            await stream.send(HEAD % (status if is_first else b"200 OK", b"connection: close\r\n" + challenge + head))
            while True:
                await stream.send(piece)

    async def serve(stream):
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await answer(stream)

    options = OAuthOptions.model_validate(
        {
            "url": f"http://127.0.0.1:{port}/mcp",
            "grant": "client_credentials",
            "client_id": "a",
            "client_secret": "b",
            "issuer": f"http://127.0.0.1:{port}",
        }
    )
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        with anyio.fail_after(30):
            if status.startswith(b"401"):
                with pytest.raises(httpx2.ReadError, match=said):
                    await ClientCredentialsFlow(options).fetch()
            else:
                with pytest.raises(Exception, match="did not ask for a login"):
                    await ClientCredentialsFlow(options).fetch()
        tasks.cancel_scope.cancel()
