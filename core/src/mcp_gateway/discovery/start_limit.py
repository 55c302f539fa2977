"""A limit on the wait for a server that starts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.time_limits import TimeLimit
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session import Session

START_SECONDS = 30.0
"""How long a listing on demand waits for a server that is still starting: less than most clients wait."""


@contextmanager
def limit_start(pool: Pool, spec: ServerSpec, patience: TimeLimit | None = None) -> Iterator[None]:
    """Give up the block if the server starts for long.

    That is `START_SECONDS`, if there is no `patience`. The start goes on.

    Raises:
        StillStarting: it was given up; the error quotes the server's last line.

    """
    starts = list[Session]()

    def look() -> None:
        if (start := pool.find_start(spec)) is not None:
            starts.append(start)
            scope.cancel()

    with anyio.CancelScope() as scope:
        timer = asyncio.get_running_loop().call_later(START_SECONDS if patience is None else patience.seconds, look)
        try:
            yield
        finally:
            timer.cancel()
    if scope.cancelled_caught and starts:
        raise starts[0].still_starting(f"{START_SECONDS:g} s" if patience is None else str(patience))
