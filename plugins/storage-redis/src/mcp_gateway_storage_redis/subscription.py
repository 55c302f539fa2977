"""Pub/sub subscription with detection of lost messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from mcp_gateway_storage_redis.failures import storage_error, translate_errors
from mcp_gateway_storage_redis.places import SECONDS, Topology

QUIET_SECONDS = 15.0
"""After so long without a message Redis is pinged, and has as long to answer."""


@dataclass(slots=True)
class Subscription:
    """A subscription that fails when the connection is lost.

    redis-py would reconnect by itself, and messages would be lost unnoticed.
    """

    pubsub: Any
    _ping_pending: bool = False

    async def next(self) -> bytes:
        """Wait for the next message."""
        while True:
            item = await self.pubsub.get_message(timeout=QUIET_SECONDS)
            if item is None:
                await self._ping()
                continue
            self._ping_pending = False
            if item["type"] == "message":
                message: bytes = item["data"]
                return message
            if item["type"] == "subscribe":
                raise storage_error("the connection was lost and is new: announcements may be missing")

    async def _ping(self) -> None:
        if self._ping_pending:
            raise storage_error(f"nothing was heard for {2 * QUIET_SECONDS:g} s")
        self._ping_pending = True
        await self.pubsub.ping()


@asynccontextmanager
async def open_subscription(place: Topology, channel: str) -> AsyncIterator[Subscription]:
    """Subscribe to a channel, and wait for the confirmation of Redis."""
    with translate_errors():
        client = await place.open_pubsub_client()
        pubsub = client.pubsub()
    try:
        with translate_errors():
            await pubsub.subscribe(channel)
            confirmed = await pubsub.get_message(timeout=SECONDS)
        if confirmed is None:
            raise storage_error(f"no subscription within {SECONDS:g} s")
        yield Subscription(pubsub)
    finally:
        # Shielded, as it also runs on cancellation: the connection must be returned to the pool.
        with anyio.CancelScope(shield=True), anyio.move_on_after(SECONDS):
            await pubsub.aclose()
            if client is not place.client:
                await client.aclose()
