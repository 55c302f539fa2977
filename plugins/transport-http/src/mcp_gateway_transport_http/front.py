"""In front of everything: plain calls are answered at once, all else goes to the gate and the SDK behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_gateway.plugin import DirectAnswer, DirectServer
from mcp_gateway_transport_http.gate import Gate

PATH = "/mcp"
"""Where clients find the gateway."""

PATIENCE_SECONDS = 0.05
"""How long a call may take before it is watched whether its client is still there."""

_JSON = b"application/json"
_EVENTS = b"text/event-stream"
_GONE = "the client is gone"


class Front:
    """Answers what `server` can answer as bytes, if `gate` lets it in; the rest goes to `app`."""

    def __init__(self, server: DirectServer, gate: Gate, app: ASGIApp, used: Callable[[str], None]) -> None:
        """Stand in front of `app`. `used` hears which handshake-era session was used."""
        self._server, self._gate, self._app, self._used = server, gate, app, used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on as it is."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            return await self._app(_without_margins(scope), receive, send)
        headers = self._plain_headers(scope)
        if headers is None or not self._gate.admits(scope):
            return await self._app(_without_margins(scope), receive, send)
        first = await receive()
        body = first.get("body", b"")
        if first["type"] == "http.request" and not first.get("more_body"):
            answering = self._server.answer(body, headers, self._gate.principal(scope))
            if answering is not None:
                if session := headers.get("mcp-session-id"):
                    self._used(session)
                    return await _answer(send, await answering)
                return await self._watched(answering, receive, send)
        return await self._app(_without_margins(scope), _again(first, receive), send)

    def _plain_headers(self, scope: Scope) -> dict[str, str] | None:
        """Return the headers, without the gateway's token; None if there is anything unusual about them."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            if name in (b"origin", b"content-encoding", b"last-event-id") or (
                name.startswith((b"mcp-", b"authorization", b"host")) and name.decode() in headers
            ):
                return None
            if not self._gate.holds_token(name, value):
                headers[name.decode("latin-1")] = value.strip().decode("latin-1")
        accept = headers.get("accept", "")
        usual = "application/json" in accept and "text/event-stream" in accept
        return headers if usual and headers.get("content-type", "").startswith("application/json") else None

    async def _watched(self, answering: Awaitable[DirectAnswer], receive: Receive, send: Send) -> None:
        """Answer; if that takes a while, watch whether the client is still there, and give the call up if not."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        watch: list[asyncio.Task[None]] = []

        async def watching() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            if task is not None:
                task.cancel(_GONE)

        timer = loop.call_later(PATIENCE_SECONDS, lambda: watch.append(loop.create_task(watching())))
        try:
            answer = await answering
        except asyncio.CancelledError as cancelled:
            if cancelled.args != (_GONE,) or task is None:
                raise
            task.uncancel()
            return
        finally:
            timer.cancel()
            for watcher in watch:
                watcher.cancel()
        await _answer(send, answer)


async def _answer(send: Send, answer: DirectAnswer) -> None:
    kind = _JSON if answer.message else _EVENTS
    status = HTTPStatus.OK if answer.error is None else ERROR_CODE_HTTP_STATUS.get(answer.error, HTTPStatus.OK)
    headers = [(b"content-type", kind), (b"content-length", str(len(answer.message)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.message})


def _again(first: Message, receive: Receive) -> Receive:
    """Return what receives a message that was received already, and then the others."""
    messages = [first]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received


def _without_margins(scope: Scope) -> Scope:
    """Take the white space around the values of headers away: it is not part of them (RFC 9110, section 5.5)."""
    if scope["type"] != "http":
        return scope
    return {**scope, "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]]}
