"""Redis topology: one server, a Sentinel master, or a Cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from mcp_gateway.plugin import ConfigError
from mcp_gateway_storage_redis.urls import RedisAddress, parse_redis_url

SECONDS = 2.0
"""The timeout of connecting to Redis, and of each response, in seconds."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A client of one Redis server or Sentinel master."""

    client: Any

    async def open_pubsub_client(self) -> Any:
        """Return a client that can subscribe."""
        return self.client


@dataclass(frozen=True, slots=True)
class ClusterTopology(Topology):
    """A client of a Cluster, with the connection options of its nodes."""

    options: Mapping[str, Any]

    async def open_pubsub_client(self) -> Any:
        """Return a client of one random node, owned by the caller.

        Any node works, because a Cluster publishes every message to all nodes.
        """
        await self.client.initialize()
        node = self.client.get_random_node()
        return Redis(host=node.host, port=node.port, **self.options)


@asynccontextmanager
async def open_place(url: str) -> AsyncIterator[Topology]:
    """Create a client, which connects at its first use."""
    async with AsyncExitStack() as stack:
        try:
            place = _topology(parse_redis_url(url), stack)
        except (ValueError, TypeError, RedisError, RedisClusterException) as error:
            raise ConfigError(f"environment: REDIS_URL: it cannot be used: {error}") from None
        yield place


def _topology(address: RedisAddress, stack: AsyncExitStack) -> Topology:
    options = {**_limits(), **address.options}
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        cluster = RedisCluster(startup_nodes=nodes, **options)
        stack.push_async_callback(cluster.aclose)
        return ClusterTopology(cluster, options)
    if address.kind == "sentinel":
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs={**_limits(), **address.sentinel}, **options
        )
        for each in sentinel.sentinels:
            stack.push_async_callback(each.aclose)
        client = sentinel.master_for(address.service)
    else:
        client = Redis.from_pool(ConnectionPool(**options))
    stack.push_async_callback(client.aclose)
    return Topology(client)


def _limits() -> dict[str, Any]:
    # redis-py's default, several retries with back-off, takes longer than the gateway waits for storage.
    return {"retry": Retry(NoBackoff(), 1), "socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
