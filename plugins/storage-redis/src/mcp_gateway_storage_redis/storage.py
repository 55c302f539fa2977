"""The storage itself, over redis-py."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mcp_gateway.plugin import ConfigError, StorageBackend, StorageError
from mcp_gateway_storage_redis.options import RedisOptions

SECONDS = 2.0
"""How long connecting to Redis, and each answer of it, may take."""

CONNECTIONS = 32
"""How many connections there are at the most; who finds none free waits for one, up to `SECONDS`."""

_USERINFO = re.compile(r"//[^@/\s]*@")


@dataclass(frozen=True, slots=True)
class RedisStorage:
    """Values under their keys, as they are."""

    client: Redis

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, if it is there."""
        with _translated():
            value = await self.client.get(key)
        return value.encode() if isinstance(value, str) else value

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Set `key`; Redis itself forgets it after `ttl` seconds."""
        with _translated():
            await self.client.set(key, value, px=None if ttl is None else max(1, round(ttl * 1000)))

    async def delete(self, key: str) -> bool:
        """Forget `key`."""
        with _translated():
            return bool(await self.client.delete(key))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the live keys; SCAN may repeat one, so they are collected first."""
        with _translated():
            found = {key async for key in self.client.scan_iter(match=f"{_literal(prefix)}*", count=1000)}
        for key in found:
            yield key.decode()


@asynccontextmanager
async def open_redis(options: RedisOptions) -> AsyncIterator[StorageBackend]:
    """Make a client; it connects when it is first used, and again when it has lost the connection."""
    try:
        pool = BlockingConnectionPool.from_url(
            options.url.get_secret_value(),
            retry=Retry(NoBackoff(), 1),
            max_connections=CONNECTIONS,
            timeout=SECONDS,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
        )
    except ValueError as error:
        raise ConfigError(f"environment: REDIS_URL: it cannot be used: {error}") from None
    pool.connection_kwargs["decode_responses"] = False  # values are bytes, whatever the URL says
    async with Redis.from_pool(pool) as client:
        yield RedisStorage(client)


def _literal(prefix: str) -> str:
    """Take away the meaning that Redis's patterns give to some characters."""
    return "".join(f"\\{character}" if character in "*?[]^-\\" else character for character in prefix)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StorageError(f"redis: {_USERINFO.sub('//', str(error)) or type(error).__name__}") from error
