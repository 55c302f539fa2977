"""The HTTP client that the SDK's SSE client uses.

The SDK sends one message after the other, ends the session when one is refused, and reads whatever a server answers to
it. Here each is a request of its own, whose outcome is its sender's alone, and of the answer only the status is used.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

import anyio
import httpx2
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import (
    CLIENT_CERTIFICATE_HINT,
    ConnectionDropped,
    RequestNotSent,
    ServerUnavailable,
    SsrfGuard,
    TlsContexts,
    TransportFault,
    UrlOptions,
    can_connect_directly,
    encode_header_value,
)
from mcp_gateway_transport_sse.event_stream import MendedStream, SessionEvents
from mcp_gateway_transport_sse.failures import (
    explain_loss,
    fault_of_post,
    fault_of_redirect,
    fault_of_stream,
    is_redirect,
    was_not_sent,
)

_CONNECT_SECONDS = 30.0
_DRAIN_SECONDS = 1.0
"""How long the rest of an answer may take, after which its connection is not used again."""

_DRAIN_BYTES = 64 << 10
_MAX_REDIRECTS = 20
_MOVED_POST = (307, 308)
"""Redirects that keep the method."""

# Reading has no limit here: streams stay open, and some servers answer a POST only when the call is done.
_TIMEOUT = httpx2.Timeout(_CONNECT_SECONDS, read=None, pool=None)
_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=1.5)


def create_default_context() -> ssl.SSLContext:
    """Create a context of this machine's authorities."""
    return httpx2.create_ssl_context()


# Loading the authorities is the slowest part of creating a client.
_load_default_context = cache(create_default_context)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is, and how it is reached.

    `login` is the user and password that its URL had, `url` is the URL without them.
    """

    url: str = field(repr=False)
    max_bytes: int
    guard: SsrfGuard | None = None
    tls: TlsContexts | None = field(default=None, repr=False)
    socket: str | None = None
    login: tuple[str, str] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, options: UrlOptions, tls: TlsContexts | None) -> Self:
        """Return the target of an entry's options."""
        url = httpx2.URL(str(options.url))
        return cls(
            str(url.copy_with(userinfo=b"")),
            options.max_message_bytes,
            None if options.allow_link_local or options.socket is not None else SsrfGuard(),
            tls,
            None if options.socket is None else str(options.socket),
            (url.username, url.password) if url.userinfo else None,
        )

    def build_connections(self) -> dict[str, Any]:
        """Return the arguments of an HTTP client that say how it connects."""
        security = _load_default_context() if self.tls is None else self.tls.current()
        if self.socket is not None:
            return {"transport": httpx2.AsyncHTTPTransport(uds=self.socket, verify=security, limits=_LIMITS)}
        return {"verify": security, "limits": _LIMITS, "trust_env": not can_connect_directly(self.url)}


@dataclass(slots=True, eq=False)
class Post:
    """One message on its way; `error` is why it was not accepted."""

    begun: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    error: Exception | None = None


class SseHttpClient(httpx2.AsyncClient):
    """An HTTP client for one session, its stream and its messages."""

    def __init__(self, target: Target, headers: Mapping[str, str]) -> None:
        """Begin unconnected; `headers` are the credentials of all requests."""
        usual = {"user-agent": "mcp-orchestration-gateway", "accept-encoding": "identity"}
        named = usual | {name.lower(): value for name, value in headers.items()}
        encoded = [(name.encode("latin-1", "replace"), encode_header_value(value)) for name, value in named.items()]
        login = None if target.login is None or "authorization" in named else httpx2.BasicAuth(*target.login)
        super().__init__(headers=encoded, auth=login, timeout=_TIMEOUT, **target.build_connections())
        self.target = target
        self.events = SessionEvents(target.max_bytes, self._resolve_endpoint)
        self._base = self._endpoint = httpx2.URL(target.url)
        self._posts: TaskGroup | None = None
        self._expected: Post | None = None

    def start_posting(self, tasks: TaskGroup) -> None:
        """Send messages in tasks of this group."""
        self._posts = tasks

    def expect_post(self) -> Post:
        """Return what will become of the next message that the SDK sends."""
        self._expected = Post()
        return self._expected

    def explain_opening(self, error: Exception) -> Exception:
        """Return why the stream did not open, without the words of libraries."""
        if self.events.failure is not None:
            return self.events.failure
        if isinstance(error, MCPError | ServerUnavailable):
            return error
        if isinstance(error, httpx2.HTTPStatusError):
            return fault_of_redirect(error.response)
        if isinstance(error, httpx2.HTTPError):
            lost = explain_loss(error, self.target.socket)
            may_be_certificate = self._base.scheme == "https" and not lost.permanent and not was_not_sent(error)
            return ServerUnavailable(f"{lost}{CLIENT_CERTIFICATE_HINT}") if may_be_certificate else lost
        return ServerUnavailable("it ended the stream of events before it said where messages go")

    async def send(self, request: httpx2.Request, **_options: Any) -> httpx2.Response:
        """Open the stream, or begin to send a message."""
        if request.method == "GET":
            return await self._open_stream(request)
        post, self._expected = self._expected or Post(), None
        if self._posts is not None:
            self._posts.start_soon(self._send_message, post, request.content)
        post.begun.set()
        return httpx2.Response(202, request=request)

    async def _open_stream(self, request: httpx2.Request) -> httpx2.Response:
        """Open the stream.

        Redirects are for the SDK, which follows them within the origin.
        """
        response = await self._send_guarded(request)
        if is_redirect(response):
            return response
        if (fault := fault_of_stream(response)) is not None:
            await response.aclose()
            raise fault
        self._base = request.url

        def explain(error: Exception) -> Exception:
            return explain_loss(error, self.target.socket, self.target.max_bytes)

        return httpx2.Response(
            response.status_code,
            headers={"content-type": "text/event-stream; charset=utf-8"},
            stream=MendedStream(response, self.events, explain),
            request=request,
        )

    def _resolve_endpoint(self, data: str) -> str:
        """Return the endpoint of messages as the SDK may know it.

        Raises:
            ServerUnavailable: it is elsewhere, where no credentials go.

        """
        try:
            endpoint = self._base.join(data.strip())
        except httpx2.InvalidURL:
            raise ServerUnavailable("it names an endpoint of messages that is no URL", permanent=True) from None
        if _origin(endpoint) != _origin(self._base) or endpoint.userinfo:
            elsewhere = f"{endpoint.scheme}://{endpoint.host[:200]}"
            raise ServerUnavailable(
                f"it names an endpoint of messages at another origin ({elsewhere}), where no credentials are sent",
                permanent=True,
            )
        self._endpoint = endpoint
        return endpoint.raw_path.decode("ascii")

    async def _send_message(self, post: Post, body: bytes) -> None:
        with post.scope:
            try:
                await self._post(post, body)
            except MCPError as error:
                post.error = error
            except Exception as error:  # noqa: BLE001  # a border with foreign code
                kind = RequestNotSent if was_not_sent(error) else ConnectionDropped
                found = explain_loss(error, self.target.socket)
                post.error = kind(str(found), permanent=found.permanent)
            finally:
                post.done.set()

    async def _post(self, post: Post, body: bytes) -> None:
        """Send a message to the endpoint, and to where that has moved.

        Raises:
            MCPError: the server refuses it.

        """
        for _ in range(_MAX_REDIRECTS):
            request = self.build_request(
                "POST", self._endpoint, content=body, headers={"content-type": "application/json"}
            )
            response = await self._send_guarded(request)
            try:
                moved = _redirect_within_origin(response)
                if moved is None:
                    if (fault := await fault_of_post(response)) is not None:
                        raise fault
                    post.done.set()
                await _drain(response)
            finally:
                await response.aclose()
            if moved is None:
                return
            self._endpoint = moved
        raise MCPError(TransportFault.UNREACHABLE, "it redirects again and again", {"status": 310})

    async def _send_guarded(self, request: httpx2.Request) -> httpx2.Response:
        if self.target.guard is not None:
            request.extensions["trace"] = self.target.guard.on_trace
        return await super().send(request, stream=True, follow_redirects=False)


async def _drain(response: httpx2.Response) -> None:
    """Read the rest of an answer, to use its connection again."""
    size = 0
    with anyio.move_on_after(_DRAIN_SECONDS), suppress(httpx2.HTTPError):
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > _DRAIN_BYTES:
                return


def _redirect_within_origin(response: httpx2.Response) -> httpx2.URL | None:
    if response.status_code not in _MOVED_POST or not (location := response.headers.get("location")):
        return None
    try:
        moved = response.request.url.join(location)
    except httpx2.InvalidURL:
        return None
    before, after = _origin(response.request.url), _origin(moved)
    is_upgrade = before == ("http", after[1], 80) and after == ("https", after[1], 443)
    return moved if (before == after or is_upgrade) and not moved.userinfo else None


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
