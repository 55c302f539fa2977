"""A transport that serves while a test runs, and a server that is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from mcp_gateway_transport_http import mcp_gateway_server_transports

from mcp_gateway.plugin import Principal, RawResponse, ResponseWriter
from mcp_gateway_testkit import reference_server

(PROVIDER,) = mcp_gateway_server_transports()


@dataclass(frozen=True)
class RawCall:
    """A message that was dispatched, and where its response goes."""

    message: bytes
    headers: Mapping[str, str]
    principal: Principal | None
    writer: ResponseWriter


class RawServer:
    """Dispatches messages that begin with `{"plain"`; answers each with itself, unless it is to hold them."""

    def __init__(self) -> None:
        self.calls: list[RawCall] = []
        self.held: list[RawCall] | None = None
        self.came, self.abandoned = anyio.Event(), anyio.Event()
        self.answer_bytes = 0

    def served(self) -> Any:
        """Return a server of the SDK's with this dispatch."""
        server: Any = reference_server()
        server.dispatch_raw = self.dispatch_raw
        return server

    @property
    def count(self) -> int:
        return len(self.calls)

    def dispatch_raw(
        self,
        message: bytes,
        headers: Mapping[str, str] | None,
        principal: Principal | None,
        writer: ResponseWriter,
    ) -> Callable[[], None] | None:
        if not message.startswith(b'{"plain"'):
            return None
        call = RawCall(message, headers or {}, principal, writer)
        self.calls.append(call)
        self.came.set()
        if self.held is None:
            asyncio.get_running_loop().call_soon(self.answer, call)
        else:
            self.held.append(call)
        return partial(self.on_abandoned, call)

    def answer(self, call: RawCall) -> None:
        """Answer with the message itself."""
        call.writer.finish(RawResponse(call.message + b" " * self.answer_bytes, streamed=b"streamed" in call.message))

    def hold(self) -> None:
        """Answer nothing until it is released."""
        self.held, self.came = [], anyio.Event()

    def release(self) -> None:
        held, self.held = self.held or [], None
        for call in held:
            self.answer(call)

    def on_abandoned(self, call: RawCall) -> None:
        self.abandoned.set()
        if self.held is not None and call in self.held:
            self.held.remove(call)


@asynccontextmanager
async def open_server(server: Any, options: dict[str, str], seconds: float) -> AsyncIterator[int]:
    """Serve; yield the port. What is done with it has so many `seconds`."""
    addresses: list[str] = []
    opened = anyio.Event()

    def ready(where: str) -> None:
        addresses.append(where)
        opened.set()

    async with PROVIDER.bind(options).open() as transport, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: transport.serve(server, ready=ready))
        with anyio.fail_after(seconds):
            await opened.wait()
            yield int(addresses[0].split(":")[2].removesuffix("/mcp"))
        tasks.cancel_scope.cancel()
