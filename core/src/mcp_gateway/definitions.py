"""Definitions in the storage backend: one key a server, shared by every gateway that uses the same storage."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog

from mcp_gateway.catalogue import Hint, Offer
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.kinds import KINDS
from mcp_gateway.plugin import StorageBackend, StorageError

log = structlog.get_logger(__name__)

PREFIX = "mcp-gateway:4:offer:"
"""Begins every key; the number is the version of the values' form."""

STORAGE_SECONDS = 5.0
"""How long the gateway waits for the storage backend before it goes on without."""


@dataclass(slots=True)
class Definitions:
    """Remembers what servers offer for `ttl` seconds. Storage that fails is a warning, never an error."""

    storage: StorageBackend
    ttl: float
    _failing: bool = field(default=False)

    async def load(self, spec: ServerSpec) -> Offer | None:
        """Return what is remembered of a server, if it is not older than the TTL."""
        try:
            with anyio.fail_after(STORAGE_SECONDS):
                value = await self.storage.get(_key(spec))
        except Exception as error:  # noqa: BLE001  # a border with foreign code: it must not end the gateway
            self._failed(error)
            return None
        self._works()
        return None if value is None else _parsed(spec, value)

    async def save(self, spec: ServerSpec, offer: Offer) -> None:
        """Remember what a server offers: one key, so that a reader never sees half of it."""
        hints = {name: [hint.ttl_ms, hint.scope] for name, hint in offer.hints.items()}
        kept = {
            "fetched": offer.fetched,
            "about": offer.about,
            "hello": offer.hello,
            "told": offer.told,
            "hints": hints,
        }
        kept |= {kind.name: getattr(offer, kind.name) for kind in KINDS}
        try:
            with anyio.fail_after(STORAGE_SECONDS):
                await self.storage.set(_key(spec), json.dumps(kept).encode(), ttl=self.ttl)
        except Exception as error:  # noqa: BLE001  # a border with foreign code: it must not end the gateway
            self._failed(error)
        else:
            self._works()

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            log.warning("storage does not work; the gateway goes on without sharing definitions", reason=_reason(error))
        self._failing = True

    def _works(self) -> None:
        if self._failing:
            log.info("storage works again")
        self._failing = False


def _reason(error: Exception) -> str:
    """Say what went wrong; the words of an error that is not ours may hold a secret."""
    if isinstance(error, StorageError):
        return str(error)
    return f"no answer within {STORAGE_SECONDS:g} s" if isinstance(error, TimeoutError) else type(error).__name__


def _key(spec: ServerSpec) -> str:
    return f"{PREFIX}{spec.name}:{spec.fingerprint}{spec.saved}"


def _parsed(spec: ServerSpec, value: bytes) -> Offer | None:
    """Read a stored value; one that is not of this form is as good as none."""
    try:
        kept: Any = json.loads(value)
        offered = {kind.name: tuple(item for item in kept[kind.name] if kind.admits(item)) for kind in KINDS}
        return Offer(
            spec.name,
            **offered,
            about=str(kept["about"]),
            hello=dict(kept["hello"]),
            told=dict(kept["told"]),
            hints={name: Hint(int(ttl), str(scope)) for name, (ttl, scope) in kept["hints"].items()},
            fetched=float(kept["fetched"]),
            namespace=spec.namespace,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        log.warning("stored definitions cannot be read; asking the server", server=spec.name)
        return None
