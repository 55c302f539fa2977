"""Composition root that opens and closes all components in order."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.overlays import Overlays
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.resolver import Resolver
from mcp_gateway.client.errors import leaf_of
from mcp_gateway.client.fallback.last_connections import LastConnections
from mcp_gateway.config.server_file import ServerFile
from mcp_gateway.config.settings import Environment, Settings
from mcp_gateway.config.sources import state_folder
from mcp_gateway.discovery.caller_views import CallerRefresher
from mcp_gateway.discovery.config_reload import ConfigReloader
from mcp_gateway.discovery.health_probe import HealthProber
from mcp_gateway.discovery.loop_trace import LoopTracer
from mcp_gateway.discovery.refresher import Refresher
from mcp_gateway.discovery.replicated_catalog import ReplicatedCatalog
from mcp_gateway.gateway.compiled_catalog import CatalogCompiler
from mcp_gateway.gateway.era_bridge import EraBridge
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.gateway.resource_subscriptions import Subscriptions
from mcp_gateway.gateway.suspended_calls import SuspendedCalls
from mcp_gateway.gateway.tasks import Tasks
from mcp_gateway.loops.chain import Position
from mcp_gateway.pinning.policy import Pinning
from mcp_gateway.pinning.store import open_pin_store
from mcp_gateway.plugin import (
    Bound,
    ExpectsClient,
    GatewayError,
    Ranker,
    RankerContext,
    ServerTransport,
    SingleClient,
    SupportsLazyServer,
)
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.runtime.malloc import MemoryTrimmer, give_back_bursts, trim_heap
from mcp_gateway.runtime.shutdown import GracefulShutdown
from mcp_gateway.search.indexes import Search
from mcp_gateway.server.lazy_server import GatewayLazyServer
from mcp_gateway.server.result_limits import ResultLimits
from mcp_gateway.sessions.admission import AdmissionControl, Limits
from mcp_gateway.sessions.circuit_breaker import Breakers
from mcp_gateway.sessions.credentials import CredentialResolver
from mcp_gateway.sessions.pool import open_pool
from mcp_gateway.sessions.server_plugins import open_product, open_server_plugins
from mcp_gateway.storage.key_prefix import PREFIX, PrefixedStorage
from mcp_gateway.storage.listings import ListingStore
from mcp_gateway.storage.replica_coordination import Replicas
from mcp_gateway.storage.resilient import ResilientStorage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """An open gateway, its lazy server and its configuration reloader."""

    gateway: Gateway
    lazy_server: GatewayLazyServer
    reloading: ConfigReloader


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    servers: ServerFile,
    *,
    later: bool = False,
    loading: Callable[[], AbstractContextManager[None]] = nullcontext,
    position: Position | None = None,
) -> AsyncIterator[RunningGateway]:
    """Open the plugins and the gateway, and start discovery.

    On exit everything is closed in reverse order.

    With `later`, discovery waits until the only client has sent its capabilities, or until clients can connect,
    so that neither is delayed by it. `loading` is a context entered while the MCP server is imported and built.
    `position` says which gateways are in front of this one.
    """
    environment, events = settings.environment, GatewayEvents()
    position = position or Position.of(environment.server_config, {})
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        storage = await enter(open_product(settings.storage))
        resilient = ResilientStorage(storage)
        rankers = {
            name: await enter(open_product(bound, around))
            for name, bound, around in _rankers_with_context(settings, resilient)
        }
        load = AdmissionControl(Limits(environment.max_calls, environment.max_queue, environment.queue_timeout))
        connections = LastConnections.load(environment.state or state_folder())
        fitting = await enter(open_server_plugins(servers.specs, connections))
        registry = Registry.of(servers.specs, servers.disabled, servers.notices, events)
        breakers = Breakers(registry.states, events, registry.is_current)
        pool = await enter(
            open_pool(
                fitting.client_transports,
                environment.idle_timeout,
                load,
                environment.max_server_sessions,
                breakers,
                chain=str(position.chain),
                connections=connections,
            )
        )
        tasks = await enter(_open_background_tasks())
        access = CredentialResolver(fitting.strategies, fitting.client_transports)
        loops = LoopTracer(position, pool, access, registry)
        shelf = open_pin_store(storage, environment.state, resilient)
        pinning = Pinning(environment.pinning, shelf, lambda: registry.catalog)
        shared = ReplicatedCatalog(
            registry, ListingStore(resilient, environment.tool_ttl), Replicas(resilient, tasks, events), pinning
        )
        discovery = Refresher(registry, access, pool, shared, tasks, events, loops)
        personal = Overlays(registry, environment.idle_timeout, discovery.scheduler)
        views = CallerRefresher(registry, access, discovery, personal, events)
        subscriptions = Subscriptions(tasks, pool)
        events.server_failed.subscribe(HealthProber(discovery, tasks).on_server_failed)
        events.server_list_changed.subscribe(views.on_list_changed)
        events.resource_updated.subscribe(subscriptions.on_resource_updated)
        bridge = EraBridge(pool, SuspendedCalls())
        tidying = MemoryTrimmer(tasks)
        tasks.start_soon(give_back_bursts)
        search = Search(rankers, environment.ranker, environment.max_results, tasks, trim_heap)
        events.catalog_changed.subscribe(tidying.schedule)
        events.server_asked.subscribe(tidying.schedule)
        gateway = Gateway(
            registry,
            Resolver(registry),
            discovery,
            views,
            search,
            access,
            bridge,
            subscriptions,
            Tasks(registry),
            pool,
            events,
            CatalogCompiler(registry),
            loops,
        )
        lazy_server = GatewayLazyServer(gateway, tasks, _results(environment), loading)
        discovery.start(later=later)
        yield RunningGateway(gateway, lazy_server, ConfigReloader(registry, fitting, pool, discovery, personal, tasks))


def _results(environment: Environment) -> ResultLimits:
    return ResultLimits(environment.max_result_bytes, environment.overflow == "cut", environment.kept_bytes)


def _rankers_with_context(
    settings: Settings, resilient: ResilientStorage
) -> Iterator[tuple[str, Bound[Ranker], RankerContext]]:
    """Yield each ranker with its context.

    The context holds all other rankers and a prefixed part of the storage.
    """
    for name, bound in settings.rankers.items():
        others = {other: found for other, found in settings.rankers.items() if other != name}
        yield name, bound, RankerContext(PrefixedStorage(resilient.storage, f"{PREFIX}{name}:", resilient), others)


@asynccontextmanager
async def _open_background_tasks() -> AsyncIterator[TaskGroup]:
    """Open a task group that is cancelled before sessions are closed."""
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        finally:
            tasks.cancel_scope.cancel()


async def _serve(
    transport: ServerTransport, running: RunningGateway, on_ready: Callable[[str], None], *, expects_client: bool
) -> None:
    """Serve with a transport, lazily if the transport supports that.

    A transport that implements `SupportsLazyServer` serves at once; any other waits for the MCP server to be loaded.
    """

    def ready(where: str) -> None:
        log.info("ready", where=where)
        on_ready(where)
        if not expects_client:
            running.gateway.discovery.refresh_all()

    if isinstance(transport, SupportsLazyServer):
        await transport.serve_lazy(running.lazy_server, ready=ready)
    else:
        await transport.serve(await running.lazy_server.load(), ready=ready)


async def _keep_local_socket(running: RunningGateway, settings: Settings, where: str) -> None:
    """Listen until cancelled for commands that ask this gateway.

    It begins when clients can connect, so that none waits for it. Whatever fails here leaves serving alone.
    """
    try:
        await _listen_locally(running, settings, where)
    except Exception:
        log.exception("local socket failed", hint="status, logs and servers cannot ask this gateway")


async def _listen_locally(running: RunningGateway, settings: Settings, where: str) -> None:
    from mcp_gateway.local_socket.listener import open_local_socket  # nobody who serves needs it
    from mcp_gateway.local_socket.methods import Methods, Serving

    environment = settings.environment
    serving = Serving(environment.server_transport, environment.server_config, where)
    async with open_local_socket(Methods(running.gateway, running.lazy_server, serving), environment.control_socket):
        await anyio.sleep_forever()


_GC_THRESHOLDS = (10_000, 20, 50)
"""How many new objects, and how many younger collections, there are before the next one of the garbage collector.

Calls in flight have more objects than the default of 700: each of its collections would find nearly all of them alive,
which took 8 % of the CPU of a call with 32 callers.
"""


def _freeze_heap() -> None:
    """Move start-up objects to the permanent generation; re-enable GC.

    `gc.freeze` keeps later collections from scanning objects that live as long as the process.
    """
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.enable()


@contextmanager
def _gc_paused() -> Iterator[None]:
    """Disable garbage collection for the block, then freeze the heap.

    Most objects made during start-up live as long as the process: scanning them costs time and frees nothing.
    """
    gc.disable()
    try:
        yield
    finally:
        _freeze_heap()


async def serve(
    settings: Settings,
    servers: ServerFile,
    reread: Callable[[], ServerFile] | None = None,
    on_overdue: Callable[[], None] | None = None,
    position: Position | None = None,
) -> None:
    """Serve until the client leaves or a signal ends the process.

    With `reread`, a function that reads the file of servers again, changes to that file are applied while serving.
    `on_overdue` is called in a thread when that takes too long.

    Raises:
        ConfigError: the gateway cannot serve as configured.

    """
    ending = GracefulShutdown(settings.environment.grace, on_overdue=on_overdue)
    try:
        with ending.everything:
            async with settings.server_transport.open() as transport, anyio.create_task_group() as tasks:
                tasks.start_soon(ending.on_signals)
                single_client = isinstance(transport, SingleClient) and transport.single_client
                comes_at_once = isinstance(transport, ExpectsClient) and transport.expects_client
                async with (
                    open_gateway(settings, servers, later=True, loading=_gc_paused, position=position) as running,
                    _open_background_tasks() as local,  # closed before the sessions that it uses
                ):
                    if single_client:
                        ending.under_way = running.gateway.pool.load.count_pending
                    running.gateway.pool.load.is_fair = not single_client
                    if reread is not None:
                        running.reloading.start(settings.environment, reread, servers)
                    _freeze_heap()

                    def on_ready(where: str) -> None:
                        local.start_soon(_keep_local_socket, running, settings, where)

                    with ending.serving:
                        await _serve(transport, running, on_ready, expects_client=single_client or comes_at_once)
                    ending.close()
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        leaf = leaf_of(group)
        raise leaf if isinstance(leaf, GatewayError) else group from None
