"""`logs`: the log of a running gateway, and what its servers write."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from typing import Any

import anyio

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.gateways.client import open_running_client
from mcp_gateway.control.gateways.lookup import NONE_RUNS, choose_running
from mcp_gateway.control.report import NothingRuns
from mcp_gateway.control.terminal import complain, show, show_json
from mcp_gateway_cli.shared.places import find_last_log

Json = dict[str, Any]

_FIRST = ("timestamp", "level", "event", "server")
_SILENT = frozenset({"logger", "program"})


_IN_CLIENTS = (
    "what it wrote is in its client's own log of MCP servers; with GATEWAY_SHARED=true in the client's entry of the "
    "gateway, a file keeps it"
)


def run(_context: ControlContext, arguments: Namespace) -> int:
    """Print the lines that are kept; with `--follow`, those that come, too."""
    return anyio.run(_run, arguments)


async def _run(arguments: Namespace) -> int:
    def on_notification(method: str, params: Json) -> None:
        if method == "missed":
            complain(f"note: {params['lines']} lines came faster than they could be shown, and are missing here")
        elif arguments.json:
            show_json(_read(params["text"]), flush=True)
        else:
            show(_format(_read(params["text"])), flush=True, wraps=False)

    try:
        endpoint = await choose_running(arguments.gateway)
    except NothingRuns as error:
        if str(error) != NONE_RUNS:
            raise
        last = find_last_log(os.environ)
        kept = f"the log of the last one that was shared: {last}" if last is not None else _IN_CLIENTS
        raise NothingRuns(f"no gateway of yours is running; {kept}") from None
    async with open_running_client(endpoint) as client:
        await client.ask("logs", {"server": arguments.server, "follow": arguments.follow}, on_notification)
    return 0


def _read(text: str) -> Json:
    try:
        found = json.loads(text)
    except ValueError:  # a line that was cut
        return {"event": text}
    return found if isinstance(found, dict) else {"event": text}


def _format(fields: Json) -> str:
    time = str(fields.get("timestamp", ""))[11:19]
    server = f"{fields['server']}: " if fields.get("server") else ""
    if fields.get("event") == "server stderr":
        return f"{time} {server}| {fields.get('line', '')}"
    more = " ".join(f"{key}={value}" for key, value in fields.items() if key not in {*_FIRST, *_SILENT})
    return f"{time} {fields.get('level', ''):<7} {server}{fields.get('event', '')} {more}".rstrip()
