"""Limits of open requests and sessions, and the owners of sessions.

Requests beyond a limit get an error with a Retry-After. A session of another owner is answered as an unknown one.
"""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext, authorization_context
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER, StreamableHTTPServerTransport
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from mcp_gateway_transport_http.event_store import ResumableSessionManager
from mcp_gateway_transport_http.options import ListenOptions

OVERLOADED = -31029
"""The JSON-RPC error code of an overload, the same as that of the core."""

_RETRY_SECONDS = 5

_INVALID_REQUEST = -32600


@dataclass(frozen=True, slots=True)
class _Opener:
    """The opener of a session: caller for limits, owner for access."""

    caller: str
    owner: tuple[object, ...]


_opening: ContextVar[_Opener] = ContextVar("opening")


class LimitedSessionManager(ResumableSessionManager):
    """Session manager with limits per caller and in total.

    It extends the SDK's session manager.
    """

    def __init__(self, options: ListenOptions, **more: Any) -> None:
        """Create a manager without sessions."""
        self._max_requests, self._max_caller_sessions = options.max_requests, options.max_caller_sessions
        self._requests = 0
        self._openers: dict[str, _Opener] = {}
        self._open: Counter[str] = Counter()
        super().__init__(max_sessions=options.max_sessions, session_idle_timeout=options.idle_timeout, **more)

    async def _handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or refuse it if too many are in progress."""
        if self._requests >= self._max_requests:
            message = f"{self._requests} requests and streams are open, as many as may be (GATEWAY_MAX_REQUESTS)"
            await _refusal(503, message)(scope, receive, send)
            return
        self._requests += 1
        try:
            await super()._handle_request(scope, receive, send)
        finally:
            self._requests -= 1

    async def _handle_stateful_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a handshake-era request; refuse excess sessions.

        Only a request that would open a session can be refused here.
        """
        headers = Headers(scope=scope)
        if MCP_SESSION_ID_HEADER not in headers:
            caller = _caller_key(scope, headers)
            if (refusal := self._check_session_limits(caller)) is not None:
                await refusal(scope, receive, send)
                return
            # A context variable, because the SDK creates the session deeper in and passes no argument through.
            _opening.set(_Opener(caller, _owner(scope, headers)))
        elif not self.may_use(headers[MCP_SESSION_ID_HEADER], scope):
            await _unknown_session()(scope, receive, send)
            return
        await super()._handle_stateful_request(scope, receive, send)

    def may_use(self, session_id: str, scope: Scope) -> bool:
        """Whether a session is the sender's, or not open at all.

        A session that is not open belongs to no caller; the SDK answers that it is unknown.
        """
        opener = self._openers.get(session_id)
        return opener is None or opener.owner == _owner(scope, Headers(scope=scope))

    def _check_session_limits(self, caller: str) -> JSONResponse | None:
        """Return the refusal of a new session.

        None if the session may be opened; 503 if too many are open in total, 429 if this caller has too many.
        """
        if self.max_sessions is not None and len(self._server_instances) >= self.max_sessions:
            return _refusal(503, f"{self.max_sessions} sessions are open, as many as may be (GATEWAY_MAX_SESSIONS)")
        if self._open[caller] >= self._max_caller_sessions:
            setting = f"GATEWAY_MAX_SESSIONS_PER_CALLER = {self._max_caller_sessions}"
            return _refusal(429, f"this caller has too many open sessions ({setting}); end one with DELETE")
        return None

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        """Register a session and its owner."""
        transport = super()._admit_session(requestor)
        if transport is not None and transport.mcp_session_id is not None:
            self._openers[transport.mcp_session_id] = opener = _opening.get()
            self._open[opener.caller] += 1
        return transport

    async def _discard_session(self, session_id: str, transport: StreamableHTTPServerTransport) -> None:
        """Forget a session."""
        if (opener := self._openers.pop(session_id, None)) is not None:
            self._open[opener.caller] -= 1
            if not self._open[opener.caller]:
                del self._open[opener.caller]
        await super()._discard_session(session_id, transport)


def _caller_key(scope: Scope, headers: Headers) -> str:
    """Return a key for the caller: principal, or credential and address.

    The principal is the issuer and subject of a verified token.
    """
    user = scope.get("user")
    if isinstance(user, AuthenticatedUser) and user.access_token.subject:
        return f"{(user.access_token.claims or {}).get('iss', '')} {user.access_token.subject}"
    proof = sha256(headers.get("authorization", "").encode("utf-8", "replace")).hexdigest()
    client = scope.get("client")
    return f"{client[0] if client else ''} {proof}"


def _owner(scope: Scope, headers: Headers) -> tuple[object, ...]:
    """Return what all requests of a session must have in common.

    It is the principal, or else the credential.
    """
    user = scope.get("user")
    if isinstance(user, AuthenticatedUser):
        return tuple(authorization_context(user).values())
    # Hashed, because tokens must not be kept for the life of a session.
    return (sha256("\n".join(headers.getlist("authorization")).encode("utf-8", "replace")).digest(),)


def _unknown_session() -> JSONResponse:
    """Return the response for an unknown session."""
    error = {"code": _INVALID_REQUEST, "message": "Session not found"}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 404)


def _refusal(status: int, reason: str) -> JSONResponse:
    data = {"error_code": "overloaded", "retryable": True, "retryAfter": _RETRY_SECONDS}
    error = {"code": OVERLOADED, "message": f"{reason}; try again later", "data": data}
    body = {"jsonrpc": "2.0", "id": None, "error": error}
    return JSONResponse(body, status, headers={"Retry-After": str(_RETRY_SECONDS)})
