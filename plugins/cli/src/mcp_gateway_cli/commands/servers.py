"""`servers`: the state of every server, with reason and time."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime

import anyio

from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import WRONG, State
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.local_client import LOOK_SECONDS, open_local_client, warn_if_no_servers
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.primitives import TOOLS


def run(context: ControlContext, arguments: Namespace) -> int:
    """List every server and print its state.

    Returns 1 if any server fails; those that are disabled on purpose do not count.
    """
    context.configure_quiet_logging()
    warn_if_no_servers(context)
    return anyio.run(_show, context, arguments.json)


async def _show(context: ControlContext, as_json: bool) -> int:  # noqa: FBT001  # anyio.run takes no keywords
    async with open_local_client(context) as client:
        await client.wait_for_servers(LOOK_SECONDS)
        found = _describe_servers(client.running.gateway.registry)
    on_purpose = {server.name for server in context.servers.disabled if server.on_purpose}
    if as_json:
        show_json({"servers": found})
    else:
        _print(found)
    wrong = [item for item in found if item["state"] in {*WRONG, State.STARTING, State.DISABLED}]
    return 1 if any(item["name"] not in on_purpose for item in wrong) else 0


def _describe_servers(registry: Registry) -> list[Json]:
    listings = registry.catalog.servers
    return [
        {
            "name": name,
            "state": state.name.value,
            "since": datetime.fromtimestamp(state.since, UTC).isoformat(timespec="seconds"),
            "reason": state.brief(name),
            "tools": sum(1 for _ in listings[name].shown(TOOLS)) if name in listings else 0,
            "refused": [refusal.what for refusal in listings[name].refused] if name in listings else [],
            "left_out": [left_out.what for left_out in listings[name].left_out] if name in listings else [],
        }
        for name, state in registry.states.items()
    ]


def _print(found: list[Json]) -> None:
    name = max((len(item["name"]) for item in found), default=0)
    for item in found:
        tools = f"{item['tools']} tool{'' if item['tools'] == 1 else 's'}"
        message = (
            f"{item['name']:<{name}}  {item['state']:<11}  {item['since'][11:19]} UTC  {tools:>9}  {item['reason']}"
        )
        show(message.rstrip())
        for what in (*item["refused"], *item["left_out"]):
            show(f"{'':<{name}}  its {what}")
    if not found:
        show("no servers are configured")
