"""The matrix as data: each fault, what its caller sees, what the others see, and how long until all is well again."""

from __future__ import annotations

import re
from dataclasses import dataclass

RIGHT = "the right answer"


@dataclass(frozen=True)
class Row:
    """One fault.

    `key` is what the faulty server calls it. `caller` is what the caller of that server sees after so many `calls`;
    `…` leaves something out. `others` is how begins what those see who call another server meanwhile. Within `healthy`
    seconds of the fault's end the same server answers rightly again. `timeout` is the server's `timeout`, if it is
    not the default one.
    """

    key: str
    fault: str
    caller: str
    healthy: int = 20
    others: str = RIGHT
    timeout: float | None = None
    calls: int = 1

    @property
    def server(self) -> str:
        """The name of the server that has the fault."""
        return self.key.replace(" ", "-").lower()

    def is_seen(self, said: str) -> bool:
        """Whether this is what the caller is to see."""
        parts = self.caller.replace("NAME", self.server).split("…")
        return re.match(".*?".join(map(re.escape, parts)), said, re.DOTALL) is not None


TIMEOUT = "timeout: server 'NAME' gave no answer within 4 s"
DOWN = "server_unavailable: server 'NAME'"
CLOSED = DOWN + "…it closed the connection"
TOO_LARGE = DOWN + "…a message of more than…GATEWAY_MAX_RESULT_BYTES"
UNKNOWN = DOWN + "…whether the request was carried out is not known"
GONE = "connection: "
REFUSED = "unauthorized: server 'NAME' wants credentials: "

CHILD = (
    Row("killed before", "the child is killed before a call", RIGHT),
    Row(
        "dies during",
        "the child dies during a call",
        CLOSED + "…it last wrote to standard error: the faulty",
    ),
    Row("dies after", "the child dies after a call", RIGHT),
    Row("hangs", "the child hangs", TIMEOUT, timeout=4),
    Row("stopped", "the child is stopped (SIGSTOP)", TIMEOUT, timeout=4),
    Row("garbage", "the child writes garbage before its answer", RIGHT),
    Row("halves", "the child writes its answer in two halves", RIGHT),
    Row("half a line", "the child writes half a line and dies", CLOSED),
    Row(
        "dies at start",
        "the child dies, and at every start again",
        DOWN + " is down since…the faulty server was told not to start…it is tried again by itself",
        calls=4,
        healthy=30,
    ),
    Row("100 MB", "the child writes a line of 100 MB", TOO_LARGE),
    Row("endless line", "the child writes a line that never ends", TIMEOUT, timeout=4),
)

HTTP = (
    Row("401", "HTTP 401", REFUSED + "HTTP 401 Unauthorized"),
    Row("403", "HTTP 403", REFUSED + "HTTP 403 Forbidden"),
    Row("404", "HTTP 404 to everything", DOWN + " cannot be reached: HTTP 404 Not Found"),
    Row("forgets", "HTTP 404 because the session is forgotten", RIGHT),
    Row(
        "forgets in words",
        "HTTP 400 and words, because the session is forgotten",
        DOWN + " has lost the session…whether the request was carried out is not known",
    ),
    Row("early", "interim responses (1xx) before the answer", RIGHT),
    Row("429", "HTTP 429 with Retry-After", DOWN + "…HTTP 429…it asks to wait (Retry-After: 1)"),
    Row("500", "HTTP 500", DOWN + "…HTTP 500"),
    Row("502", "HTTP 502", DOWN + "…HTTP 502"),
    Row("slow headers", "the head of the response does not come", TIMEOUT, timeout=4),
    Row("slow body", "the body of the response does not end", TIMEOUT, timeout=4),
    Row("reset", "the connection is reset in mid-body", UNKNOWN),
    Row("content type", "the wrong content type", DOWN + "…it answered with text/html instead of JSON"),
    Row("bad events", "a stream with garbage before the answer", RIGHT),
    Row("endless", "an endless stream without the answer: comments", TIMEOUT, timeout=4),
    Row("endless news", "an endless stream without the answer: notifications", TIMEOUT, timeout=4),
)

REDIS = (
    Row("redis killed", "Redis is killed", RIGHT),
    Row("redis paused", "Redis is paused (SIGSTOP)", RIGHT),
    Row("redis full", "Redis is full (`maxmemory`)", RIGHT),
    Row("redis read-only", "Redis is read-only, a replica of nothing", RIGHT),
    Row("redis restarted", "Redis is restarted, and empty", RIGHT),
)

GATEWAYS = (
    Row("killed, http", "the gateway is killed (-9) in mid-call, and restarted, over HTTP", GONE, others=GONE),
    Row("killed, stdio", "the same, over stdio", GONE, others=GONE),
)

AROUND = (
    Row("dns", "the server's name has no address (DNS)", DOWN + " cannot be reached"),
    Row("clock +86400", "the clock jumps ahead by a day", RIGHT),
    Row("clock -86400", "the clock jumps back by a day", RIGHT),
    Row("garbage file", "the server file is replaced by garbage", RIGHT),
    Row("full disk", "the disk for logs is full (`/dev/full`)", RIGHT),
)


def all_rows() -> tuple[Row, ...]:
    """Return the whole matrix."""
    return (*CHILD, *HTTP, *REDIS, *GATEWAYS, *AROUND)
