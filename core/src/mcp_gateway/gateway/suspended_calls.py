"""Calls suspended until a modern client answers server requests.

A modern client gets server requests only as the `input_required` result of its own request, while a handshake-era
server sends them during the call. So the call keeps waiting in a task of its own, and the client resumes it by
repeating its request with the responses. The `requestState` that identifies the call cannot be guessed, can be used
once, by the same client for the same request only, and expires after `PARKED_SECONDS`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from msgspec.structs import replace

from mcp_gateway.protocol.client_channel import ALONE, ClientChannel, Json
from mcp_gateway.protocol.raw_json import Fields, encode_members

PARKED_SECONDS = 600.0
"""How long a call waits for its client."""

MAX_PARKED = 1000
"""How many calls may be suspended at a time."""

GATHER_SECONDS = 0.03
"""How long to wait after a server request for further ones, to send them to the client together."""

SendFn = Callable[[ClientChannel], Awaitable[Fields]]
Owner = Callable[[], tuple[Any, ...]]
"""Returns the client and the digest of its request, which must be equal when the call is resumed."""


@dataclass(slots=True, eq=False)
class _Question:
    method: str
    params: Json
    answer: asyncio.Future[Json] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True, eq=False)
class _Call:
    """A call in a task; `client` is its current channel.

    It is replaced when the client resumes the call, and usable only while a request of the client is open.
    """

    owner: Owner
    client: ClientChannel
    questions: dict[str, _Question] = field(default_factory=dict)
    task: asyncio.Task[Fields] = field(init=False)
    expiry: asyncio.TimerHandle | None = None
    asked: int = 0
    _waiter: asyncio.Future[None] | None = None

    async def wait_change(self, seconds: float | None = None) -> bool:
        """Wait for a question or the end, for some seconds.

        Returns whether it came in time.
        """
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self.change)
        try:
            before = len(self.questions)
            await waiter
            return self.task.done() or len(self.questions) != before
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def change(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(slots=True)
class SuspendedCalls:
    """Suspended calls; `replica` marks the calls of this process."""

    replica: str = field(default_factory=lambda: secrets.token_hex(4))
    _parked: dict[str, _Call] = field(default_factory=dict)
    _running: set[asyncio.Task[Fields]] = field(default_factory=set)

    def __len__(self) -> int:
        """The number of suspended calls."""
        return len(self._parked)

    async def begin(self, owner: Owner, send: SendFn, channel: ClientChannel) -> Fields:
        """Send a request; return its result or `input_required`."""
        call = _Call(owner, channel)

        async def ask(method: str, params: Json) -> Json:
            return await self._ask(call, method, params)

        def notify(method: str, params: Fields) -> None:
            call.client.notify(method, params)

        def is_congested() -> bool:
            return call.client.is_congested()

        back = replace(channel, ask=ask, notify=notify, is_congested=is_congested)
        # Not in a task group: a task of it costs several times as much, and each call of such a client takes one.
        call.task = asyncio.ensure_future(send(back))
        self._running.add(call.task)
        call.task.add_done_callback(self._running.discard)
        call.task.add_done_callback(call.change)
        return await self._wait_outcome(call)

    async def resume(self, owner: Owner, state: object, answers: object, channel: ClientChannel) -> Fields:
        """Resume a call with the client's responses; return its next result.

        The result is that of the call, or `input_required` again.

        Raises:
            MCPError: this client has no such suspended call here, or it has expired.

        """
        call = self._parked.get(state) if isinstance(state, str) else None
        if call is None or call.owner() != owner():
            raise MCPError(types.INVALID_PARAMS, self._unknown(state))
        given = answers if isinstance(answers, dict) else {}
        taken = [key for key in call.questions if isinstance(given.get(key), dict)]
        if call.questions and not taken:
            return _input_required(call, str(state))
        del self._parked[str(state)]
        for key in taken:
            question = call.questions.pop(key)
            answer = {name: value for name, value in given[key].items() if name != "resultType"}
            if not question.answer.done():
                question.answer.set_result(answer)
        call.client = channel
        if call.expiry is not None:
            call.expiry.cancel()
        return await self._wait_outcome(call)

    def _unknown(self, state: object) -> str:
        replica = state.partition(".")[0] if isinstance(state, str) and "." in state else ""
        if replica and replica != self.replica:
            return (
                "Invalid requestState: this call waits in another replica of the gateway, or in one that has stopped; "
                "send the retry to the same replica, or call again without requestState"
            )
        return "Invalid or expired requestState; call again without it"

    async def _wait_outcome(self, call: _Call) -> Fields:
        """Wait until a call ends or needs input; return its result.

        A call that needs input becomes suspended, and its result is `input_required`.
        """
        try:
            while not call.task.done() and not call.questions:
                await call.wait_change()
            # Some servers send several requests at once.
            while call.questions and not call.task.done() and await call.wait_change(GATHER_SECONDS):
                pass
        # The client is gone, so the call can never be resumed.
        except BaseException:
            call.task.cancel()
            raise
        if call.task.done():
            return call.task.result()
        # It contains the replica, so that another replica can say where the call is suspended.
        state = f"{self.replica}.{secrets.token_urlsafe(32)}"
        self._parked[state] = call
        call.client = ALONE
        call.expiry = asyncio.get_running_loop().call_later(PARKED_SECONDS, self._expire, state)
        return _input_required(call, state)

    def forget(self, client: str) -> None:
        """Cancel the suspended calls of a client that has left."""
        for state, call in list(self._parked.items()):
            if client in call.owner():
                if call.expiry is not None:
                    call.expiry.cancel()
                self._expire(state)

    def _expire(self, state: str) -> None:
        if (call := self._parked.pop(state, None)) is not None:
            call.task.cancel()

    async def _ask(self, call: _Call, method: str, params: Json) -> Json:
        if len(self._parked) >= MAX_PARKED:
            raise MCPError(types.INTERNAL_ERROR, f"{MAX_PARKED} calls are waiting for their clients; try again later")
        call.asked += 1
        key = f"{method.partition('/')[0]}-{call.asked}"
        call.questions[key] = question = _Question(method, params)
        call.change()
        try:
            return await question.answer
        finally:
            call.questions.pop(key, None)


def _input_required(call: _Call, state: str) -> Fields:
    """Build the `input_required` result of a suspended call.

    Parameters that only the handshake era has are left out.
    """
    return encode_members(
        {
            "resultType": "input_required",
            "inputRequests": {
                key: {
                    "method": question.method,
                    "params": {name: value for name, value in question.params.items() if name != "elicitationId"},
                }
                for key, question in call.questions.items()
            },
            "requestState": state,
        }
    )
