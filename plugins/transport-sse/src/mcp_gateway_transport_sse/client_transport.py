"""SSE client transport with one event stream for each session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.client.sse import sse_client

from mcp_gateway.plugin import ClientTransport, Credentials, TlsContexts, UrlOptions
from mcp_gateway_transport_sse.http_client import SseHttpClient, Target, create_default_context
from mcp_gateway_transport_sse.message_streams import MessageReader, MessageWriter


@dataclass(frozen=True, slots=True)
class SseClientTransport:
    """HTTP+SSE transport to one server."""

    target: Target

    @property
    def carries_credentials(self) -> bool:
        """Credentials are sent as headers."""
        return True

    def connect(self, credentials: Credentials) -> AbstractAsyncContextManager[tuple[MessageReader, MessageWriter]]:
        """Return the unopened pair of streams of a session.

        Every request of the session has the headers of `credentials`.
        """
        return _open_streams(self.target, credentials.headers)


@asynccontextmanager
async def sse_client_transport(options: UrlOptions) -> AsyncIterator[ClientTransport]:
    """Open the transport; nothing is connected yet."""
    tls = None if options.tls_files is None else TlsContexts(options.tls_files, create_default_context)
    yield SseClientTransport(Target.of(options, tls))


@asynccontextmanager
async def _open_streams(target: Target, headers: dict[str, str]) -> AsyncIterator[tuple[MessageReader, MessageWriter]]:
    async with AsyncExitStack() as stack:
        client = SseHttpClient(target, headers)
        read, write = await _enter_sse_client(stack, client)
        async with anyio.create_task_group() as posts:
            client.start_posting(posts)
            try:
                yield MessageReader(read, client.events), MessageWriter(write, client)
            finally:
                posts.cancel_scope.cancel()


async def _enter_sse_client(stack: AsyncExitStack, client: SseHttpClient) -> tuple[Any, Any]:
    """Connect by the SDK's client, which waits for the endpoint of messages.

    Its own errors quote URLs, which may hold secrets.
    """
    factory: Any = lambda **_: client  # noqa: E731
    opening = sse_client(client.target.url, httpx_client_factory=factory)
    try:
        return await stack.enter_async_context(opening)
    except Exception as error:  # noqa: BLE001  # a border with foreign code
        raise client.explain_opening(error) from None
