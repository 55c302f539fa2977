"""Windows are served as any client is."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.streams.buffered
import pytest
from mcp.client import Transport
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from mcp_gateway_transport_stdio import mcp_gateway_server_transports

from mcp_gateway_testkit import ServerTransportContract


class TestSharedServer(ServerTransportContract):
    provider = next(found for found in mcp_gateway_server_transports() if found.name == "shared")

    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        with TemporaryDirectory(prefix="run-") as folder:
            yield Path(folder)

    @pytest.fixture
    def configuration(self, folder: Path) -> Mapping[str, object]:
        return {"GATEWAY_SHARED_SOCKET": str(folder / "shared.sock")}

    def reach(self, where: str) -> Transport:
        path = Path(where)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return self._streams(path)

    @asynccontextmanager
    async def _streams(self, path: Path) -> AsyncIterator[Any]:
        send_in, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, receive_out = anyio.create_memory_object_stream[SessionMessage](0)
        async with await anyio.connect_unix(path) as stream:
            lines = anyio.streams.buffered.BufferedByteReceiveStream(stream)
            greeting = await lines.receive_until(b"\n", 1000)
            assert greeting == b'{"shared": 1, "pid": %d}' % os.getpid()

            async def read() -> None:
                async with send_in:
                    while True:
                        line = await lines.receive_until(b"\n", 1 << 20)
                        await send_in.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

            async def write() -> None:
                async with receive_out:
                    async for message in receive_out:
                        text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                        await stream.send(text.encode() + b"\n")

            async with incoming, outgoing, anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                tasks.start_soon(write)
                yield incoming, outgoing
                tasks.cancel_scope.cancel()
