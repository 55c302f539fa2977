"""The state of a session, which goes with each request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

import httpx2

from mcp_gateway.plugin import RequestNotSent, encode_header_value
from mcp_gateway_transport_http.client.carriers.carrier import HttpRequest, ResponseHead
from mcp_gateway_transport_http.client.request_target import Endpoint

_ILLEGAL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_VERSION = "mcp-protocol-version"


class HttpSession:
    """The session's id, protocol version, cookies and endpoint."""

    def __init__(self, endpoint: Endpoint, headers: Mapping[str, str]) -> None:
        """Begin without a session; `headers` are the credentials of all requests."""
        self.endpoint = endpoint
        self.id: str | None = None
        self.version = ""
        self._headers = headers
        self._cookies = httpx2.Cookies()
        self._cookie = ""
        self._fields = self._own_fields = b""
        self._encode()

    def build_request(self, headers: Mapping[str, str], body: bytes | None, method: str = "POST") -> HttpRequest:
        """Return a request with the session's fields.

        Raises:
            RequestNotSent: a header cannot be written.

        """
        fields = self._fields + _encode_headers(tuple(headers.items()))
        if self._own_fields:
            fields += self._own_fields
            if self.version and _VERSION not in headers:
                fields += _encode_headers(((_VERSION, self.version),))
        return HttpRequest(method, self.endpoint.origin, self.endpoint.target, fields, body)

    def open(self, session_id: str, version: str) -> None:
        """Take the id and the version of the response to `initialize`."""
        self.id, self.version = session_id if session_id and _is_writable(session_id) else None, version
        self._encode()

    def keep_cookies(self, head: ResponseHead) -> None:
        """Keep cookies: load balancers hold a session at one replica by them."""
        request = httpx2.Request("POST", self.endpoint.origin + self.endpoint.target)
        headers = [(b"set-cookie", cookie.encode("latin-1")) for cookie in head.cookies]
        self._cookies.extract_cookies(httpx2.Response(head.status, headers=headers, request=request))
        self._cookies.jar.clear_expired_cookies()
        pairs = (f"{cookie.name}={cookie.value}" for cookie in self._cookies.jar)
        self._cookie = "; ".join(filter(_is_writable, pairs))
        self._encode()

    def move_to_https(self) -> None:
        """Send everything over TLS from now on: the server leads there."""
        self.endpoint = self.endpoint.to_https()
        self._encode()

    def _encode(self) -> None:
        self._fields = self.endpoint.encode_fields(self._headers)
        named = {"mcp-session-id": self.id or "", "cookie": self._cookie}
        self._own_fields = _encode_lines((name, value) for name, value in named.items() if value)


def _is_writable(value: str) -> bool:
    return _ILLEGAL.search(encode_header_value(value)) is None


def _encode_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [b"%b: %b" % (name.encode("latin-1", "replace"), encode_header_value(value)) for name, value in headers]
    # A line break would begin a header or a request of somebody else (RFC 9110, section 5.5).
    if any(map(_ILLEGAL.search, lines)):
        raise RequestNotSent("a header cannot be written as it is")
    return b"".join(b"%b\r\n" % line for line in lines)


@lru_cache(maxsize=1024)
def _encode_headers(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Encode the headers that a kind of request repeats."""
    return _encode_lines(headers)
