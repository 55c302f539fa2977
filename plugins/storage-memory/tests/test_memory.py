from mcp_gateway_storage_memory import MemoryStorage, mcp_gateway_storage_backends


async def test_two_storages_share_nothing():
    (provider,) = mcp_gateway_storage_backends()
    async with provider.bind({}).open() as one, provider.bind({}).open() as two:
        await one.set("a", b"1")
        assert await two.get("a") is None


async def test_what_has_expired_is_forgotten_when_it_is_looked_at():
    storage = MemoryStorage()
    await storage.set("a", b"1", ttl=-1)
    assert [key async for key in storage.keys("")] == []
    assert storage._items == {}


async def test_what_has_expired_is_forgotten_even_if_nobody_looks_at_it(monkeypatch):
    monkeypatch.setattr("mcp_gateway_storage_memory.SWEEP_SECONDS", 0.0)
    storage = MemoryStorage()
    await storage.set("a", b"1", ttl=-1)
    await storage.set("b", b"2", ttl=60)
    await storage.set("c", b"3")
    await storage.set("d", b"4")
    assert set(storage._items) == {"b", "c", "d"}


async def test_values_that_change_later_do_not_change_what_is_kept():
    storage, value = MemoryStorage(), bytearray(b"old")
    await storage.set("a", bytes(value))
    value[:] = b"new"
    assert await storage.get("a") == b"old"
