"""What was packed is never unpacked into more than it may be, whoever wrote it."""

from __future__ import annotations

import json
import tracemalloc
import zlib

import pytest
import structlog

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.pinning.pins import MAX_PINS_BYTES
from mcp_gateway.pinning.store import PREFIX as PINS
from mcp_gateway.pinning.store import StoredPins
from mcp_gateway.plugin import StorageError
from mcp_gateway.storage.compression import TooLarge, pack, unpack
from mcp_gateway.storage.listings import MAX_OFFER_BYTES, PREFIX, ListingStore
from mcp_gateway.storage.resilient import ResilientStorage

from ..support.fake_plugins import MemoryStorage
from ..support.fake_servers import tool
from ..support.gateway import spec

MIB = 1 << 20


@pytest.fixture(scope="module")
def bomb():
    """Return a megabyte and more that stands for 1.3 GB."""
    packing, zeros = zlib.compressobj(9), b"0" * MIB
    # After a full flush, a piece does not depend on what came before: one is packed, and repeated.
    first, piece = (packing.compress(zeros) + packing.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + piece * 1299


def test_what_is_packed_is_unpacked_up_to_its_bound():
    assert unpack(pack([b"ab", b"c"]), 3) == b"abc"
    assert unpack(pack([]), 0) == b""
    with pytest.raises(TooLarge, match="larger than 1 MiB"):
        unpack(pack([b"a" * MIB, b"b"]), MIB)


@pytest.mark.parametrize("value", [b"", b"x", pack([b"abc"])[:-1], pack([b"abc"]) + b"x"])
def test_what_is_damaged_is_no_value(value):
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack(value, MIB)


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_takes_no_more_memory_than_its_bound(bomb):
    def work():
        with pytest.raises(TooLarge):
            unpack(bomb, 8 * MIB)

    assert peak_of(work) < 32 * MIB


async def test_a_bomb_in_the_place_of_pins_is_refused_with_its_key(bomb):
    storage = MemoryStorage()
    storage.values[f"{PINS}alpha:f00"] = b"1\n" + bomb
    with pytest.raises(StorageError, match=f"the value of {PINS}alpha:f00 cannot be read: it is larger than 128 MiB"):
        await StoredPins.of(storage).load("alpha:f00")
    assert MAX_PINS_BYTES == 128 * MIB


async def test_a_bomb_in_the_place_of_definitions_is_as_good_as_none_and_said_with_its_key(bomb):
    storage, key = MemoryStorage(), f"{PREFIX}offer:alpha:f00"
    stamp = json.dumps({"digest": "d", "fetched": 1.0, "turn": ""}).encode()
    storage.values[key] = stamp + b"\n" + bomb
    with structlog.testing.capture_logs() as logs:
        assert await ListingStore(ResilientStorage(storage), ttl=300).load(spec()) is None
    assert [(entry["key"], entry["reason"]) for entry in logs] == [(key, "it is larger than 128 MiB")]
    assert MAX_OFFER_BYTES == 128 * MIB


async def test_definitions_that_nobody_could_read_are_not_stored(monkeypatch):
    monkeypatch.setattr("mcp_gateway.storage.listings.MAX_OFFER_BYTES", 1000)
    storage = MemoryStorage()
    kept = ListingStore(ResilientStorage(storage), ttl=300)
    await kept.save(spec(), Listing("alpha", (tool("x", "y" * 1000),)))
    assert storage.values == {}
    await kept.save(spec(), Listing("alpha", (tool("x"),)))
    assert await kept.load(spec()) is not None
