"""`tools`: the tools of all servers."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import anyio

from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.resolver import UnknownServer
from mcp_gateway.client.errors import StillStarting
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.local_client import LocalClient, open_local_client, warn_if_no_servers
from mcp_gateway.control.report import complain_error, describe_failure
from mcp_gateway.control.terminal import complain, show, show_json
from mcp_gateway.plugin import GatewayError
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.text.hints import NO_SERVERS
from mcp_gateway_cli.output.server_progress import show_server_progress
from mcp_gateway_cli.output.tool_lines import describe_down, print_notes, print_tool

Json = dict[str, Any]


def run(context: ControlContext, arguments: Namespace) -> int:
    """List the tools; return 1 if no server can be asked."""
    context.configure_quiet_logging()
    warn_if_no_servers(context)
    return anyio.run(_run, context, arguments)


async def _run(context: ControlContext, arguments: Namespace) -> int:
    async with open_local_client(context, retries=False) as client:
        return await _tools(client, arguments)


async def _tools(client: LocalClient, arguments: Namespace) -> int:
    registry = client.running.gateway.registry
    chosen = list(dict.fromkeys([*arguments.names, *(arguments.server or ())]))
    names = chosen or list(registry.specs)
    answers: dict[str, Json] = {}

    async def ask(name: str) -> None:
        answers[name] = await _discover(client, name)

    async with show_server_progress(client), anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(ask, name)
    is_right = not answers or any(answer["success"] for answer in answers.values())
    notes = [] if chosen else registry.notes()
    if arguments.json:
        found = [tool for name in names for tool in answers[name].get("tools", [])]
        failure = (
            {} if is_right else next(describe_failure(one["error_code"], one["error"]) for one in answers.values())
        )
        show_json({"tools": found, "servers": notes, **failure})
    else:
        down = [] if chosen else [name for name in client.servers_down if name in answers]
        for name in (one for one in names if one not in down):
            _print_server(name, answers[name])
            print_notes(_describe_left_out(registry, name))
        if down:
            complain(describe_down(down))
        print_notes([note for note in notes if note.partition(":")[0] not in answers])
        show(*([] if names or notes else [NO_SERVERS]))
    return 0 if is_right else 1


async def _discover(client: LocalClient, name: str) -> Json:
    """Return the answer of `discover_tools`, once the server has started."""
    while True:
        answer = await _ask(client, name)
        if answer.get("error_code") != StillStarting.code:
            return answer
        complain(str(answer["error"]).removesuffix("; try again in a moment"))


async def _ask(client: LocalClient, name: str) -> Json:
    """Ask for a server's tools, unless it failed to start."""
    spec = client.running.gateway.registry.specs.get(name)
    try:
        if spec is not None:
            await client.check_server(spec)
    except GatewayError as error:
        return describe_failure(error.code, str(error))
    answer: Json = (await client.call("discover_tools", {"server_name": name}))["structuredContent"]
    return answer


def _print_server(name: str, answer: Json) -> None:
    if not answer["success"]:
        advice = f"; to find tools by words: {NAME} search WORDS" if answer["error_code"] == UnknownServer.code else ""
        complain_error(f"{answer['error']}{advice}")
        return
    show(f"{name} ({answer['tool_count']} tools)")
    for tool in answer["tools"]:
        print_tool(tool)


def _describe_left_out(registry: Registry, server: str) -> list[str]:
    listing = registry.catalog.servers.get(server)
    return [f"its {left_out.what}" for left_out in listing.left_out] if listing is not None else []
