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

    Every method may raise `StorageError`, and must return or raise within a few seconds.
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
        """Delete `key`; return whether it was there."""
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Yield every live key that starts with `prefix`.

        Each key comes once; the order is undefined.
        """
        ...


@runtime_checkable
class LeaseStorage(StorageBackend, Protocol):
    """Optional: shared storage with leases.

    It can lease a key to one of the gateways that share it. With leases only one of them lists each server; without,
    each of them does.
    """

    async def lease(self, key: str, holder: bytes, *, ttl: float) -> bytes:
        """Lease `key` to `holder`, unless leased; return the current holder.

        The lease expires after `ttl` seconds; if `holder` has it already, it is extended to `ttl` seconds from now.
        The operation must be atomic among all gateways that share the storage. The key is not used otherwise.
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

    It carries messages between the gateways that share it. With it they learn of a new listing at once; without, when
    their own listing has expired.
    """

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish a message to all current subscribers, the sender included.

        The message may be lost.
        """
        ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Subscribe to `channel` while the context is open.

        Every message that is sent in this time is yielded, in order.

        The iteration never ends. It raises `StorageError` as soon as a message may have been lost, for example because
        the connection closed; the gateway then subscribes again and checks what it has missed. A dead connection must
        be detected within a minute.
        """
        ...
