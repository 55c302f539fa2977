"""The gate: who may speak to the gateway over HTTP.

Without a token only this machine may, called by a name of this machine, so that neither
the network nor a web page that a browser here has loaded gets in. With a token everyone
who has it may, and with an authorization server everyone who has one of its tokens for
this gateway.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_gateway.plugin import Principal
from mcp_gateway_transport_http.options import ListenOptions

if TYPE_CHECKING:
    from mcp_gateway_transport_http.visitors import Visitors

TOKEN_HEADER = "x-mcp-gateway-token"  # noqa: S105  # a header's name
"""Where a client may send the gateway's token if its `Authorization` is meant for the servers behind."""

ON_ADMITTED = "mcp_gateway.on_admitted"
"""What a scope may hold: a function that hears that who has sent the request was admitted."""

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_INVALID_REQUEST = -32600


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in."""

    status: int
    reason: str
    challenge: str = "Bearer"


class Gate:
    """Lets requests through to `app`, without the gateway's own token, or refuses them.

    `visitors` knows those whom an authorization server has sent, if there is one.
    """

    def __init__(self, app: ASGIApp, options: ListenOptions, visitors: Visitors | None = None) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._visitors = visitors
        self._token = options.token.get_secret_value().encode() if options.token else None
        self._hosts = frozenset((*_LOCAL_NAMES, *(host.lower() for host in options.allowed_hosts)))
        self._guarded = self._token is not None or visitors is not None
        self._any_host = self._guarded and not options.allowed_hosts
        self._origins = frozenset(options.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        refusal = self._outside(scope, headers)
        is_known = not self._guarded or self._has_token(headers)
        if refusal is None and not is_known:
            let_in = await self._let_in(scope, headers)
            scope, refusal = (scope, let_in) if isinstance(let_in, Refusal) else (let_in, None)
            is_known = "user" in scope  # the metadata is for everybody
        if refusal is None:
            if is_known and ON_ADMITTED in scope:
                scope[ON_ADMITTED]()
            return await self._app({**scope, "headers": self._without_token(scope)}, receive, send)
        more = {"WWW-Authenticate": refusal.challenge} if refusal.status == 401 or refusal.challenge != "Bearer" else {}  # noqa: PLR2004
        error = {"code": _INVALID_REQUEST, "message": refusal.reason}
        response = JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, refusal.status, headers=more)
        return await response(scope, receive, send)

    @property
    def is_steady(self) -> bool:
        """Whether a request that may pass could have come at any other time; tokens of visitors expire."""
        return self._visitors is None

    def admits(self, scope: Scope) -> bool:
        """Whether a request may pass, as far as that can be told at once."""
        if not self._guarded:
            host = next((value for name, value in scope["headers"] if name == b"host"), b"")
            return is_loopback(scope) and _host(host.decode("latin-1")) in self._hosts and not _has_origin(scope)
        headers = Headers(scope=scope)
        if self._outside(scope, headers) is not None:
            return False
        return self._has_token(headers) or self.principal(scope) is not None

    def principal(self, scope: Scope) -> Principal | None:
        """Return who has sent a request, if an authorization server has said so a moment ago."""
        if self._visitors is None:
            return None
        headers = Headers(scope=scope)
        return None if self._has_token(headers) else self._visitors.known(_sent(headers))

    def _outside(self, scope: Scope, headers: Headers) -> Refusal | None:
        """Refuse what comes from where nobody may come from."""
        if not self._guarded and not is_loopback(scope):
            return Refusal(
                403,
                "This gateway serves only its own machine; set GATEWAY_AUTH_TOKEN, and send that token as "
                "'Authorization: Bearer TOKEN', to use it from elsewhere.",
            )
        if not self._any_host and _host(headers.get("host", "")) not in self._hosts:
            return Refusal(421, "The gateway is not known by this Host; add its name to GATEWAY_ALLOWED_HOSTS.")
        origin = headers.get("origin")
        if origin is not None and not self.is_friendly(origin):
            return Refusal(403, "Web pages of this Origin may not use the gateway; see GATEWAY_CORS_ORIGINS.")
        return None

    async def _let_in(self, scope: Scope, headers: Headers) -> Scope | Refusal:
        """Return a request of a visitor whom the authorization server knows, with who that is; or refuse it."""
        if self._visitors is None:
            said = (
                "What was sent is not this gateway's token" if any(_sent(headers)) else "This gateway wants its token"
            )
            return Refusal(401, f"{said}: send 'Authorization: Bearer TOKEN', the one in its GATEWAY_AUTH_TOKEN.")
        if scope["path"] == self._visitors.metadata_path:
            return scope
        return await self._visitors.let_in(scope, _sent(headers))

    def is_friendly(self, origin: str) -> bool:
        """Whether web pages of `origin` may use the gateway: those of this machine, and those that were named."""
        if origin in self._origins or "*" in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.hostname in _LOCAL_NAMES

    def _has_token(self, headers: Headers) -> bool:
        """Whether one of the two headers holds the token; both are compared in constant time."""
        return any([self._is_token(value) for value in _sent(headers)])  # noqa: C419  # a list: no early end

    def _is_token(self, value: str) -> bool:
        return self._token is not None and hmac.compare_digest(value.encode("utf-8", "replace"), self._token)

    def _without_token(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Take the gateway's own token out of the headers, so that it can never be forwarded."""
        return [(name, value) for name, value in scope["headers"] if not self.holds_token(name, value)]

    def holds_token(self, name: bytes, value: bytes) -> bool:
        """Whether a header is the gateway's own token, which is nobody else's business."""
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
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _has_origin(scope: Scope) -> bool:
    return any(name == b"origin" for name, _ in scope["headers"])


def _sent(headers: Headers) -> list[str]:
    """Return what may be a token in the two headers."""
    return [_bearer(value) for value in headers.getlist("authorization")] + headers.getlist(TOKEN_HEADER)


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
