"""Contract of storage backends."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from mcp_gateway.plugin import LeaseStorage, PubSubStorage, StorageBackend
from mcp_gateway_testkit.contract import Contract

TTL = 0.05
"""Seconds after which keys expire in tests of expiry."""

MARGIN = 0.1
"""Seconds after the expiry at which a key must be gone."""

ODD_KEYS = ("with space", "a:b/c", "ключ", "鍵", "🔑", "line\nbreak", "%s{}$x", "k" * 200)


WAIT_SECONDS = 10.0
"""Seconds after which a message counts as lost."""


async def list_keys(storage: StorageBackend, prefix: str) -> list[str]:
    """Return the keys under `prefix`, sorted."""
    return sorted([key async for key in storage.keys(prefix)])


class StorageContract(Contract[StorageBackend]):
    """Contract of storage backends: a flat byte map.

    Every test uses a unique key prefix, so it can run against a shared server.
    """

    hook = "mcp_gateway_storage_backends"
    entry_prefix = "storage"

    @pytest.fixture
    def at(self) -> str:
        """Make a unique key prefix."""
        return f"testkit:{uuid.uuid4()}:"

    async def test_it_does_what_a_storage_backend_does(self, subject: StorageBackend) -> None:
        """It has all methods of the protocol."""
        assert isinstance(subject, StorageBackend)

    async def test_a_missing_key_reads_as_none(self, subject: StorageBackend, at: str) -> None:
        """It is no error."""
        assert await subject.get(f"{at}a") is None

    async def test_what_is_set_is_got_back_byte_for_byte(self, subject: StorageBackend, at: str) -> None:
        """Values are opaque, and come back as bytes."""
        await subject.set(f"{at}a", bytes(range(256)))
        got = await subject.get(f"{at}a")
        assert type(got) is bytes
        assert got == bytes(range(256))

    async def test_an_empty_value_is_not_a_missing_one(self, subject: StorageBackend, at: str) -> None:
        """A server may have no tools."""
        await subject.set(f"{at}a", b"")
        assert await subject.get(f"{at}a") == b""
        assert await list_keys(subject, at) == [f"{at}a"]
        assert await subject.delete(f"{at}a") is True

    async def test_large_values_are_kept(self, subject: StorageBackend, at: str) -> None:
        """Thousands of tool definitions are some megabytes."""
        value = b"tool" * (1 << 20)
        await subject.set(f"{at}a", value)
        assert await subject.get(f"{at}a") == value

    @pytest.mark.parametrize("key", ODD_KEYS)
    async def test_any_text_is_a_key(self, subject: StorageBackend, at: str, key: str) -> None:
        """Keys hold names that people gave."""
        await subject.set(at + key, b"1")
        assert await subject.get(at + key) == b"1"
        assert await list_keys(subject, at + key) == [at + key]
        assert await subject.delete(at + key) is True

    async def test_a_key_expires(self, subject: StorageBackend, at: str) -> None:
        """It is neither read, nor listed, nor deleted any more."""
        await subject.set(f"{at}a", b"1", ttl=TTL)
        assert await subject.get(f"{at}a") == b"1"
        await anyio.sleep(TTL + MARGIN)
        assert await list_keys(subject, at) == []
        assert await subject.get(f"{at}a") is None
        assert await subject.delete(f"{at}a") is False

    async def test_setting_again_replaces_value_and_expiry(self, subject: StorageBackend, at: str) -> None:
        """Without a ttl for good, and with one from now on."""
        await subject.set(f"{at}kept", b"1", ttl=TTL)
        await subject.set(f"{at}kept", b"2")
        await subject.set(f"{at}lost", b"1")
        await subject.set(f"{at}lost", b"2", ttl=TTL)
        await anyio.sleep(TTL + MARGIN)
        assert await subject.get(f"{at}kept") == b"2"
        assert await subject.get(f"{at}lost") is None

    async def test_very_short_and_very_long_lives_are_allowed(self, subject: StorageBackend, at: str) -> None:
        """A ttl is any positive number of seconds."""
        await subject.set(f"{at}short", b"1", ttl=0.0001)
        await subject.set(f"{at}long", b"1", ttl=10 * 365 * 86400)
        assert await subject.get(f"{at}long") == b"1"

    async def test_delete_says_whether_there_was_something(self, subject: StorageBackend, at: str) -> None:
        """And leaves other keys alone."""
        await subject.set(f"{at}a", b"1")
        await subject.set(f"{at}ab", b"1")
        assert await subject.delete(f"{at}a") is True
        assert await subject.delete(f"{at}a") is False
        assert await list_keys(subject, at) == [f"{at}ab"]

    async def test_keys_takes_its_prefix_literally(self, subject: StorageBackend, at: str) -> None:
        """Stars and brackets are only characters."""
        names = ("a*:1", "ab:1", "a?:1", "a[b]:1", "a\\:1", "a%:1", "a_:1", "b")
        for name in names:
            await subject.set(at + name, b"")
        for name in names:
            assert await list_keys(subject, at + name[:-1]) == (
                [at + name] if name != "b" else sorted(at + n for n in names)
            )

    async def test_every_key_is_listed_once(self, subject: StorageBackend, at: str) -> None:
        """Whether there are many, or all are asked for."""
        expected = sorted(f"{at}{number}" for number in range(500))
        async with anyio.create_task_group() as tasks:
            for key in expected:
                tasks.start_soon(subject.set, key, b"1")
        assert await list_keys(subject, at) == expected
        assert [key for key in await list_keys(subject, "") if key.startswith(at)] == expected

    async def test_writing_while_listing_is_allowed(self, subject: StorageBackend, at: str) -> None:
        """A listing is used to clear up."""
        for number in range(20):
            await subject.set(f"{at}{number}", b"")
        async for key in subject.keys(at):
            await subject.delete(key)
        assert await list_keys(subject, at) == []

    async def test_writers_at_the_same_time_do_not_mix(self, subject: StorageBackend, at: str) -> None:
        """One of them wins, whole."""
        values = [bytes([number]) * 10_000 for number in range(20)]
        async with anyio.create_task_group() as tasks:
            for value in values:
                tasks.start_soon(subject.set, f"{at}a", value)
        assert await subject.get(f"{at}a") in values

    async def test_it_survives_callers_that_go_away(self, subject: StorageBackend, at: str) -> None:
        """Require isolation from cancelled callers.

        The result of a cancelled operation is not given to the next one.
        """
        await subject.set(f"{at}a", b"a")
        await subject.set(f"{at}b", b"b")
        for _ in range(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(subject.get, f"{at}a")
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            assert await subject.get(f"{at}b") == b"b"

    # what gateways do together, where the storage can

    async def test_a_lease_is_for_one_holder(self, subject: StorageBackend, at: str) -> None:
        """Require a lease to have one holder, reported to all.

        The holder may renew the lease.
        """
        if not isinstance(subject, LeaseStorage):
            return
        assert await subject.lease(f"{at}a", b"one", ttl=60) == b"one"
        assert await subject.lease(f"{at}a", b"two", ttl=60) == b"one"
        assert await subject.lease(f"{at}a", b"one", ttl=60) == b"one"
        assert await subject.lease(f"{at}b", b"two", ttl=60) == b"two"

    async def test_only_its_holder_gives_a_lease_back(self, subject: StorageBackend, at: str) -> None:
        """Then it is free."""
        if not isinstance(subject, LeaseStorage):
            return
        assert await subject.release(f"{at}a", b"one") is False
        await subject.lease(f"{at}a", b"one", ttl=60)
        assert await subject.release(f"{at}a", b"two") is False
        assert await subject.lease(f"{at}a", b"two", ttl=60) == b"one"
        assert await subject.release(f"{at}a", b"one") is True
        assert await subject.lease(f"{at}a", b"two", ttl=60) == b"two"

    async def test_a_lease_ends_by_itself(self, subject: StorageBackend, at: str) -> None:
        """Require a lease to expire, counted from its last renewal.

        Its holder may be gone.
        """
        if not isinstance(subject, LeaseStorage):
            return
        await subject.lease(f"{at}a", b"one", ttl=TTL)
        await subject.lease(f"{at}b", b"one", ttl=TTL)
        await subject.lease(f"{at}b", b"one", ttl=60)
        await anyio.sleep(TTL + MARGIN)
        assert await subject.release(f"{at}a", b"one") is False
        assert await subject.lease(f"{at}a", b"two", ttl=60) == b"two"
        assert await subject.lease(f"{at}b", b"two", ttl=60) == b"one"

    async def test_of_many_who_want_a_lease_one_gets_it(self, subject: StorageBackend, at: str) -> None:
        """It is taken in one step."""
        if not isinstance(subject, LeaseStorage):
            return
        holders: set[bytes] = set()
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(_lease, subject, f"{at}a", b"%d" % number, holders)
        assert len(holders) == 1

    async def test_all_who_listen_hear_every_message_in_order(self, subject: StorageBackend, at: str) -> None:
        """Require every subscriber to receive every message in order.

        Messages are bytes as they are, from the moment on in which the context is entered.
        """
        if not isinstance(subject, PubSubStorage):
            return
        sent = [b"", bytes(range(256)), *(b"%d" % number for number in range(100)), b"x" * 10_000]
        with anyio.fail_after(WAIT_SECONDS):
            await subject.publish(at, b"nobody listens yet")
            async with subject.subscribe(at) as one, subject.subscribe(at) as two:
                for message in sent:
                    await subject.publish(at, message)
                assert [await anext(one) for _ in sent] == sent
                assert [await anext(two) for _ in sent] == sent

    async def test_a_channel_carries_its_own_messages_only(self, subject: StorageBackend, at: str) -> None:
        """Its name is taken literally."""
        if not isinstance(subject, PubSubStorage):
            return
        with anyio.fail_after(WAIT_SECONDS):
            async with subject.subscribe(f"{at}*") as heard:
                await subject.publish(f"{at}other", b"other")
                await subject.publish(f"{at}*", b"mine")
                assert await anext(heard) == b"mine"

    async def test_who_stops_listening_leaves_the_others_alone(self, subject: StorageBackend, at: str) -> None:
        """By leaving the context, or by cancellation."""
        if not isinstance(subject, PubSubStorage):
            return
        with anyio.fail_after(WAIT_SECONDS):
            async with subject.subscribe(at) as stays:
                async with subject.subscribe(at):
                    pass
                async with anyio.create_task_group() as tasks, subject.subscribe(at) as leaves:
                    tasks.start_soon(_next, leaves)
                    await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
                await subject.publish(at, b"1")
                assert await anext(stays) == b"1"
                await subject.set(f"{at}a", b"1")
                assert await subject.get(f"{at}a") == b"1"


async def _lease(storage: LeaseStorage, key: str, holder: bytes, holders: set[bytes]) -> None:
    holders.add(await storage.lease(key, holder, ttl=60))


async def _next(messages: AsyncIterator[bytes]) -> None:
    await anext(messages)
