"""Handshake with a server: era detection and `initialize`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from mcp_gateway.client.connection import Connection
from mcp_gateway.client.errors import status_of_rejection
from mcp_gateway.loops.chain import HEADER, META_KEY, refusal_of
from mcp_gateway.loops.errors import GatewayLoop
from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.envelope import encode_notification
from mcp_gateway.protocol.implementation import IMPLEMENTATION

# The SDK's own client waits 10 s (DISCOVER_TIMEOUT_SECONDS), which a stdio server that ignores
# server/discover would cost at each start.
PROBE_SECONDS = 2.0
"""How long a server may leave `server/discover` unanswered before `initialize` is tried in parallel."""


Failure = MCPError | ServerUnavailable

_FAILURES = (MCPError, ServerUnavailable)
"""How an attempt to shake hands may end."""

# Between a write that fails and the end of the server's output.
_END_SECONDS = 0.1


class ClosedInHandshake(ServerUnavailable):
    """The server closed the connection during the handshake."""


@dataclass(slots=True, eq=False)
class _Probe:
    """The attempt at `server/discover`; `refused` is set when it has failed."""

    refused: anyio.Event = field(default_factory=anyio.Event)
    failure: Failure | None = None

    def fail(self, failure: Failure | None = None) -> None:
        self.failure = failure
        self.refused.set()


async def negotiate(connection: Connection, *, initialize_first: bool = False) -> None:
    """Detect the server's era, and initialize.

    A handshake-era server answers `server/discover` with an error or not at all. After `PROBE_SECONDS` without an
    answer `initialize` is sent as well, and the first successful answer wins: neither an old server, which never
    answers the probe, nor a slow modern one is misjudged.

    With `initialize_first` the order is reversed, for servers that end at any other first message.

    Raises:
        MCPError: the server accepted neither handshake.
        GatewayLoop: the server is a gateway that this connection would lead to in a loop.
        ClosedInHandshake: the server closed the connection instead.
        ServerUnavailable: the server could not be reached.

    """
    if not initialize_first or not await _initialize_alone(connection):
        await _detect_era(connection)
    if reason := refusal_of(connection.initialize_result):
        raise GatewayLoop(reason)


async def _initialize_alone(connection: Connection) -> bool:
    """Send `initialize`; return whether the server knows it."""
    with suppress(MCPError):
        await _initialize(connection)
        return True
    return False


async def _detect_era(connection: Connection) -> None:
    failure: Failure | None = None
    probe = _Probe()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_discover, connection, tasks.cancel_scope, probe)
        with anyio.move_on_after(PROBE_SECONDS):
            await probe.refused.wait()
        failure = await _initialize_beside(connection, probe.refused)
        tasks.cancel_scope.cancel()
    if not connection.version and failure is not None:
        if await _is_end(connection, failure):
            raise ClosedInHandshake("it closed the connection") from None
        raise _choose_failure(failure, probe.failure)


def _choose_failure(initialize: Failure, discover: Failure | None) -> Failure:
    """Return the failure that says most: rejected credentials before all else.

    A modern server answers `initialize` with "Unsupported protocol version", whatever the credentials: that must not
    hide that they were rejected, because only then are they refreshed, or a login is asked for.
    """
    for status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        for failure in (discover, initialize):
            if isinstance(failure, MCPError) and status_of_rejection(failure) == status:
                return failure
    return initialize


async def _is_end(connection: Connection, failure: Failure) -> bool:
    """Whether the server closed the connection, rather than refusing.

    A permanent failure is a verdict of the transport: the program is no server.
    """
    if isinstance(failure, RequestNotSent):
        with anyio.move_on_after(_END_SECONDS):
            await connection.closed.wait()
    return connection.is_closed and isinstance(failure, ServerUnavailable) and not failure.permanent


async def _discover(connection: Connection, done: anyio.CancelScope, probe: _Probe) -> None:
    try:
        result = await _send_discover(connection)
    except _FAILURES as error:
        if not _wants_modern(error):
            return probe.fail(error)
        try:
            result = await _send_discover(connection)
        except _FAILURES as again:
            return probe.fail(again)
    versions = result.get("supportedVersions")
    if not isinstance(versions, list) or LATEST_MODERN_VERSION not in versions:
        return probe.fail()
    connection.set_version(LATEST_MODERN_VERSION, result)
    return done.cancel()


async def _send_discover(connection: Connection) -> Json:
    return await connection.send_modern(
        "server/discover",
        _encode_chain(connection),
        next(connection.ids),
        capabilities=connection.router.capabilities,
    )


def _encode_chain(connection: Connection) -> Json:
    """Return the params that bring the chain."""
    return {"_meta": {META_KEY: connection.router.chain}} if connection.router.chain else {}


def _wants_modern(error: Failure) -> bool:
    """Whether an error names our modern version as supported.

    `server/discover` is then sent once more.
    """
    if isinstance(error, ServerUnavailable):
        return False
    return error.code == types.UNSUPPORTED_PROTOCOL_VERSION and LATEST_MODERN_VERSION in _supported_versions(error)


def _supported_versions(error: MCPError) -> list[Any]:
    """Return the protocol versions that an error names as supported."""
    supported = error.error.data.get("supported") if isinstance(error.error.data, dict) else None
    return supported if isinstance(supported, list) else []


async def _initialize_beside(connection: Connection, refused: anyio.Event) -> Failure | None:
    """Send `initialize`; on failure wait for `server/discover`.

    A successful `server/discover` cancels this call.
    """
    try:
        await _initialize(connection)
    except _FAILURES as error:
        await refused.wait()
        return error
    return None


async def _initialize(connection: Connection) -> None:
    """Initialize the session; if need be, with an older version.

    A server should answer a version that it does not speak with one that it does, but some refuse it and name theirs.
    """
    try:
        result = await _send_initialize(connection, LATEST_HANDSHAKE_VERSION)
    except MCPError as error:
        supported = _supported_versions(error)
        older = next((known for known in reversed(HANDSHAKE_PROTOCOL_VERSIONS) if known in supported), None)
        if older is None or older == LATEST_HANDSHAKE_VERSION:
            raise
        result = await _send_initialize(connection, older)
    version = result.get("protocolVersion")
    if version not in HANDSHAKE_PROTOCOL_VERSIONS:
        raise MCPError(types.INVALID_REQUEST, f"the server speaks protocol version {version!r}, unknown here")
    headers = {MCP_PROTOCOL_VERSION_HEADER: version}
    # Some servers refuse all notifications, and serve all the same; what else is wrong the next request will say.
    with suppress(MCPError, ConnectionDropped):
        await connection.channel.send(encode_notification("notifications/initialized", None), headers)
    connection.set_version(version, result)


async def _send_initialize(connection: Connection, version: str) -> Json:
    params = {
        "protocolVersion": version,
        "capabilities": dict(connection.router.capabilities),
        "clientInfo": IMPLEMENTATION,
        **_encode_chain(connection),
    }
    headers = {HEADER: connection.router.chain} if connection.router.chain else {}
    return await connection.send("initialize", params, headers, next(connection.ids))
