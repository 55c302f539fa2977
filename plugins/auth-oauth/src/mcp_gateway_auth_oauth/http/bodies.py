"""Limits of response bodies during a login."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

MAX_BYTES = 1 << 20
"""How many bytes of a response are read: metadata, registrations and tokens are small."""


async def limit_body(response: httpx2.Response) -> None:
    """Bound the body of a response (httpx's `response` hook)."""
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream, response)


class _Bounded(httpx2.AsyncByteStream):
    """A body that fails when it is too long, or compressed.

    Compressed bodies are refused because they could expand without limit.
    """

    def __init__(self, stream: httpx2.AsyncByteStream, response: httpx2.Response) -> None:
        self._stream, self._response = stream, response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._response.headers.get("content-encoding", "identity").lower() != "identity":
            raise self._read_error("is compressed, though nobody asked for that")
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MAX_BYTES:
                raise self._read_error(f"has more than {MAX_BYTES} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _read_error(self, how: str) -> httpx2.ReadError:
        return httpx2.ReadError(f"the answer of {self._response.request.url.host} {how}")
