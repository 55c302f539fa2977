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


async def test_values_that_change_later_do_not_change_what_is_kept():
    storage, value = MemoryStorage(), bytearray(b"old")
    await storage.set("a", bytes(value))
    value[:] = b"new"
    assert await storage.get("a") == b"old"
