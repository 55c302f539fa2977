"""The matrix as data: each fault, what its caller sees, what the others see, and how long until all is well again."""

from __future__ import annotations

from dataclasses import dataclass

RIGHT = "the right answer"


@dataclass(frozen=True)
class Row:
    """One fault.

    `key` is what the faulty server calls it. `caller` is part of what the caller of the faulty server sees, and
    `others` of what those see who call another server meanwhile. Within `healthy` seconds of the fault's end the
    same server answers rightly again. `patience` is the server's `timeout`, if it is not the default one.
    """

    key: str
    fault: str
    caller: str
    healthy: int = 20
    others: str = RIGHT
    patience: float | None = None

    @property
    def server(self) -> str:
        """The name of the server that has the fault."""
        return self.key.replace(" ", "-").lower()

    @property
    def seen(self) -> str:
        """What the caller sees, with the server's name in its place."""
        return self.caller.replace("NAME", self.server)


TIMEOUT = "timeout: server 'NAME' gave no answer within 4 s"
TOO_LARGE = "result_too_large: the result of the tool "
CLOSED = "server_unavailable: server 'NAME' is not available: it closed the connection"
GONE = "connection: "
REFUSED = "unauthorized: server 'NAME' refused the credentials: "

CHILD = (
    Row("killed before", "the child is killed before a call", RIGHT),
    Row("dies during", "the child dies during a call", CLOSED + "; it last wrote to standard error: the faulty server"),
    Row("dies after", "the child dies after a call", RIGHT),
    Row("hangs", "the child hangs", TIMEOUT, patience=4),
    Row("stopped", "the child is stopped (SIGSTOP)", TIMEOUT, patience=4),
    Row("garbage", "the child writes garbage before its answer", RIGHT),
    Row("halves", "the child writes its answer in two halves", RIGHT),
    Row("half a line", "the child writes half a line and dies", "closed the connection"),
    Row("100 MB", "the child writes a line of 100 MB", TOO_LARGE),
    Row("endless line", "the child writes a line that never ends", TIMEOUT, patience=4),
)

HTTP = (
    Row("401", "HTTP 401", REFUSED + "HTTP 401 Unauthorized"),
    Row("403", "HTTP 403", REFUSED + "HTTP 403 Forbidden"),
    Row("404", "HTTP 404 to everything", "server_unavailable: server 'NAME' cannot be reached: HTTP 404 Not Found"),
    Row("forgets", "HTTP 404 because the session is forgotten", RIGHT),
    Row("429", "HTTP 429 with Retry-After", "HTTP 429"),
    Row("500", "HTTP 500", "HTTP 500"),
    Row("502", "HTTP 502", "HTTP 502"),
    Row("slow headers", "the head of the response does not come", TIMEOUT, patience=4),
    Row("slow body", "the body of the response does not end", TIMEOUT, patience=4),
    Row("endless", "an endless stream without the answer: comments", TIMEOUT, patience=4),
    Row("endless news", "an endless stream without the answer: notifications", TIMEOUT, patience=4),
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
    Row("dns", "the server's name has no address (DNS)", "server_unavailable: server 'dns' "),
    Row("clock +86400", "the clock jumps ahead by a day", RIGHT),
    Row("clock -86400", "the clock jumps back by a day", RIGHT),
    Row("garbage file", "the server file is replaced by garbage", RIGHT),
    Row("full disk", "the disk for logs is full (`/dev/full`)", RIGHT),
)


def all_rows() -> tuple[Row, ...]:
    """Return the whole matrix."""
    return (*CHILD, *HTTP, *REDIS, *GATEWAYS, *AROUND)
