from collections.abc import Mapping

import pytest
from mcp.shared.auth import OAuthToken
from mcp_gateway_auth_oauth import mcp_gateway_auth_strategies
from mcp_gateway_auth_oauth.logins import Login
from mcp_gateway_auth_oauth.vault import TokenStore

from mcp_gateway_testkit import AuthContract

URL = "https://crm.example/mcp"


class TestOAuth(AuthContract):
    (provider,) = mcp_gateway_auth_strategies()
    anonymous_allowed = True

    @pytest.fixture
    def configuration(self, tmp_path) -> Mapping[str, object]:
        """Return the configuration of a server that somebody is logged in to."""
        vault = TokenStore.open("crm", URL, tmp_path, None)
        vault.write(Login(tokens=OAuthToken(access_token="s3cr3t-access", refresh_token="s3cr3t-refresh")))
        return {"name": "crm", "url": URL, "client_id": "x", "GATEWAY_OAUTH_FOLDER": str(tmp_path)}
