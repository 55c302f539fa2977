"""Redirects within the server's origin, with the method kept.

The SDK's client follows the same redirects.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote, urljoin, urlsplit

from mcp_gateway_transport_http.fast_path.responses import RawHttpResponse

MAX_REDIRECTS = 20
"""How many redirects are followed, as in httpx."""

# 301, 302 and 303 may turn a POST into a GET (RFC 9110, section 15.4).
_KEEPING_THE_METHOD = (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)
_PORTS = {"http": 80, "https": 443}
_AS_IT_IS = "/%:@!$&'()*+,;=~?"


def follow_redirect(request: bytes, reply: RawHttpResponse, origin: str) -> bytes | None:
    """Return the request that follows a redirect, if any.

    None if the response is not a redirect, or one that must not be followed: credentials are never sent to another
    origin, and a message must not become a request without a body.
    """
    if reply.status not in _KEEPING_THE_METHOD or not reply.location:
        return None
    first, _, rest = request.partition(b" HTTP/1.1\r\n")
    method, _, path = first.partition(b" ")
    try:
        wanted = urlsplit(urljoin(origin + path.decode("latin-1"), reply.location))
        is_same = _origin(wanted.scheme, wanted.hostname, wanted.port) == _parse_origin(origin)
    except ValueError:
        return None
    if not is_same or "@" in wanted.netloc:
        return None
    target = quote(wanted.path or "/", safe=_AS_IT_IS) + (
        f"?{quote(wanted.query, safe=_AS_IT_IS)}" if wanted.query else ""
    )
    return b"%b %b HTTP/1.1\r\n%b" % (method, target.encode(), rest)


def _parse_origin(origin: str) -> tuple[str, str, int | None]:
    parts = urlsplit(origin)
    return _origin(parts.scheme, parts.hostname, parts.port)


def _origin(scheme: str, host: str | None, port: int | None) -> tuple[str, str, int | None]:
    return scheme, host or "", port or _PORTS.get(scheme)
