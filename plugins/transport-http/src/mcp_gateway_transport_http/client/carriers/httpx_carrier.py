"""Requests by httpx2, for what our own connections do not do: proxies."""

from __future__ import annotations

import asyncio
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx2

from mcp_gateway.plugin import CLIENT_CERTIFICATE_HINT, LinkLocalAddress, SsrfGuard, explain_tls_error
from mcp_gateway_transport_http.client.carriers.carrier import (
    ConnectionLost,
    Flow,
    HttpRequest,
    ResponseReceiver,
    read_head,
)
from mcp_gateway_transport_http.client.carriers.connection_pool import KEEP_SECONDS, SecurityFn
from mcp_gateway_transport_http.client.carriers.direct_carrier import CONNECT_SECONDS

_TIMEOUT = httpx2.Timeout(CONNECT_SECONDS, read=None, pool=None)
"""Reading has no limit here: how long a call may take is the gateway's to say, and streams stay open."""

# httpx2 keeps 20 connections alive by default, and opens 100: 200 parallel calls took two waves.
_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEEP_SECONDS)

_NOT_SENT = (
    LinkLocalAddress,
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
"""What is raised before a byte of the request is written."""


class HttpxCarrier:
    """Sends each request in a task of its own."""

    def __init__(self, get_security: SecurityFn, guard: SsrfGuard | None) -> None:
        """Begin without connections; a proxy leads to no socket of this machine."""
        # Cookies are the session's, whichever carrier it has.
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT, limits=_LIMITS, verify=get_security(), cookies=cookies)
        self._client.headers.clear()
        self._guard = guard
        self._flows: set[_HttpxFlow] = set()

    def send(self, request: HttpRequest, receiver: ResponseReceiver) -> Flow:
        """Send a request in a task."""
        lines = (line.split(b": ", 1) for line in request.fields.split(b"\r\n") if line)
        headers = [(name, value) for name, value in lines]
        url = httpx2.URL(request.origin).copy_with(raw_path=request.target.encode())
        built = self._client.build_request(request.method, url, headers=headers, content=request.body)
        if self._guard is not None:
            built.extensions["trace"] = self._guard.on_trace
        return _HttpxFlow(self._client, built, receiver, self._flows)

    async def aclose(self) -> None:
        """Close all connections."""
        for flow in list(self._flows):
            flow.close()
        await asyncio.gather(*(flow.task for flow in self._flows), return_exceptions=True)
        await self._client.aclose()


class _HttpxFlow:
    """A request in a task."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        request: httpx2.Request,
        receiver: ResponseReceiver,
        flows: set[_HttpxFlow],
    ) -> None:
        self.is_complete = self._has_head = False
        self._client, self._request = client, request
        self._receiver: ResponseReceiver | None = receiver
        self._resumed = asyncio.Event()
        self._resumed.set()
        self.task = asyncio.get_running_loop().create_task(self._run())
        flows.add(self)
        self.task.add_done_callback(lambda _: flows.discard(self))

    def close(self) -> None:
        self._receiver = None
        self.task.cancel()

    def release(self) -> None:
        self._receiver = None

    def set_reading_paused(self, *, paused: bool) -> None:
        (self._resumed.clear if paused else self._resumed.set)()

    async def _run(self) -> None:
        try:
            response = await self._client.send(self._request, stream=True, follow_redirects=False)
            try:
                await self._read(response)
            finally:
                await response.aclose()
        # Foreign code: whatever it is, who waits must hear of it.
        except Exception as error:  # noqa: BLE001
            if (receiver := self._receiver) is not None:
                self._receiver = None
                is_unanswered = not self._has_head and self._request.url.scheme == "https"
                receiver.on_lost(_explain(error, may_be_certificate=is_unanswered))
        else:
            self.is_complete = True
            if (receiver := self._receiver) is not None:
                self._receiver = None
                receiver.on_end()

    async def _read(self, response: httpx2.Response) -> None:
        head = read_head(response.status_code, response.headers.raw)
        self._has_head = True
        if self._receiver is not None:
            self._receiver.on_head(head)
        async for piece in response.aiter_raw():
            await self._resumed.wait()
            if self._receiver is None:
                return
            if piece:
                self._receiver.on_body(piece)
        if head.ends_with_connection and (stream := response.extensions.get("network_stream")) is not None:
            # httpcore takes a connection that has just ended so for one that serves again.
            await stream.aclose()


def _explain(error: Exception, *, may_be_certificate: bool) -> ConnectionLost:
    was_written = not isinstance(error, _NOT_SENT)
    if (tls := explain_tls_error(error, is_open=was_written)) is not None:
        return ConnectionLost(tls, was_written=was_written, is_permanent=True)
    kinds = {
        LinkLocalAddress: "it is not connected to",
        httpx2.ConnectTimeout: f"there was no connection within {CONNECT_SECONDS:g} s",
        httpx2.ProxyError: "the proxy refuses",
        httpx2.ConnectError: "it refuses connections, or its address does not exist",
        httpx2.RemoteProtocolError: "it closed the connection without an answer",
        httpx2.ReadError: "the connection broke",
    }
    words = next((words for kind, words in kinds.items() if isinstance(error, kind)), type(error).__name__)
    words = f"{words} ({error})" if str(error) else words
    if may_be_certificate and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        words += CLIENT_CERTIFICATE_HINT
    return ConnectionLost(words, was_written=was_written)
