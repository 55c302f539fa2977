"""What every client program shares: orders come in as lines of JSON, and what came of them and what was heard goes out.

It runs in environments of other versions, so it knows nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Json = dict[str, Any]
OrderFn = Callable[..., Awaitable[Any]]

SETTINGS: Json = json.loads(sys.argv[1]) if sys.argv[1:] else {}
"""The target, the mode, and the answers that the user gives to questions; what has no answer is not declared."""

ANSWERS: Json = SETTINGS.get("answers", {})


def tell(heading: str, *values: Any) -> None:
    """Write one line to the test."""
    print(json.dumps([heading, *values]), flush=True)


def plain(model: Any) -> Any:
    """Return what a model of either SDK was on the wire, as far as the model has kept it."""
    if hasattr(model, "model_dump"):
        return model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return model


def asked(method: str, params: Any) -> None:
    """Tell that the user was asked."""
    tell("asked", method, plain(params))


def elicited(params: Any) -> Json:
    """Tell that the user was asked; return what he answers."""
    asked("elicitation/create", params)
    answer: Json = ANSWERS["url" if getattr(params, "mode", "form") == "url" else "form"]
    return answer


async def answer(**answers: Json) -> None:
    """Answer differently from now on."""
    ANSWERS.update(answers)


async def carry_out(orders: dict[str, OrderFn]) -> None:
    """Carry out orders, many at a time, until there are no more."""
    running: dict[int, asyncio.Task[None]] = {}
    orders = {**orders, "answer": answer}
    tell("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        number, name, arguments = json.loads(line)
        if name == "abandon":
            running[arguments["number"]].cancel()
        else:
            running[number] = asyncio.create_task(_carry_out_one(number, orders[name], arguments))
    for task in running.values():
        task.cancel()
    await asyncio.gather(*running.values(), return_exceptions=True)


async def _carry_out_one(number: int, order: OrderFn, arguments: Json) -> None:
    try:
        tell("result", number, plain(await order(**arguments)))
    except Exception as error:  # the test judges
        data = getattr(error, "error", None)
        tell("error", number, plain(data) if data is not None else {"message": f"{type(error).__name__}: {error}"})
