"""`status`: the running gateways of this user."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import anyio

from mcp_gateway.catalog.server_health import State
from mcp_gateway.config.server_spec import NOT_USED
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.gateways.lookup import NONE_RUNS, Gateways, describe_gateways
from mcp_gateway.control.report import NothingRuns, complain_error, describe_failure
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.plugin import ConfigError
from mcp_gateway.text.hints import NO_SERVERS
from mcp_gateway_cli.output.advice import has_servers
from mcp_gateway_cli.output.tables import show_table

Json = dict[str, Any]


def run(context: ControlContext, arguments: Namespace) -> int:
    """Describe the gateways; return 1 if there is none."""
    return anyio.run(_run, context, arguments)


async def _run(context: ControlContext, arguments: Namespace) -> int:
    gateways = await describe_gateways(arguments.gateway)
    found = list(gateways.answers.values())
    if arguments.json:
        show_json({"gateways": found, "unusable": list_unusable(gateways), **describe_absence(gateways)})
        return 0 if found else 1
    for number, gateway in enumerate(found):
        _print(gateway, is_first=number == 0)
    complain_error(*gateways.explain())
    if not found and not gateways.unusable:
        show(NONE_RUNS)
        with suppress(ConfigError):  # the state of gateways does not depend on it
            show(*([] if has_servers(context) else [NO_SERVERS]))
    return 0 if found else 1


def describe_absence(gateways: Gateways) -> Json:
    """Return what JSON says if no gateway could be asked."""
    if gateways.answers:
        return {}
    code = next((error.code for error in gateways.unusable.values()), NothingRuns.code)
    return describe_failure(code, "; ".join(gateways.explain()) or NONE_RUNS)


def list_unusable(gateways: Gateways) -> list[Json]:
    """Return process and reason of each gateway that cannot be asked."""
    return [{"pid": endpoint.pid, "reason": str(error)} for endpoint, error in gateways.unusable.items()]


def _print(gateway: Json, *, is_first: bool) -> None:
    calls = gateway["calls"]
    failed = f", {calls['failed']} failed, refused or cancelled" if calls["failed"] else ""
    if not is_first:
        show("")
    show(
        f"gateway {gateway['version']}, process {gateway['pid']}, since {to_time(gateway['since'])}",
        f"  serves    {gateway['transport']}: {gateway['address']}",
        f"  servers   {gateway['config']}",
        *([f"  windows   {gateway['windows']}"] if gateway.get("windows") else []),
        f"  clients   {_count_clients(gateway['clients'])}",
        f"  calls     {calls['running']} under way, {calls['admitted']} sent to servers{failed}",
        f"  memory    {gateway['memory_bytes'] / 2**20:.0f} MiB",
    )
    show_servers(gateway)


def _count_clients(clients: list[Json]) -> str:
    """Return how many connections there are of each client."""
    names = Counter(" ".join(filter(None, (one.get("name"), one.get("version")))) or "unnamed" for one in clients)
    if not names:
        return "0 (clients of protocol 2026-07-28 open no session, and are not counted)"
    listed = ", ".join(name if times == 1 else f"{name} ({times} times)" for name, times in names.items())
    return f"{len(clients)}: {listed}"


def show_servers(gateway: Json) -> None:
    """Print the servers of a gateway, and why there are no others."""
    show_server_table(gateway["servers"])
    complain_error(*gateway.get("notices", ()))


def show_server_table(servers: list[Json]) -> None:
    """Print a row for each server, and how many are usable."""
    if servers:
        show_table(("server", "state", "since", "tools", "why"), [_row(item) for item in servers])
        for item in servers:
            for what in (*item["refused"], *item["left_out"]):
                show(f"{item['name']}: its {what}")
        usable = sum(item["state"] in ("ready", "degraded") for item in servers)
        off = sum(bool(item.get("on_purpose")) for item in servers)
        show(f"{usable} of {len(servers) - off} servers work{f', {off} switched off' if off else ''}")
    else:
        show(NO_SERVERS)


def _row(item: Json) -> tuple[str, ...]:
    tools = f"{item['tools']} tool{'' if item['tools'] == 1 else 's'}"
    state = item["state"]
    if state == State.DISABLED:
        state = "off" if item.get("on_purpose") else NOT_USED
    return item["name"], state, to_time(item["since"]), tools, item["reason"]


def to_time(seconds: float) -> str:
    """Return a time for people, in UTC."""
    moment = datetime.fromtimestamp(seconds, UTC)
    form = "%H:%M:%S" if moment.date() == datetime.now(UTC).date() else "%Y-%m-%d %H:%M"
    return f"{moment.strftime(form)} UTC"
