"""One connection to a downstream server, in either protocol era, in raw JSON from end to end.

The SDK's dispatcher carries the messages. Its `ClientSession` does not: its models drop
fields that they do not know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskStatus
from mcp.client import Transport
from mcp.shared.dispatcher import CallOptions, DispatchContext, ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
    find_invalid_x_mcp_header,
    mcp_param_headers,
)
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from mcp_gateway.kinds import TOOLS, Kind
from mcp_gateway.version import IMPLEMENTATION

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Mirrored = Mapping[tuple[str, ...], str]
ProgressFn = ProgressFnT
NotifyFn = Callable[[str, Mapping[str, Any] | None], None]

PROBE_SECONDS = 2.0
"""How long a server may be silent to `server/discover` before `initialize` is tried beside it."""

RELISTEN_SECONDS = 5.0
"""How long to wait before a subscription that a server has ended is asked for again."""

_LISTS = ("tools", "prompts", "resources")

MAX_PAGES = 1000
"""How many pages a list may have; a server that never ends its list is broken."""


@dataclass(slots=True)
class Peer:
    """A server at the other end of a transport. Made by `connected`."""

    dispatcher: JSONRPCDispatcher
    version: str = ""
    hello: Json = field(default_factory=dict)

    @property
    def modern(self) -> bool:
        """Whether the server speaks 2026-07-28: no handshake, an envelope on every request."""
        return self.version == LATEST_MODERN_VERSION

    async def request(
        self,
        method: str,
        params: Json,
        *,
        on_progress: ProgressFn | None = None,
        capabilities: Json | None = None,
        mirrored: Mirrored | None = None,
    ) -> Json:
        """Send a request; return the result exactly as the server sent it.

        `capabilities` are those of the client for whom it is; a server of the handshake era
        was offered none. `mirrored` says which arguments a modern server wants as
        `Mcp-Param-*` headers, too.

        Raises:
            MCPError: the server answered with an error, or the connection closed.

        """
        options: CallOptions = {}
        if on_progress is not None:
            options["on_progress"] = on_progress
        if self.modern:
            return await self._enveloped(method, params, options, capabilities, mirrored)
        options["headers"] = {MCP_PROTOCOL_VERSION_HEADER: self.version}
        return await self.dispatcher.send_raw_request(method, params, options)

    def declares(self, capability: str) -> bool:
        """Whether the server said that it has a capability."""
        capabilities = self.hello.get("capabilities")
        return isinstance(capabilities, dict) and capability in capabilities

    async def list(self, kind: Kind, touch: Callable[[], None]) -> list[Json]:
        """Return all pages of a list, as far as they are definitions. `touch` is called after each page."""
        found: list[Json] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self.request(kind.method, {} if cursor is None else {"cursor": cursor})
            touch()
            items = page.get(kind.field)
            found += filter(kind.admits, items if isinstance(items, list) else [])
            cursor = page.get("nextCursor")
            if not cursor:
                break
        return _with_valid_headers(found) if self.modern and kind is TOOLS else found

    async def listen(self) -> None:
        """Ask a modern server to announce changes of its lists, as long as the session lives.

        Servers of the handshake era announce them without being asked. The announcements
        arrive as notifications; the request itself is answered when the server ends it.
        """
        capabilities = self.hello.get("capabilities")
        declared = capabilities if isinstance(capabilities, dict) else {}
        wanted = {f"{name}ListChanged": True for name in _LISTS if _announces(declared.get(name))}
        while self.modern and wanted:
            try:
                await self._enveloped("subscriptions/listen", {"notifications": wanted}, {"cancel_on_abandon": False})
            except MCPError as error:
                if error.code in (types.METHOD_NOT_FOUND, types.CONNECTION_CLOSED):
                    return
                log.info("the server ended a subscription; asking again", reason=error.error.message)
            await anyio.sleep(RELISTEN_SECONDS)

    async def negotiate(self) -> None:
        """Find out the server's era and greet it.

        A server of the handshake era answers `server/discover` with an error, or not at
        all: after `PROBE_SECONDS` of silence both greetings are under way, and the first
        good answer wins. So neither an old nor a slow server is mistaken.

        Raises:
            MCPError: the server accepted neither greeting.

        """
        failure: MCPError | None = None
        async with anyio.create_task_group() as tasks:
            refused = anyio.Event()
            tasks.start_soon(self._discover, tasks.cancel_scope, refused)
            with anyio.move_on_after(PROBE_SECONDS):
                await refused.wait()
            failure = await self._initialize_beside(refused)
            tasks.cancel_scope.cancel()
        if not self.version and failure is not None:
            raise failure

    async def _discover(self, done: anyio.CancelScope, refused: anyio.Event) -> None:
        try:
            hello = await self._enveloped("server/discover", {}, {"cancel_on_abandon": False})
        except MCPError:
            return refused.set()
        versions = hello.get("supportedVersions")
        if not isinstance(versions, list) or LATEST_MODERN_VERSION not in versions:
            return refused.set()
        self.version, self.hello = LATEST_MODERN_VERSION, hello
        return done.cancel()

    async def _initialize_beside(self, refused: anyio.Event) -> MCPError | None:
        """Shake hands; if that fails, wait for `server/discover`, which cancels this if it succeeds."""
        try:
            await self._initialize()
        except MCPError as error:
            await refused.wait()
            return error
        return None

    async def _initialize(self) -> None:
        hello = await self.dispatcher.send_raw_request(
            "initialize",
            {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": IMPLEMENTATION},
            {"cancel_on_abandon": False},
        )
        version = hello.get("protocolVersion")
        if version not in HANDSHAKE_PROTOCOL_VERSIONS:
            raise MCPError(types.INVALID_REQUEST, f"the server speaks protocol version {version!r}, unknown here")
        headers = {MCP_PROTOCOL_VERSION_HEADER: version}
        await self.dispatcher.notify("notifications/initialized", None, {"headers": headers})
        self.version, self.hello = version, hello

    async def _enveloped(
        self,
        method: str,
        params: Json,
        options: CallOptions,
        capabilities: Json | None = None,
        mirrored: Mirrored | None = None,
    ) -> Json:
        """Send a request of the modern era: its envelope in `_meta`, its routing in headers."""
        meta = {
            **(params.get("_meta") or {}),
            types.PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
            types.CLIENT_INFO_META_KEY: IMPLEMENTATION,
            types.CLIENT_CAPABILITIES_META_KEY: capabilities or {},
        }
        options["headers"] = _routing_headers(method, params, mirrored)
        return await self.dispatcher.send_raw_request(method, {**params, "_meta": meta}, options)


def _routing_headers(method: str, params: Json, mirrored: Mirrored | None) -> dict[str, str]:
    headers = {MCP_PROTOCOL_VERSION_HEADER: LATEST_MODERN_VERSION, MCP_METHOD_HEADER: method}
    name = params.get(NAME_BEARING_METHODS.get(method, ""))
    if isinstance(name, str):
        headers[MCP_NAME_HEADER] = encode_header_value(name)
    if mirrored:
        headers |= mcp_param_headers(mirrored, params.get("arguments") or {})
    return headers


@asynccontextmanager
async def connected(transport: Transport, on_notify: NotifyFn | None = None) -> AsyncIterator[tuple[Peer, anyio.Event]]:
    """Open `transport`; yield a peer that has not negotiated yet, and an event that says that it closed."""
    closed = anyio.Event()
    async with transport as (read, write), anyio.create_task_group() as tasks:
        dispatcher: JSONRPCDispatcher = JSONRPCDispatcher(read, write)

        def notified(method: str, params: Mapping[str, Any] | None) -> bool:
            if on_notify is not None:
                on_notify(method, params)
            return True

        async def run(*, task_status: TaskStatus[None]) -> None:
            try:
                await dispatcher.run(_refused, _ignored, notified, task_status=task_status)
            finally:
                closed.set()

        await tasks.start(run)
        yield Peer(dispatcher), closed
        tasks.cancel_scope.cancel()


async def _refused(_context: DispatchContext[Any], method: str, _params: Mapping[str, Any] | None) -> Json:
    """Answer a request of the server's: it was offered no capability, so there is only `ping`."""
    if method == "ping":
        return {}
    raise MCPError(types.METHOD_NOT_FOUND, f"Method not found: {method}")


async def _ignored(_context: DispatchContext[Any], _method: str, _params: Mapping[str, Any] | None) -> None:
    """Take a notification that `notified` has consumed already."""


def _with_valid_headers(tools: list[Json]) -> list[Json]:
    """Drop tools with invalid `x-mcp-header` annotations, as a client of the modern era must."""
    valid = [tool for tool in tools if find_invalid_x_mcp_header(tool.get("inputSchema")) is None]
    if len(valid) < len(tools):
        dropped = [tool["name"] for tool in tools if tool not in valid]
        log.warning("tools with invalid x-mcp-header annotations are left out", tools=dropped)
    return valid


def _announces(capability: object) -> bool:
    return isinstance(capability, dict) and capability.get("listChanged") is True
