"""Subscriptions to changes of a server's lists and of single resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio
import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.announcements import LISTS, Subscription
from mcp_gateway.client.connection import Connection
from mcp_gateway.client.errors import status_of_rejection
from mcp_gateway.plugin import ServerUnavailable
from mcp_gateway.protocol.client_channel import Json

log = structlog.get_logger(__name__)

RELISTEN_SECONDS = 5.0
"""How long to wait before subscribing again after a server has ended a subscription."""

# Unsubscribing is shielded from cancellation, so without a limit a hung server would block the shutdown.
_UNSUBSCRIBE_SECONDS = 2.0


async def listen(connection: Connection, ready: anyio.Event, on_missed: Callable[[], None]) -> None:
    """Subscribe to list changes of a modern server.

    The subscription lasts as long as the session.

    Handshake-era servers announce changes without a subscription. The notifications reach the connection's
    `on_announced`; the request itself is answered only when the server ends it.

    `ready` is set when the server has acknowledged, or is known to announce nothing. A caller that stops waiting sets
    it, too. If the acknowledgement comes after that, or the subscription was interrupted, `on_missed` is called,
    because changes may have been missed.
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
        except ServerUnavailable:
            break  # the connection is over
        except MCPError as error:
            if error.code == types.METHOD_NOT_FOUND:
                break
            log.info("subscription ended", reason=error.error.message)
            if status_of_rejection(error) is not None:
                # They will not get better; what lists the server again gets others, and a session for them.
                if ready.is_set():
                    on_missed()
                break
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

    `capabilities` are those of the client on whose behalf it is. `updated` gets the notifications of a modern server;
    those of a handshake-era server reach the connection's `on_announced`.

    Raises:
        MCPError: the server does not support it or ended it, or the connection closed.

    """
    if connection.modern:
        await _watch_by_listening(connection, uri, capabilities, started, updated)
    elif not _has(connection.server_capabilities.get("resources"), "subscribe"):
        raise MCPError(types.METHOD_NOT_FOUND, "the server does not announce changes of resources")
    else:
        await connection.request("resources/subscribe", {"uri": uri})
        started()
        await _wait_closed(connection, uri)
    raise ServerUnavailable("it ended the subscription")


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
            # A server acknowledges the subset that it honours (specification 2026-07-28, subscriptions).
            accepted = honoured.get("resourceSubscriptions")
            if isinstance(accepted, list) and uri in accepted:
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
    """Keep a subscription open until the server ends it."""
    request_id, params = next(connection.ids), {"notifications": wanted}
    # Registered before the request, because the acknowledgement may arrive before `send_modern` returns.
    connection.announcements.subscriptions[request_id] = subscription
    try:
        await connection.send_modern("subscriptions/listen", params, request_id, capabilities=capabilities)
    finally:
        del connection.announcements.subscriptions[request_id]


async def _wait_closed(connection: Connection, uri: str) -> None:
    """Wait until the connection closes; on cancellation, unsubscribe."""
    try:
        await connection.closed.wait()
    finally:
        if not connection.closed.is_set():
            with anyio.move_on_after(_UNSUBSCRIBE_SECONDS, shield=True), suppress(MCPError, ServerUnavailable):
                await connection.request("resources/unsubscribe", {"uri": uri})


def _unheard(_: Json) -> None:
    """Ignore a resource update: this subscription asked for lists only."""


def _has(capability: object, flag: str) -> bool:
    return isinstance(capability, dict) and capability.get(flag) is True
