"""Starts the gateway for raw clients that hold many conversations at once, over HTTP or over its pipes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from .environments import gateway_program
from .measurement import wait_for_port
from .processes import free_port

Json = dict[str, Any]


@asynccontextmanager
async def gateway_before(
    servers: Sequence[Json], transport: str, folder: Path, more: Mapping[str, str], errors: IO[bytes] | None = None
) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """Start it in front of servers; give its port and process. `more` is for its environment, `errors` for its log."""
    port = free_port()
    file = folder / "servers.json"
    file.write_text(json.dumps({"servers": servers}))
    environment = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVER_CONFIG_PATH": str(file)}
    environment |= {"GATEWAY_TRANSPORT": transport, "GATEWAY_LOG_LEVEL": "WARNING"}
    environment |= {"GATEWAY_STATE_DIR": str(folder / "state")}
    process = await asyncio.create_subprocess_exec(
        gateway_program(),
        env={**os.environ, **environment, **more},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        limit=1 << 24,
    )
    try:
        if transport == "http":
            wait_for_port(port)
        yield port, process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
