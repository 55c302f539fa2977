"""`call`: call a tool, as a model would."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

import anyio

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.local_client import LocalClient, open_local_client, warn_if_no_servers
from mcp_gateway.control.terminal import complain, complain_text, show_json, show_text
from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.tool_names import split_name

Json = dict[str, Any]


def run(context: ControlContext, arguments: Namespace) -> int:
    """Call a tool and print its result; return the exit code."""
    context.configure_quiet_logging()
    warn_if_no_servers(context)
    return anyio.run(_run, context, arguments)


async def _run(context: ControlContext, arguments: Namespace) -> int:
    given = _arguments(arguments)
    async with open_local_client(context) as client:
        return await _call(client, arguments, given)


async def _call(client: LocalClient, arguments: Namespace, given: Json) -> int:
    if split_name(arguments.tool) is None:
        await client.wait_for_servers()  # a short name is resolved among the tools of all servers
    result = await client.call("call_remote_tool", {"tool_name": arguments.tool, "arguments": given})
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
