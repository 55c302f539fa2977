"""Opened plugin products of every configured server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup, TaskStatus

from mcp_gateway.client.fallback.last_connections import LastConnections
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import AuthStrategy, Bound, ClientTransport, GatewayError, PluginError, RankerContext

ProductT = TypeVar("ProductT")


@dataclass(frozen=True, slots=True)
class OpenedServer:
    """One server's opened products; they are closed once `over` is set."""

    spec: ServerSpec
    client_transport: ClientTransport
    strategy: AuthStrategy | None
    over: anyio.Event


@dataclass(slots=True)
class ServerPlugins:
    """Plugin products in use, by server.

    Each server's products are opened and closed by a task of their own.
    """

    tasks: TaskGroup
    connections: LastConnections
    strategies: dict[str, AuthStrategy] = field(default_factory=dict)
    client_transports: dict[str, ClientTransport] = field(default_factory=dict)
    _fitted: dict[ServerSpec, OpenedServer] = field(default_factory=dict)

    async def open_servers(self, specs: Iterable[ServerSpec]) -> list[OpenedServer]:
        """Open the products of servers, all or none, without using them.

        Raises:
            GatewayError: a plugin's product could not be opened; those opened before are closed again.

        """
        fitted: list[OpenedServer] = []
        try:
            for spec in specs:
                fitted.append(await self.tasks.start(self._hold, spec))  # noqa: PERF401  # what is open is closed again
        except BaseException:
            for one in fitted:
                one.over.set()
            raise
        return fitted

    def use(self, fitted: Iterable[OpenedServer], names: Iterable[str]) -> None:
        """Put opened products into use; drop servers not in `names`."""
        for one in fitted:
            name = one.spec.name
            self._fitted[one.spec] = one
            self.client_transports[name] = one.client_transport
            self.strategies.pop(name, None)
            if one.strategy is not None:
                self.strategies[name] = one.strategy
        for name in set(self.client_transports) - set(names):
            del self.client_transports[name]
            self.strategies.pop(name, None)

    def close(self, spec: ServerSpec) -> None:
        """Close the products of a server that is no longer configured."""
        if (fitted := self._fitted.pop(spec, None)) is not None:
            fitted.over.set()

    def close_all(self) -> None:
        """Close everything."""
        for spec in list(self._fitted):
            self.close(spec)

    async def _hold(self, spec: ServerSpec, *, task_status: TaskStatus[OpenedServer]) -> None:
        # Opened and closed by the same task: plugins may enter cancel scopes, which no other task may leave.
        async with AsyncExitStack() as stack:
            strategy = await stack.enter_async_context(open_product(spec.auth)) if spec.auth else None
            transport = await _open_transport(stack, spec, self.connections)
            over = anyio.Event()
            task_status.started(OpenedServer(spec, transport, strategy, over))
            with anyio.CancelScope(shield=True):  # the products must outlive the sessions that use them
                await over.wait()


async def _open_transport(stack: AsyncExitStack, spec: ServerSpec, connections: LastConnections) -> ClientTransport:
    transport = await stack.enter_async_context(open_product(spec.client_transport))
    if (fallback := spec.fallback) is None:
        return transport
    # With it comes the SDK, which what only reads the configuration does without.
    from mcp_gateway.client.fallback.transport import FallbackTransport

    other = None if fallback.bound is None else await stack.enter_async_context(open_product(fallback.bound))
    names = (spec.client_transport.name, fallback.name)
    return FallbackTransport(spec, names, transport, other, fallback.hint, connections)


@asynccontextmanager
async def open_server_plugins(
    specs: Iterable[ServerSpec], connections: LastConnections | None = None
) -> AsyncIterator[ServerPlugins]:
    """Open the products of servers; close all products on exit."""
    specs = list(specs)
    async with anyio.create_task_group() as tasks:
        server_plugins = ServerPlugins(tasks, connections or LastConnections())
        server_plugins.use(await server_plugins.open_servers(specs), [spec.name for spec in specs])
        try:
            yield server_plugins
        finally:
            server_plugins.close_all()


@asynccontextmanager
async def open_product(bound: Bound[ProductT], around: RankerContext | None = None) -> AsyncIterator[ProductT]:
    """Open a plugin's product; name the plugin if that fails.

    The error has the type of the plugin's exception, but not its text.
    """
    async with AsyncExitStack() as stack:
        try:
            product = await stack.enter_async_context(bound.open() if around is None else bound.open_in(around))
        except GatewayError:
            raise
        except Exception as error:
            raise PluginError(f"the plugin that offers {bound.name!r} does not open: {type(error).__name__}") from error
        yield product
