"""The running gateways of this user, asked by their local sockets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from mcp_gateway.local_socket.folder import Endpoint, list_endpoints
from mcp_gateway.local_socket.framing import MAX_ANSWER, VERSION, Malformed, MessageReader, encode_message
from mcp_gateway.local_socket.stream import LocalStream
from mcp_gateway.plugin import ConfigError, GatewayError

Json = dict[str, Any]

NONE_RUNS = "no gateway of yours is running; your client starts one, or: mcp-orchestration-gateway serve"
"""What is said where a running gateway is asked, and there is none."""

CONNECT_SECONDS = 3.0
"""How long a gateway may take to greet."""


class GatewayGone(GatewayError):
    """A gateway that does not answer, or has ended."""

    code = "gateway_gone"


class Refusal(GatewayError):
    """An error that a running gateway answered with."""

    code = "refused"


@dataclass(slots=True)
class RunningClient:
    """A connection to the local socket of a gateway."""

    endpoint: Endpoint
    _stream: LocalStream
    _reader: MessageReader
    _number: int = 0

    async def ask(
        self, method: str, params: Mapping[str, Any] | None = None, on_line: Callable[[Json], None] = lambda _: None
    ) -> Json:
        """Send a request; return its result.

        `on_line` is called with what the gateway sends before.

        Raises:
            GatewayGone: the gateway has ended.
            Refusal: it answered with an error.

        """
        self._number += 1
        request = {"id": self._number, "method": method, "params": dict(params or {})}
        try:
            await self._stream.send(encode_message(request))
            while (message := await self._reader.read()) is not None:
                if "method" in message:
                    on_line(message.get("params") or {})
                elif "error" in message:
                    raise Refusal(str(message["error"].get("message")))
                else:
                    result: Json = message.get("result") or {}
                    return result
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, Malformed) as error:
            raise GatewayGone(f"the gateway with process {self.endpoint.pid} is gone: {error}") from None
        raise GatewayGone(f"the gateway with process {self.endpoint.pid} has ended")


@asynccontextmanager
async def open_running_client(endpoint: Endpoint) -> AsyncIterator[RunningClient]:
    """Connect to a gateway, and greet it.

    Raises:
        GatewayGone: nobody is there.

    """
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            if endpoint.port is None:
                stream = LocalStream(*await asyncio.open_unix_connection(endpoint.path))
            else:
                stream = LocalStream(*await asyncio.open_connection("127.0.0.1", endpoint.port))
    except (OSError, TimeoutError) as error:
        raise GatewayGone(f"no gateway listens at {endpoint.path}: {error}") from None
    async with stream:
        client = RunningClient(endpoint, stream, MessageReader(stream, MAX_ANSWER))
        with anyio.move_on_after(CONNECT_SECONDS) as patience:
            await client.ask("hello", {"version": VERSION, "key": endpoint.key})
        if patience.cancelled_caught:
            raise GatewayGone(f"the gateway with process {endpoint.pid} does not answer")
        yield client


async def find_running() -> list[Endpoint]:
    """Return the gateways that answer; files of others are removed.

    A file is removed only if its process has ended, or nobody listens there.
    """
    found = []
    for endpoint in list_endpoints():
        try:
            async with open_running_client(endpoint):
                found.append(endpoint)
        except Refusal:
            continue  # of another version
        except GatewayGone:
            if not _is_alive(endpoint.pid):
                endpoint.remove()
    return found


async def choose_running(pid: int | None) -> Endpoint:
    """Return the gateway with a process, or the only one.

    Raises:
        ConfigError: there is none, or there are several.

    """
    running = await find_running()
    if pid is not None:
        if (chosen := next((one for one in running if one.pid == pid), None)) is not None:
            return chosen
        raise ConfigError(f"no gateway of yours runs with process {pid}; running: {_name(running)}")
    if len(running) == 1:
        return running[0]
    if running:
        raise ConfigError(f"several gateways run; choose one with --gateway PID: {_name(running)}")
    raise ConfigError(NONE_RUNS)


def _name(running: list[Endpoint]) -> str:
    return ", ".join(str(one.pid) for one in running) or "none"


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return False  # there nobody but the process itself keeps the port open
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
