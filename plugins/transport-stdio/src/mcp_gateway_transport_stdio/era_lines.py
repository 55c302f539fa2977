"""Lines for the SDK, cut where a client changes era.

The SDK decides on a connection's era once, by its first request. A client that probes with `server/discover` gives up
when no answer comes in time (the Vercel AI SDK after a second), and begins anew with `initialize` on the same pipe
(specification 2026-07-28, backward compatibility), which the SDK would refuse.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator

from mcp_types import PROTOCOL_VERSION_META_KEY

_INITIALIZE = "initialize"


class EraLines:
    """Lines of one era after the other.

    Each iteration yields those of one.
    """

    def __init__(self, lines: AsyncIterable[str]) -> None:
        """Cut `lines`."""
        self.is_ended = False
        self._lines = aiter(lines)
        self._is_modern: bool | None = None
        self._held: str | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        """Iterate over the lines up to an `initialize` after a modern beginning."""
        if self._held is not None:
            line, self._held = self._held, None
            yield line
        async for line in self._lines:
            if self._is_modern is None:
                self._is_modern = _opens_modern(line)
            elif self._is_modern and _INITIALIZE in line and _request(line).get("method") == _INITIALIZE:
                self._held, self._is_modern = line, False
                return
            yield line
        self.is_ended = True


def _opens_modern(line: str) -> bool | None:
    """Whether a first request is of the modern era.

    None if it is no request.
    """
    request = _request(line)
    if not request:
        return None
    params = request.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return request["method"] != _INITIALIZE and isinstance(meta, dict) and PROTOCOL_VERSION_META_KEY in meta


def _request(line: str) -> dict[str, object]:
    """Return a request; nothing if it is none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) and "id" in message and "method" in message else {}
