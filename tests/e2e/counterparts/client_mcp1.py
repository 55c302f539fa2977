"""A client made with the SDK's 1.x, which knows the handshake era only."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import AsyncExitStack
from typing import Any

from commands import ANSWERS, SETTINGS, Json, OrderFn, asked, carry_out, elicited, plain, tell
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl

warnings.filterwarnings("ignore", "The experimental tasks API", DeprecationWarning)


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
    root = getattr(message, "root", None)
    if root is not None and "changed" in root.method:
        tell("changed", root.method)
    elif root is not None and root.method == "notifications/resources/updated":
        tell("updated", str(root.params.uri))
    elif root is not None and root.method == "notifications/elicitation/complete":
        tell("completed", root.params.elicitationId)


def orders_of(session: ClientSession) -> dict[str, OrderFn]:
    async def call(name: str, arguments: Json) -> Any:
        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            tell("progressed", name, progress, total, message)

        return await session.call_tool(name, arguments, progress_callback=progressed)

    async def task(name: str, arguments: Json) -> Any:
        """Call a tool as a task of the handshake era; ask for its state until it is over, or wants an answer."""
        begun = await session.experimental.call_tool_as_task(name, arguments)
        async for state in session.experimental.poll_task(begun.task.taskId):
            tell("state", state.status)
            if state.status == "input_required":
                break
        return await session.experimental.get_task_result(begun.task.taskId, types.CallToolResult)

    async def complete(ref: Json, argument: Json, context: Json | None = None) -> Any:
        model = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        return await session.complete(model(**ref), argument, context)

    return {
        "call": call,
        "task": task,
        "tools": session.list_tools,
        "prompts": session.list_prompts,
        "prompt": session.get_prompt,
        "resources": session.list_resources,
        "templates": session.list_resource_templates,
        "read": lambda uri: session.read_resource(AnyUrl(uri)),
        "complete": complete,
        "subscribe": lambda uri: session.subscribe_resource(AnyUrl(uri)),
        "unsubscribe": lambda uri: session.unsubscribe_resource(AnyUrl(uri)),
        "level": session.set_logging_level,
        "roots_changed": session.send_roots_list_changed,
    }


async def main() -> None:
    target = SETTINGS["target"]
    callbacks: Json = {
        "elicitation_callback": elicit if "form" in ANSWERS else None,
        "sampling_callback": sample if "sampling" in ANSWERS else None,
        "list_roots_callback": list_roots if "roots" in ANSWERS else None,
    }
    async with AsyncExitStack() as stack:
        transport = (
            streamable_http_client(target) if isinstance(target, str) else stdio_client(StdioServerParameters(**target))
        )
        incoming, outgoing, *_ = await stack.enter_async_context(transport)
        session = ClientSession(incoming, outgoing, logging_callback=logged, message_handler=noticed, **callbacks)
        await stack.enter_async_context(session)
        hello = await session.initialize()
        tell("greeted", hello.protocolVersion, plain(hello))
        await carry_out(orders_of(session))


asyncio.run(main())
