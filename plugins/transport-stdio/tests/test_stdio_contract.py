import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TextIO

import anyio
import pytest
from mcp.client import Transport
from mcp.server import Server
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from mcp_gateway_transport_stdio import mcp_gateway_client_transports, mcp_gateway_server_transports
from mcp_gateway_transport_stdio.server_transport import CancellableLineReader

from mcp_gateway.plugin import ServerTransport
from mcp_gateway_testkit import ClientTransportContract, ServerTransportContract


class TestStdioClient(ClientTransportContract):
    (provider,) = mcp_gateway_client_transports()
    source: ClassVar[Mapping[str, object]] = {
        "command": sys.executable,
        "args": ["-m", "mcp_gateway_testkit.reference", "--key=s3cr3t"],
        "env": {"API_KEY": "s3cr3t"},
    }


@dataclass
class WithOutput:
    """Puts standard output in place when it serves: pytest has its own until then."""

    transport: ServerTransport
    output: TextIO

    async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", self.output)
            await self.transport.serve(server, ready=ready)


class TestStdioServer(ServerTransportContract):
    provider = next(found for found in mcp_gateway_server_transports() if found.name == "stdio")
    many_clients = False

    @pytest.fixture
    def output(self) -> Iterator[TextIO]:
        """Give this process a standard input that the test writes to, and make an output that it reads."""
        kept = os.dup(0)
        theirs_in, self.ours_out = os.pipe()
        self.ours_in, theirs_out = os.pipe()
        os.dup2(theirs_in, 0)
        os.close(theirs_in)
        with os.fdopen(theirs_out, "w", encoding="utf-8") as output:
            yield output
        os.dup2(kept, 0)
        for descriptor in (kept, self.ours_out, self.ours_in):
            os.close(descriptor)

    @pytest.fixture
    async def subject(self, configuration: Mapping[str, object], output: TextIO) -> AsyncIterator[ServerTransport]:
        async with self.provider.bind(configuration).open() as product:
            yield WithOutput(product, output)

    def reach(self, where: str) -> Transport:
        assert "standard input" in where
        return self._streams()

    @asynccontextmanager
    async def _streams(self) -> AsyncIterator[Any]:
        send_in, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, receive_out = anyio.create_memory_object_stream[SessionMessage](0)

        async def read() -> None:
            async with send_in:
                async for line in CancellableLineReader(self.ours_in, 4 << 20):
                    await send_in.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

        async def write() -> None:
            async with receive_out:
                async for message in receive_out:
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    os.write(self.ours_out, text.encode() + b"\n")

        async with incoming, outgoing, anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(write)
            yield incoming, outgoing
            tasks.cancel_scope.cancel()
