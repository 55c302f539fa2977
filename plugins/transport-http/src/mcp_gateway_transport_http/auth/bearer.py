"""Bearer authentication of HTTP requests.

Without a configured token only requests from this machine, to a name of this machine, are admitted, so that neither
the network nor a web page in a local browser has access. With a token every request that has it is admitted, and with
an authorization server every request with one of its tokens for this gateway.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, replace
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_gateway.plugin import Principal
from mcp_gateway_transport_http.auth.throttle import Throttle
from mcp_gateway_transport_http.options import ListenOptions

if TYPE_CHECKING:
    from mcp_gateway_transport_http.auth.oauth import OAuthResourceServer

TOKEN_HEADER = "x-mcp-gateway-token"  # noqa: S105  # a header's name
"""The header for the gateway's token if `Authorization` is meant for the servers."""

ON_ADMITTED = "mcp_gateway.on_admitted"
"""The key in a scope of a function that is called when the request is admitted."""

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_INVALID_REQUEST = -32600

_SET_TOKEN = "set GATEWAY_AUTH_TOKEN, and send that token as 'Authorization: Bearer TOKEN', to use it from elsewhere."  # noqa: S105

_OF_PROXIES = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "cf-connecting-ip",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
        "x-envoy-external-address",
        "fastly-client-ip",
        "fly-client-ip",
        "cdn-loop",
    }
)
"""Headers that proxies add, in addition to `X-Forwarded-...`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a request; `closes` if the connection ends, too."""

    status: int
    reason: str
    challenge: str = "Bearer"
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """An admitted request: its `scope` as passed on, and its sender.

    The sender is the principal of an access token. Public resources are admitted for unknown senders, too; then
    `is_known` is False.
    """

    scope: Scope
    principal: Principal | None = None
    is_known: bool = True


class BearerAuthMiddleware:
    """ASGI middleware that authenticates requests.

    The gateway's token is removed from admitted requests, and others are refused. `visitors` verifies access tokens,
    if there is an authorization server.
    """

    def __init__(self, app: ASGIApp, options: ListenOptions, visitors: OAuthResourceServer | None = None) -> None:
        """Wrap `app`."""
        self._app = app
        self._visitors = visitors
        self._token = options.token.get_secret_value().encode() if options.token else None
        self._hosts = frozenset((*_LOCAL_NAMES, *(host.lower() for host in options.allowed_hosts)))
        self._guarded = self._token is not None or visitors is not None
        self._any_host = self._guarded and not options.allowed_hosts
        self._origins = frozenset(options.cors_origins)
        self._throttle = Throttle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an admitted request on, or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        decision = self.admit(scope)
        if decision is None:
            decision = await self.check(scope)
        if isinstance(decision, Admission):
            if decision.is_known and ON_ADMITTED in scope:
                scope[ON_ADMITTED]()
            return await self._app(decision.scope, receive, send)
        return await (await self._answer(decision, scope))(scope, receive, send)

    @property
    def is_constant(self) -> bool:
        """Whether admission of identical requests never changes.

        It changes with an authorization server, since access tokens expire.
        """
        return self._visitors is None

    def admit(self, scope: Scope) -> Admission | Refusal | None:
        """Decide about a request, and take the token off it."""
        decision = self.decide(scope)
        return self._pass_on(decision) if isinstance(decision, Admission) else decision

    async def check(self, scope: Scope) -> Admission | Refusal:
        """Decide about a request whose token must be checked first."""
        if self._visitors is None:
            raise AssertionError  # only visitors leave it open
        decision = await self._visitors.check(scope, _tokens_of(Headers(scope=scope)))
        return self._pass_on(decision) if isinstance(decision, Admission) else decision

    def decide(self, scope: Scope) -> Admission | Refusal | None:
        """Decide about a request; None if the authorization server is needed.

        All requests are decided about here, on the fast path as on the SDK path.
        """
        headers = Headers(scope=scope)
        refusal = _refuse_ambiguous(scope, headers) or self._refuse_outsider(scope, headers)
        if refusal is not None:
            return refusal
        if not self._guarded or self._has_token(headers):
            return Admission(scope)
        if self._visitors is not None:
            return self._visitors.decide(scope, _tokens_of(headers))
        if is_oauth_path(scope["path"]):
            return Admission(
                scope, is_known=False
            )  # 404, because a client that gets a 401 here takes the gateway for an OAuth server
        message = (
            "What was sent is not this gateway's token" if any(_tokens_of(headers)) else "This gateway wants its token"
        )
        message += ": send 'Authorization: Bearer TOKEN', the one in its GATEWAY_AUTH_TOKEN."
        return Refusal(401, message)

    def _refuse_outsider(self, scope: Scope, headers: Headers) -> Refusal | None:
        """Refuse a foreign host, origin, address or proxy."""
        if not self._guarded and not is_loopback(scope):
            return Refusal(403, f"This gateway serves only its own machine; {_SET_TOKEN}")
        # Behind a proxy on this machine every client has a loopback address.
        if not self._guarded and (sign := proxy_sign(headers)) is not None:
            message = (
                f"A proxy has passed this request on (its header {sign} says so), and this gateway serves only its own"
            )
            return Refusal(403, f"{message} machine; {_SET_TOKEN}")
        # DNS rebinding: a web page can point its own name to 127.0.0.1.
        if not self._any_host and _host(headers.get("host", "")) not in self._hosts:
            return Refusal(421, "The gateway is not known by this Host; add its name to GATEWAY_ALLOWED_HOSTS.")
        origin = headers.get("origin")
        if origin is not None and not self.is_allowed_origin(origin):
            return Refusal(403, "Web pages of this Origin may not use the gateway; see GATEWAY_CORS_ORIGINS.")
        return None

    async def _answer(self, refusal: Refusal, scope: Scope) -> JSONResponse:
        """Answer a refused request; after a guessed token not at once."""
        client, closes = scope.get("client"), refusal.closes
        is_guess = (
            refusal.status == HTTPStatus.UNAUTHORIZED
            and self._token is not None
            and any(_tokens_of(Headers(scope=scope)))
        )
        # Not delayed without a token: that is how clients find out that they need one.
        if is_guess and not await self._throttle.delay_refusal(client[0] if client else ""):
            closes = True
        is_challenge = refusal.status == HTTPStatus.UNAUTHORIZED or refusal.challenge != "Bearer"
        more = {"WWW-Authenticate": refusal.challenge} if is_challenge else {}
        if closes:
            more["Connection"] = "close"
        error = {"code": _INVALID_REQUEST, "message": refusal.reason}
        return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, refusal.status, headers=more)

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether web pages of `origin` may use the gateway.

        Allowed are origins on this machine, and those of GATEWAY_CORS_ORIGINS.
        """
        if origin in self._origins or "*" in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.hostname in _LOCAL_NAMES

    def _has_token(self, headers: Headers) -> bool:
        """Whether one of the two headers has the token.

        Both are always compared, in constant time.
        """
        return any([self._is_token(value) for value in _tokens_of(headers)])  # noqa: C419  # a list, so that all are compared

    def _is_token(self, value: str) -> bool:
        return self._token is not None and hmac.compare_digest(value.encode("utf-8", "replace"), self._token)

    def _pass_on(self, admission: Admission) -> Admission:
        """Take the gateway's token out of the headers.

        Without it in the headers, no plugin can forward the token to a server.
        """
        scope = admission.scope
        headers = [(name, value) for name, value in scope["headers"] if not self._holds_token(name, value)]
        return replace(admission, scope={**scope, "headers": headers})

    def _holds_token(self, name: bytes, value: bytes) -> bool:
        """Whether a header is the gateway's own token.

        Such a header is not passed on.
        """
        if name.lower() == TOKEN_HEADER.encode():
            return True
        return name.lower() == b"authorization" and self._is_token(_bearer(value.decode("latin-1")))


def is_loopback(scope: Scope) -> bool:
    """Whether a request comes from this machine."""
    client = scope.get("client")
    return _is_loopback(client[0]) if client else False


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # On a dual-stack socket IPv4 clients appear as ::ffff:127.0.0.1.
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def proxy_sign(headers: Headers) -> str | None:
    """Return the name of a header that only proxies add, if any."""
    return next((name for name in headers if name in _OF_PROXIES or name.startswith("x-forwarded")), None)


def is_oauth_path(path: str) -> bool:
    """Whether clients look for an OAuth server at this path.

    These are the paths of metadata and registration.
    """
    return path == "/register" or "/.well-known/" in path


def _refuse_ambiguous(scope: Scope, headers: Headers) -> Refusal | None:
    """Refuse an ambiguous Host or target (RFC 9112, section 3.2)."""
    hosts = len(headers.getlist("host"))
    if hosts > 1 or (hosts == 0 and scope.get("http_version", "1.1") == "1.1"):
        return Refusal(400, f"There must be exactly one Host header, and there are {hosts or 'none'}.", closes=True)
    return None


def _tokens_of(headers: Headers) -> list[str]:
    """Return possible tokens, those meant for the gateway first."""
    return headers.getlist(TOKEN_HEADER) + [_bearer(value) for value in headers.getlist("authorization")]


def _bearer(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


@lru_cache(maxsize=1024)
def _host(value: str) -> str:
    """Return the name in a Host header, without the port."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""
