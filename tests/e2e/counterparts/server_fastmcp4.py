"""A server made with FastMCP 4, of both eras, that asks back as the modern era does: by what its tools return.

server_fastmcp4.py PLACE LOG [PORT]
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from fastmcp import Context, FastMCP
from fastmcp.utilities.types import Image
from mcp import MCPDeprecationWarning
from pydantic import BaseModel

warnings.simplefilter("ignore", MCPDeprecationWarning)

PLACE, LOG, *PORT = sys.argv[1:]
PIXEL = b"\x89PNG\r\n\x1a\n"
PERSON = {"properties": {"name": {"title": "Name", "type": "string"}}, "required": ["name"], "type": "object"}
MESSAGE = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="Say a word"))

server = FastMCP("counterpart", instructions="A FastMCP 4 server.")


class Weather(BaseModel):
    city: str
    degrees: float


def note(line: str) -> None:
    """Write down what happened here."""
    with Path(LOG).open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")


def form(message: str) -> Any:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=PERSON))


def answer(ctx: Context, key: str) -> Any:
    """Return the answer to a question, if the client has sent it."""
    return (ctx.input_responses or {}).get(key)


@server.tool
async def ask(ctx: Context) -> str | types.InputRequiredResult:
    if (said := answer(ctx, "who")) is None:
        return types.InputRequiredResult(input_requests={"who": form("Your name?")}, request_state="asked")
    assert ctx.request_state == "asked"
    return json.dumps({"action": said.action, **(said.content or {})})


@server.tool
async def ask_twice(ctx: Context) -> str | types.InputRequiredResult:
    if (first := answer(ctx, "first")) is not None:
        return types.InputRequiredResult(input_requests={"second": form("Second?")}, request_state=first.action)
    if (second := answer(ctx, "second")) is not None:
        return f"{ctx.request_state} {second.action}"
    return types.InputRequiredResult(input_requests={"first": form("First?")})


@server.tool
async def visit(ctx: Context) -> str | types.InputRequiredResult:
    if (said := answer(ctx, "visit")) is None:
        params = types.ElicitRequestURLParams(message="Log in", url="https://login.example/")
        return types.InputRequiredResult(input_requests={"visit": types.ElicitRequest(params=params)})
    return json.dumps({"action": said.action})


@server.tool
async def think(ctx: Context) -> str | types.InputRequiredResult:
    if (said := answer(ctx, "word")) is None:
        params = types.CreateMessageRequestParams(messages=[MESSAGE], max_tokens=5, system_prompt="Be brief.")
        return types.InputRequiredResult(input_requests={"word": types.CreateMessageRequest(params=params)})
    return json.dumps(said.model_dump(by_alias=True, exclude_none=True, include={"role", "model", "content"}))


@server.tool
async def where(ctx: Context) -> str | types.InputRequiredResult:
    if (said := answer(ctx, "roots")) is None:
        return types.InputRequiredResult(input_requests={"roots": types.ListRootsRequest()})
    return json.dumps([[str(root.uri), root.name] for root in said.roots])


@server.tool
async def count(ctx: Context) -> str:
    for step in (1, 2, 3):
        await ctx.report_progress(step, 3, f"step {step}")
    return "counted"


@server.tool
async def say(ctx: Context) -> str:
    await ctx.log("quiet", level="debug", logger_name="voice")
    await ctx.log("loud", level="warning", logger_name="voice")
    return "said"


@server.tool(annotations={"title": "A picture", "readOnlyHint": True})
def picture() -> list[Any]:
    return ["a pixel", Image(data=PIXEL, format="png")]


@server.tool
def weather(city: str) -> Weather:
    return Weather(city=city, degrees=21.5)


@server.tool
async def wait() -> str:
    note("waiting")
    try:
        await anyio.sleep(60)
    except anyio.get_cancelled_exc_class():
        note("cancelled")
        raise
    return "waited"


@server.prompt(title="Greeting")
def greet(who: str) -> str:
    return f"Hello {who}!"


@server.resource(f"note://{PLACE}/today", mime_type="text/plain")
def today() -> str:
    return "today's note"


@server.resource(f"note://{PLACE}/days/{{day}}")
def on_day(day: str) -> str:
    return f"the note of {day}"


@server.completion
async def complete(_ref: Any, argument: Any, _context: Any) -> types.Completion:
    values = [name for name in ("Ada", "Alan", "Grace") if name.startswith(argument.value)]
    return types.Completion(values=values, total=len(values), has_more=False)


if PORT:
    server.run("http", host="127.0.0.1", port=int(PORT[0]), show_banner=False)
else:
    server.run("stdio", show_banner=False)
