"""A server made with the SDK's 1.x, of the handshake era, that uses all that a server of that era may do.

server_mcp1.py PLACE LOG [PORT]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.types import Completion, CreateMessageResult, SamplingMessage, TextContent, Tool, ToolAnnotations
from pydantic import BaseModel

PLACE, LOG, *PORT = sys.argv[1:]
PIXEL = b"\x89PNG\r\n\x1a\n"
GROWN = Path(LOG).with_suffix(".tools")


class Growing(FastMCP[Any]):
    """A server that offers what is written in a file, too, as servers do that have a database behind them."""

    async def list_tools(self) -> list[Tool]:
        for name in GROWN.read_text(encoding="utf-8").split() if GROWN.exists() else ():
            if self._tool_manager.get_tool(name) is None:
                self.add_tool(lambda: "new", name=name)
        return await super().list_tools()


server = Growing("counterpart", instructions="A 1.x server.", port=int(PORT[0]) if PORT else 8000)


class Person(BaseModel):
    name: str


class Weather(BaseModel):
    city: str
    degrees: float


def note(line: str) -> None:
    """Write down what happened here."""
    with Path(LOG).open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")


@server.tool()
async def ask(ctx: Context[Any, Any, Any]) -> str:
    answer = await ctx.elicit("Your name?", Person)
    return json.dumps({"action": answer.action, **({"name": answer.data.name} if answer.action == "accept" else {})})


@server.tool()
async def ask_twice(ctx: Context[Any, Any, Any]) -> str:
    first, second = await ctx.elicit("First?", Person), await ctx.elicit("Second?", Person)
    return f"{first.action} {second.action}"


@server.tool()
async def visit(ctx: Context[Any, Any, Any]) -> str:
    answer = await ctx.elicit_url("Log in", "https://login.example/", "visit-1")
    await ctx.session.send_elicit_complete("visit-1", related_request_id=ctx.request_id)
    return json.dumps({"action": answer.action})


@server.tool()
async def think(ctx: Context[Any, Any, Any]) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text="Say a word"))
    said: CreateMessageResult = await ctx.session.create_message(
        [message], max_tokens=5, system_prompt="Be brief.", related_request_id=ctx.request_id
    )
    return said.model_dump_json(include={"role", "model", "content", "stopReason"}, exclude_none=True)


@server.tool()
async def where(ctx: Context[Any, Any, Any]) -> str:
    return json.dumps([[str(root.uri), root.name] for root in (await ctx.session.list_roots()).roots])


@server.tool()
async def count(ctx: Context[Any, Any, Any]) -> str:
    for step in (1, 2, 3):
        await ctx.report_progress(step, 3, f"step {step}")
    return "counted"


@server.tool()
async def say(ctx: Context[Any, Any, Any]) -> str:
    await ctx.log("debug", "quiet", logger_name="voice")
    await ctx.log("warning", "loud", logger_name="voice")
    return "said"


@server.tool(annotations=ToolAnnotations(title="A picture", readOnlyHint=True), structured_output=False)
def picture() -> list[Any]:
    return ["a pixel", Image(data=PIXEL, format="png")]


@server.tool()
def weather(city: str) -> Weather:
    return Weather(city=city, degrees=21.5)


@server.tool()
async def wait(ctx: Context[Any, Any, Any]) -> str:
    note("waiting")
    try:
        await anyio.sleep(60)
    except anyio.get_cancelled_exc_class():
        note("cancelled")
        raise
    return "waited"


@server.tool()
async def grow(name: str, ctx: Context[Any, Any, Any]) -> str:
    with GROWN.open("a", encoding="utf-8") as tools:
        tools.write(f"{name}\n")
    await server.list_tools()
    await ctx.session.send_tool_list_changed()
    return "grown"


@server.prompt(title="Greeting")
def greet(who: str) -> str:
    return f"Hello {who}!"


@server.resource(f"note://{PLACE}/today", mime_type="text/plain")
def today() -> str:
    return "today's note"


@server.resource(f"note://{PLACE}/days/{{day}}")
def on_day(day: str) -> str:
    return f"the note of {day}"


@server.completion()
async def complete(ref: Any, argument: Any, _context: Any) -> Completion:
    values = [name for name in ("Ada", "Alan", "Grace") if name.startswith(argument.value)]
    return Completion(values=values, total=len(values), hasMore=False)


server.run("streamable-http" if PORT else "stdio")
