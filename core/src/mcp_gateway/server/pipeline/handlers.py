"""The requests that the gateway answers, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from mcp_types.methods import SPEC_CLIENT_METHODS
from msgspec import Raw

from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.loops.trace import TRACE_METHOD, Trace
from mcp_gateway.protocol.eras import adapt_error, adapt_result, encode_own_meta
from mcp_gateway.protocol.primitives import PRIMITIVES, PROMPTS, RESOURCES, TEMPLATES
from mcp_gateway.protocol.raw_json import Fields, decode_members, encode_members
from mcp_gateway.server.pipeline.client_request import ClientRequest
from mcp_gateway.server.prompts_resources import PromptsAndResources
from mcp_gateway.server.server_info import server_info
from mcp_gateway.server.tools import Tools

log = structlog.get_logger(__name__)

_LISTS = {primitive.method: primitive.capability for primitive in PRIMITIVES}
"""What each list belongs to, by the request for it."""

FAILED_INSIDE = "the gateway failed inside; its log says why"
"""The message of an error that is nobody's but the gateway's."""

HandlerFn = Callable[[ClientRequest], Awaitable[Fields]]


@dataclass(slots=True)
class RequestHandlers:
    """Answers the requests of clients, whichever way they came.

    `on_listed` is called for a client of the handshake era that gets a list, with the client and the list, for example
    "tools".
    """

    tools: Tools
    content: PromptsAndResources
    gateway: Gateway
    on_listed: Callable[[str, str], None]
    _handlers: Mapping[str, HandlerFn] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the table of handlers."""
        content = self.content
        self._handlers = {
            "tools/list": self.tools.list,
            "tools/call": self.tools.call,
            "prompts/list": lambda request: content.list(PROMPTS, request),
            "prompts/get": content.get_prompt,
            "resources/list": lambda request: content.list(RESOURCES, request),
            "resources/templates/list": lambda request: content.list(TEMPLATES, request),
            "resources/read": content.read,
            "completion/complete": content.complete,
            TRACE_METHOD: self._trace,
        }

    async def _trace(self, request: ClientRequest) -> Fields:
        return encode_members(await self.gateway.loops.answer(Trace.from_params(decode_members(request.params))))

    def find(self, method: str) -> HandlerFn | None:
        """Return the handler of a method.

        None if the SDK's server answers it.

        What the specification does not know concerns a server, if anybody: some such methods were in earlier versions.
        """
        return self._handlers.get(method) or (None if method in SPEC_CLIENT_METHODS else self.content.forward)

    async def answer(self, request: ClientRequest, handler: HandlerFn) -> Fields:
        """Return the result of a request, in the client's era.

        Raises:
            MCPError: the answer is an error.

        """
        try:
            result = await handler(request)
        except MCPError as error:
            raise adapt_error(error, modern=request.modern) from None
        except (ValueError, RecursionError) as error:  # numbers with thousands of digits, and very deep nesting
            raise MCPError(INVALID_PARAMS, f"the request cannot be read: {error}") from None
        except Exception:
            log.exception("request failed", method=request.method)
            raise MCPError(INTERNAL_ERROR, FAILED_INSIDE) from None
        # Now, not before: a change up to here is in the answer. A modern client says in another way what it wants.
        if not request.modern and (name := _LISTS.get(request.method)) is not None:
            self.on_listed(str(request.caller.client), name)
        if not request.modern:
            return adapt_result(result, modern=False)
        return adapt_result(result, modern=True, own_meta=self.own_meta())

    def own_meta(self) -> Raw:
        """Return the `_meta` of modern results, as JSON."""
        return self.gateway.compiler.current().encoded("_meta", lambda: encode_own_meta(server_info(self.gateway)))
