"""A gateway that listens at a local socket, in a runtime folder of the test."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager

import pytest

from mcp_gateway.local_socket.listener import open_local_socket
from mcp_gateway.local_socket.methods import Methods, Serving

from ..support.fake_servers import Remote, tool


@pytest.fixture(autouse=True)
def runtime(monkeypatch):
    # Not below tmp_path: the path of a Unix socket is short.
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield folder


@pytest.fixture
def listening(gateway, tmp_path):
    @asynccontextmanager
    async def open_listening(mode="auto", **remotes):
        remotes = remotes or {"alpha": Remote(tool("echo"))}
        patient = {name: {"timeout": 60} for name in remotes}  # so that no call ends by itself during a test
        async with gateway(remotes, **patient) as opened:
            serving = Serving("stdio", tmp_path / "servers.json", "standard input and output")
            methods = Methods(opened.gateway, opened.lazy_server, serving)
            async with open_local_socket(methods, mode):
                yield opened

    return open_listening
