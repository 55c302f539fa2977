"""What a program prints of the prompt and the resource that it got, and of its calls, if no model makes them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from settings import PROMPT, PROMPT_ARGUMENTS, RESOURCE, SETTINGS

Ask = Callable[..., Awaitable[Any]]


def print_report(*, resource: object, prompt: object = "", **calls: list[str]) -> None:
    """Print one line of JSON, with the text of what came."""
    print(json.dumps({"prompt": str(prompt), "resource": str(resource), **calls}), flush=True)


async def use(*, tools: Ask, call: Ask, prompts: Ask, prompt: Ask, resources: Ask, read: Ask) -> None:
    """List, call, get a prompt and read a resource; print what came."""
    tool_list = await tools()
    results = [text_of(await call(step["tool"], step["arguments"])) for step in SETTINGS["script"]]
    await prompts()
    await resources()
    print_report(
        tools=[tool.name for tool in getattr(tool_list, "tools", tool_list)],
        results=results,
        prompt=(await prompt(PROMPT, PROMPT_ARGUMENTS)).messages[0].content.text,
        resource=await read(RESOURCE),
    )


def text_of(result: Any) -> str:
    """Return the text of a tool's result."""
    return "".join(getattr(block, "text", "") for block in result.content)
