"""Protocols of storage backends.

They are structural: a product need not inherit from them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable


@runtime_checkable
class StorageBackend(Protocol):
    """A flat key-value store with optional expiry.

    Keys are text, values are opaque bytes.

    Every method may raise `StorageError`, and gives up within a few seconds.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None if missing or expired."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Set the value and expiry of `key`.

        `ttl` is in seconds; None means no expiry.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Forget `key`; say whether it was there."""
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Yield every live key that starts with `prefix`.

        Each key comes once; the order is undefined.
        """
        ...


@runtime_checkable
class LeaseStorage(StorageBackend, Protocol):
    """Optional: shared storage with leases.

    It can lease a key to one of the gateways that share it.

    The gateways then ask each server once, not each of them; without it they all ask.
    """

    async def lease(self, key: str, holder: bytes, *, ttl: float) -> bytes:
        """Lease `key` to `holder`, unless leased; return the current holder.

        The lease expires after `ttl` seconds.

        One step for all who share the storage. Whoever has the key already keeps it for
        `ttl` seconds from now. Nobody else sets the key, and what has expired is free.
        """
        ...

    async def release(self, key: str, holder: bytes) -> bool:
        """Release the lease if `holder` has it; return whether it did.

        The operation is atomic.
        """
        ...


@runtime_checkable
class PubSubStorage(StorageBackend, Protocol):
    """Optional: shared storage with publish/subscribe.

    It carries messages between the gateways that share it.

    The gateways then hear at once what one of them learned; without it, when what they know has expired.
    """

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish a message to all current subscribers, the sender included.

        The message may be lost.
        """
        ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Subscribe to `channel` while the context is open.

        Every message that is sent in this time comes, in order.

        The iteration has no end. It raises `StorageError` as soon as a message may have
        been lost, a lost connection say: the gateway then enters a new one, and looks
        for itself what it has missed. A silent connection must be noticed within a minute.
        """
        ...
