"""The methods of the local socket."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from mcp_gateway.catalog.registry import Registry
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.plugin import Caller, ConfigError
from mcp_gateway.protocol.client_channel import ALONE, ClientChannel
from mcp_gateway.protocol.implementation import VERSION
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.protocol.raw_json import Fields
from mcp_gateway.runtime.log_buffer import BUFFER
from mcp_gateway.server.lazy_server import GatewayLazyServer
from mcp_gateway.server.pipeline.notification_queue import NotificationQueue
from mcp_gateway.text.suggestions import suggest_with

Json = dict[str, Any]

_PROGRESS = "notifications/progress"

_FOLLOW_SECONDS = 0.2
"""How often it is looked for new log lines."""

SendFn = Callable[[Json], Awaitable[None]]
"""Sends a notification to the other side."""


class UnknownMethod(Exception):
    """A request for something that this gateway does not do."""


@dataclass(frozen=True, slots=True)
class Asker:
    """The other side of a connection, as a client."""

    client: str
    send: SendFn


@dataclass(frozen=True, slots=True)
class Serving:
    """How a gateway serves: transport, address and file of servers."""

    transport: str
    config: Path
    where: str = ""
    since: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Methods:
    """The methods of the local socket."""

    gateway: Gateway
    lazy_server: GatewayLazyServer
    serving: Serving

    async def answer(self, method: str, params: Mapping[str, Any], asker: Asker) -> Json:
        """Answer a request; it is cancelled when the asker leaves.

        Raises:
            UnknownMethod: there is no such method.
            MCPError: the answer to an MCP request is an error.
            ConfigError: it is about a server that there is not.

        """
        match method:
            case "status":
                return self.describe()
            case "tools":
                return {"tools": list(self.gateway.registry.catalog.full_names())}
            case "logs":
                return await self._send_logs(params, asker.send)
            case "request":
                return await self._request(params, asker)
            case _:
                raise UnknownMethod(f"this gateway ({VERSION}) does not know {method!r}")

    def describe(self) -> Json:
        """Describe the gateway: process, clients, calls, servers."""
        load, opened = self.gateway.pool.load, self.lazy_server.opened
        return {
            "pid": os.getpid(),
            "version": VERSION,
            "since": self.serving.since,
            "transport": self.serving.transport,
            "address": self.serving.where,
            "config": str(self.serving.config),
            "notices": _describe_file(self.gateway.registry),
            "clients": [] if opened is None else opened.describe_clients(),
            "windows": 0 if opened is None else len(opened.pipes.names),
            "calls": {"running": load.running, "admitted": load.admitted, "failed": load.failed},
            "memory_bytes": resident_bytes(),
            "servers": describe_servers(self.gateway.registry),
        }

    def forget_client(self, client: str) -> None:
        """End what is kept for a client that has left."""
        if self.lazy_server.opened is not None:
            self.lazy_server.opened.forget_client(client)

    async def _send_logs(self, params: Mapping[str, Any], send: SendFn) -> Json:
        """Send the kept lines; with `follow`, go on until the asker leaves.

        Lines that were dropped before they could be sent are counted in a message of their own.
        """
        server = self._find_log(params.get("server"))
        found = BUFFER.read(server=server)
        while True:
            for line in found.lines:
                await send({"method": "line", "params": {"server": line.server, "text": line.text}})
            if params.get("follow") is not True:
                return {}
            await anyio.sleep(_FOLLOW_SECONDS)
            found = BUFFER.read(found.last, server)
            if found.missed:
                await send({"method": "missed", "params": {"lines": found.missed}})

    def _find_log(self, server: object) -> str | None:
        """Return the server whose lines are wanted, None for all.

        Those of a server that was removed are kept as long as others.

        Raises:
            ConfigError: there is no such server, and no line of one.

        """
        if not isinstance(server, str) or not server:
            return None
        names = sorted({*(name for name, _ in self.gateway.registry.states.items()), *BUFFER.servers()})
        if server in names:
            return server
        there = f"servers: {', '.join(names) or 'none'}"
        raise ConfigError(f"that gateway has no server {server!r}{suggest_with(server, names, there)}")

    async def _request(self, params: Mapping[str, Any], asker: Asker) -> Json:
        """Answer an MCP request, as for a client over stdio.

        No credentials of other callers come with it: a server that wants the caller's own refuses. With `progress`,
        what the server says of its progress is sent before the answer.
        """
        server = await self.lazy_server.load()
        given, capabilities = params.get("params"), params.get("capabilities")
        caller = Caller(client=asker.client, capabilities=capabilities if isinstance(capabilities, dict) else {})

        async def send(method: str, params: Json) -> None:
            await asker.send({"method": method, "params": params})

        queue = NotificationQueue(send)

        def notify(method: str, params: Fields) -> None:
            if method == _PROGRESS:
                queue.put(method, params)

        channel = ClientChannel(notify, wants_progress=True, is_congested=queue.is_congested)
        wanted = channel if params.get("progress") is True else ALONE
        try:
            content = given if isinstance(given, dict) else {}
            answer = await server.answer(str(params.get("method")), content, caller, wanted)
            await queue.drain()
        finally:
            queue.close()
        return answer


def _describe_file(registry: Registry) -> list[str]:
    """Describe why the file of servers, or its newest state, is unused."""
    problem = registry.config_problem
    kept = (
        [f"the servers are those of before, since the file as it is now cannot be used: {problem}"] if problem else []
    )
    return [*registry.notices, *kept]


def describe_servers(registry: Registry) -> list[Json]:
    """Describe the state of each server."""
    listings = registry.catalog.servers
    return [
        {
            "name": name,
            "state": state.name.value,
            "on_purpose": name in registry.switched_off,
            "since": state.since,
            "reason": state.brief(name),
            "tools": sum(1 for _ in listings[name].shown(TOOLS)) if name in listings else 0,
            "refused": [refusal.what for refusal in listings[name].refused] if name in listings else [],
            "left_out": [left_out.what for left_out in listings[name].left_out] if name in listings else [],
        }
        for name, state in registry.states.items()
    ]


def resident_bytes() -> int:
    """Return the bytes of memory that this process has resident.

    Where the system does not tell it, the peak.
    """
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        pass
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
