"""Calls of four kinds, as conversations that end well or raise: plain, with progress, cancelled, and with a question."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from talkers import ANSWER, PATIENCE, Talker

Json = dict[str, Any]
numbers = itertools.count(1)


class Wrong(Exception):
    """A conversation did not end as it should."""


def said(response: Json) -> str:
    """Return the text of a good result."""
    result = response.get("result") or {}
    if result.get("isError") or not result.get("content"):
        raise Wrong(f"not a result: {response}")
    return str(result["content"][0]["text"])


def calling(talker: Talker, server: str, tool: str, **more: Any) -> Json:
    return talker.request("tools/call", {"name": f"{server}__{tool}", **more})


async def plain(talker: Talker, server: str) -> None:
    token = f"t{next(numbers)}"
    if token not in said(await talker.ask(calling(talker, server, "echo", arguments={"text": token}))):
        raise Wrong("another call's answer")


async def progress(talker: Talker, server: str) -> None:
    token, heard = f"p{next(numbers)}", list[Json]()
    request = calling(talker, server, "steps", arguments={"text": token}, _meta={"progressToken": token})
    if token not in said(await talker.ask(request, heard.append)):
        raise Wrong("another call's answer")
    steps = [each["params"]["progress"] for each in heard if each["params"].get("progressToken") == token]
    if steps != [1, 2, 3]:
        raise Wrong(f"progress was {heard}")


async def cancelled(talker: Talker, server: str) -> None:
    """Wait for the first sign of life of a call that never ends, then cancel it."""
    token, begun = f"c{next(numbers)}", asyncio.Event()
    request = calling(talker, server, "wait", arguments={}, _meta={"progressToken": token})
    asking = asyncio.ensure_future(talker.ask(request, lambda _: begun.set()))
    waiting = asyncio.ensure_future(begun.wait())
    await asyncio.wait((asking, waiting), timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not begun.is_set():
        asking.cancel()
        raise Wrong(f"a call to be cancelled gave no sign: {asking.result() if asking.done() else 'nothing'}")
    await talker.cancel(request, asking)


async def asked(talker: Talker, server: str) -> None:
    """Answer a question: by a request from the server, or by asking again with the answer."""
    response = await talker.ask(calling(talker, server, "ask", arguments={}))
    result = response.get("result") or {}
    if talker.modern:
        if result.get("resultType") != "input_required":
            raise Wrong(f"no question: {response}")
        answers = dict.fromkeys(result["inputRequests"], ANSWER)
        state = {"requestState": result["requestState"]} if "requestState" in result else {}
        response = await talker.ask(calling(talker, server, "ask", arguments={}, inputResponses=answers, **state))
    if "Ada" not in said(response):
        raise Wrong(f"the answer did not arrive: {response}")


KINDS: dict[str, Callable[[Talker, str], Awaitable[None]]] = {
    "plain": plain,
    "progress": progress,
    "cancelled": cancelled,
    "asked": asked,
}
MIX = ("plain", "progress", "plain", "cancelled", "asked", "plain", "progress", "asked", "plain", "cancelled")
