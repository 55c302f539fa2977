"""Back-channel to the client: notifications and server requests.

It is open while a request of the client is in flight.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

NotifyFn = Callable[[str, Json], Awaitable[None]]
"""Sends the client a notification (method, params) if it wants such."""

AskFn = Callable[[str, Json], Awaitable[Json]]
"""Sends the client a request (method, params); returns the unmodified result."""

CAPABILITIES: Mapping[str, str] = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
    "tasks/cancel": "tasks",
    "tasks/get": "tasks",
    "tasks/list": "tasks",
    "tasks/result": "tasks",
}
"""The capability that a client must have declared for each server request."""


LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Log levels, least severe first (RFC 5424)."""


async def _nobody(_method: str, _params: Json) -> None:
    """Discard a notification."""


@dataclass(frozen=True, slots=True)
class ClientChannel:
    """A channel to a client, with or without a related request.

    `ask` is None if the client cannot get server requests on it, as in the modern era. `wants_progress` is whether the
    client sent a progress token, and `log_level` the least severe level of log messages that it asked for, if any.
    """

    notify: NotifyFn = _nobody
    ask: AskFn | None = None
    wants_progress: bool = False
    log_level: str | None = None


ALONE = ClientChannel()
"""A channel that drops notifications and cannot send requests."""


def can_answer(capabilities: Mapping[str, Any], method: str, params: Mapping[str, Any]) -> bool:
    """Whether a client with these capabilities supports a server request."""
    needed = CAPABILITIES.get(method)
    declared = capabilities.get(needed) if needed else None
    if params.get("mode") == "url":
        return isinstance(declared, dict) and "url" in declared
    return declared is not None


def is_severe(params: Mapping[str, Any], least: str) -> bool:
    """Whether a log message reaches a level; unknown levels do."""
    level = params.get("level")
    return level not in LEVELS or LEVELS.index(str(level)) >= LEVELS.index(least)


def encode_capabilities(capabilities: Mapping[str, Any]) -> str:
    """Encode capabilities canonically.

    Equal capabilities result in equal texts, no capabilities in the empty text.
    """
    return json.dumps(capabilities, sort_keys=True, separators=(",", ":")) if capabilities else ""


def decode_capabilities(capabilities: str) -> Json:
    """Decode what `encode_capabilities` returned."""
    found: Json = json.loads(capabilities) if capabilities else {}
    return found


def widens(capabilities: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether `capabilities` contain all of `others`, and more."""
    mine, theirs = set(_paths(capabilities)), set(_paths(others))
    return mine > theirs


def _paths(value: Mapping[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    for key, inner in value.items():
        yield (*above, key)
        if isinstance(inner, Mapping):
            yield from _paths(inner, *above, key)
