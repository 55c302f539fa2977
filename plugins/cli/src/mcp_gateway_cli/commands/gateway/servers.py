"""`servers`: the state of every server, with reason and time."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import anyio

from mcp_gateway.catalog.server_health import WRONG, State
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.gateways.lookup import describe_gateways
from mcp_gateway.control.local_client import LOOK_SECONDS, warn_if_no_servers
from mcp_gateway.control.report import complain_error, describe_findings
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.local_socket.methods import describe_servers
from mcp_gateway.text.hints import NO_SERVERS
from mcp_gateway_cli.commands.gateway.status import describe_absence, list_unusable, show_server_table, show_servers
from mcp_gateway_cli.output.server_progress import open_client_with_progress

Json = dict[str, Any]

_PROBLEMS = "servers or gateways that do not work"


def run(context: ControlContext, arguments: Namespace) -> int:
    """Print the state of the servers of the running gateways.

    With `--start`, of servers that are started for it. Returns 1 if any fails, or a gateway cannot be asked; those that
    are disabled on purpose do not count.
    """
    context.configure_quiet_logging()
    return anyio.run(_start if arguments.start else _ask, context, arguments)


async def _ask(context: ControlContext, arguments: Namespace) -> int:
    gateways = await describe_gateways(arguments.gateway)
    found = list(gateways.answers.values())
    wrong = [*gateways.unusable, *(item for one in found for item in one["servers"] if _is_wrong(item))]
    if arguments.json:
        shown = [{key: one[key] for key in ("pid", "config", "notices", "servers") if key in one} for one in found]
        failure = describe_absence(gateways) or describe_findings(wrong, _PROBLEMS)
        show_json({"gateways": shown, "unusable": list_unusable(gateways), **failure})
    else:
        for one in found:
            show(f"the gateway with process {one['pid']}, of {one['config']}:")
            show_servers(one)
        complain_error(*gateways.explain())
        if not found and not gateways.unusable:
            _explain_none(context)
    return 1 if not found or wrong else 0


def _explain_none(context: ControlContext) -> None:
    """Say that no gateway runs, and which servers are configured."""
    warn_if_no_servers(context)
    names = ", ".join(spec.name for spec in context.servers.specs)
    if not names:
        show(NO_SERVERS)
        return
    show(
        "no gateway of yours is running; to start the servers for a look: mcp-orchestration-gateway servers --start",
        f"configured: {names}",
    )


async def _start(context: ControlContext, arguments: Namespace) -> int:
    warn_if_no_servers(context)
    async with open_client_with_progress(context, LOOK_SECONDS) as client:
        registry = client.running.gateway.registry
        found, notices = describe_servers(registry), list(registry.notices)
    wrong = [item for item in found if _is_wrong(item)]
    if arguments.json:
        show_json({"servers": found, "notices": notices, **describe_findings(wrong, _PROBLEMS)})
    else:
        show_server_table(found)
        complain_error(*notices)
    return 1 if wrong else 0


def _is_wrong(item: Json) -> bool:
    return item["state"] in {*WRONG, State.STARTING, State.DISABLED} and not item.get("on_purpose")
