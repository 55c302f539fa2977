"""What most tests are built of: a configuration, and an open gateway with a client in front of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp.client._memory import InMemoryTransport

from mcp_gateway.app import RunningGateway, open_gateway
from mcp_gateway.client.connection import Connection, open_connection
from mcp_gateway.client.handshake import _initialize, negotiate
from mcp_gateway.config.server_file import ServerFile, read_servers
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.settings import read_environment, read_settings
from mcp_gateway.config.time_limits import TimeKeys, TimeLimits, TimeSettings, settle_time_limits
from mcp_gateway.plugin import Bound
from mcp_gateway.plugin_host.providers import Providers
from mcp_gateway.server.server import GatewayServer

from .fake_plugins import everything, providers_of
from .fake_servers import WAIT_SECONDS, Json


def spec(name: str = "alpha", **changes: Any) -> ServerSpec:
    """Make a settled server, as the configuration would."""
    settled: Json = {
        "name": name,
        "namespace": name,
        "description": "",
        "client_transport": Bound("memory", None),
        "auth": None,
        "auth_optional": False,
        "overridable": True,
        "stateful": False,
        "auto_discover": True,
        "exposed": frozenset({"prompts", "resources", "templates"}),
        "time_limits": limits(WAIT_SECONDS, 60.0),
        "max_retries": 0,
        "fingerprint": "f00",
    }
    if "timeout" in changes or "max_call_time" in changes:
        seconds, total = changes.pop("timeout", WAIT_SECONDS), changes.pop("max_call_time", 60.0)
        settled["time_limits"] = limits(seconds, total)
    return ServerSpec(**{**settled, **changes})


def limits(seconds: float, max_call_time: float = 60.0) -> TimeLimits:
    """Make the time limits of a server whose entry says so."""
    return settle_time_limits(TimeKeys(timeout=seconds, max_call_time=max_call_time), TimeSettings())


def read(folder: Path, written: Any, providers: Providers | None = None, **environ: str) -> ServerFile:
    """Write a server file and read it."""
    path = folder / "server_config.json"
    path.write_text(written if isinstance(written, str) else json.dumps(written), encoding="utf-8")
    environ = {"SERVER_CONFIG_PATH": str(path), **environ}
    return read_servers(read_environment(environ), environ, providers or providers_of(everything()))


@asynccontextmanager
async def gateway(
    folder: Path, remotes: Mapping[str, Any], environ: Mapping[str, str] | None = None, **parts: Any
) -> AsyncIterator[RunningGateway]:
    """Open a gateway over servers in memory. `parts` are products by kind, or more keys of the server of that name."""
    entries = [
        {"transport": "memory", "timeout": WAIT_SECONDS, **parts.get(name, {}), "name": name} for name in remotes
    ]
    providers = providers_of(everything(remotes, **parts))
    servers = read(folder, {"servers": entries}, providers, **(environ or {}))
    with anyio.fail_after(6 * WAIT_SECONDS):
        async with open_gateway(read_settings(environ or {}, providers), servers) as opened:
            await opened.lazy_server.load()
            yield opened


def server_of(opened: RunningGateway) -> GatewayServer:
    """Return what an open gateway has in front of it."""
    assert opened.lazy_server.opened is not None
    return opened.lazy_server.opened


@asynccontextmanager
async def client(
    opened: RunningGateway, *, modern: bool = True, notifications: list[str] | None = None
) -> AsyncIterator[Connection]:
    """Connect to a gateway in either era, seeing raw JSON. `notifications` collects their methods."""

    def on_notification(method: str, _: Mapping[str, Any] | None) -> None:
        if notifications is not None:
            notifications.append(method)

    async with open_connection(
        InMemoryTransport(await opened.lazy_server.load()), on_announced=on_notification
    ) as connection:
        await (negotiate(connection) if modern else _initialize(connection))
        yield connection


async def ask(connection: Connection, name: str, arguments: Json | None = None, **params: Any) -> Json:
    """Call a tool of the gateway."""
    return await connection.request("tools/call", {"name": name, "arguments": arguments or {}, **params})
