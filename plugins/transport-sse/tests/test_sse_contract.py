from collections.abc import Mapping

import pytest
from mcp_gateway_transport_sse import mcp_gateway_client_transports

from mcp_gateway_testkit import ClientTransportContract


class TestSseClient(ClientTransportContract):
    (provider,) = mcp_gateway_client_transports()

    @pytest.fixture
    def configuration(self, reference_url: str) -> Mapping[str, object]:
        return {"url": f"{reference_url}?key=s3cr3t"}
