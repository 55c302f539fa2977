"""Having servers announce what changes: their lists, and single resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio
import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.connection import LISTS, Connection, Subscription
from mcp_gateway.protocol.client_channel import Json

log = structlog.get_logger(__name__)

RELISTEN_SECONDS = 5.0
"""How long to wait before a subscription that a server has ended is asked for again."""

# It is shielded from cancellation, so a server that hangs would hold up the end.
_UNSUBSCRIBE_SECONDS = 2.0


async def listen(connection: Connection, ready: anyio.Event, on_missed: Callable[[], None]) -> None:
    """Subscribe to list changes of a modern server.

    The subscription lasts as long as the session.

    Servers of the handshake era announce them without being asked. The announcements
    arrive as notifications; the request itself is answered when the server ends it.
    `ready` is set when the server announces changes, or is known not to; whoever waits for it
    may set it to wait no longer. If it begins to announce them after that, or has stopped
    meanwhile, `on_missed` is called: there may have been changes before.
    """

    def on_acknowledged(_: Json) -> None:
        if ready.is_set():
            on_missed()
        ready.set()

    wanted = {
        f"{name}ListChanged": True for name in LISTS if _has(connection.server_capabilities.get(name), "listChanged")
    }
    while connection.modern and wanted:
        try:
            await _hold_subscription(connection, wanted, Subscription(on_acknowledged, _unheard))
        except MCPError as error:
            if error.code in (types.METHOD_NOT_FOUND, types.CONNECTION_CLOSED):
                break
            log.info("the server ended a subscription; asking again", reason=error.error.message)
        ready.set()
        await anyio.sleep(RELISTEN_SECONDS)
        on_missed()
    ready.set()


async def watch(
    connection: Connection,
    uri: str,
    capabilities: Mapping[str, Any],
    started: Callable[[], None],
    updated: Callable[[Json], None],
) -> None:
    """Subscribe to updates of a resource until cancelled.

    `started` is called once the server has confirmed.

    `capabilities` are those of the client for whom it is. A modern server's announcements
    go to `updated`, those of others to whoever hears all announcements.

    Raises:
        MCPError: the server does not announce such changes, or has stopped, or the connection closed.

    """
    if connection.modern:
        await _watch_by_listening(connection, uri, capabilities, started, updated)
    elif not _has(connection.server_capabilities.get("resources"), "subscribe"):
        raise MCPError(types.METHOD_NOT_FOUND, "the server does not announce changes of resources")
    else:
        await connection.request("resources/subscribe", {"uri": uri})
        started()
        await _wait_closed(connection, uri)
    raise MCPError(types.CONNECTION_CLOSED, "the server ended the subscription")


async def _watch_by_listening(
    connection: Connection,
    uri: str,
    capabilities: Mapping[str, Any],
    started: Callable[[], None],
    updated: Callable[[Json], None],
) -> None:
    refused = False
    with anyio.CancelScope() as scope:

        def on_acknowledged(honoured: Json) -> None:
            nonlocal refused
            # A server acknowledges the part that it honours (specification 2026-07-28, subscriptions).
            if uri in (honoured.get("resourceSubscriptions") or ()):
                started()
            else:
                refused = True
                scope.cancel()

        heard = Subscription(on_acknowledged, updated)
        await _hold_subscription(connection, {"resourceSubscriptions": [uri]}, heard, capabilities)
    if refused:
        raise MCPError(types.METHOD_NOT_FOUND, "the server does not announce changes of this resource")


async def _hold_subscription(
    connection: Connection, wanted: Json, subscription: Subscription, capabilities: Mapping[str, Any] | None = None
) -> None:
    """Be subscribed until the server ends it."""
    request_id, params = next(connection.ids), {"notifications": wanted}
    # Before the request: the acknowledgement may come before `send_modern` is left.
    connection.subscriptions[request_id] = subscription
    try:
        await connection.send_modern("subscriptions/listen", params, {"request_id": request_id}, capabilities)
    finally:
        del connection.subscriptions[request_id]


async def _wait_closed(connection: Connection, uri: str) -> None:
    """Wait until the connection closes; on cancellation, unsubscribe."""
    try:
        await connection.closed.wait()
    finally:
        if not connection.closed.is_set():
            with anyio.move_on_after(_UNSUBSCRIBE_SECONDS, shield=True), suppress(MCPError):
                await connection.request("resources/unsubscribe", {"uri": uri})


def _unheard(_: Json) -> None:
    """Take what is heard elsewhere."""


def _has(capability: object, flag: str) -> bool:
    return isinstance(capability, dict) and capability.get(flag) is True
