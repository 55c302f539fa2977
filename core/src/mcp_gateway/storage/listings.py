"""Persistence of listings in the storage backend.

All gateways that use the same storage share them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import anyio.to_thread
import structlog

from mcp_gateway.catalog.listing import CacheHint, Listing
from mcp_gateway.catalog.repair.repairs import repair_lists
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.protocol.encoded_json import EncodedTool, as_bytes
from mcp_gateway.protocol.primitives import PRIMITIVES, TOOLS
from mcp_gateway.storage.compression import TooLarge, pack, unpack
from mcp_gateway.storage.resilient import ResilientStorage

log = structlog.get_logger(__name__)

PREFIX = "mcp-gateway:5:"
"""The prefix of every key; the number is the version of the format."""

KEPT_SECONDS = 86400.0
"""How long listings are stored at least, so that a start has stale ones to search while it lists the servers."""


_FORM = "it is not of the form that a gateway writes"

MAX_OFFER_BYTES = 128 << 20
"""How many bytes an uncompressed stored listing may have; the server of a larger one is listed instead."""


@dataclass(frozen=True, slots=True)
class ListingVersion:
    """The version of a stored listing, comparable without reading the listing.

    `digest` is the hash of the whole listing, `fetched` the time of listing in seconds since the epoch, and `turn`
    the name of the lease under which the server was listed, empty if there was none.
    """

    digest: str
    fetched: float
    turn: str = ""

    @property
    def age(self) -> float:
        """Seconds since the listing was fetched.

        It is the absolute difference, so that a listing does not count as fresh for long after the clock was set back.
        """
        return abs(time.time() - self.fetched)


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored listing and its version."""

    listing: Listing
    stamp: ListingVersion


@dataclass(slots=True)
class ListingStore:
    """Store of listings; those older than `ttl` seconds are stale."""

    resilient: ResilientStorage
    ttl: float

    async def load(self, spec: ServerSpec) -> Stored | None:
        """Return the stored listing of a server, however old."""
        value = await self.resilient.call_or_default(partial(self.resilient.storage.get, _key("offer", spec)), None)
        return None if value is None else await anyio.to_thread.run_sync(_parse_record, spec, value)

    async def load_version(self, spec: ServerSpec) -> ListingVersion | None:
        """Return the version of a stored listing, or None if unreadable."""
        value = await self.resilient.call_or_default(partial(self.resilient.storage.get, _key("stamp", spec)), None)
        return None if value is None else read_stamp(value)

    async def save(self, spec: ServerSpec, listing: Listing, turn: str = "") -> ListingVersion:
        """Store a listing and then its version; return the version.

        The listing is written under one key, so that a reader never sees a part of it.
        """
        digest, body = await anyio.to_thread.run_sync(_encode_listing, listing)
        stamp = ListingVersion(digest, listing.fetched, turn)
        # The version is also part of the listing's value, so that loading it needs no second request.
        written = json.dumps(asdict(stamp)).encode()
        if body is not None:
            await self.resilient.call_or_default(partial(self._write, spec, written, body), None)
        return stamp

    async def _write(self, spec: ServerSpec, stamp: bytes, body: bytes) -> None:
        ttl = max(self.ttl, KEPT_SECONDS)
        await self.resilient.storage.set(_key("offer", spec), stamp + b"\n" + body, ttl=ttl)
        # After the listing, because a reader that sees the new version must find its listing.
        await self.resilient.storage.set(_key("stamp", spec), stamp, ttl=ttl)


def identity(spec: ServerSpec) -> str:
    """Return the identity of a server among replicas.

    It is the same in all gateways that share storage. Servers of the same name with different endpoints or
    credentials have different identities, and those of which other tools are forbidden: a listing is stored without
    them.
    """
    return f"{spec.name}:{spec.fingerprint}{spec.saved}{spec.tool_policy.digest}"


def read_stamp(value: bytes | str) -> ListingVersion | None:
    """Decode a version; None if the value has another form."""
    try:
        kept: Any = json.loads(value)
        return ListingVersion(str(kept["digest"]), float(kept["fetched"]), str(kept["turn"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _key(what: str, spec: ServerSpec) -> str:
    return f"{PREFIX}{what}:{identity(spec)}"


def _encode_listing(listing: Listing) -> tuple[str, bytes | None]:
    """Return a listing's digest and its compressed bytes.

    The bytes are None if the listing is too large to be stored.
    """
    digest, size = blake2b(digest_size=16), 0

    def parts() -> Iterator[bytes]:
        nonlocal size
        for part in _body(listing):
            digest.update(part)
            size += len(part)
            yield part

    # Digest and compression in one pass, so that the uncompressed whole is never in memory.
    packed = pack(parts())
    return digest.hexdigest(), packed if size <= MAX_OFFER_BYTES else None


def _body(listing: Listing) -> Iterator[bytes]:
    """Encode a listing, in pieces."""
    hints = {name: [hint.ttl_ms, hint.scope] for name, hint in listing.hints.items()}
    head = {
        "about": listing.description,
        "hello": listing.initialize_result,
        "told": listing.client_capabilities,
        "hints": hints,
    }
    yield json.dumps(head).encode().removesuffix(b"}")
    for kind in PRIMITIVES:
        yield f', "{kind.name}": ['.encode()
        for at, definition in enumerate(getattr(listing, kind.name)):
            yield (b", " if at else b"") + as_bytes(definition)
        yield b"]"
    yield b"}"


def _parse_record(spec: ServerSpec, value: bytes) -> Stored | None:
    """Parse a stored record; None if it has another form."""
    head, _, body = value.partition(b"\n")
    stamp = read_stamp(head)
    if stamp is None:
        _complain(spec, _FORM)
        return None
    try:
        kept: Any = json.loads(unpack(body, MAX_OFFER_BYTES))
        offered = {kind.name: tuple(filter(kind.admits, kept[kind.name])) for kind in PRIMITIVES}
        repairs = repair_lists(offered)
        offered |= {TOOLS.name: tuple(map(EncodedTool, offered[TOOLS.name]))}
        listing = Listing(
            spec.name,
            **offered,
            description=str(kept["about"]),
            initialize_result=dict(kept["hello"]),
            client_capabilities=dict(kept["told"]),
            hints={name: CacheHint(int(ttl), str(scope)) for name, (ttl, scope) in kept["hints"].items()},
            fetched=stamp.fetched,
            # From the configuration, not from storage: gateways that share it may use another namespace.
            namespace=spec.namespace,
            max_name=spec.max_name,
            withheld={},
            repairs=repairs,
        ).restrict(spec.tool_policy)  # another version of the gateway may have stored more
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        _complain(spec, str(error) if isinstance(error, TooLarge) else _FORM)
        return None
    return Stored(listing, stamp)


def _complain(spec: ServerSpec, why: str) -> None:
    key = _key("offer", spec)
    log.warning("stored definitions unreadable", server=spec.name, key=key, reason=why)
