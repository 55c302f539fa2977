"""`tools`, `search` and `call`: a client of an in-process gateway.

The commands go through the gateway's MCP interface, as a model would.
"""

from __future__ import annotations

import json
import math
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.memory import create_client_server_memory_streams

from mcp_gateway.app import RunningGateway, open_gateway
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.cli.context import CommandContext
from mcp_gateway.cli.terminal import complain, complain_text, show, show_json, show_text
from mcp_gateway.client.connection import Connection, open_connection
from mcp_gateway.client.errors import StillStarting
from mcp_gateway.client.handshake import negotiate
from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol._sdk import Transport
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.tool_names import split_name
from mcp_gateway.runtime.logging import configure_logging

LOOK_SECONDS = 30.0
"""How long `servers` and `search` wait for servers; then they show which are still starting."""


@dataclass(frozen=True, slots=True)
class LocalClient:
    """A client of a gateway in this process."""

    running: RunningGateway
    connection: Connection
    patience: float
    """For how many seconds the slowest server may start and list."""

    async def call(self, tool: str, arguments: Json) -> Json:
        """Call a tool of the gateway; return the unmodified result.

        A JSON-RPC error becomes a result with `isError`.
        """
        try:
            return await self.connection.request("tools/call", {"name": tool, "arguments": arguments})
        except MCPError as error:
            text = f"{error.error.message} (the server's error {error.error.code})"
            return {"isError": True, "content": [{"type": "text", "text": text}], "error": _error(error)}

    async def wait_for_servers(self, seconds: float = math.inf) -> None:
        """Wait until every server has been listed or has failed."""
        await self.running.gateway.discovery.wait_for_servers(min(seconds, self.patience))


def use(reading: CommandContext, arguments: Namespace) -> int:
    """Run one of the three commands."""
    configure_quiet_logging(reading)
    warn_if_no_servers(reading)
    return anyio.run(_use, reading, arguments)


def configure_quiet_logging(reading: CommandContext) -> None:
    """Log errors only, unless the configuration says otherwise."""
    environment = reading.environment
    if "log_level" not in environment.model_fields_set:
        environment = environment.model_copy(update={"log_level": "error"})
    configure_logging(environment)


def warn_if_no_servers(reading: CommandContext) -> None:
    """Print configuration warnings to standard error if there are no servers."""
    if not reading.servers.specs and not reading.servers.disabled:
        for warning in reading.servers.warnings:
            complain(f"warning: {warning}")


async def _use(reading: CommandContext, arguments: Namespace) -> int:
    given = _arguments(arguments) if arguments.command == "call" else {}
    async with open_local_client(reading) as visit:
        match arguments.command:
            case "tools":
                return await _tools(visit, arguments)
            case "search":
                return await _search(visit, arguments)
            case _:
                return await _call(visit, arguments, given)


@asynccontextmanager
async def open_local_client(reading: CommandContext) -> AsyncIterator[LocalClient]:
    """Open an in-process gateway with a client connected to it."""
    limits = [spec.time_limits for spec in reading.servers.specs]
    patience = max((limit.start.seconds + limit.list.seconds for limit in limits), default=0.0)
    async with open_gateway(reading.settings, reading.servers) as opened, anyio.create_task_group() as tasks:
        server = await opened.lazy_server.load()
        async with create_client_server_memory_streams() as (ours, theirs):
            tasks.start_soon(server.run, *theirs, server.create_initialization_options())
            async with open_connection(_transport_of(ours)) as connection:
                await negotiate(connection)
                yield LocalClient(opened, connection, patience)
        tasks.cancel_scope.cancel()


def _transport_of(streams: Any) -> Transport:
    @asynccontextmanager
    async def open_streams() -> AsyncIterator[Any]:
        yield streams

    return open_streams()


async def _tools(visit: LocalClient, arguments: Namespace) -> int:
    registry = visit.running.gateway.registry
    names = [arguments.server] if arguments.server else list(registry.specs)
    answers: dict[str, Json] = {}

    async def ask(name: str) -> None:
        answers[name] = await _discover(visit, name)

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(ask, name)
    notes = [] if arguments.server else registry.notes()
    if arguments.json:
        found = [tool for name in names for tool in answers[name].get("tools", [])]
        show_json({"tools": found, "servers": notes})
    else:
        for name in names:
            _print_server(name, answers[name])
            _print_notes(_describe_left_out(registry, name))
        _print_notes([note for note in notes if note.partition(":")[0] not in answers])
        _print_notes(["no servers are configured"] if not names and not notes else [])
    return 0 if all(answer["success"] for answer in answers.values()) else 1


async def _discover(visit: LocalClient, name: str) -> Json:
    """Return the answer of `discover_tools`, once the server has started."""
    while True:
        answer: Json = (await visit.call("discover_tools", {"server_name": name}))["structuredContent"]
        if answer.get("error_code") != StillStarting.code:
            return answer
        complain(answer["error"].removesuffix("; try again in a moment"))


async def _search(visit: LocalClient, arguments: Namespace) -> int:
    await visit.wait_for_servers(LOOK_SECONDS)
    wanted = {"query": arguments.query, "max_results": arguments.max, "ranker": arguments.ranker}
    wanted |= {"server": arguments.server, "explain": arguments.explain}
    answer = (await visit.call("tool_search", wanted))["structuredContent"]
    if arguments.json:
        show_json(answer)
    elif answer["success"]:
        for tool in answer["tools"]:
            _print_tool(tool)
            _print_reasons(tool)
        fit = f", the best fit is {answer['label']}" if arguments.explain and "label" in answer else ""
        shown, total = len(answer["tools"]), answer["total_matches"]
        show(f"{shown} of {total} matching tools ({answer['search_type']}){fit}")
        _print_notes([*answer["hints"], *answer["servers"]])
    else:
        complain(answer["error"])
    return 0 if answer["success"] else 1


async def _call(visit: LocalClient, arguments: Namespace, given: Json) -> int:
    if split_name(arguments.tool) is None:
        await visit.wait_for_servers()  # a short name is resolved among the tools of all servers
    result = await visit.call("call_remote_tool", {"tool_name": arguments.tool, "arguments": given})
    if arguments.json:
        show_json(result)
    else:
        _print_result(result)
    return 1 if result.get("isError") else 0


def _arguments(arguments: Namespace) -> Json:
    if arguments.arguments != "-":
        text: str | bytes = arguments.arguments
    else:
        text = sys.stdin.buffer.read() if sys.stdin is not None else b""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        advice = "" if arguments.arguments == "-" else "; a shell that takes quotes away may pipe them to '-' instead"
        raise ConfigError(f"the arguments are not JSON: {error.msg} at character {error.pos}{advice}") from None
    except UnicodeDecodeError:
        raise ConfigError("the arguments are not UTF-8") from None
    if not isinstance(value, dict):
        raise ConfigError('the arguments must be a JSON object, such as {"timezone": "UTC"}')
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigError("the arguments hold half of a pair such as \\ud83d\\ude00: write both halves") from None
    return value


def _print_server(name: str, answer: Json) -> None:
    if not answer["success"]:
        complain(answer["error"])
        return
    show(f"{name} ({answer['tool_count']} tools)")
    for tool in answer["tools"]:
        _print_tool(tool)


def _describe_left_out(registry: Registry, server: str) -> list[str]:
    listing = registry.catalog.servers.get(server)
    return [f"its {left_out.what}" for left_out in listing.left_out] if listing is not None else []


def _print_tool(tool: Json) -> None:
    summary = " ".join(tool["description"].split())
    required = ", ".join(_parameters(tool["input_schema"]))
    show(f"  {tool['tool_name']}({required})", f"      {summary[:160]}")


def _print_reasons(tool: Json) -> None:
    """Print a search hit's score and its matching terms.

    Each term is printed with its contribution and the fields that contain it.
    """
    if "score" in tool:
        show(f"      score {tool['score']:.2f}")
    for match in tool.get("matches", ()):
        show(f"      {match['score']:+7.2f}  {match['term']:<24} {', '.join(match['fields'])}".rstrip())


def _parameters(schema: Any) -> list[str]:
    """Return the argument names; optional ones end with a question mark."""
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return []
    listed = schema.get("required")
    required = listed if isinstance(listed, list) else []
    return [name if name in required else f"{name}?" for name in schema["properties"]]


def _print_result(result: Json) -> None:
    """Print a tool's result, or the message of a gateway error."""
    content = result.get("structuredContent")
    if result.get("isError") and isinstance(content, dict) and {"success", "error_code", "error"} <= content.keys():
        complain(str(content["error"]))
        return
    say = complain_text if result.get("isError") else show_text
    for block in result.get("content") or []:
        is_text = isinstance(block, dict) and block.get("type") == "text"
        say(str(block.get("text", "")) if is_text else json.dumps(block, ensure_ascii=False))
    if not result.get("content") and "structuredContent" in result:
        show_json(result["structuredContent"], indent=2)


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        show(f"note: {note}")


def _error(error: MCPError) -> Json:
    return {"code": error.error.code, "message": error.error.message, "data": error.error.data}
