"""A client of a running gateway, by its local socket."""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from mcp_gateway.local_socket.folder import Endpoint
from mcp_gateway.local_socket.messages import (
    MAX_ANSWER,
    MAX_GREETING,
    MAX_REQUEST,
    VERSION,
    Malformed,
    MessageReader,
    TooLong,
    encode_message,
)
from mcp_gateway.local_socket.proof import Challenge, is_nonce, make_nonce
from mcp_gateway.local_socket.stream import LocalStream
from mcp_gateway.plugin import GatewayError

Json = dict[str, Any]

CONNECT_SECONDS = 3.0
"""How long a gateway may take to greet."""

_AGAIN_SECONDS = 0.05
"""How long to wait until a gateway with a full backlog is tried again."""

NotificationFn = Callable[[str, Json], None]
"""Receives what a gateway sends before its answer: method and params."""


class GatewayGone(GatewayError):
    """A gateway that has ended, or does not listen."""

    code = "gateway_gone"


class GatewaySilent(GatewayError):
    """A gateway that does not answer in time."""

    code = "gateway_silent"


class UnknownPeer(GatewayError):
    """Another program in a gateway's place, or one that talks nonsense."""

    code = "unknown_peer"


class MessageTooLarge(GatewayError):
    """A message of more bytes than the local socket carries."""

    code = "message_too_large"


class Refusal(GatewayError):
    """An error that a running gateway answered with."""

    code = "refused"


@dataclass(slots=True)
class RunningClient:
    """A connection to the local socket of a gateway.

    After an error other than `Refusal` it is of no more use. To close it ends what was asked.
    """

    endpoint: Endpoint
    _stream: LocalStream
    _reader: MessageReader
    _number: int = 0

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        on_notification: NotificationFn = lambda _, __: None,
        seconds: float = math.inf,
    ) -> Json:
        """Send a request; return its result.

        `on_notification` is called with what the gateway sends before.

        Raises:
            GatewayGone: the gateway has ended.
            GatewaySilent: it did not answer within so many seconds.
            MessageTooLarge: the request is too large, or the answer.
            UnknownPeer: what it answers is no answer.
            Refusal: it answered with an error.

        """
        self._number += 1
        request = encode_message({"id": self._number, "method": method, "params": dict(params or {})})
        name = f"the gateway with process {self.endpoint.pid}"
        if len(request) > MAX_REQUEST:
            raise MessageTooLarge(f"the request has {len(request)} bytes, and the local socket carries {MAX_REQUEST}")
        try:
            with anyio.fail_after(seconds):
                await self._stream.send(request)
                return await self._read_answer(on_notification)
        except TimeoutError:
            raise GatewaySilent(
                f"{name} has not answered for {seconds:g} s: it is busy or hangs; try again, or end that process"
            ) from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise GatewayGone(f"{name} has ended, or has closed the connection; try again") from None
        except TooLong as error:
            raise MessageTooLarge(f"the answer of {name} is too large: {error}; ask for less") from None
        except Malformed as error:
            raise self._reject(str(error)) from None

    async def greet(self) -> None:
        """Agree on the version; over loopback have the gateway prove itself.

        Raises:
            GatewayError: as `ask`.

        """
        nonce = make_nonce()
        try:
            answer = await self.ask("hello", {"version": VERSION, "nonce": nonce})
            if self.endpoint.key:
                # Before anything is asked: at the port of a killed gateway any user's program may listen.
                given = answer.get("nonce")
                challenge = Challenge(self.endpoint.key, nonce, str(given))
                if not is_nonce(given) or not challenge.is_proof("gateway", answer.get("proof")):
                    raise self._reject("it does not know the key")
                await self.ask("prove", {"proof": challenge.prove("client")})
        except Refusal as error:
            name = f"the gateway with process {self.endpoint.pid}"
            raise Refusal(f"{name} refuses the connection: {error}") from None
        except MessageTooLarge:
            raise self._reject("a greeting is short") from None
        self._reader.max_bytes = MAX_ANSWER

    async def _read_answer(self, on_notification: NotificationFn) -> Json:
        while (message := await self._reader.read()) is not None:
            match message:
                case {"method": str(method)}:
                    params = message.get("params")
                    on_notification(method, params if isinstance(params, dict) else {})
                case {"error": {"message": str(text)}}:
                    raise Refusal(text)
                case {"result": dict(result)}:
                    return result
                case _:
                    raise Malformed("a line is no answer")
        raise anyio.ClosedResourceError

    def _reject(self, reason: str) -> UnknownPeer:
        return UnknownPeer(
            f"what listens in the place of the gateway with process {self.endpoint.pid} is none, "
            f"or of another release: {reason}; if that process is no gateway, delete {self.endpoint.path}"
        )


@asynccontextmanager
async def open_running_client(endpoint: Endpoint) -> AsyncIterator[RunningClient]:
    """Connect to a gateway, and greet it.

    Raises:
        GatewayGone: it has ended, or does not listen.
        GatewaySilent: it does not greet in time.
        UnknownPeer: it is another program.
        Refusal: it is of another version, or has no place for one more connection.

    """
    name = f"the gateway with process {endpoint.pid}"
    # The port of a process that has ended may be anybody's now.
    if endpoint.port is not None and not endpoint.is_alive():
        raise GatewayGone(f"{name} has ended")
    with anyio.CancelScope(deadline=anyio.current_time() + CONNECT_SECONDS) as greeting:
        stream = await _connect(endpoint)
        async with stream:
            client = RunningClient(endpoint, stream, MessageReader(stream, MAX_GREETING))
            await client.greet()
            greeting.deadline = math.inf
            yield client
    if greeting.cancelled_caught:
        raise GatewaySilent(
            f"{name} does not answer: it is busy, stopped or hangs; try again in a moment, or end that process"
        )


async def _connect(endpoint: Endpoint) -> LocalStream:
    try:
        if endpoint.port is None:
            stream = LocalStream(*await asyncio.open_unix_connection(sock=await _connect_socket(endpoint)))
        else:
            stream = LocalStream(*await asyncio.open_connection("127.0.0.1", endpoint.port))
    except OSError as error:
        raise GatewayGone(
            f"the gateway with process {endpoint.pid} does not listen at {endpoint.path} ({error.strerror or error}): "
            f"it only begins or ends, so try again; if that process is no gateway, delete the file"
        ) from None
    if not stream.is_own_user():
        await stream.aclose()
        raise UnknownPeer(f"what listens at {endpoint.path} is a process of another user; delete the file")
    return stream


async def _connect_socket(endpoint: Endpoint) -> socket.socket:
    """Connect a Unix socket; wait while too many others do.

    asyncio takes the EAGAIN of a full backlog for a connection under way, and then uses a socket that has none.
    """
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.setblocking(False)  # noqa: FBT003  # of the standard library
        while True:
            try:
                connected.connect(os.fspath(endpoint.path))
            except BlockingIOError:
                await anyio.sleep(_AGAIN_SECONDS)
            else:
                return connected
    except BaseException:
        connected.close()
        raise
