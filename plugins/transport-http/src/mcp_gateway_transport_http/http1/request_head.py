"""The complete head of an HTTP/1 request: request line and headers.

It is parsed by httptools (llhttp), which is strict: bare line feeds, folded lines, two lengths, and a length together
with a transfer coding are errors. Other ambiguities are refused here, against request smuggling.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, NamedTuple

import httptools

from mcp_gateway_transport_http.http1.request_error import RequestError

MAX_URI_BYTES = 8 << 10
"""The longest request target; RFC 9110 recommends at least 8,000 bytes."""
MAX_HEADERS = 128
"""How many header lines a request may have."""

_REQUEST_LINE = re.compile(rb"([A-Z][A-Z-]*) ([^\x00-\x20\x7f]+) HTTP/(\d)\.(\d)")
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)
_LINE_END = b"\r\n"


class RequestHead(NamedTuple):
    """A parsed head, with the methods that uvicorn calls on its parser.

    `raw` is the exact bytes of the head; `length` is that of the body, None if it is chunked.
    """

    raw: bytes
    method: bytes
    url: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    length: int | None
    keep_alive: bool
    expects_continue: bool

    def get_method(self) -> bytes:
        """Return the method."""
        return self.method

    def get_http_version(self) -> str:
        """Return the version, such as 1.1."""
        return self.version

    def should_keep_alive(self) -> bool:
        """Whether the client wants to keep the connection."""
        return self.keep_alive

    def should_upgrade(self) -> bool:
        """Return False: a server may ignore an Upgrade (RFC 9110, section 7.8)."""
        return False


class _Events:
    """Callbacks of httptools that collect the parts of a head."""

    __slots__ = ("headers", "is_complete", "url")

    def __init__(self) -> None:
        self.url, self.is_complete = b"", False
        self.headers: list[tuple[bytes, bytes]] = []

    def on_message_begin(self) -> None:
        """Do nothing; httptools requires the method."""

    def on_message_complete(self) -> None:
        """Do nothing; httptools requires the method."""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # White space around a value is not part of it (RFC 9110, section 5.5); llhttp leaves what follows it.
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def parse_head(raw: bytes) -> RequestHead:
    """Parse a head, from the request line to the empty line.

    Raises:
        RequestError: the head is malformed, or has too many lines.

    """
    version = check_request_line(raw[: raw.find(_LINE_END)])
    if raw.count(_LINE_END) - 2 > MAX_HEADERS:
        raise RequestError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"This request has more than {MAX_HEADERS} headers"
        )
    method, events = _read(raw)
    if not events.is_complete:
        raise _error_of("its headers have no end")
    _check_url(events.url)
    fields = dict(events.headers)
    return RequestHead(
        raw,
        method,
        events.url,
        version,
        events.headers,
        _body_length(events.headers, fields, version),
        version == "1.1" and (b"connection" not in fields or not _is_closing(events.headers)),
        fields.get(b"expect", b"").lower() == b"100-continue",
    )


def check_request_line(line: bytes | bytearray) -> str:
    """Return the HTTP version of a request line.

    Raises:
        RequestError: the line is malformed or too long, or has an unsupported version.

    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise _error_of("it does not begin with METHOD TARGET HTTP/1.1")
    method, url, major, minor = match.groups()
    if len(url) > MAX_URI_BYTES:
        raise uri_too_long()
    version = f"{int(major)}.{int(minor)}"
    if version not in ("1.0", "1.1"):
        raise RequestError(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, f"HTTP/{version} is not spoken at this port; use HTTP/1.1"
        )
    if method == b"CONNECT":
        raise RequestError(HTTPStatus.NOT_IMPLEMENTED, "This is no proxy: CONNECT is not served")
    return version


def uri_too_long() -> RequestError:
    """Return the error of a request target that is too long."""
    return RequestError(
        HTTPStatus.REQUEST_URI_TOO_LONG, f"The target of this request has more than {MAX_URI_BYTES} bytes"
    )


def _read(raw: bytes) -> tuple[bytes, _Events]:
    """Parse a head with httptools, without its wish to upgrade.

    httptools would not parse the body of such a request.
    """
    events = _Events()
    parser = httptools.HttpRequestParser(events)
    try:
        parser.feed_data(raw)
    # curl and Java offer an upgrade to h2c with ordinary requests; httptools would not parse their bodies.
    except httptools.HttpParserUpgrade:
        return _read(_UPGRADE.sub(b"", raw))
    except httptools.HttpParserError as error:
        raise _error_of(str(error)) from None
    return parser.get_method(), events


def _check_url(url: bytes) -> None:
    """Refuse a target that uvicorn cannot parse.

    An example is an authority without a path.
    """
    if url.startswith(b"/") and url.isascii():
        return
    try:
        path: Any = httptools.parse_url(url).path
    except httptools.HttpParserError:
        path = None
    if path is None or not url.isascii():
        raise _error_of("its target is no path and no URL")


def _body_length(headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes], version: str) -> int | None:
    """Return the length of the body, None if it is chunked.

    httptools has already refused ambiguous lengths.
    """
    if b"transfer-encoding" not in fields:
        return int(fields.get(b"content-length", 0))
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    # HTTP/1.0 has no transfer codings (RFC 9112, section 6.1), and two codings can hide a second request.
    if version != "1.1" or codings != [b"chunked"]:
        raise RequestError(HTTPStatus.NOT_IMPLEMENTED, "Transfer-Encoding may be chunked only, with HTTP/1.1")
    return None


def _is_closing(headers: list[tuple[bytes, bytes]]) -> bool:
    options = b",".join(value for name, value in headers if name == b"connection").lower().split(b",")
    return b"close" in [option.strip() for option in options]


def _error_of(detail: str) -> RequestError:
    return RequestError(HTTPStatus.BAD_REQUEST, f"This is no valid HTTP request: {detail}")
