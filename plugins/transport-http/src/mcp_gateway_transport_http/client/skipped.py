"""Counts of what servers send that is for nobody."""

from __future__ import annotations

import logging
from collections import Counter

from mcp_gateway_transport_http.client.responses.messages import Kind

log = logging.getLogger(__name__)

_EVENTS = {Kind.FOREIGN: "response_foreign", Kind.RESPONSE: "response_repeated", Kind.NONE: "message_unreadable"}


class Skipped:
    """Counts messages that are dropped; logs powers of ten."""

    def __init__(self, host: str) -> None:
        """Begin; a URL may hold a secret, so only its host is named."""
        self._host = host
        self._counts = Counter[Kind]()

    def count(self, kind: Kind) -> None:
        """Take note of another one."""
        self._counts[kind] += 1
        count = self._counts[kind]
        if str(count).strip("0") == "1":
            log.warning("%s: host=%s count=%d", _EVENTS.get(kind, "message_unreadable"), self._host, count)
