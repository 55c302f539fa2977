"""A server that wants tokens, and two authorization servers, all at one port; and a person with a browser."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx2
import uvicorn
from mcp_gateway_auth_oauth.deferred_strategy import open_strategy
from mcp_gateway_auth_oauth.options import OAuthOptions
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mcp_gateway.plugin import ANONYMOUS, LoginRequired


@dataclass
class World:
    """What there is at a port; a test changes it, and looks into `seen`."""

    origin: str
    servers: list[str] = field(default_factory=lambda: ["one"])
    """The authorization servers that the server's metadata names."""
    scope: str = "read"
    """What the server's challenge asks for."""
    supported: list[str] | None = None
    """What the server's metadata says of scopes."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Changes of the authorization servers' metadata; None removes a member."""
    answers: dict[str, Any] = field(default_factory=dict)
    """Responses in place of the usual ones, by the last part of the path; or a function that makes one."""
    clients: dict[str, str] = field(default_factory=dict)
    """The issuer of each registered client."""
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """All requests: issuer, endpoint, parameters."""
    numbers: Any = field(default_factory=count)

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    def issuer(self, name: str) -> str:
        return f"{self.origin}/{name}"

    def options(self, folder, **more) -> OAuthOptions:
        return OAuthOptions.model_validate(
            {"name": "crm", "url": self.url, "GATEWAY_OAUTH_FOLDER": str(folder), **more}
        )

    def counted(self, issuer: str = "one") -> Counter[str]:
        """Count the requests to an authorization server by endpoint."""
        return Counter(endpoint for name, endpoint, _ in self.seen if name == issuer)

    def last(self, endpoint: str) -> dict[str, str]:
        """Return the parameters of the last request to an endpoint."""
        return next(form for _, name, form in reversed(self.seen) if name == endpoint)

    @property
    def challenge(self) -> str:
        place = f"{self.origin}/.well-known/oauth-protected-resource/mcp"
        return f'Bearer resource_metadata="{place}"' + (f', scope="{self.scope}"' if self.scope else "")

    # -- endpoints

    async def handle(self, request: Request) -> Response:
        name, endpoint = request.path_params.get("name", ""), request.url.path.rpartition("/")[2]
        form = dict(request.query_params)
        if request.method == "POST":
            is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
            form |= dict(await request.form()) if is_form else await request.json()
        if request.url.path.startswith("/.well-known"):
            name, endpoint = "", "resource" if request.url.path.endswith("/mcp") else "metadata"
        self.seen.append((name, endpoint, form))
        planned = self.answers.get(endpoint)
        answer = planned(form) if callable(planned) and not isinstance(planned, Response) else planned
        return answer or getattr(self, f"_{endpoint}")(request, name, form)

    def _mcp(self, *_: Any) -> Response:
        return Response(status_code=401, headers={"www-authenticate": self.challenge})

    def _resource(self, *_: Any) -> Response:
        found = {"resource": self.url, "authorization_servers": [self.issuer(name) for name in self.servers]}
        return JSONResponse(found | ({"scopes_supported": self.supported} if self.supported is not None else {}))

    def _metadata(self, request: Request, *_: Any) -> Response:
        issuer = self.issuer(request.path_params["name"])
        found = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "registration_endpoint": f"{issuer}/register",
            "code_challenge_methods_supported": ["S256"],
            **self.metadata,
        }
        return JSONResponse({key: value for key, value in found.items() if value is not None})

    def _register(self, _: Request, name: str, form: Any) -> Response:
        client_id = f"{name}-{next(self.numbers)}"
        self.clients[client_id] = name
        return JSONResponse({**form, "client_id": client_id}, 201)

    def _authorize(self, _: Request, name: str, form: Any) -> Response:
        # As real ones do, it does not lead back who comes with a client that it does not know.
        if self.clients.get(form["client_id"], name) != name or form["client_id"] in self.answers.get("forgotten", ()):
            return Response("unknown client", 400)
        answer = {"code": "c0de-s3cr3t", "state": form["state"], "iss": self.issuer(name)}
        return RedirectResponse(f"{form['redirect_uri']}?{urlencode(answer)}", 302)

    def _token(self, _: Request, name: str, form: Any) -> Response:
        number = next(self.numbers)
        token = {"access_token": f"{name}-access-{number}", "token_type": "Bearer", "expires_in": 3600}
        return JSONResponse({**token, "refresh_token": f"{name}-refresh-{number}"})


@asynccontextmanager
async def open_world(**tls):
    """Serve a world; with options of uvicorn for TLS, over HTTPS."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
        world = World(f"{scheme}://{host}:{listening.getsockname()[1]}")
        routes = [
            Route("/.well-known/oauth-protected-resource/mcp", world.handle),
            Route("/.well-known/oauth-authorization-server/{name}", world.handle),
            Route("/mcp", world.handle, methods=["POST"]),
            *(
                Route(f"/{{name}}/{endpoint}", world.handle, methods=["GET", "POST"])
                for endpoint in ("register", "authorize", "token", "revoke")
            ),
        ]
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off", **tls))
        server.capture_signals = suppress  # type: ignore[method-assign,assignment]
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield world
        finally:
            server.should_exit = True
            await serving


async def browse(link: str) -> httpx2.Response:
    """Follow a link as a browser does."""
    async with httpx2.AsyncClient(follow_redirects=True, timeout=30) as browser:
        return await browser.get(link)


async def log_in(options: OAuthOptions) -> httpx2.Response:
    """Log in by the command, in a gateway of its own; return the last page."""
    pages = []
    async with open_strategy(options) as strategy, anyio.create_task_group() as tasks:

        async def open_link(link):
            pages.append(await browse(link))
            if pages[0].status_code != 200:
                tasks.cancel_scope.cancel()

        with anyio.fail_after(30):
            await strategy.login(lambda link: tasks.start_soon(open_link, link))
    return pages[0]


async def find_link(strategy) -> str:
    """Return the link to the login that a call is refused with."""
    try:
        await strategy.credentials(ANONYMOUS)
    except LoginRequired as error:
        return error.url
    raise AssertionError("no login is required")
