"""A connection of the local socket, on the gateway's side.

It is read all the time, also while a request is answered: its end cancels the answer.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.local_socket.messages import (
    MAX_ANSWER,
    MAX_GREETING,
    MAX_REQUEST,
    VERSION,
    Json,
    Malformed,
    MessageReader,
    encode_message,
)
from mcp_gateway.local_socket.methods import Asker, Methods, UnknownMethod
from mcp_gateway.local_socket.proof import Challenge, is_nonce, make_nonce
from mcp_gateway.local_socket.stream import LocalStream
from mcp_gateway.plugin import GatewayError
from mcp_gateway.protocol.implementation import VERSION as RELEASE

log = structlog.get_logger(__name__)

IDLE_SECONDS = 660.0
"""How long a connection may ask nothing: longer than a call waits for the answer to its question."""
WRITE_SECONDS = 10.0
"""How long a connection may take no answer."""

_PARSE_ERROR, _REFUSED, _NO_METHOD, _FAILED = -32700, -32600, -32601, -32000

_OTHER_VERSION = (
    f"it is of release {RELEASE} and speaks version {VERSION} of the local socket, after a hello: "
    "restart that gateway, or use the command of its release"
)


class Refused(Exception):
    """A connection that is not served; the message says why."""


class PeerLeft(Exception):
    """The other side has closed the connection, or takes nothing."""


@dataclass(slots=True, eq=False)
class Connection:
    """A connection: a greeting, then one request at a time."""

    stream: LocalStream
    methods: Methods
    key: str
    client: str
    """The name of the client for which requests of this connection count."""
    _reader: MessageReader = field(init=False)
    _sending: anyio.Lock = field(default_factory=anyio.Lock)
    _idle: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _is_answering: bool = False

    def __post_init__(self) -> None:
        """Read the connection."""
        self._reader = MessageReader(self.stream, MAX_GREETING)

    async def greet(self) -> Json:
        """Read the greeting; return what to answer once there is a place.

        Raises:
            Refused: it is another version, or the key is wrong.
            Malformed: it is no message.
            PeerLeft: the connection has ended.

        """
        request_id, given = await self._read_greeting("hello")
        if given.get("version") != VERSION:
            raise Refused(_OTHER_VERSION)
        about: Json = {"version": VERSION, "pid": os.getpid()}
        if not self.key:
            return {"id": request_id, "result": about}
        nonce = given.get("nonce")
        if not is_nonce(nonce):
            raise Refused("a hello over loopback has a nonce of 64 hexadecimal digits")
        challenge = Challenge(self.key, str(nonce), make_nonce())
        proof = {"nonce": challenge.gateway_nonce, "proof": challenge.prove("gateway")}
        await self._send({"id": request_id, "result": {**about, **proof}})
        request_id, given = await self._read_greeting("prove")
        if not challenge.is_proof("client", given.get("proof")):
            raise Refused("the key is wrong")
        return {"id": request_id, "result": {}}

    async def refuse(self, error: Malformed | Refused) -> None:
        """Say why the connection is closed."""
        code = _PARSE_ERROR if isinstance(error, Malformed) else _REFUSED
        await self._send({"id": None, "error": {"code": code, "message": str(error)}})

    async def serve(self, welcome: Json) -> None:
        """Answer requests until the other side leaves."""
        self._reader.max_bytes = MAX_REQUEST
        await self._send(welcome)
        try:
            with self._idle:
                self._idle.deadline = anyio.current_time() + IDLE_SECONDS
                async with anyio.create_task_group() as answering:
                    await self._read_requests(answering)
                    answering.cancel_scope.cancel()
        finally:
            self.methods.forget_client(self.client)

    async def _read_greeting(self, method: str) -> tuple[object, Json]:
        message = await self._read()
        if message is None:
            raise PeerLeft
        if message.get("method") != method:
            raise Refused(_OTHER_VERSION)
        return message.get("id"), _params_of(message)

    async def _read_requests(self, answering: TaskGroup) -> None:
        """Start to answer each request; return when no more can come."""
        try:
            while (message := await self._read()) is not None:
                if self._is_answering:
                    text = "there is one request at a time on a connection; open another one"
                    await self._send({"id": message.get("id"), "error": {"code": _REFUSED, "message": text}})
                    continue
                async with self._sending:  # the last answer may be on its way still
                    self._is_answering, self._idle.deadline = True, math.inf
                answering.start_soon(self._answer, message, answering.cancel_scope)
        except Malformed as error:
            with suppress(PeerLeft):
                await self.refuse(error)
        except PeerLeft:
            return

    async def _answer(self, message: Json, connection: anyio.CancelScope) -> None:
        try:
            answer = await self._find_answer(str(message.get("method")), _params_of(message))
            await self._send_answer({"id": message.get("id"), **answer})
        except PeerLeft:
            connection.cancel()

    async def _find_answer(self, method: str, params: Json) -> Json:
        try:
            return {"result": await self.methods.answer(method, params, Asker(self.client, self._send))}
        except PeerLeft:
            raise
        except UnknownMethod as error:
            return _error(_NO_METHOD, str(error))
        except MCPError as error:
            return _error(error.code, error.error.message, error.error.data)
        except GatewayError as error:
            return _error(_FAILED, str(error))
        except Exception as error:
            log.exception("local socket failed", method=method)
            return _error(_FAILED, f"{method} has failed in the gateway ({type(error).__name__}); its log says more")

    async def _send_answer(self, answer: Json) -> None:
        data = encode_message(answer)
        if len(data) > MAX_ANSWER:
            text = f"the answer has {len(data)} bytes, and the local socket carries {MAX_ANSWER}: ask for less"
            data = encode_message({"id": answer["id"], **_error(_FAILED, text)})
        async with self._sending:
            self._is_answering, self._idle.deadline = False, anyio.current_time() + IDLE_SECONDS
            await self._write(data)

    async def _send(self, message: Json) -> None:
        async with self._sending:
            await self._write(encode_message(message))

    async def _write(self, data: bytes) -> None:
        try:
            with anyio.fail_after(WRITE_SECONDS):
                await self.stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
            raise PeerLeft from None

    async def _read(self) -> Json | None:
        try:
            return await self._reader.read()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise PeerLeft from None


def _params_of(message: Json) -> Json:
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def _error(code: int, message: str, data: object = None) -> Json:
    return {"error": {"code": code, "message": message, **({} if data is None else {"data": data})}}
