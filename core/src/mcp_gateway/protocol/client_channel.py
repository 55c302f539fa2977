"""Back-channel to the client: notifications and server requests.

It is open while servers work for the client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_gateway.protocol.raw_json import Fields

Json = dict[str, Any]

NotifyFn = Callable[[str, Fields], None]
"""Sends a client a notification, method and the members of its params as they came, if the client wants it.

It does not wait, and what it sends arrives before the response that is sent after it.
"""

AskFn = Callable[[str, Json], Awaitable[Json]]
"""Sends a client a request, method and params; returns its result as it is."""

CAPABILITIES: Mapping[str, str] = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
    "tasks/cancel": "tasks",
    "tasks/get": "tasks",
    "tasks/list": "tasks",
    "tasks/result": "tasks",
}
"""What a client must have declared to be asked each question."""


LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""How severe a message can be, least severe first (RFC 5424)."""


def _ignore(_method: str, _params: Fields) -> None:
    """Discard a notification."""


def _is_never_congested() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ClientChannel:
    """A channel to a client, with or without a related request.

    `ask` is None if the client cannot be asked there, as in the modern era.
    `wants_progress` says whether it asked to hear of the request's progress, and
    `log_level` the least severe messages that it asked for, if it did. `is_congested` says whether the client
    does not read what was sent to it.
    """

    notify: NotifyFn = _ignore
    ask: AskFn | None = None
    wants_progress: bool = False
    log_level: str | None = None
    is_congested: Callable[[], bool] = _is_never_congested


ALONE = ClientChannel()
"""A client that takes and gives nothing meanwhile."""


def can_answer(capabilities: Mapping[str, Any], method: str, params: Mapping[str, Any]) -> bool:
    """Whether a client that declared `capabilities` can be asked this."""
    needed = CAPABILITIES.get(method)
    declared = capabilities.get(needed) if needed else None
    if params.get("mode") == "url":
        return isinstance(declared, dict) and "url" in declared
    return declared is not None


def is_severe(params: Fields, least: str) -> bool:
    """Whether a log message reaches a level; unknown levels do."""
    level = bytes(params.get("level", b"")).decode("utf-8", "replace").strip('"')
    return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(least)
