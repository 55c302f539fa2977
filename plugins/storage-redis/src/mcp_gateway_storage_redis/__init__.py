"""Storage plugin: Redis, shared by all gateways that use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager

from mcp_gateway.plugin import Diagnosis, Provider, StorageBackend, hookimpl
from mcp_gateway_storage_redis.options import RedisOptions

GATEWAY_API = 1


def redis_storage(options: RedisOptions) -> AbstractAsyncContextManager[StorageBackend]:
    """Open the Redis storage, which connects at its first use.

    So the gateway starts even if Redis is down.
    """
    from mcp_gateway_storage_redis.storage import open_redis  # redis-py is slow to import

    return open_redis(options)


async def diagnose_redis(options: RedisOptions) -> Sequence[Diagnosis]:
    """Look for the reasons why Redis does not answer."""
    from mcp_gateway_storage_redis.diagnosis import find_diagnoses

    return await find_diagnoses(options)


@hookimpl
def mcp_gateway_storage_backends() -> Iterator[Provider[RedisOptions, StorageBackend]]:
    """Yield `redis`."""
    yield Provider(
        name="redis",
        summary="a Redis server, shared",
        options=RedisOptions,
        build=redis_storage,
        diagnose=diagnose_redis,
    )
