"""Handlers of prompts, resources, resource templates and completions."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.resolver import AmbiguousResource, UnknownPrompt, UnknownResource
from mcp_gateway.gateway.gateway import SETTLE_SECONDS, Gateway, UnknownMethod
from mcp_gateway.gateway.resource_subscriptions import UpdatedFn
from mcp_gateway.plugin import Caller, GatewayError
from mcp_gateway.protocol.client_channel import ClientChannel, Json
from mcp_gateway.protocol.eras import RESOURCE_NOT_FOUND, strip_params
from mcp_gateway.protocol.primitives import PROMPTS, Primitive
from mcp_gateway.server.builtin_results import overload_error
from mcp_gateway.server.result_limits import PREFIX, ResultLimits
from mcp_gateway.sessions.admission import Overloaded

log = structlog.get_logger(__name__)


class PromptsAndResources:
    """Request handlers for everything but tools, in raw JSON.

    All failures are JSON-RPC errors.
    """

    def __init__(self, gateway: Gateway, results: ResultLimits) -> None:
        """Bind to `gateway`; `results` limits results and stores truncated ones."""
        self._gateway, self._results = gateway, results

    async def list(self, primitive: Primitive, caller: Caller) -> Json:
        """List the exposed definitions of a primitive.

        Definitions are complete; prompts have their full names.
        """
        seen = await self._gateway.resolver_for(caller, SETTLE_SECONDS)
        listed = seen.list_definitions(primitive)
        items = (
            [{**definition, "name": name} for name, definition in listed] if primitive is PROMPTS else _whole(listed)
        )
        return {primitive.field: items, **seen.cache_hint(primitive)}

    async def get_prompt(self, params: Mapping[str, Any], caller: Caller, channel: ClientChannel) -> Json:
        """Handle `prompts/get`."""
        name = str(params.get("name"))
        got = self._gateway.get_prompt(name, strip_params(params), caller, channel)
        return await _wait_for_answer(self._fitting(f"the prompt {name!r}", got, caller))

    async def read(self, params: Mapping[str, Any], caller: Caller, channel: ClientChannel, *, modern: bool) -> Json:
        """Handle `resources/read`.

        Each era has a different error code for a resource that does not exist.
        """
        uri = str(params.get("uri"))
        with _unknown_resource(uri, modern=modern):
            if uri.startswith(PREFIX):
                return _cacheable(await _wait_for_answer(self._read_kept_result(uri, caller)))
            read = self._gateway.read(uri, strip_params(params), caller, channel)
            return _cacheable(await _wait_for_answer(self._fitting(f"the resource {uri!r}", read, caller)))

    async def _read_kept_result(self, uri: str, caller: Caller) -> Json:
        return self._results.read(uri, caller)

    async def _fitting(self, what: str, request: Awaitable[Json], caller: Caller) -> Json:
        return self._results.limit(what, await request, caller)

    async def subscribe(self, subscriber: str, uri: str, caller: Caller, updated: UpdatedFn) -> Json:
        """Handle `resources/subscribe` of the handshake era.

        The modern era has it as a part of `subscriptions/listen`.
        """

        async def add_subscription() -> Json:
            await self._gateway.subscribe(subscriber, uri, caller, updated)
            return {}

        with _unknown_resource(uri, modern=False):
            return await _wait_for_answer(add_subscription())

    async def forward(self, method: str, params: Mapping[str, Any], caller: Caller, channel: ClientChannel) -> Json:
        """Handle a request that the gateway only forwards."""
        sent = self._gateway.forward(method, strip_params(params), caller, channel)
        return await _wait_for_answer(self._fitting(f"the result of {method}", sent, caller))

    async def complete(self, params: Mapping[str, Any], caller: Caller) -> Json:
        """Handle `completion/complete`."""
        return await _wait_for_answer(self._gateway.complete(strip_params(params), caller))


def _whole(listed: list[tuple[str, Mapping[str, Any]]]) -> list[Json]:
    return [dict(definition) for _, definition in listed]


def _cacheable(result: Json) -> Json:
    """Add a no-cache hint to a complete result without one.

    The hint is a TTL of 0 and the scope "private".
    """
    if result.get("resultType", "complete") != "complete":
        return result
    return {"ttlMs": 0, "cacheScope": "private", **result}


@contextmanager
def _unknown_resource(uri: str, *, modern: bool) -> Iterator[None]:
    """Translate unknown-resource errors into the client's era, with the URI."""
    try:
        yield
    except MCPError as error:
        data = error.error.data
        if not isinstance(data, dict) or data.get("error_code") != UnknownResource.code:
            raise
        # Modern servers must not emit -32002 (specification 2026-07-28).
        code = types.INVALID_PARAMS if modern else RESOURCE_NOT_FOUND
        raise MCPError(code, error.error.message, {**data, "uri": uri}) from None


async def _wait_for_answer(request: Awaitable[Json]) -> Json:
    """Await a result, converting gateway errors into JSON-RPC errors.

    The error data holds the gateway's error code.
    """
    try:
        return await request
    except UnknownMethod as error:
        raise MCPError(types.METHOD_NOT_FOUND, str(error), {"error_code": error.code}) from None
    except (UnknownPrompt, UnknownResource, AmbiguousResource) as error:
        raise MCPError(types.INVALID_PARAMS, str(error), {"error_code": error.code}) from None
    except Overloaded as error:
        raise overload_error(error) from None
    except GatewayError as error:
        raise MCPError(types.INTERNAL_ERROR, str(error), {"error_code": error.code}) from None
    except MCPError:
        raise
    except Exception:
        log.exception("plugin failed")
        raise MCPError(types.INTERNAL_ERROR, "a plugin of the gateway failed; the gateway's log says why") from None
