"""A client made with the SDK's 2.x, which knows both eras."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import mcp_types as types
from commands import ANSWERS, SETTINGS, Json, OrderFn, asked, carry_out, elicited, plain, tell
from mcp import MCPDeprecationWarning
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.subscriptions import ResourceUpdated

warnings.simplefilter("ignore", MCPDeprecationWarning)


async def elicit(_: Any, params: Any) -> types.ElicitResult:
    return types.ElicitResult(**elicited(params))


async def sample(_: Any, params: Any) -> types.CreateMessageResult:
    asked("sampling/createMessage", params)
    return types.CreateMessageResult(**ANSWERS["sampling"])


async def list_roots(_: Any) -> types.ListRootsResult:
    asked("roots/list", {})
    return types.ListRootsResult(roots=ANSWERS["roots"])


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


def orders_of(client: Client) -> dict[str, OrderFn]:
    listening: dict[str, asyncio.Task[None]] = {}
    modern = client.protocol_version == "2026-07-28"

    async def call(name: str, arguments: Json) -> Any:
        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            tell("progressed", name, progress, total, message)

        return await client.call_tool(name, arguments, progress_callback=progressed)

    async def complete(ref: Json, argument: Json, context: Json | None = None) -> Any:
        model = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        return await client.complete(model(**ref), argument, context_arguments=context)

    async def hear(name: str, honoured: asyncio.Future[Any], wanted: Json) -> None:
        async with client.listen(**wanted) as subscription:
            honoured.set_result(plain(subscription.honored))
            async for event in subscription:
                if isinstance(event, ResourceUpdated):
                    tell("updated", str(event.uri))
                else:
                    tell("changed", type(event).__name__)

    async def listen(name: str, **wanted: Any) -> Any:
        honoured = asyncio.get_running_loop().create_future()
        listening[name] = asyncio.create_task(hear(name, honoured, wanted))
        await asyncio.wait((honoured, listening[name]), return_when=asyncio.FIRST_COMPLETED)
        return honoured.result() if honoured.done() else listening[name].result()

    async def subscribe(uri: str) -> Any:
        return await (listen(uri, resource_subscriptions=[uri]) if modern else client.subscribe_resource(uri))

    async def unsubscribe(uri: str) -> Any:
        return listening[uri].cancel() if modern else await client.unsubscribe_resource(uri)

    return {
        "call": call,
        "tools": lambda: client.list_tools(cache_mode="refresh"),
        "prompts": client.list_prompts,
        "prompt": client.get_prompt,
        "resources": client.list_resources,
        "templates": client.list_resource_templates,
        "read": client.read_resource,
        "complete": complete,
        "subscribe": subscribe,
        "unsubscribe": unsubscribe,
        "listen": listen,
        "level": client.set_logging_level,
        "roots_changed": client.send_roots_list_changed,
    }


async def main() -> None:
    target = SETTINGS["target"]
    callbacks: Json = {
        "elicitation_callback": elicit if "form" in ANSWERS else None,
        "sampling_callback": sample if "sampling" in ANSWERS else None,
        "list_roots_callback": list_roots if "roots" in ANSWERS else None,
    }
    async with Client(
        target if isinstance(target, str) else StdioServerParameters(**target),
        mode=SETTINGS["mode"],
        logging_callback=logged,
        log_level="debug",
        message_handler=noticed,
        **callbacks,
    ) as client:
        hello = {"capabilities": plain(client.server_capabilities), "instructions": client.instructions}
        tell("greeted", client.protocol_version, {**hello, "serverInfo": plain(client.server_info)})
        await carry_out(orders_of(client))


asyncio.run(main())
