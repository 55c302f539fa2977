import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import anyio
import pytest
from mcp.client import Transport
from mcp.server import Server
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from mcp_gateway_transport_stdio import mcp_gateway_client_transports, mcp_gateway_server_transports

from mcp_gateway.plugin import ServerTransport
from mcp_gateway_testkit import ClientTransportContract, ServerTransportContract


class TestStdioClient(ClientTransportContract):
    (provider,) = mcp_gateway_client_transports()
    source: ClassVar[Mapping[str, object]] = {
        "command": sys.executable,
        "args": ["-m", "mcp_gateway_testkit.reference", "--key=s3cr3t"],
        "env": {"API_KEY": "s3cr3t"},
    }


class TestStdioServer(ServerTransportContract):
    provider = next(found for found in mcp_gateway_server_transports() if found.name == "stdio")
    many_clients = False
    ours_in = ours_out = -1

    @pytest.fixture
    async def subject(self, configuration: Mapping[str, object]) -> AsyncIterator[ServerTransport]:
        async with self.provider.bind(configuration).open() as product:
            yield self.Piped(product, self)

    @dataclass
    class Piped:
        """Gives this process other standard streams while it serves."""

        transport: ServerTransport
        test: "TestStdioServer"

        async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
            kept = os.dup(0), os.dup(1)
            theirs_in, self.test.ours_out = os.pipe()
            self.test.ours_in, theirs_out = os.pipe()
            for theirs, number in ((theirs_in, 0), (theirs_out, 1)):
                os.dup2(theirs, number)
                os.close(theirs)
            try:
                await self.transport.serve(server, ready=ready)
            finally:
                for number, each in enumerate(kept):
                    os.dup2(each, number)
                for descriptor in (*kept, self.test.ours_out, self.test.ours_in):
                    os.close(descriptor)

    def reach(self, where: str) -> Transport:
        assert "standard input" in where
        return self._streams()

    async def _read(self) -> bytes:
        await anyio.wait_readable(self.ours_in)
        return os.read(self.ours_in, 1 << 20)

    @asynccontextmanager
    async def _streams(self) -> AsyncIterator[Any]:
        send_in, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, receive_out = anyio.create_memory_object_stream[SessionMessage](0)

        async def read() -> None:
            async with send_in:
                rest = b""
                while data := await self._read():
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        parsed = jsonrpc_message_adapter.validate_json(line, by_name=False)
                        await send_in.send(SessionMessage(parsed))

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
