"""A client whose requests reach the gateway as bytes, as a server transport hands them over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from mcp_gateway.app import RunningGateway
from mcp_gateway.discovery.refresher import ANONYMOUS
from mcp_gateway.plugin import RawResponse

from .fake_servers import WAIT_SECONDS, Json
from .gateway import server_of

MODERN: Json = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
HEADERS = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "alpha__x"}


@dataclass(eq=False)
class RawClient:
    """A `ResponseWriter` that keeps what is written.

    `is_congested` is what the test says it is. A second response is an error.
    """

    is_congested: bool = False
    written: list[bytes] = field(default_factory=list)
    _finished: asyncio.Future[RawResponse] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._finished = asyncio.get_running_loop().create_future()

    @property
    def has_response(self) -> bool:
        return self._finished.done()

    @property
    def messages(self) -> list[Json]:
        """What came before the response."""
        return [json.loads(message) for message in self.written]

    def write(self, message: bytes) -> None:
        assert not self._finished.done(), "written after the response"
        self.written.append(message)

    def finish(self, response: RawResponse) -> None:
        self._finished.set_result(response)

    async def response(self) -> RawResponse:
        """Wait for the response, as it was written."""
        with anyio.fail_after(WAIT_SECONDS):
            return await asyncio.shield(self._finished)

    async def answer(self) -> Json:
        """Wait for the response; return it read."""
        answer: Json = json.loads((await self.response()).message)
        return answer


def call(name: str = "alpha__x", arguments: Any = None, meta: Json | None = MODERN, **changes: Any) -> bytes:
    """Encode a call of a tool; `meta` is its `_meta`, `changes` are other members of the message."""
    params = {"name": name, "arguments": arguments or {}, **({} if meta is None else {"_meta": meta})}
    return encode_request("tools/call", params, **changes)


def encode_request(method: str, params: Json | None = None, request_id: Any = 7, **changes: Any) -> bytes:
    """Encode a request of the client's."""
    content = {} if params is None else {"params": params}
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, **content, **changes}).encode()


async def dispatch(
    opened: RunningGateway, message: bytes, headers: Mapping[str, str] | None = None, client: RawClient | None = None
) -> Json:
    """Hand over a message that the pipeline takes; return its answer."""
    client = client or RawClient()
    assert server_of(opened).dispatch_raw(message, headers, None, client) is not None, "the SDK's server is to answer"
    assert not client.has_response, "finished before dispatch_raw had returned"
    return await client.answer()


async def discover_alpha(opened: RunningGateway) -> RunningGateway:
    """Wait until the lists of the server `alpha` are known."""
    await opened.gateway.discover("alpha", ANONYMOUS)
    return opened
