"""`servers`: the state of every server, with reason and time."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime

import anyio

from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import WRONG, State
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.local_client import LOOK_SECONDS, warn_if_no_servers
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway_cli.output.server_progress import open_client_with_progress
from mcp_gateway_cli.output.tables import show_table


def run(context: ControlContext, arguments: Namespace) -> int:
    """List every server and print its state.

    Returns 1 if any server fails; those that are disabled on purpose do not count.
    """
    context.configure_quiet_logging()
    warn_if_no_servers(context)
    return anyio.run(_show, context, arguments.json)


async def _show(context: ControlContext, as_json: bool) -> int:  # noqa: FBT001  # anyio.run takes no keywords
    async with open_client_with_progress(context, LOOK_SECONDS) as client:
        found = _describe_servers(client.running.gateway.registry)
    on_purpose = {server.name for server in context.servers.disabled if server.on_purpose or server.is_gateway}
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
    if not found:
        show("no servers are configured; add one: mcp-orchestration-gateway add NAME -- COMMAND, or edit the file")
        return
    show_table(("server", "state", "since", "tools", "why"), [_row(item) for item in found])
    for item in found:
        for what in (*item["refused"], *item["left_out"]):
            show(f"{item['name']}: its {what}")
    usable = sum(item["state"] in (State.READY, State.DEGRADED) for item in found)
    show(f"{usable} of {len(found)} servers usable")


def _row(item: Json) -> tuple[str, ...]:
    tools = f"{item['tools']} tool{'' if item['tools'] == 1 else 's'}"
    return item["name"], item["state"], f"{item['since'][11:19]} UTC", tools, item["reason"]
