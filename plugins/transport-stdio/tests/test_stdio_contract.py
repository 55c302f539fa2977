import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.client import Transport
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from mcp_gateway_transport_stdio import mcp_gateway_client_transports, mcp_gateway_server_transports
from mcp_gateway_transport_stdio.server_transport import CancellableLines

from mcp_gateway_testkit import ClientTransportContract, ServerTransportContract


class TestStdioClient(ClientTransportContract):
    (provider,) = mcp_gateway_client_transports()
    source = {
        "command": sys.executable,
        "args": ["-m", "mcp_gateway_testkit.reference", "--key=s3cr3t"],
        "env": {"API_KEY": "s3cr3t"},
    }


class TestStdioServer(ServerTransportContract):
    (provider,) = mcp_gateway_server_transports()
    many_clients = False

    @pytest.fixture(autouse=True)
    def _standard_streams(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Give this process a standard input and output that the test holds the other ends of."""
        kept = os.dup(0)
        theirs_in, self.ours_out = os.pipe()
        self.ours_in, theirs_out = os.pipe()
        os.dup2(theirs_in, 0)
        os.close(theirs_in)
        with os.fdopen(theirs_out, "w", encoding="utf-8") as output:
            monkeypatch.setattr(sys, "stdout", output)
            yield
        os.dup2(kept, 0)
        for descriptor in (kept, self.ours_out, self.ours_in):
            os.close(descriptor)

    def reach(self, where: str) -> Transport:
        assert "standard input" in where
        return self._streams()

    @asynccontextmanager
    async def _streams(self) -> AsyncIterator[Any]:
        send_in, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, receive_out = anyio.create_memory_object_stream[SessionMessage](0)

        async def read() -> None:
            async with send_in:
                async for line in CancellableLines(self.ours_in):
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
