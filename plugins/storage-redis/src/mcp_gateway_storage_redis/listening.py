"""Pub/sub subscription with detection of lost messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from mcp_gateway_storage_redis.failures import failing, translated
from mcp_gateway_storage_redis.places import SECONDS, Place

QUIET_SECONDS = 15.0
"""After so long a silence Redis is asked whether it is still there; it has as long to answer."""


@dataclass(slots=True)
class Subscription:
    """A subscription that fails when the connection is lost.

    redis-py would reconnect by itself, and messages would be lost unnoticed.
    """

    pubsub: Any
    _asked: bool = False

    async def next(self) -> bytes:
        """Wait for the next message."""
        while True:
            item = await self.pubsub.get_message(timeout=QUIET_SECONDS)
            if item is None:
                await self._ask()
                continue
            self._asked = False
            if item["type"] == "message":
                message: bytes = item["data"]
                return message
            if item["type"] == "subscribe":
                raise failing("the connection was lost and is new: announcements may be missing")

    async def _ask(self) -> None:
        if self._asked:
            raise failing(f"nothing was heard for {2 * QUIET_SECONDS:g} s")
        self._asked = True
        await self.pubsub.ping()


@asynccontextmanager
async def listening(place: Place, channel: str) -> AsyncIterator[Subscription]:
    """Subscribe to a channel, and wait for the confirmation of Redis."""
    with translated():
        client = await place.listener()
        pubsub = client.pubsub()
    try:
        with translated():
            await pubsub.subscribe(channel)
            confirmed = await pubsub.get_message(timeout=SECONDS)
        if confirmed is None:
            raise failing(f"no subscription within {SECONDS:g} s")
        yield Subscription(pubsub)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(SECONDS):
            await pubsub.aclose()
            if client is not place.client:
                await client.aclose()
