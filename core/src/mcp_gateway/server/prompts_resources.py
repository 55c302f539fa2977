"""Handlers of prompts, resources, resource templates and completions."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError
from msgspec import Raw

from mcp_gateway.catalog.resolver import AmbiguousResource, UnknownPrompt, UnknownResource
from mcp_gateway.gateway.errors import UnknownMethod
from mcp_gateway.gateway.gateway import SETTLE_SECONDS, Gateway
from mcp_gateway.gateway.resource_subscriptions import UpdatedFn
from mcp_gateway.plugin import Caller, GatewayError
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.eras import RESOURCE_NOT_FOUND
from mcp_gateway.protocol.primitives import PROMPTS, Primitive
from mcp_gateway.protocol.raw_json import Fields, UnreadableJson, encode_members
from mcp_gateway.server.builtin_results import overload_error
from mcp_gateway.server.pipeline.client_request import ClientRequest
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

    async def list(self, primitive: Primitive, request: ClientRequest) -> Fields:
        """List the exposed definitions of a primitive.

        Definitions are complete; prompts have their full names.
        """
        seen = await self._gateway.resolver_for(request.caller, SETTLE_SECONDS)
        listed = seen.list_definitions(primitive)
        items = (
            [{**definition, "name": name} for name, definition in listed] if primitive is PROMPTS else _whole(listed)
        )
        return encode_members({primitive.field: items, **seen.cache_hint(primitive)})

    async def get_prompt(self, request: ClientRequest) -> Fields:
        """Answer `prompts/get`."""
        name = str(request.member("name"))
        got = self._gateway.get_prompt(name, request.params, request.caller, request.channel, meta=request.meta)
        return await _wait_for_answer(self._fitting(f"the prompt {name!r}", got, request.caller))

    async def read(self, request: ClientRequest) -> Fields:
        """Handle `resources/read`.

        Each era has a different error code for a resource that does not exist.
        """
        uri, caller = str(request.member("uri")), request.caller
        with _unknown_resource(uri, modern=request.modern):
            if uri.startswith(PREFIX):
                return _cacheable(await _wait_for_answer(self._read_kept_result(uri, caller)))
            read = self._gateway.read(uri, request.params, caller, request.channel, meta=request.meta)
            return _cacheable(await _wait_for_answer(self._fitting(f"the resource {uri!r}", read, caller)))

    async def _read_kept_result(self, uri: str, caller: Caller) -> Fields:
        return self._results.read(uri, caller)

    async def _fitting(self, what: str, request: Awaitable[Fields], caller: Caller) -> Fields:
        return self._results.limit(lambda: what, await request, caller)

    async def subscribe(self, subscriber: str, uri: str, caller: Caller, updated: UpdatedFn) -> None:
        """Handle `resources/subscribe` of the handshake era.

        The modern era has it as a part of `subscriptions/listen`.
        """

        async def add_subscription() -> Fields:
            await self._gateway.subscribe(subscriber, uri, caller, updated)
            return {}

        with _unknown_resource(uri, modern=False):
            await _wait_for_answer(add_subscription())

    async def forward(self, request: ClientRequest) -> Fields:
        """Handle a request that the gateway only forwards."""
        sent = self._gateway.forward(request.method, request.params, request.caller, request.channel, meta=request.meta)
        return await _wait_for_answer(self._fitting(f"the result of {request.method}", sent, request.caller))

    async def complete(self, request: ClientRequest) -> Fields:
        """Answer `completion/complete`."""
        return await _wait_for_answer(self._gateway.complete(request.params, request.caller, meta=request.meta))


def _whole(listed: list[tuple[str, Mapping[str, Any]]]) -> list[Json]:
    return [dict(definition) for _, definition in listed]


def _cacheable(result: Fields) -> Fields:
    """Add a no-cache hint to a complete result without one.

    The hint is a TTL of 0 and the scope "private".
    """
    if bytes(result.get("resultType", b'"complete"')) != b'"complete"':
        return result
    return {"ttlMs": Raw(b"0"), "cacheScope": Raw(b'"private"'), **result}


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


async def _wait_for_answer(request: Awaitable[Fields]) -> Fields:
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
    except (MCPError, UnreadableJson):
        raise
    except Exception:
        log.exception("plugin failed")
        raise MCPError(types.INTERNAL_ERROR, "a plugin of the gateway failed; the gateway's log says why") from None
