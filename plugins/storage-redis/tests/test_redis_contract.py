from collections.abc import Mapping

import pytest
from mcp_gateway_storage_redis import mcp_gateway_storage_backends

from mcp_gateway_testkit import StorageContract


class TestRedis(StorageContract):
    (provider,) = mcp_gateway_storage_backends()

    @pytest.fixture
    def configuration(self, redis_url: str) -> Mapping[str, object]:
        return {"REDIS_URL": redis_url}
