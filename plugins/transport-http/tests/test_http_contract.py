from collections.abc import Mapping
from typing import ClassVar

import pytest
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client
from mcp_gateway_transport_http import client_transport, mcp_gateway_client_transports, mcp_gateway_server_transports

from mcp_gateway_testkit import ClientTransportContract, ServerTransportContract


class TestHttpClient(ClientTransportContract):
    (provider,) = mcp_gateway_client_transports()

    @pytest.fixture
    def configuration(self, reference_url: str) -> Mapping[str, object]:
        return {"url": f"{reference_url}?key=s3cr3t"}


class TestHttpClientByHttpx(TestHttpClient):
    """The same by the other carrier, as behind a proxy."""

    @pytest.fixture(autouse=True)
    def _no_direct_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_transport, "can_connect_directly", lambda _: False)


class TestHttpServer(ServerTransportContract):
    (provider,) = mcp_gateway_server_transports()
    source: ClassVar[Mapping[str, object]] = {
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": "0",
        "GATEWAY_SHUTDOWN_GRACE": "0",
    }

    def reach(self, where: str) -> Transport:
        return streamable_http_client(where)
