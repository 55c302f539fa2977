"""Counts of messages of servers that are dropped."""

from __future__ import annotations

import logging
from collections import Counter

from mcp_gateway_transport_http.client.responses.messages import Kind

log = logging.getLogger(__name__)

_REASONS = {
    Kind.FOREIGN: "foreign response",
    Kind.RESPONSE: "repeated response",
    Kind.UNNAMED: "foreign response",
    Kind.NONE: "unreadable",
}


class DropCounter:
    """Counts messages that are dropped; logs powers of ten."""

    def __init__(self, host: str) -> None:
        """Count for a host; a URL may hold a secret."""
        self._host = host
        self._counts = Counter[Kind]()

    def count(self, kind: Kind) -> None:
        """Take note of another one."""
        self._counts[kind] += 1
        count = self._counts[kind]
        if str(count).strip("0") == "1":
            fields = {"reason": _REASONS.get(kind, "unreadable"), "host": self._host, "count": count}
            log.warning("message dropped", extra=fields)
