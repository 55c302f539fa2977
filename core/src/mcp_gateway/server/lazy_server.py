"""Lazy MCP server that answers the first handshake before loading.

Everything else waits until the MCP SDK is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import mcp_types as types
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.protocol.client_channel import ALONE, ClientChannel, Json
from mcp_gateway.protocol.raw_json import encode_members
from mcp_gateway.server.early_handshake import EarlyClient, encode_first_answer, parse_first_message
from mcp_gateway.server.pipeline.notification_queue import NotificationQueue
from mcp_gateway.server.result_limits import ResultLimits

if TYPE_CHECKING:
    from mcp_gateway.server.server import GatewayServer

_PARTS = ("mcp_types.methods", "mcp.server.streamable_http", "mcp.server.lowlevel.server", "mcp_gateway.server.server")
"""Modules that are slow to import, imported one by one so that the event loop runs in between."""

_IDLE_TURNS, _IDLE_SECONDS = 20, 0.0005
"""The event loop counts as idle after so many iterations in a row of at most so many seconds."""

# Bounded, because clients wait for the import, and starting servers may keep the loop busy for long.
_PATIENCE = 0.25
"""How long to wait for an idle event loop, in seconds."""


@dataclass(slots=True)
class GatewayLazyServer:
    """Lazy server that implements `LazyServer` of the plugin API.

    `loading` is a context that is entered during the import.
    """

    gateway: Gateway
    tasks: TaskGroup
    results: ResultLimits
    loading: Callable[[], AbstractContextManager[None]] = nullcontext
    opened: GatewayServer | None = None
    _guest: EarlyClient | None = None
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        """Provide the session pool with channels to clients."""
        self.gateway.pool.way_to = self._way_to

    def early_initialize(self, message: bytes) -> bytes | None:
        """Return the response to an ordinary first handshake, or None.

        It is meant for transports with a single client.
        """
        if self.opened is not None or self._guest is not None or self.gateway.resolver.transparent is not None:
            return None
        first = parse_first_message(message)
        if first is None:
            return None
        self._guest = EarlyClient(first)
        if self.gateway.loops.position.find_fault(first.chain):
            self.gateway.discovery.waiting = False  # for this client, the only one, there are no servers
        else:
            self.gateway.discovery.on_client_initialized(self._guest.caller)
        return encode_first_answer(first, self.gateway)

    async def load(self) -> GatewayServer:
        """Return the gateway's server, importing the SDK at the first call."""
        async with self._turn:
            if self.opened is None:
                with self.loading():
                    deadline = anyio.current_time() + _PATIENCE
                    for part in _PARTS:
                        await _yield_while_busy(deadline)
                        import_module(part)
                    self.opened = self._open()
        return self.opened

    def _open(self) -> GatewayServer:
        from mcp_gateway.server.server import GatewayServer  # imports the whole SDK

        return GatewayServer(self.gateway, self.tasks, self.results, guest=self._guest)

    def _way_to(self, client: str) -> ClientChannel | None:
        guest = self._guest
        if guest is None or guest.arrived.is_set() or guest.name != client:
            return None if self.opened is None else self.opened.way_to(client)
        return ALONE if guest.modern else self._channel_to_early_client(guest)

    def _channel_to_early_client(self, guest: EarlyClient) -> ClientChannel:
        """Return a channel that waits for an early client's registration.

        The client's handshake has been answered, but the MCP server does not know it yet.
        """

        async def way() -> ClientChannel:
            await guest.arrived.wait()
            return self._way_to(guest.name) or ALONE

        async def send(method: str, params: Json) -> None:
            (await way()).notify(method, encode_members(params))

        async def ask(method: str, params: Json) -> Json:
            arrived = await way()
            if arrived.ask is None:
                raise MCPError(types.INVALID_REQUEST, "the client has left")
            return await arrived.ask(method, params)

        queue = NotificationQueue(send)
        return ClientChannel(queue.put, ask, is_congested=queue.is_congested)


async def _yield_while_busy(deadline: float) -> None:
    """Yield to other tasks while the event loop is busy.

    At that time servers are being started, which should not be delayed by imports.
    """
    now, idle = anyio.current_time(), 0
    while idle < _IDLE_TURNS and now < deadline:
        before = now
        await anyio.lowlevel.checkpoint()
        now = anyio.current_time()
        idle = idle + 1 if now - before < _IDLE_SECONDS else 0
