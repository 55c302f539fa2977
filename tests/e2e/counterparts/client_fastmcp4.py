"""A client made with FastMCP 4, which knows both eras, but subscribes to nothing in the modern one."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import mcp_types as types
from commands import ANSWERS, SETTINGS, Json, OrderFn, asked, carry_out, elicited, plain, tell
from fastmcp.client import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp import MCPDeprecationWarning

warnings.simplefilter("ignore", MCPDeprecationWarning)


async def elicit(_message: str, _type: Any, params: Any, _context: Any) -> types.ElicitResult:
    return types.ElicitResult(**elicited(params))


async def sample(_messages: Any, params: Any, _context: Any) -> types.CreateMessageResult:
    asked("sampling/createMessage", params)
    return types.CreateMessageResult(**ANSWERS["sampling"])


async def list_roots(_: Any) -> list[types.Root]:
    asked("roots/list", {})
    return [types.Root(**root) for root in ANSWERS["roots"]]


async def logged(params: Any) -> None:
    tell("logged", plain(params))


async def noticed(message: Any) -> None:
    method = getattr(message, "method", "")
    if "changed" in method:
        tell("changed", method)
    elif method == "notifications/resources/updated":
        tell("updated", str(message.params.uri))
    elif method == "notifications/elicitation/complete":
        tell("completed", message.params.elicitation_id)


def orders_of(client: Client[Any]) -> dict[str, OrderFn]:
    async def call(name: str, arguments: Json) -> Any:
        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            tell("progressed", name, progress, total, message)

        return await client.call_tool_mcp(name, arguments, progress_handler=progressed)

    async def complete(ref: Json, argument: Json, context: Json | None = None) -> Any:
        model = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        return await client.complete_mcp(model(**ref), argument, context)

    return {
        "call": call,
        "tools": client.list_tools_mcp,
        "prompts": client.list_prompts_mcp,
        "prompt": client.get_prompt_mcp,
        "resources": client.list_resources_mcp,
        "templates": client.list_resource_templates_mcp,
        "read": client.read_resource_mcp,
        "complete": complete,
        "subscribe": client.session.subscribe_resource,
        "unsubscribe": client.session.unsubscribe_resource,
        "level": client.set_logging_level,
        "roots_changed": client.send_roots_list_changed,
    }


async def main() -> None:
    target = SETTINGS["target"]
    handlers: Json = {
        **({"elicitation_handler": elicit} if "form" in ANSWERS else {}),
        **({"sampling_handler": sample} if "sampling" in ANSWERS else {}),
        **({"roots": list_roots} if "roots" in ANSWERS else {}),
    }
    transport = (
        StreamableHttpTransport(target) if isinstance(target, str) else StdioTransport(**target, keep_alive=False)
    )
    async with Client(
        transport, mode=SETTINGS["mode"], log_handler=logged, message_handler=noticed, **handlers
    ) as client:
        hello = {"capabilities": plain(client.server_capabilities), "instructions": client.instructions}
        tell("greeted", client.protocol_version, {**hello, "serverInfo": plain(client.server_info)})
        await carry_out(orders_of(client))


asyncio.run(main())
