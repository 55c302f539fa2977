"""`servers`: the state of every server, with reason and time."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import anyio

from mcp_gateway.catalog.server_health import WRONG, State
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.gateways.running import find_running, open_running_client
from mcp_gateway.control.local_client import LOOK_SECONDS, warn_if_no_servers
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.local_socket.methods import describe_servers
from mcp_gateway_cli.commands.gateway.status import show_server_table
from mcp_gateway_cli.output.advice import NO_SERVERS
from mcp_gateway_cli.output.server_progress import open_client_with_progress

Json = dict[str, Any]


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print the state of the servers of the running gateways.

    With `--start`, of servers that are started for it. Returns 1 if any fails; those that are disabled on purpose do
    not count.
    """
    context.configure_quiet_logging()
    return anyio.run(_start if arguments.start else _ask, context, arguments)


async def _ask(context: ControlContext, arguments: Namespace) -> int:
    found = []
    for endpoint in await find_running():
        if arguments.gateway in (None, endpoint.pid):
            async with open_running_client(endpoint) as client:
                found.append(await client.ask("status"))
    if arguments.json:
        show_json({"gateways": [{key: one[key] for key in ("pid", "config", "servers")} for one in found]})
    for one in found if not arguments.json else ():
        show(f"the gateway with process {one['pid']}, of {one['config']}:")
        show_server_table(one["servers"])
    if not found and not arguments.json:
        warn_if_no_servers(context)
        names = ", ".join(spec.name for spec in context.servers.specs)
        show(
            "no gateway of yours is running; to start the servers for a look: mcp-orchestration-gateway servers --start"
            if names
            else NO_SERVERS
        )
        if names:
            show(f"configured: {names}")
    return 1 if not found or any(_is_wrong(item) for one in found for item in one["servers"]) else 0


async def _start(context: ControlContext, arguments: Namespace) -> int:
    warn_if_no_servers(context)
    async with open_client_with_progress(context, LOOK_SECONDS) as client:
        found = describe_servers(client.running.gateway.registry)
    if arguments.json:
        show_json({"servers": found})
    else:
        show_server_table(found)
    on_purpose = {server.name for server in context.servers.disabled if server.on_purpose}
    return 1 if any(_is_wrong(item) for item in found if item["name"] not in on_purpose) else 0


def _is_wrong(item: Json) -> bool:
    return item["state"] in {*WRONG, State.STARTING, State.DISABLED}
