"""Logout: the tokens are gone here, and the authorization server is told."""

import pytest
from mcp_gateway_auth_oauth.deferred_strategy import open_strategy
from starlette.responses import Response

from mcp_gateway.plugin import ANONYMOUS, LoginRequired

from .support import log_in


@pytest.mark.parametrize(
    "status, confirmed", [(200, True), (503, False), (400, False), (302, False)], ids=["ok", "down", "refused", "away"]
)
async def test_tokens_are_forgotten_and_revoked(world, tmp_path, status, confirmed):
    world.metadata = {"revocation_endpoint": f"{world.origin}/one/revoke"}
    world.answers["revoke"] = lambda _: Response(status_code=status, headers={"location": "http://127.0.0.1:9/"})
    options = world.options(tmp_path)
    await log_in(options)
    async with open_strategy(options) as strategy:
        token = (await strategy.credentials(ANONYMOUS)).headers["Authorization"].removeprefix("Bearer ")
        assert await strategy.logout() is confirmed
        asked = [parameters for _, endpoint, parameters in world.seen if endpoint == "revoke"]
        assert {"access_token"} <= {each["token_type_hint"] for each in asked}
        assert token in {each["token"] for each in asked}
        assert all(each["client_id"] for each in asked)
        with pytest.raises(LoginRequired):
            await strategy.credentials(ANONYMOUS)
        assert await strategy.logout() is None
    registrations = world.counted()["register"]
    await log_in(options)
    assert world.counted()["register"] == registrations


async def test_without_a_revocation_endpoint_nobody_is_told(world, tmp_path):
    options = world.options(tmp_path)
    await log_in(options)
    async with open_strategy(options) as strategy:
        assert await strategy.logout() is False
    assert "revoke" not in world.counted()
