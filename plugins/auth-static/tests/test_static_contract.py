from collections.abc import Mapping
from typing import ClassVar

from mcp_gateway_auth_static import mcp_gateway_auth_strategies

from mcp_gateway_testkit import AuthContract


class TestStatic(AuthContract):
    (provider,) = mcp_gateway_auth_strategies()
    source: ClassVar[Mapping[str, object]] = {
        "auth_headers": {"Authorization": "Bearer s3cr3t-saved", "X-Tenant": "s3cr3t-tenant"}
    }
    anonymous_allowed = True
