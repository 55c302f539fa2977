"""The keys of an authorization server that attacks with them."""

from __future__ import annotations

import gzip
from itertools import repeat

import pytest
from mcp_gateway_transport_http.auth.jwks import JwksClient, KeysUnavailable
from starlette.responses import Response, StreamingResponse


def app_of(response):
    async def app(scope, receive, send):
        await response(scope, receive, send)

    return app


@pytest.mark.parametrize("piece", [b" " * 1000, b" " * 65_536])
async def test_keys_without_an_end_are_not_read(serve, piece):
    url = serve(app_of(StreamingResponse(repeat(piece), media_type="application/json")))
    with pytest.raises(KeysUnavailable, match="is too long"):
        await JwksClient("https://issuer.example", url).get_key("a")


async def test_keys_that_are_compressed_are_not_read(serve):
    packed = gzip.compress(bytes(100 << 20))
    url = serve(app_of(Response(packed, headers={"content-encoding": "gzip"}, media_type="application/json")))
    with pytest.raises(KeysUnavailable, match="compressed"):
        await JwksClient("https://issuer.example", url).get_key("a")
