"""Listing and getting what is not a tool: prompts, resources, their templates, and completions."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.gateway import SETTLE_SECONDS, Gateway
from mcp_gateway.interaction import Interaction
from mcp_gateway.kinds import PROMPTS, Kind
from mcp_gateway.plugin import Caller, GatewayError
from mcp_gateway.routing import AmbiguousResource, UnknownPrompt, UnknownResource
from mcp_gateway.surface.eras import Json, as_params

RESOURCE_NOT_FOUND = -32002
"""What the handshake era says of a resource that does not exist; the modern one says "invalid params"."""

log = structlog.get_logger(__name__)


class Content:
    """Answers the requests that are not about tools, in raw JSON. All failures are JSON-RPC errors."""

    def __init__(self, gateway: Gateway) -> None:
        """Answer for `gateway`."""
        self._gateway = gateway

    async def list(self, kind: Kind, caller: Caller) -> Json:
        """Return all that servers expose of a kind, definitions whole; prompts by their full names."""
        self._gateway.discovery.freshen(caller)
        await self._gateway.discovery.settled(SETTLE_SECONDS)
        listed = self._gateway.routing.exposed(kind)
        items = [{**definition, "name": name} for name, definition in listed] if kind is PROMPTS else _whole(listed)
        return {kind.field: items, "ttlMs": 0, "cacheScope": "private"}

    async def get_prompt(self, params: Mapping[str, Any], caller: Caller, interaction: Interaction) -> Json:
        """Answer `prompts/get`."""
        got = self._gateway.get_prompt(str(params.get("name")), as_params(params), caller, interaction)
        return await _answered(got)

    async def read(self, params: Mapping[str, Any], caller: Caller, interaction: Interaction, *, modern: bool) -> Json:
        """Answer `resources/read`. Each era has a code of its own for a resource that does not exist."""
        read = self._gateway.read(str(params.get("uri")), as_params(params), caller, interaction)
        try:
            return {"ttlMs": 0, "cacheScope": "private", **await _answered(read)}
        except MCPError as error:
            of_ours = isinstance(error.error.data, dict) and error.error.data.get("error_code") == UnknownResource.code
            if not of_ours and error.code != RESOURCE_NOT_FOUND:
                raise
            code = types.INVALID_PARAMS if modern else RESOURCE_NOT_FOUND
            raise MCPError(code, error.error.message, error.error.data) from None

    async def complete(self, params: Mapping[str, Any], caller: Caller) -> Json:
        """Answer `completion/complete`."""
        return await _answered(self._gateway.complete(as_params(params), caller))


def _whole(listed: list[tuple[str, Mapping[str, Any]]]) -> list[Json]:
    return [dict(definition) for _, definition in listed]


async def _answered(request: Awaitable[Json]) -> Json:
    """Wait for an answer; a failure of the gateway becomes an error that names it."""
    try:
        return await request
    except (UnknownPrompt, UnknownResource, AmbiguousResource) as error:
        raise MCPError(types.INVALID_PARAMS, str(error), {"error_code": error.code}) from None
    except GatewayError as error:
        raise MCPError(types.INTERNAL_ERROR, str(error), {"error_code": error.code}) from None
    except MCPError:
        raise
    except Exception:
        log.exception("a plugin failed")
        raise MCPError(types.INTERNAL_ERROR, "a plugin of the gateway failed; the gateway's log says why") from None
