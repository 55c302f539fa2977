"""Login by URL-mode elicitation.

The client is shown the link by which a person logs in, and its request waits for the login.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from mcp.shared.exceptions import MCPError
from msgspec.structs import replace

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.gateway.request import Request
from mcp_gateway.plugin import Caller, LoginRequired
from mcp_gateway.protocol.client_channel import AskFn, ClientChannel, Json, can_answer
from mcp_gateway.protocol.raw_json import Fields, encode_members, encode_raw
from mcp_gateway.sessions.credentials import CredentialResolver

QUESTION = "gateway-login"
"""The key of the login's input request; no server's input request has it."""

WAIT_SECONDS = 300.0
"""How long a request waits until a person has logged in."""

# Polled, because another process may complete the login (`mcp-orchestration-gateway login`) without notice.
_LOOK_SECONDS = 1.0
_ELICIT = "elicitation/create"

SendFn = Callable[[Request], Awaitable[Fields]]


async def with_login(
    access: CredentialResolver,
    spec: ServerSpec,
    request: Request,
    send: SendFn,
    *,
    caller: Caller,
    channel: ClientChannel,
) -> Fields:
    """Send a request, asking the client for a login if required.

    The client is asked only if it declared URL-mode elicitation.

    Raises:
        LoginRequired: the client cannot be asked, or no login happened in time.

    """
    answer = None
    if "inputResponses" in request.params:
        answer, request = _extract_reply(request)
    if answer is not None and answer.get("action") == "accept":
        await _wait_for_login(access, spec, caller)
    try:
        return await send(request)
    except LoginRequired as needed:
        # A client that has answered once is not asked again, or it could go on for ever.
        if answer is not None or not can_answer(caller.capabilities, _ELICIT, {"mode": "url"}):
            raise
        params = {"mode": "url", "url": needed.url, "message": f"Log in to {spec.name}, and then come back."}
        if channel.ask is None:
            questions = {QUESTION: {"method": _ELICIT, "params": params}}
            return encode_members({"resultType": "input_required", "inputRequests": questions})
        if not await _ask_consent(channel.ask, {**params, "elicitationId": f"{QUESTION}-{spec.name}"}):
            raise
    await _wait_for_login(access, spec, caller)
    return await send(request)


async def _wait_for_login(access: CredentialResolver, spec: ServerSpec, caller: Caller) -> None:
    """Wait until there are the credentials of a login, at most `WAIT_SECONDS`."""
    with anyio.move_on_after(WAIT_SECONDS):
        while True:
            if await _has_login(access, spec, caller):
                return
            await anyio.sleep(_LOOK_SECONDS)


async def _has_login(access: CredentialResolver, spec: ServerSpec, caller: Caller) -> bool:
    try:
        await access.session_key(spec, caller)
    except LoginRequired:
        return False
    return not access.is_login_pending(spec)


def _extract_reply(request: Request) -> tuple[Json | None, Request]:
    """Extract the client's response to the login elicitation.

    It is returned with the request without it. Modern clients send responses with the repeated request.
    """
    given = request.member("inputResponses")
    if not isinstance(given, dict) or QUESTION not in given:
        return None, request
    answer = given[QUESTION]
    others = {key: value for key, value in given.items() if key != QUESTION}
    params = {key: value for key, value in request.params.items() if key != "inputResponses"}
    if others:
        params["inputResponses"] = encode_raw(others)
    return (answer if isinstance(answer, dict) else {}), replace(request, params=params)


async def _ask_consent(ask: AskFn, params: Json) -> bool:
    """Elicit consent to a link; return whether the user accepted.

    This is for clients of the handshake era.
    """
    try:
        with anyio.move_on_after(WAIT_SECONDS):
            return (await ask(_ELICIT, params)).get("action") == "accept"
    except MCPError:
        return False
    return False
