"""Limits of open requests and sessions, and the owners of sessions.

What is more hears so, and when to try again; of a session that is not theirs, others hear nothing.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext, authorization_context
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER, EventStore, StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from mcp_gateway_transport_http.network import network_of
from mcp_gateway_transport_http.options import ListenOptions
from mcp_gateway_transport_http.server.client_session import ClientSession, Opener
from mcp_gateway_transport_http.server.event_store import RETRY_MILLISECONDS, EventLog

OVERLOADED = -31029
"""The JSON-RPC error code of an overload: the core answers calls with the same."""

_RETRY_SECONDS = 5

_INVALID_REQUEST = -32600


@dataclass(slots=True)
class OpenRequests:
    """How many requests and streams are open, of all clients."""

    maximum: int
    count: int = 0

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return self.count >= self.maximum


_opening: ContextVar[Opener] = ContextVar("opening")


class LimitedSessionManager(StreamableHTTPSessionManager):
    """Session manager with limits, and an event store for each session.

    It extends the SDK's session manager. The limits are per caller and in total.
    """

    def __init__(self, options: ListenOptions, **more: Any) -> None:
        """Begin with nothing open."""
        self.open_requests = OpenRequests(options.max_requests)
        self._max_caller_sessions = options.max_caller_sessions
        self._sessions: dict[str, ClientSession] = {}
        self._of_callers: dict[str, dict[str, ClientSession]] = {}
        self._past = EventLog()
        self._new_store = self._past.open_session_store()
        super().__init__(
            max_sessions=options.max_sessions,
            session_idle_timeout=options.idle_timeout,
            retry_interval=RETRY_MILLISECONDS,
            **more,
        )

    @property
    def event_store(self) -> EventStore:
        """A new event store for the SDK's next session.

        The SDK reads this property once for each session.
        """
        self._new_store = self._past.open_session_store()
        return self._new_store

    @event_store.setter
    def event_store(self, _: EventStore | None) -> None:
        """Take no other."""

    def find_session(self, session_id: str) -> ClientSession | None:
        """Return an open session."""
        return self._sessions.get(session_id)

    async def _handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, unless too many are under way."""
        if self.open_requests.is_full:
            count = self.open_requests.count
            message = f"{count} requests and streams are open, as many as may be (GATEWAY_MAX_REQUESTS)"
            await _refusal(503, message)(scope, receive, send)
            return
        self.open_requests.count += 1
        try:
            await super()._handle_request(scope, receive, send)
        finally:
            self.open_requests.count -= 1

    async def _handle_stateful_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a handshake-era request; refuse excess sessions.

        Only a request that would open a session can be refused here.
        """
        headers = Headers(scope=scope)
        session_id = headers.get(MCP_SESSION_ID_HEADER)
        if session_id is None:
            caller = caller_key(scope)
            if (refusal := await self._make_room(caller)) is not None:
                await refusal(scope, receive, send)
                return
            # The SDK makes the session further down, and hands nothing through to where it is registered.
            _opening.set(Opener(caller, _owner(scope, headers)))
        elif not self.may_use(session_id, scope):
            await _unknown_session()(scope, receive, send)
            return
        session = None if session_id is None else self._sessions.get(session_id)
        if session is not None:
            session.begin_request(anyio.current_time())
        try:
            await super()._handle_stateful_request(scope, receive, send)
        finally:
            if session is not None:
                session.end_request(anyio.current_time())

    def may_use(self, session_id: str, scope: Scope) -> bool:
        """Whether a session is the sender's, or not open at all.

        A session that is not open belongs to no caller: all may ask for it, and hear that it is not known.
        """
        session = self._sessions.get(session_id)
        return session is None or session.opener.owner == _owner(scope, Headers(scope=scope))

    async def _make_room(self, caller: str) -> JSONResponse | None:
        """Return the refusal of a new session, if any.

        503 if too many are open in total, 429 if this caller has too many: those whose clients seem to be gone are
        closed first.
        """
        if self.max_sessions is not None and len(self._sessions) >= self.max_sessions:
            # Who has the most gives; so many callers together cannot lock out the others with ghosts.
            greatest = max(self._of_callers.values(), key=len)
            if not await self._close_ghost(greatest):
                return _refusal(503, f"{self.max_sessions} sessions are open, as many as may be (GATEWAY_MAX_SESSIONS)")
        sessions = self._of_callers.get(caller, {})
        if len(sessions) >= self._max_caller_sessions and not await self._close_ghost(sessions):
            setting = f"GATEWAY_MAX_SESSIONS_PER_CALLER = {self._max_caller_sessions}"
            return _refusal(429, f"this caller has too many open sessions ({setting}); end one with DELETE")
        return None

    async def _close_ghost(self, sessions: dict[str, ClientSession]) -> bool:
        """Close the longest idle session; return whether there was one."""
        now = anyio.current_time()
        ghosts = [session_id for session_id, session in sessions.items() if session.is_ghost(now)]
        if not ghosts:
            return False
        longest_idle = min(ghosts, key=lambda session_id: sessions[session_id].used_at)
        await self._discard_session(longest_idle, sessions[longest_idle].transport)
        return True

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        """Register a session and its opener, if there is room."""
        opener, now = _opening.get(), anyio.current_time()
        # Others of the same caller may have come since room was made.
        if len(self._of_callers.get(opener.caller, ())) >= self._max_caller_sessions:
            return None
        transport = super()._admit_session(requestor)
        if transport is not None and transport.mcp_session_id is not None:
            session = ClientSession(opener, transport, self._new_store, self.session_idle_timeout, now)
            self._sessions[transport.mcp_session_id] = session
            self._of_callers.setdefault(opener.caller, {})[transport.mcp_session_id] = session
        return transport

    async def _discard_session(self, session_id: str, transport: StreamableHTTPServerTransport) -> None:
        """Forget a session."""
        if (session := self._sessions.pop(session_id, None)) is not None:
            session.store.close()
            sessions = self._of_callers[session.opener.caller]
            del sessions[session_id]
            if not sessions:
                del self._of_callers[session.opener.caller]
        await super()._discard_session(session_id, transport)


def caller_key(scope: Scope) -> str:
    """Return a key for the caller: the principal, or else the network.

    The principal is the issuer and subject of a verified token. No other header counts: one that means nothing to
    the gate can be another one with each request.
    """
    user = scope.get("user")
    if isinstance(user, AuthenticatedUser) and user.access_token.subject:
        return f"{(user.access_token.claims or {}).get('iss', '')} {user.access_token.subject}"
    client = scope.get("client")
    return network_of(client[0]) if client else ""


def _owner(scope: Scope, headers: Headers) -> tuple[object, ...]:
    """Return what all requests of a session must have in common.

    The person, or else the credential they bring.
    """
    user = scope.get("user")
    if isinstance(user, AuthenticatedUser):
        return tuple(authorization_context(user).values())
    # A hash: tokens must not be kept as long as a session lives.
    return (sha256("\n".join(headers.getlist("authorization")).encode("utf-8", "replace")).digest(),)


def _unknown_session() -> JSONResponse:
    """Answer as if there were no such session."""
    error = {"code": _INVALID_REQUEST, "message": "Session not found"}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 404)


def _refusal(status: int, reason: str) -> JSONResponse:
    data = {"error_code": "overloaded", "retryable": True, "retryAfter": _RETRY_SECONDS}
    error = {"code": OVERLOADED, "message": f"{reason}; try again later", "data": data}
    body = {"jsonrpc": "2.0", "id": None, "error": error}
    return JSONResponse(body, status, headers={"Retry-After": str(_RETRY_SECONDS)})
