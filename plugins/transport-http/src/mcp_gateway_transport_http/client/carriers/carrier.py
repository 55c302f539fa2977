"""What carries requests and responses as bytes, and what it tells.

The meaning of a response is read above, once for all carriers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Protocol

from mcp_gateway_transport_http.client.responses.limits import LimitExceeded

_RETRY_AFTER = 40
"""How many characters of Retry-After are read; a date has 29."""


class ConnectionLost(Exception):
    """The connection closed before the response was complete.

    `was_written` unless no byte of the request was; `is_permanent` if another attempt at once cannot help.
    """

    def __init__(self, reason: str, *, was_written: bool = True, is_permanent: bool = False) -> None:
        """Say why."""
        super().__init__(reason)
        self.was_written, self.is_permanent = was_written, is_permanent


class HttpRequest(NamedTuple):
    """A request to send: its origin, its target and its fields.

    `fields` are lines as they are written; those that frame the body are not among them.
    """

    method: str
    origin: str
    target: str
    fields: bytes
    body: bytes | None = None

    def encode(self) -> bytes:
        """Write it for HTTP/1.1."""
        method, _, target, fields, body = self
        line = _encode_request_line(method, target)
        if body is None:
            return b"%b%b\r\n" % (line, fields)
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (line, fields, len(body), body)


@lru_cache(maxsize=1024)
def _encode_request_line(method: str, target: str) -> bytes:
    return f"{method} {target} HTTP/1.1\r\n".encode()


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The status and the fields of a response that matter.

    `content_type` is in lower case; `codings` are in the order in which they were applied. `has_message`: the status
    is one with which the body is a message; `has_events`: it is events. `ends_with_connection`: the body has neither a
    length nor chunks; `is_ambiguous`: it has both, of which the chunks count, and its connection is not used again (RFC
    9112, section 6.3).
    """

    status: int
    content_type: str = ""
    codings: tuple[str, ...] = ()
    length: int = 0
    retry_after: str = ""
    location: str = ""
    challenge: str = ""
    session_id: str = ""
    cookies: tuple[str, ...] = ()
    ends_with_connection: bool = False
    is_ambiguous: bool = False
    has_message: bool = field(init=False)
    has_events: bool = field(init=False)

    def __post_init__(self) -> None:
        """Settle what is asked of each response."""
        is_success = HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES
        has_message = is_success and self.status != HTTPStatus.ACCEPTED
        object.__setattr__(self, "has_message", has_message)
        object.__setattr__(self, "has_events", has_message and self.content_type.startswith("text/event-stream"))


def read_head(status: int, fields: Iterable[tuple[bytes, bytes]]) -> ResponseHead:
    """Return what the fields of a final response say, as Latin-1."""
    found: dict[bytes, list[str]] = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append(value.decode("latin-1").strip())

    def last(name: bytes) -> str:
        return found[name][-1] if name in found else ""

    length = last(b"content-length")
    transfer = found.get(b"transfer-encoding", [])
    coded = ",".join(found.get(b"content-encoding", []) + transfer)
    has_chunks = "chunked" in ",".join(transfer).lower()
    return ResponseHead(
        status,
        last(b"content-type").lower(),
        tuple(filter(_is_coding, (coding.strip().lower() for coding in coded.split(",")))) if coded else (),
        int(length[:18]) if length.isascii() and length.isdigit() and not has_chunks else 0,
        last(b"retry-after")[:_RETRY_AFTER],
        last(b"location"),
        ", ".join(found.get(b"www-authenticate", [])),
        last(b"mcp-session-id"),
        tuple(found.get(b"set-cookie", [])),
        not has_chunks if transfer else b"content-length" not in found,
        bool(transfer) and b"content-length" in found,
    )


def _is_coding(name: str) -> bool:
    return name not in ("", "identity", "chunked")


class ResponseReceiver(Protocol):
    """Hears what comes of one request, in order; it does not raise.

    Nothing is told before `Carrier.send` has returned. `on_end` or `on_lost` is the last that it hears.
    """

    def on_head(self, head: ResponseHead) -> None:
        """Hear the head of the final response."""
        ...

    def on_body(self, piece: bytes) -> None:
        """Hear a piece of the body, without its transfer coding."""
        ...

    def on_end(self) -> None:
        """Hear that the response is complete."""
        ...

    def on_lost(self, error: ConnectionLost | LimitExceeded) -> None:
        """Hear that nothing more will come."""
        ...


class Flow(Protocol):
    """A request under way, and its response."""

    @property
    def is_complete(self) -> bool:
        """Whether all of the response has come."""
        ...

    def close(self) -> None:
        """Give it up; its receiver hears nothing more."""
        ...

    def release(self) -> None:
        """Release a complete response; its connection may be used again."""
        ...

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading the response, or go on."""
        ...


class Carrier(Protocol):
    """Sends requests, and tells what comes of them."""

    def send(self, request: HttpRequest, receiver: ResponseReceiver) -> Flow:
        """Send a request without waiting."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
