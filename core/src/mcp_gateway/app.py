"""Composition root that opens and closes all components in order."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.overlays import Personal
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.resolver import Routing
from mcp_gateway.client.errors import leaf_of
from mcp_gateway.config.environment import Environment, Settings
from mcp_gateway.config.servers import ServerFile
from mcp_gateway.discovery.caller_views import Views
from mcp_gateway.discovery.config_reload import Reloading
from mcp_gateway.discovery.health_probe import Recovery
from mcp_gateway.discovery.refresher import Discovery
from mcp_gateway.discovery.replicated_catalog import Shared
from mcp_gateway.gateway.era_bridge import Bridge
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.gateway.resource_subscriptions import Subscriptions
from mcp_gateway.gateway.suspended_calls import Parking
from mcp_gateway.gateway.tasks import Tasks
from mcp_gateway.pinning.policy import Pinning
from mcp_gateway.pinning.store import open_shelf
from mcp_gateway.plugin import (
    Bound,
    EarlyTransport,
    GatewayError,
    OneClient,
    Ranker,
    ServerTransport,
    Surroundings,
)
from mcp_gateway.runtime.malloc import Tidying, give_back, give_back_bursts
from mcp_gateway.runtime.shutdown import Ending
from mcp_gateway.search.indexes import Search
from mcp_gateway.server.lazy_server import Reception
from mcp_gateway.server.result_limits import Results
from mcp_gateway.sessions.admission import Limits, Load
from mcp_gateway.sessions.credentials import Access
from mcp_gateway.sessions.pool import open_pool
from mcp_gateway.sessions.server_plugins import open_fitting, opened
from mcp_gateway.storage.listings import Definitions
from mcp_gateway.storage.prefixed import PREFIX, Compartment
from mcp_gateway.storage.replica_coordination import Replicas
from mcp_gateway.storage.resilient import Steady

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """An open gateway, its lazy server and its configuration reloader."""

    gateway: Gateway
    reception: Reception
    reloading: Reloading


@asynccontextmanager
async def running(settings: Settings, servers: ServerFile, *, later: bool = False) -> AsyncIterator[Running]:
    """Open the plugins and the gateway, and start discovery.

    On exit everything is closed in reverse order.

    `later` is when the only client has said what it can do, or clients can connect: that comes first.
    """
    environment = settings.environment
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        storage = await enter(opened(settings.storage))
        steady = Steady(storage)
        rankers = {name: await enter(opened(bound, around)) for name, bound, around in _rankers(settings, steady)}
        load = Load(Limits(environment.max_calls, environment.max_queue, environment.queue_timeout))
        fitting = await enter(open_fitting(servers.specs))
        registry = Registry.of(servers.specs, servers.disabled, servers.notices)
        pool = await enter(
            open_pool(fitting.client_transports, environment.idle_timeout, load, environment.max_server_sessions)
        )
        pool.breakers.states = registry.states
        tasks = await enter(_background())
        access = Access(fitting.strategies, fitting.client_transports)
        shelf = open_shelf(storage, environment.state, steady)
        pinning = Pinning(environment.pinning, shelf, lambda: registry.catalogue)
        shared = Shared(registry, Definitions(steady, environment.tool_ttl), Replicas(steady, tasks), pinning)
        discovery = Discovery(registry, access, pool, shared, tasks)
        personal = Personal(registry, environment.idle_timeout)
        views = Views(registry, access, discovery, personal, tasks)
        subscriptions = Subscriptions(tasks, pool)
        pool.is_current = pool.breakers.is_current = registry.is_current
        pool.breakers.on_trouble = Recovery(discovery, tasks).begin
        pool.on_announced += [views.announced, subscriptions.announced]
        bridge = Bridge(pool, Parking(tasks))
        tidying = Tidying(tasks)
        tasks.start_soon(give_back_bursts)
        search = Search(rankers, environment.ranker, environment.max_results, tasks, give_back)
        registry.on_change.append(tidying.begin)
        discovery.on_asked = tidying.begin
        gateway = Gateway(
            registry, Routing(registry), discovery, views, search, access, bridge, subscriptions, Tasks(registry), pool
        )
        reception = Reception(gateway, tasks, _results(environment), direct=environment.direct)
        discovery.start(later=later)
        yield Running(gateway, reception, Reloading(registry, fitting, pool, discovery, personal, tasks))


def _results(environment: Environment) -> Results:
    return Results(environment.max_result_bytes, environment.overflow == "cut", environment.kept_bytes)


def _rankers(settings: Settings, steady: Steady) -> Iterator[tuple[str, Bound[Ranker], Surroundings]]:
    """Yield each ranker with its context.

    The context holds all other rankers and a prefixed part of the storage.
    """
    for name, bound in settings.rankers.items():
        others = {other: found for other, found in settings.rankers.items() if other != name}
        yield name, bound, Surroundings(Compartment(steady.storage, f"{PREFIX}{name}:", steady), others)


@asynccontextmanager
async def _background() -> AsyncIterator[TaskGroup]:
    """Open the task group for background tasks.

    It is cancelled when the gateway ends, before its sessions are closed.
    """
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        finally:
            tasks.cancel_scope.cancel()


async def _served(transport: ServerTransport, it: Running, *, one_client: bool) -> None:
    """Serve with a transport, lazily if the transport supports that.

    A transport that implements `SupportsLazyServer` serves at once; any other waits until the MCP server is
    loaded.
    """

    def ready(where: str) -> None:
        log.info("ready", where=where)
        if not one_client:
            it.gateway.discovery.begin()

    if isinstance(transport, EarlyTransport):
        await transport.serve_early(it.reception, ready=ready)
    else:
        await transport.serve(await it.reception.server(), ready=ready)


def _started() -> None:
    """Move start-up objects to the permanent generation; re-enable GC.

    `gc.freeze` keeps later collections from scanning objects that live as long as the process.
    """
    gc.freeze()
    gc.enable()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Do not look for garbage among what stays."""
    gc.disable()
    try:
        yield
    finally:
        _started()


async def serve(settings: Settings, servers: ServerFile, reread: Callable[[], ServerFile] | None = None) -> None:
    """Serve until the client leaves or a signal ends the process.

    With `reread`, which reads the file of servers again, changes of that file are followed.

    Raises:
        ConfigError: it cannot serve as configured.

    """
    ending = Ending(settings.environment.grace)
    try:
        with ending.everything:
            async with settings.server_transport.open() as transport, anyio.create_task_group() as tasks:
                tasks.start_soon(ending.on_signals)
                one_client = isinstance(transport, OneClient) and transport.one_client
                async with running(settings, servers, later=True) as it:
                    if one_client:
                        ending.under_way = it.gateway.pool.load.under_way
                    if reread is not None:
                        it.reloading.start(settings.environment, reread)
                    _started()
                    it.reception.loading = _undisturbed
                    with ending.serving:
                        await _served(transport, it, one_client=one_client)
                    ending.close()
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        leaf = leaf_of(group)
        raise leaf if isinstance(leaf, GatewayError) else group from None
