"""Translation of server requests between the two eras.

A modern server answers a request with an `input_required` result, and a modern client repeats the request with the
responses. A handshake-era server sends requests of its own while the client's request is in flight.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from mcp_gateway.gateway.request import ANSWERS, Request
from mcp_gateway.gateway.suspended_calls import SuspendedCalls
from mcp_gateway.plugin import Caller, GatewayError
from mcp_gateway.protocol.client_channel import ClientChannel, Json, can_answer
from mcp_gateway.protocol.raw_json import Fields, decode_member, encode_members, encode_raw
from mcp_gateway.sessions.exchange import Exchange
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.retry import RetryPolicy
from mcp_gateway.sessions.session import Session
from mcp_gateway.sessions.session_key import SessionKey

MAX_ROUNDS = 20
"""How often a modern server may answer `input_required` before the request fails."""

# The same as for requests of handshake-era servers: a person may have to decide.
_ASK_SECONDS = 600.0
_PAUSE_SECONDS = 0.1


class NotAnswered(GatewayError):
    """A server request that the client cannot or did not answer."""

    code = "input_required"


@dataclass(frozen=True, slots=True)
class EraBridge:
    """Bridge that sends requests to servers, and server requests to clients."""

    pool: Pool
    suspended: SuspendedCalls

    def send(
        self, session_key: SessionKey, request: Request, caller: Caller, channel: ClientChannel, retry: RetryPolicy
    ) -> Awaitable[Fields]:
        """Send a request between client and server of any era.

        The awaitable returns the server's result.

        Raises:
            GatewayError: the server is unreachable, or the client did not answer its request.
            MCPError: the server answered with an error.

        """
        if channel.ask is not None:
            return self._send_for_handshake(session_key, request, caller, channel, retry)
        if self.pool.is_known_modern(session_key.spec):
            return self._send(session_key, request, caller, channel, retry)
        return self._send_for_modern(session_key, request, caller, channel, retry)

    async def _send_for_handshake(
        self, session_key: SessionKey, request: Request, caller: Caller, channel: ClientChannel, retry: RetryPolicy
    ) -> Fields:
        """Send the request of a client that can be asked."""
        result = await self._send(session_key, request, caller, channel, retry)
        if not is_input_required(result) or not self.pool.is_known_modern(session_key.spec):
            return result
        return await self._answer_requests(session_key, request, result, caller, channel)

    async def _send_for_modern(
        self, session_key: SessionKey, request: Request, caller: Caller, channel: ClientChannel, retry: RetryPolicy
    ) -> Fields:
        """Send a modern client's request to a server that may be older."""
        try:
            # If the client can answer nothing and has answered nothing, the server's era makes no difference.
            if not caller.capabilities and request.params.keys().isdisjoint(ANSWERS):
                return await self._send(session_key, request, caller, channel, retry)
            if await self.pool.is_modern(session_key):
                return await self._send(session_key, request, caller, channel, retry)
            return await self._send_suspending(session_key, request, caller, channel, retry)
        except MCPError as error:
            if error.code != types.URL_ELICITATION_REQUIRED or self.pool.is_known_modern(session_key.spec):
                raise
            return input_required_from_error(error, caller.capabilities)

    async def _send(
        self, session_key: SessionKey, request: Request, caller: Caller, channel: ClientChannel, retry: RetryPolicy
    ) -> Fields:
        spec, load = session_key.spec, self.pool.load
        sender = caller.client or ""
        if not load.enter(spec.name, spec.max_calls, sender):
            await load.wait_turn(spec.name, spec.max_calls, sender)

        def send(session: Session) -> Awaitable[Fields]:
            return Exchange(caller.client, channel, session=session, capabilities=caller.capabilities).run(request)

        try:
            return await self.pool.attempts(session_key, retry=retry, patience=spec.time_limits.call).run(send)
        finally:
            load.leave(spec.name, sender)

    async def _answer_requests(
        self, session_key: SessionKey, request: Request, result: Fields, caller: Caller, channel: ClientChannel
    ) -> Fields:
        """Repeat a request until a modern server requires no more input.

        The client is one of the handshake era.

        Its input requests become server requests to the client; the responses go into the repeated request.
        """
        server = session_key.spec.name
        for _ in range(MAX_ROUNDS):
            answers = await _ask_client(server, result, caller.capabilities, channel)
            request = request.again(answers)
            retry = RetryPolicy(session_key.spec, repeatable=request.repeatable)
            result = await self._send(session_key, request, caller, channel, retry)
            if not is_input_required(result):
                return result
        raise NotAnswered(f"server {server!r} asked back {MAX_ROUNDS} times without coming to a result")

    async def _send_suspending(
        self, session_key: SessionKey, request: Request, caller: Caller, channel: ClientChannel, retry: RetryPolicy
    ) -> Fields:
        """Send a modern client's request, suspending handshake-era calls for input.

        The requests of the handshake-era server become an `input_required` result.
        """
        state, given = request.member("requestState"), request.member("inputResponses")
        request = request.bare

        def owner() -> tuple[Any, ...]:
            return (session_key, caller.client, request.digest)

        def send(back: ClientChannel) -> Awaitable[Fields]:
            return self._send(session_key, request, caller, back, retry)

        if state is not None:
            return await self.suspended.resume(owner, state, given, channel)
        _raise_if_declined(session_key.spec.name, given)
        return await (self.suspended.begin(owner, send, channel) if caller.capabilities else send(channel))


def is_input_required(result: Fields) -> bool:
    """Whether a modern server's result asks for input."""
    kind = result.get("resultType")
    return kind is not None and bytes(kind) == b'"input_required"'


async def _ask_client(server: str, result: Fields, capabilities: Mapping[str, Any], channel: ClientChannel) -> Fields:
    """Put input requests to a handshake-era client; return the retry parameters.

    These are `inputResponses` and `requestState`, as the modern server expects them in the repeated request.

    Raises:
        NotAnswered: the server asks for nothing, or the client did not declare the capability, timed out, or answered
            with an error.

    """
    ask = channel.ask
    if ask is None:
        raise AssertionError  # only clients that can be asked come here
    given: Json = {}
    for key, method, params in _input_requests(server, result):
        if not can_answer(capabilities, method, params):
            raise NotAnswered(f"server {server!r} asks for {method}, which the client did not declare that it can do")
        if params.get("mode") == "url":
            params.setdefault("elicitationId", f"{server}-{key}")  # required only by the handshake era
        try:
            with anyio.move_on_after(_ASK_SECONDS):
                given[key] = {"resultType": "complete", **await ask(method, params)}
        except MCPError as error:
            message = f"the client answered with an error: {error.error.message} ({error.code})"
            raise NotAnswered(f"server {server!r} asks for {method}, and {message}") from None
        if key not in given:
            raise NotAnswered(f"server {server!r} asks for {method}, and the client did not answer in time")
    if not given:
        await anyio.sleep(_PAUSE_SECONDS)  # there is no input request: the server only wants the request to be repeated
    again: Fields = {"inputResponses": encode_raw(given)} if given else {}
    return {**again, "requestState": result["requestState"]} if "requestState" in result else again


def _input_requests(server: str, result: Fields) -> list[tuple[str, str, Json]]:
    """Return the key, method and params of each input request.

    There may be none if the server only wants the request to be repeated with its `requestState`.
    """
    requests = decode_member(result, "inputRequests") or {}
    if not isinstance(requests, dict) or not all(isinstance(request, dict) for request in requests.values()):
        raise NotAnswered(f"server {server!r} asks for input by what are no requests")
    if not requests and decode_member(result, "requestState") is None:
        raise NotAnswered(f"server {server!r} wants input, but says neither which nor how to go on")
    given = ((key, request.get("method"), request.get("params")) for key, request in requests.items())
    return [(key, str(method), dict(params) if isinstance(params, dict) else {}) for key, method, params in given]


def input_required_from_error(error: MCPError, capabilities: Mapping[str, Any]) -> Fields:
    """Convert a URL-elicitation-required error into an `input_required` result.

    Handshake-era servers use this error to have the user visit a URL; modern ones use the result.
    """
    data = error.error.data
    wanted = data.get("elicitations") if isinstance(data, dict) else None
    if not isinstance(wanted, list) or not wanted:
        raise MCPError(types.INTERNAL_ERROR, error.error.message, data)
    if not can_answer(capabilities, "elicitation/create", {"mode": "url"}):
        required: Json = {"requiredCapabilities": {"elicitation": {"url": {}}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, error.error.message, required)
    asked = [
        {"mode": "url", **{key: value for key, value in item.items() if key != "elicitationId"}} for item in wanted
    ]
    requests = {
        f"elicitation-{number}": {"method": "elicitation/create", "params": params}
        for number, params in enumerate(asked, 1)
    }
    return encode_members({"resultType": "input_required", "inputRequests": requests})


def _raise_if_declined(server: str, given: object) -> None:
    """Raise `NotAnswered` if the user declined or cancelled an elicitation.

    Without this the call would be repeated although the user refused to visit the URL.
    """
    answers = given.values() if isinstance(given, dict) else ()
    if any(isinstance(answer, dict) and answer.get("action") in ("decline", "cancel") for answer in answers):
        raise NotAnswered(f"the user did not agree to what server {server!r} asks for")
