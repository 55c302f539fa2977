"""Clients of both eras, whose messages take either entrance to the gateway: as bytes, or through the SDK's streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from mcp_gateway.app import RunningGateway

from .fake_servers import WAIT_SECONDS, Json, until
from .gateway import server_of
from .raw_client import MODERN, RawClient

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
LEVEL = "io.modelcontextprotocol/logLevel"


@dataclass(eq=False)
class EraClient:
    """A client that sends a message at a time, and keeps what it receives.

    It answers each question by `replies`, a result or a function of the params by method. `received` are the messages
    that came before the response, in order.
    """

    opened: RunningGateway
    modern: bool
    capabilities: Json
    write: Any
    replies: dict[str, Any] = field(default_factory=dict)
    received: list[Json] = field(default_factory=list)
    answers: dict[str, Json] = field(default_factory=dict)
    raw: bool = False
    ids: int = 100

    async def request(self, method: str, params: Json | None = None, **meta: Any) -> Json:
        """Send a request; return its response, as it came. `meta` are `token` and `level`, or other members."""
        request_id = await self.begin(method, params, **meta)
        return await self.response(request_id)

    async def begin(self, method: str, params: Json | None = None, **meta: Any) -> str:
        """Send a request; return its id."""
        self.ids += 1
        request_id = f"r{self.ids}"
        params = {**(params or {}), "_meta": self._meta(**meta)}
        if not params["_meta"]:
            del params["_meta"]
        await self.send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        return request_id

    async def response(self, request_id: str) -> Json:
        """Wait for the response to a request."""
        await until(lambda: request_id in self.answers)
        return self.answers.pop(request_id)

    async def send(self, message: Json) -> None:
        """Send any message."""
        encoded = json.dumps(message).encode()
        if self.raw:
            assert self.take(encoded) is not None, f"the SDK's server is to answer {message}"
        else:
            await self.write.send(SessionMessage(jsonrpc_message_adapter.validate_json(encoded, by_name=False)))

    def take(self, message: bytes) -> Callable[[], None] | None:
        """Hand a message over as bytes."""
        return server_of(self.opened).dispatch_raw(message, None, None, _Writer(self))

    def receive(self, message: Json) -> Json | None:
        """Keep a message; return the response to it if it is a question."""
        if "method" not in message:
            self.answers[str(message["id"])] = message
            return None
        self.received.append(message)
        if "id" not in message or message["method"] not in self.replies:
            return None
        reply = self.replies[message["method"]]
        result = reply(message.get("params", {})) if callable(reply) else reply
        kind = "error" if isinstance(result, dict) and result.keys() == {"code", "message"} else "result"
        return {"jsonrpc": "2.0", "id": message["id"], kind: result}

    def _meta(self, token: Any = None, level: str | None = None, **others: Any) -> Json:
        meta = {**others, **({"progressToken": token} if token is not None else {})}
        if self.modern:
            meta = {**meta, **MODERN, CAPABILITIES: self.capabilities, **({LEVEL: level} if level else {})}
        return meta


class _Writer(RawClient):
    """Writes to an `EraClient`."""

    def __init__(self, client: EraClient) -> None:
        super().__init__()
        self._client = client

    def write(self, message: bytes) -> None:
        super().write(message)
        self._reply(json.loads(message))

    def finish(self, response: Any) -> None:
        super().finish(response)
        if response.message:
            self._reply(json.loads(response.message))

    def _reply(self, message: Json) -> None:
        reply = self._client.receive(message)
        if reply is not None:
            assert self._client.take(json.dumps(reply).encode()) is not None, f"the reply {reply} was not taken"


@asynccontextmanager
async def open_era_client(
    opened: RunningGateway, entrance: str, *, modern: bool, capabilities: Json | None = None, **replies: Any
) -> AsyncIterator[EraClient]:
    """Connect a client of an era; its requests take the entrance "bytes" or "sdk"."""
    server = await opened.lazy_server.load()
    async with create_client_server_memory_streams() as (ours, theirs), anyio.create_task_group() as tasks:
        read, write = ours
        client = EraClient(opened, modern, capabilities or {}, write, dict(replies))
        tasks.start_soon(server.run, *theirs, server.create_initialization_options())
        tasks.start_soon(_receive, client, read)
        if not modern:
            await _shake_hands(client)
        client.raw = entrance == "bytes"
        yield client
        tasks.cancel_scope.cancel()


async def _receive(client: EraClient, read: Any) -> None:
    async for item in read:
        reply = client.receive(item.message.model_dump(by_alias=True, exclude_unset=True))
        if reply is not None:
            raw, client.raw = client.raw, False
            await client.send(reply)
            client.raw = raw


async def _shake_hands(client: EraClient) -> None:
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": client.capabilities,
        "clientInfo": {"name": "test", "version": "1"},
    }
    with anyio.fail_after(WAIT_SECONDS):
        await client.request("initialize", params)
        await client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await until(lambda: server_of(client.opened)._clients.raw_client(None))
