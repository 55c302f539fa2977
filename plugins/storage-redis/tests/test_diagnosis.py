"""Why Redis does not answer."""

from __future__ import annotations

from mcp_gateway_storage_redis import diagnose_redis
from mcp_gateway_storage_redis.options import RedisOptions


async def find(url):
    return [(one.code, one.message, one.mend) for one in await diagnose_redis(RedisOptions(REDIS_URL=url))]


async def test_a_redis_that_is_down_is_unreachable(anyio_backend, redis_server):
    ((code, message, mend),) = await find(redis_server.url)
    assert (code, "cannot be reached" in message) == ("redis-unreachable", True)
    assert "start it, or correct REDIS_URL" in mend


async def test_a_wrong_password_is_told_and_not_repeated(anyio_backend, redis_server):
    redis_server.start()
    for userinfo in ("", ":geheim-und-falsch@"):
        ((code, message, mend),) = await find(f"redis://{userinfo}127.0.0.1:{redis_server.port}/0")
        assert (code, "refuses the user name or the password" in message) == ("redis-password", True)
        assert "geheim" not in message + mend


async def test_a_redis_that_answers_is_well(anyio_backend, redis_server):
    redis_server.start()
    assert await find(redis_server.url) == []
