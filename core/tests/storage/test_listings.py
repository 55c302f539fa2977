"""Definitions in storage: shared while it works, and only a warning when it does not."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import anyio
import pytest
import structlog

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.plugin import StorageError
from mcp_gateway.protocol import primitives
from mcp_gateway.storage import resilient
from mcp_gateway.storage.listings import KEPT_SECONDS, PREFIX, ListingStore
from mcp_gateway.storage.resilient import ResilientStorage

from ..support.fake_plugins import MemoryStorage
from ..support.fake_servers import tool
from ..support.gateway import spec

TOOLS = Listing("alpha", (tool("x", n=2**70, odd=None),), description="what it is", fetched=1000.0)


class Broken(MemoryStorage):
    """A storage backend that fails as long as `failing`."""

    failing = True

    async def get(self, key):
        if self.failing:
            raise StorageError("connection refused")
        return await super().get(key)

    async def set(self, key, value, *, ttl=None):
        if self.failing:
            raise StorageError("connection refused")
        await super().set(key, value, ttl=ttl)


class Silent(MemoryStorage):
    async def get(self, key):
        await anyio.sleep_forever()

    async def set(self, key, value, *, ttl=None):
        await anyio.sleep_forever()


def test_the_waits_are_bounded():
    assert 0 < resilient.STORAGE_SECONDS <= 10


async def test_what_is_saved_is_loaded_with_every_field():
    kept = ListingStore(ResilientStorage(MemoryStorage()), ttl=300)
    stamp = await kept.save(spec(), TOOLS, "a turn")
    stored = await kept.load(spec())
    assert stored is not None
    assert stored.listing == TOOLS
    assert (stored.listing.fetched, stored.listing.description) == (1000.0, "what it is")
    assert stored.stamp == stamp == await kept.load_version(spec())
    assert (stamp.fetched, stamp.turn) == (1000.0, "a turn")


async def test_what_the_server_sent_is_saved_and_is_repaired_again_when_it_is_loaded():
    kept = ListingStore(ResilientStorage(MemoryStorage()), ttl=300)
    sent = (tool("x", title=None), tool("y", inputSchema=5), tool("z"))
    await kept.save(spec(), replace(TOOLS, tools=sent))
    stored = await kept.load(spec())
    assert stored is not None
    assert stored.listing.tools == sent
    assert list(stored.listing.shown(primitives.TOOLS)) == [("alpha__x", tool("x")), ("alpha__z", tool("z"))]
    assert [left_out.name for left_out in stored.listing.left_out] == ["y"]


async def test_definitions_have_the_same_digest_if_the_server_said_the_same():
    kept = ListingStore(ResilientStorage(MemoryStorage()), ttl=300)
    first = await kept.save(spec(), TOOLS)
    assert first.digest == (await kept.save(spec(), replace(TOOLS, fetched=2000.0))).digest
    assert first.digest != (await kept.save(spec(), replace(TOOLS, tools=(tool("y"),)))).digest
    assert first.digest != (await kept.save(spec(), replace(TOOLS, client_capabilities={"roots": {}}))).digest


@pytest.mark.parametrize("ttl, lives", [(12.5, KEPT_SECONDS), (2 * KEPT_SECONDS, 2 * KEPT_SECONDS)])
async def test_a_server_has_two_keys_that_live_for_a_day_or_longer_if_they_are_good_for_longer(ttl, lives):
    shelf = MemoryStorage()
    await ListingStore(ResilientStorage(shelf), ttl=ttl).save(spec(), TOOLS)
    assert shelf.ttls == {f"{PREFIX}offer:alpha:f00": lives, f"{PREFIX}stamp:alpha:f00": lives}


async def test_a_server_that_leads_elsewhere_now_does_not_get_the_tools_of_before():
    kept = ListingStore(ResilientStorage(MemoryStorage()), ttl=300)
    await kept.save(spec(), TOOLS)
    assert await kept.load(spec(fingerprint="other")) is None
    assert await kept.load(spec("beta")) is None


async def test_what_is_offered_for_one_saved_credential_is_not_taken_for_what_is_offered_for_another(read):
    def configured(secret):
        entry = {"name": "alpha", "url": "http://x", "auth_type": "static", "auth_headers": {"X": secret}}
        return read({"servers": [entry]}).specs[0]

    kept = ListingStore(ResilientStorage(MemoryStorage()), ttl=300)
    await kept.save(configured("of-an-admin"), TOOLS)
    assert await kept.load(configured("of-a-guest")) is None
    assert await kept.load(configured("of-an-admin")) is not None


async def test_no_secret_of_the_configuration_is_stored(read):
    secret = "s3cr3t-Marker"
    entry = {"name": "alpha", "url": f"http://x/?key={secret}", "auth_type": "static", "auth_headers": {"X": secret}}
    shelf = MemoryStorage()
    await ListingStore(ResilientStorage(shelf), ttl=300).save(read({"servers": [entry]}).specs[0], TOOLS)
    bodies = [zlib.decompress(value.partition(b"\n")[2]) for key, value in shelf.values.items() if ":offer:" in key]
    assert b"what it is" in bodies[0]
    assert secret not in f"{bodies} {shelf.values} {shelf.ttls}"


@pytest.mark.parametrize(
    "value",
    [b"", b"\xff\xfe", b"{", b"null", b"3", b"[]", b"{}", b'{"definitions": 3, "about": "", "fetched": 1}']
    + [
        json.dumps({"about": "", "fetched": 1, "definitions": items}).encode()
        for items in ([3], [{}], [None], {"a": 1}, ["x"])
    ]
    + [b'{"definitions": [], "about": "", "fetched": "soon"}', b"[" * 100_000],
)
@pytest.mark.parametrize("packed", [True, False])
async def test_a_value_that_is_not_of_our_form_is_as_good_as_none(value, packed):
    shelf = MemoryStorage()
    shelf.values[f"{PREFIX}offer:alpha:f00"] = b'{"digest": "d", "fetched": 1, "turn": ""}\n' + (
        zlib.compress(value) if packed else value
    )
    assert await ListingStore(ResilientStorage(shelf), ttl=300).load(spec()) is None


async def test_storage_that_fails_is_a_warning_once_and_good_news_once():
    shelf = Broken()
    kept = ListingStore(ResilientStorage(shelf), ttl=300)
    with structlog.testing.capture_logs() as logs:
        await kept.save(spec(), TOOLS)
        assert await kept.load(spec()) is None
        shelf.failing = False
        await kept.save(spec(), TOOLS)
        assert await kept.load(spec()) is not None
    assert [(entry["log_level"], entry.get("reason")) for entry in logs] == [
        ("warning", "connection refused"),
        ("info", None),
    ]


async def test_storage_that_is_silent_is_given_up_after_a_while(monkeypatch):
    monkeypatch.setattr(resilient, "STORAGE_SECONDS", 0.02)
    kept = ListingStore(ResilientStorage(Silent()), ttl=300)
    with structlog.testing.capture_logs() as logs, anyio.fail_after(5):
        assert await kept.load(spec()) is None
        await kept.save(spec(), TOOLS)
    assert [entry["reason"] for entry in logs] == ["no answer within 0.02 s"]


@pytest.mark.parametrize("head", [b"", b"{", b"3", b'{"digest": 1}', b'{"digest": "d", "fetched": "soon", "turn": ""}'])
async def test_definitions_without_a_stamp_that_can_be_read_are_as_good_as_none(head):
    shelf = MemoryStorage()
    kept = ListingStore(ResilientStorage(shelf), ttl=300)
    await kept.save(spec(), TOOLS)
    key = f"{PREFIX}offer:alpha:f00"
    shelf.values[key] = head + b"\n" + shelf.values[key].partition(b"\n")[2]
    shelf.values[f"{PREFIX}stamp:alpha:f00"] = head
    assert await kept.load(spec()) is None
    assert await kept.load_version(spec()) is None


async def test_storage_that_was_silent_is_left_alone_for_a_while(monkeypatch):
    monkeypatch.setattr(resilient, "STORAGE_SECONDS", 0.02)
    monkeypatch.setattr(resilient, "SLOW_SECONDS", 0.01)
    shelf, tried = Silent(), []
    shelf.get = lambda key: tried.append(key) or anyio.sleep_forever()
    kept = ListingStore(ResilientStorage(shelf), ttl=300)
    assert [await kept.load(spec()) for _ in range(3)] == [None] * 3
    assert len(tried) == 1
    kept.resilient.record_success()
    assert await kept.load(spec()) is None
    assert len(tried) == 2
