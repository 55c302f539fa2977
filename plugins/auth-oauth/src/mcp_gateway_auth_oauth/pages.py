"""Login callback server: two pages on a loopback port.

One page redirects the browser to the authorization server, the other is the redirect URI.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qs, urlsplit

import anyio
import uvicorn
from anyio.abc import TaskGroup
from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from mcp_gateway.plugin import AuthError, ConfigError
from mcp_gateway_auth_oauth.authorization_code import AuthorizationResponse
from mcp_gateway_auth_oauth.http.client import to_plain_words

log = logging.getLogger(__name__)

# Short, because a browser waits for its page.
_BEGIN_SECONDS = 60.0
# How long a person may take at the authorization server.
_PERSON_SECONDS = 900.0
_HOSTS = ["127.0.0.1", "localhost"]


@dataclass(slots=True)
class LoginAttempt:
    """A login attempt in one browser.

    Only the browser that began it, which has the cookie, can complete it.
    """

    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    link: str = field(default="", repr=False)
    failure: str = ""
    response: AuthorizationResponse | None = field(default=None, repr=False)
    link_ready: anyio.Event = field(default_factory=anyio.Event)
    response_received: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def set_authorization_url(self, link: str) -> None:
        """Set the link to the authorization server."""
        self.link = link
        self.link_ready.set()

    async def wait_for_response(self) -> AuthorizationResponse:
        """Wait for the authorization response."""
        with anyio.move_on_after(_PERSON_SECONDS):
            await self.response_received.wait()
        if self.response is None:
            raise AuthError("nobody finished the login in time")
        return self.response

    def has_state(self, state: str) -> bool:
        """Whether a response is to this login (RFC 6749, section 10.12)."""
        expected = parse_qs(urlsplit(self.link).query).get("state", [""])[0]
        return bool(expected) and _are_equal(state, expected)


LoginFn = Callable[[str, LoginAttempt], Awaitable[None]]
"""Completes a login with a redirect URI; raises if that fails."""


@dataclass(slots=True)
class CallbackServer:
    """The callback server of one server's login.

    It starts when the link is first requested.
    """

    server: str
    port: int
    tasks: TaskGroup
    login: LoginFn
    preferred_ports: Callable[[], Iterable[int]] = tuple
    """The ports of registered redirect URIs, which are tried first if `port` is 0."""
    _ticket: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    _origin: str = ""
    _attempt: LoginAttempt | None = None
    _opening: anyio.Lock = field(default_factory=anyio.Lock)

    async def login_url(self) -> str:
        """Return the link at which a person logs in.

        Raises:
            ConfigError: the port is in use.

        """
        async with self._opening:
            if not self._origin:
                listening = self._listen()
                self._origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
                self.tasks.start_soon(self._serve, listening)
        return f"{self._origin}/login/{self._ticket}"

    def _listen(self) -> socket.socket:
        """Return a listening socket, at a preferred port if one is free."""
        for port in () if self.port else self.preferred_ports():
            with suppress(ConfigError):  # another gateway waits for a login there
                return _bind(port)
        return _bind(self.port)

    async def _serve(self, listening: socket.socket) -> None:
        app = Starlette(
            routes=[Route("/login/{ticket}", self._on_login_request), Route("/callback", self._on_callback)]
        )
        guarded = TrustedHostMiddleware(app, allowed_hosts=_HOSTS, www_redirect=False)
        config = uvicorn.Config(
            guarded, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=1
        )
        server = _Listener(config)
        with listening:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stop_when_cancelled, server)
                # Shielded: uvicorn is ended by its own flag, `should_exit`.
                with anyio.CancelScope(shield=True):
                    await server.serve(sockets=[listening])
                tasks.cancel_scope.cancel()

    async def _on_login_request(self, request: Request) -> Response:
        """Begin a login and redirect the browser to it."""
        if not _are_equal(str(request.path_params["ticket"]), self._ticket):
            return _html_response("There is no such login.", 404)
        if self._attempt is not None:
            self._attempt.scope.cancel()
        self._attempt = attempt = LoginAttempt()
        self.tasks.start_soon(self._run_attempt, attempt)
        with anyio.move_on_after(_BEGIN_SECONDS):
            await attempt.link_ready.wait()
        if not attempt.link:
            return _html_response(
                f"The login to {self.server} cannot begin: {attempt.failure or 'it takes too long'}", 502
            )
        answer = RedirectResponse(attempt.link, 302, {"cache-control": "no-store", "referrer-policy": "no-referrer"})
        # Lax, because the authorization server redirects the browser back from another site.
        answer.set_cookie(self._cookie, attempt.cookie, path="/callback", httponly=True, samesite="lax")
        return answer

    async def _on_callback(self, request: Request) -> Response:
        """Handle the redirect with the authorization response."""
        attempt, given = self._attempt, request.query_params
        cookie = request.cookies.get(self._cookie, "")
        if attempt is None or attempt.response_received.is_set() or not _are_equal(cookie, attempt.cookie):
            return _html_response("This login was not begun in this browser, or is over. Begin it again.", 400)
        state = given.get("state", "")
        if not attempt.has_state(state):
            return _html_response(f"This is no answer to the login to {self.server}. Begin it again.", 502)
        error = to_plain_words(given.get("error_description") or given.get("error")) or "there is no code"
        attempt.response = AuthorizationResponse(
            given.get("code", ""), state, given.get("iss"), "" if given.get("code") else error
        )
        attempt.response_received.set()
        with anyio.move_on_after(_BEGIN_SECONDS):
            await attempt.done.wait()
        if attempt.failure or not attempt.done.is_set():
            return _html_response(
                f"The login to {self.server} has failed: {attempt.failure or 'it takes too long'}", 502
            )
        return _html_response(f"You are logged in to {self.server}. You can close this window.")

    async def _run_attempt(self, attempt: LoginAttempt) -> None:
        """Run the login; the pages show its outcome."""
        with attempt.scope:
            try:
                await self.login(f"{self._origin}/callback", attempt)
            except Exception as error:  # noqa: BLE001  # shown on the page, whatever it is
                attempt.failure = str(error) or type(error).__name__
                log.warning("login failed", extra={"server": self.server, "reason": type(error).__name__})
        if attempt.scope.cancelled_caught:
            attempt.failure = "another login has begun"
        attempt.link_ready.set()
        attempt.done.set()

    @property
    def _cookie(self) -> str:
        return f"login-{self._origin.rpartition(':')[2]}"


class _Listener(uvicorn.Server):
    """A uvicorn server without signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _are_equal(given: str, expected: str) -> bool:
    # As bytes, because texts that are not ASCII cannot be compared in constant time.
    return secrets.compare_digest(given.encode(errors="replace"), expected.encode())


async def _stop_when_cancelled(server: uvicorn.Server) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        server.should_exit = True


def _bind(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # on Windows it would let other processes share the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise ConfigError(f"callback_port: cannot listen at 127.0.0.1:{port}: {error.strerror or error}") from None
    return listening


def _html_response(text: str, status: int = 200) -> Response:
    page = f"<!doctype html><meta charset=utf-8><title>MCP Gateway</title><p>{escape(text)}</p>"
    headers = {"cache-control": "no-store", "content-security-policy": "default-src 'none'"}
    return HTMLResponse(page, status, headers)
