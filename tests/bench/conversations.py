"""Calls of four kinds, as conversations that end well or raise: plain, with progress, cancelled, with a question."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from .raw_clients import ANSWER, PATIENCE, Heard, Talker

Json = dict[str, Any]
numbers = itertools.cycle(range(1000))
"""Names for calls. They come again, for a parser may keep short strings that it has seen (pydantic-core up to 16,384),
and a cache that fills is no leak."""


class Wrong(Exception):
    """A conversation did not end as it should."""


def calling(talker: Talker, server: str, tool: str, **more: Any) -> Json:
    return talker.request("tools/call", {"name": f"{server}__{tool}", "arguments": {}, **more})


async def finish(talker: Talker, server: str, tool: str, heard: Heard = lambda _: None, **more: Any) -> str:
    """Call a tool; answer what is asked by calling again, as clients of the modern era do; return the text.

    A server of the handshake era over stdio does not say which call its question belongs to, so each call of a client
    may be the one that brings it.
    """
    response = await talker.ask(calling(talker, server, tool, **more), heard)
    while (result := response.get("result") or {}).get("resultType") == "input_required":
        answers = {"inputResponses": dict.fromkeys(result["inputRequests"], ANSWER)}
        state = {"requestState": result["requestState"]} if "requestState" in result else {}
        response = await talker.ask(calling(talker, server, tool, **more, **answers, **state), heard)
    if result.get("isError") or not result.get("content"):
        raise Wrong(f"not a result: {response}")
    return str(result["content"][0]["text"])


async def plain(talker: Talker, server: str) -> None:
    token = f"t{next(numbers)}"
    if token not in await finish(talker, server, "echo", arguments={"text": token}):
        raise Wrong("another call's answer")


async def progress(talker: Talker, server: str) -> None:
    token, heard = f"p{next(numbers)}", list[Json]()
    more = {"arguments": {"text": token}, "_meta": {"progressToken": token}}
    if token not in await finish(talker, server, "steps", heard.append, **more):
        raise Wrong("another call's answer")
    steps = [each["params"]["progress"] for each in heard if each["params"].get("progressToken") == token]
    if steps != [1, 2, 3]:
        raise Wrong(f"progress was {steps}")


async def cancelled(talker: Talker, server: str) -> None:
    """Wait for the first sign of life of a call that never ends, then cancel it."""
    token, begun = f"c{next(numbers)}", asyncio.Event()
    request: Json = {}

    async def wait() -> None:
        more: Json = {"_meta": {"progressToken": token}}
        while True:
            request.update(calling(talker, server, "wait", **more))
            response = await talker.ask(dict(request), lambda _: begun.set())
            result = response.get("result") or {}
            if result.get("resultType") != "input_required":
                raise Wrong(f"a call that never ends has ended: {response}")
            answers = dict.fromkeys(result["inputRequests"], ANSWER)
            more |= {"inputResponses": answers, "requestState": result["requestState"]}

    asking, waiting = asyncio.ensure_future(wait()), asyncio.ensure_future(begun.wait())
    await asyncio.wait((asking, waiting), timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if asking.done():
        await asking
    if not begun.is_set():
        asking.cancel()
        raise Wrong("a call to be cancelled gave no sign of life")
    await talker.cancel(request, asking)


async def asked(talker: Talker, server: str) -> None:
    """Answer a question: by a request from the server, or by asking again with the answer."""
    text = await finish(talker, server, "ask")
    if "Ada" not in text:
        raise Wrong(f"the answer did not arrive: {text}")


KINDS: dict[str, Callable[[Talker, str], Awaitable[None]]] = {
    "plain": plain,
    "progress": progress,
    "cancelled": cancelled,
    "asked": asked,
}
MIX = ("plain", "progress", "plain", "cancelled", "asked", "plain", "progress", "asked", "plain", "cancelled")
