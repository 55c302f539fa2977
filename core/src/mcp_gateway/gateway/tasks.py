"""Routing of MCP tasks.

A task is a call that a server continues after its response; clients poll it by id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import mcp_types as types
import structlog
from cachetools import FIFOCache
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.gateway.request import Request
from mcp_gateway.plugin import GatewayError, Principal
from mcp_gateway.protocol.raw_json import Fields, decode_member, encode_raw

log = structlog.get_logger(__name__)

EXTENSION = "io.modelcontextprotocol/tasks"
"""Tasks are an extension in the modern era, and a capability in the handshake era."""

MAX_KNOWN = 10_000
"""For how many tasks the gateway remembers the server; for others it asks all servers that support tasks."""

_UNKNOWN = (types.INVALID_PARAMS, types.METHOD_NOT_FOUND, types.INVALID_REQUEST)

SendFn = Callable[[ServerSpec], Awaitable[Fields]]


@dataclass(frozen=True, slots=True)
class _Task:
    server: str
    owner: Principal | None = None


@dataclass(slots=True)
class Tasks:
    """Task registry: servers and owners by task id.

    Ids are those of the servers, unmodified.
    """

    registry: Registry
    _known: FIFOCache[str, _Task] = field(default_factory=lambda: FIFOCache(MAX_KNOWN))

    def register(self, server: str, result: Fields, owner: Principal | None = None) -> None:
        """Register the task that a result refers to.

        The first server to name an id owns it.

        A task with an `owner` is not visible to other principals.
        """
        if bytes(result.get("resultType", b"")) == b'"task"':
            task = decode_member(result, "taskId")
        else:
            described = decode_member(result, "task")
            task = described.get("taskId") if isinstance(described, dict) else None
        if isinstance(task, str):
            # The first one keeps it: another server must not take over a task by using its id.
            self._known.setdefault(task, _Task(server, owner))

    async def forward(
        self, request: Request, seen: Catalog, send: SendFn, principal: Principal | None = None
    ) -> Fields:
        """Forward a task request to the servers that it concerns.

        These are servers in `seen`; a list of tasks concerns all of them.

        Raises:
            MCPError: no server knows the task.

        """
        if request.method == "tasks/list":
            return await self._list_tasks(seen, send, principal)
        task = str(request.member("taskId"))
        if self._owner(task) != principal:
            raise MCPError(types.INVALID_PARAMS, f"no server here knows the task {task!r}")
        known = self._known.get(task)
        its_own = None if known is None else self.registry.specs.get(known.server)
        for spec in [its_own] if its_own else self._having(seen):
            try:
                result = await send(spec)
            except MCPError as error:
                # Only these codes may mean that the task belongs to another server.
                if known or error.code not in _UNKNOWN:
                    raise
                continue
            self._known.setdefault(task, _Task(spec.name, principal))
            return result
        raise MCPError(types.INVALID_PARAMS, f"no server here knows the task {task!r}")

    async def _list_tasks(self, seen: Catalog, send: SendFn, principal: Principal | None) -> Fields:
        found: list[object] = []
        for spec in self._having(seen):
            if seen.servers[spec.name].modern:
                continue  # the modern era has no `tasks/list`
            try:
                tasks = decode_member(await send(spec), "tasks")
            except (MCPError, GatewayError) as error:
                log.info("task list failed", server=spec.name, reason=str(error))
                continue
            found += [task for task in tasks if self._is_of(task, principal)] if isinstance(tasks, list) else []
        return {"tasks": encode_raw(found)}

    def _is_of(self, task: object, principal: Principal | None) -> bool:
        identifier = task.get("taskId") if isinstance(task, dict) else None
        return isinstance(identifier, str) and self._owner(identifier) == principal

    def _owner(self, task: str) -> Principal | None:
        known = self._known.get(task)
        return None if known is None else known.owner

    def _having(self, seen: Catalog) -> list[ServerSpec]:
        return [self.registry.specs[name] for name, listing in seen.servers.items() if has_tasks(listing)]


def has_tasks(listing: Listing) -> bool:
    """Whether a server declares tasks, in either era."""
    extensions = listing.capabilities.get("extensions")
    return "tasks" in listing.capabilities or (isinstance(extensions, dict) and EXTENSION in extensions)
