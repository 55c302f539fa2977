"""Back-channel to the client: notifications and server requests.

It is open while a request of the client is in flight.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from mcp_gateway.protocol.raw_json import Fields

Json = dict[str, Any]

NotifyFn = Callable[[str, Fields], None]
"""Sends the client a notification (method, members of the params) if it wants such.

It does not wait; the notification arrives before a response that is sent after it.
"""

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


def _ignore(_method: str, _params: Fields) -> None:
    """Discard a notification."""


def _is_never_congested() -> bool:
    return False


class ClientChannel(Struct, frozen=True):
    """A channel to a client, with or without a related request.

    `ask` is None if the client cannot get server requests on it, as in the modern era. `wants_progress` is whether the
    client sent a progress token, and `log_level` the least severe level of log messages that it asked for, if any.
    `is_congested` returns whether the client does not read what was sent to it.
    """

    notify: NotifyFn = _ignore
    ask: AskFn | None = None
    wants_progress: bool = False
    log_level: str | None = None
    is_congested: Callable[[], bool] = _is_never_congested


ALONE = ClientChannel()
"""A channel that drops notifications and cannot send requests."""


def can_answer(capabilities: Mapping[str, Any], method: str, params: Mapping[str, Any]) -> bool:
    """Whether a client with these capabilities supports a server request."""
    needed = CAPABILITIES.get(method)
    declared = capabilities.get(needed) if needed else None
    if params.get("mode") == "url":
        return isinstance(declared, dict) and "url" in declared
    return declared is not None


def is_severe(params: Fields, least: str) -> bool:
    """Whether a log message reaches a level; unknown levels do."""
    level = bytes(params.get("level", b"")).decode("utf-8", "replace").strip('"')
    return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(least)
