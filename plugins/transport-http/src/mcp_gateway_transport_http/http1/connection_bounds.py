"""Limits of clients' connections before authentication."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import Self

from mcp_gateway_transport_http.options import ListenOptions

log = logging.getLogger(__name__)

MAX_AHEAD_BYTES = 16 << 10
"""How many bytes of pipelined requests are buffered; beyond that reading pauses."""
MAX_UNREAD_HEAD_BYTES = 64 << 20
"""How many unparsed bytes all connections that are not admitted may have together."""
MIN_BODY_BYTES_PER_SECOND = 1024
"""The minimum average rate of a body, after the initial timeout."""
OUTPUT_TIMEOUT = 60.0
"""Seconds in which a client must read at least some of the waiting output."""
LINGER_SECONDS = 2.0
"""Seconds in which the client of a closing connection may read the last response."""
MAX_LINGER_BYTES = 1 << 20
"""How many more bytes of a refused request are read and dropped."""

# Reserved for servers, storage and connections that are being accepted.
_MAX_RESERVE = 2048
_MIN_RESERVE = 64


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """The bounds of connections and their content, in seconds and bytes.

    `backlog` is how many connections may wait to be accepted: all of them may be accepted at once. After
    `ping_interval` without a byte of a response, a comment is written.
    """

    max_connections: int
    max_per_address: int
    max_head_bytes: int
    max_request_bytes: int
    head_timeout: float
    body_timeout: float
    idle_timeout: float
    backlog: int = _MAX_RESERVE // 2
    ping_interval: float = 15.0

    @classmethod
    def of(cls, options: ListenOptions, max_files: int | None = None) -> Self:
        """Return the options' bounds, limited by the process's open files."""
        max_connections, reserve = options.max_connections, _MAX_RESERVE
        if max_files is not None:
            reserve = _reserve(max_files)
            max_connections = max(1, min(max_connections, max_files - reserve))
        if max_connections < options.max_connections:
            log.info(
                "connections limited",
                extra={
                    "max_connections": max_connections,
                    "max_files": max_files,
                    "hint": "for GATEWAY_MAX_CONNECTIONS, let this process open more files (ulimit -n)",
                },
            )
        return cls(
            max_connections=max_connections,
            max_per_address=options.max_address_connections,
            max_head_bytes=options.max_header_bytes,
            max_request_bytes=options.max_request_bytes,
            head_timeout=options.header_timeout,
            body_timeout=options.body_timeout,
            idle_timeout=options.keep_alive_timeout,
            backlog=max(1, reserve // 2),
        )


def raise_file_limit(max_connections: int) -> int | None:
    """Raise the limit of open files; None if there is none.

    Returns how many files the process may have open then.
    """
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + _MAX_RESERVE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None if soft == resource.RLIM_INFINITY else soft
    # No higher than needed: child processes inherit the limit, and some iterate over all possible descriptors.
    raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (ValueError, OSError):
        return soft
    return raised


def _reserve(max_files: int) -> int:
    """Return how many files are kept for other things.

    For servers, storage, and connections that are just being accepted.
    """
    return max(_MIN_RESERVE, min(_MAX_RESERVE, max_files // 4))
