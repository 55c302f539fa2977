"""Why a URL cannot be reached over the old transport."""

from __future__ import annotations

import socket

from mcp_gateway_transport_sse import find_url_faults

from mcp_gateway.plugin import UrlOptions


async def test_where_nothing_listens_the_port_is_named(anyio_backend, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert await find_url_faults(UrlOptions(url=f"http://127.0.0.1:{port}/sse")) == []
    (found,) = await find_url_faults(UrlOptions(url=f"http://127.0.0.1:{port}/sse"))
    assert (found.code, found.message) == ("connection-refused", f"nothing listens at 127.0.0.1:{port}")
