"""Who has to go when there are too many connections, and how many there may be."""

import asyncio
import sys

import pytest
from mcp_gateway_transport_http.http1 import connection_registry
from mcp_gateway_transport_http.http1.connection_bounds import ConnectionBounds, raise_file_limit
from mcp_gateway_transport_http.http1.connection_registry import ConnectionRegistry
from mcp_gateway_transport_http.options import ListenOptions


class Connection:
    """A connection that only says where it comes from."""

    deadline = float("inf")
    buffer_size = 0
    is_aborted = False

    def __init__(self, address: str = "192.0.2.1") -> None:
        self.address = address

    def abort(self) -> None:
        self.is_aborted = True

    def on_deadline(self, now: float) -> None:
        self.deadline = float("inf")

    def check_state(self, now: float) -> None:
        pass


def registry_of(max_connections: int = 3, max_per_address: int = 2) -> ConnectionRegistry:
    source = {
        "GATEWAY_MAX_CONNECTIONS": str(max_connections),
        "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": str(max_per_address),
    }
    return ConnectionRegistry(ConnectionBounds.of(ListenOptions.model_validate(source)))


async def add(registry: ConnectionRegistry, *connections: Connection) -> list[bool]:
    loop = asyncio.get_running_loop()
    return [registry.add(connection, loop) for connection in connections]


async def test_the_oldest_stranger_makes_room_and_who_was_admitted_never():
    registry = registry_of(max_per_address=100)
    connections = [Connection() for _ in range(6)]
    await add(registry, *connections[:3])
    registry.admit(connections[0])
    assert all(await add(registry, *connections[3:]))
    assert [connection.is_aborted for connection in connections] == [False, True, True, True, False, False]
    assert len(registry) == 3


async def test_when_all_were_admitted_a_new_one_has_no_room_and_goes_first():
    registry = registry_of(max_per_address=100)
    for connection in (admitted := [Connection() for _ in range(3)]):
        await add(registry, connection)
        registry.admit(connection)
    late = [Connection() for _ in range(3)]
    assert await add(registry, *late) == [False] * 3
    assert [connection.is_aborted for connection in late] == [True, True, False]
    assert not any(connection.is_aborted for connection in admitted)
    registry.remove(admitted[0])
    assert await add(registry, Connection()) == [True]


async def test_strangers_of_one_address_make_room_among_themselves():
    registry = registry_of(max_connections=100)
    other, here = Connection("192.0.2.9"), [Connection() for _ in range(4)]
    await add(registry, other, *here)
    assert [connection.is_aborted for connection in here] == [True, True, False, False]
    for connection in here[2:]:
        registry.admit(connection)
    more = [Connection() for _ in range(2)]
    assert all(await add(registry, *more))
    assert not any(connection.is_aborted for connection in (other, *here[2:], *more))


async def test_who_has_gone_is_forgotten_whole():
    registry = registry_of()
    connections = [Connection(f"192.0.2.{number}") for number in range(3)]
    await add(registry, *connections)
    registry.admit(connections[0])
    for connection in connections:
        registry.remove(connection)
        registry.remove(connection)
    assert (len(registry), registry._strangers, registry._of_networks) == (0, {}, {})


async def test_what_all_strangers_have_sent_is_bounded(monkeypatch):
    monkeypatch.setattr(connection_registry, "SWEEP_INTERVAL", 0.01)
    registry = registry_of(max_connections=100, max_per_address=100)
    connections = [Connection() for _ in range(5)]
    await add(registry, *connections)
    for connection in connections:
        connection.buffer_size = 20 << 20
    registry.admit(connections[0])
    swept = asyncio.Event()
    connections[4].check_state = lambda _: swept.set()  # type: ignore[method-assign]
    await asyncio.wait_for(swept.wait(), 30)
    await asyncio.sleep(0)
    assert [connection.is_aborted for connection in connections] == [False, True, False, False, False]
    for connection in connections:
        registry.remove(connection)


@pytest.mark.parametrize("max_files, most", [(None, 10_000), (1024, 768), (200, 136), (65, 1), (20_000, 10_000)])
def test_there_are_never_more_than_files_may_be_open(max_files, most):
    bounds = ConnectionBounds.of(ListenOptions.model_validate({}), max_files)
    assert bounds.max_connections == most
    if max_files and max_files > 100:
        assert bounds.max_connections + 2 * bounds.backlog <= max_files


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_the_limit_of_open_files_is_raised_as_far_as_is_needed_and_may_be():
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[0]), before[1]))
        raised = raise_file_limit(1000)
        assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert raised == (3048 if before[1] == resource.RLIM_INFINITY else min(3048, before[1]))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == before[1]
        assert raise_file_limit(10) == raised
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
