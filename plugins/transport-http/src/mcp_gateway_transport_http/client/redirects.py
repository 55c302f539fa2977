"""Redirects within the server's origin, with the method kept.

From HTTP to HTTPS, too, of the same host at the usual ports.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote, urljoin, urlsplit

from mcp_gateway_transport_http.client.carriers.carrier import HttpRequest, ResponseHead

MAX_REDIRECTS = 20
"""How many redirects are followed, as in httpx."""

# 301, 302 and 303 may turn a POST into a GET (RFC 9110, section 15.4).
_KEEPING_THE_METHOD = (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)
_OF_A_GET = (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER)
_PORTS = {"http": 80, "https": 443}
_AS_IT_IS = "/%:@!$&'()*+,;=~?"


def follow_redirect(request: HttpRequest, head: ResponseHead) -> HttpRequest | None:
    """Return the request that a redirect leads to, if any.

    None if the response is not a redirect, or one that must not be followed: credentials are never sent to another
    origin, and a message must not become a request without a body.
    """
    is_kept = head.status in _KEEPING_THE_METHOD or (request.method == "GET" and head.status in _OF_A_GET)
    if not is_kept or not head.location:
        return None
    try:
        wanted = urlsplit(urljoin(request.origin + request.target, head.location))
        origin = _origin(wanted.scheme, wanted.hostname, wanted.port)
    except ValueError:
        return None
    if (origin != request.origin and not is_upgrade(request.origin, origin)) or "@" in wanted.netloc:
        return None
    target = quote(wanted.path or "/", safe=_AS_IT_IS) + (
        f"?{quote(wanted.query, safe=_AS_IT_IS)}" if wanted.query else ""
    )
    return request._replace(origin=origin, target=target)


def is_upgrade(origin: str, wanted: str) -> bool:
    """Whether this leads from HTTP to HTTPS of the same host.

    Both at the usual ports.
    """
    name = origin.removeprefix("http://").removesuffix(":80")
    return origin == f"http://{name}:80" and wanted == f"https://{name}:443"


def _origin(scheme: str, host: str | None, port: int | None) -> str:
    name = f"[{host}]" if host is not None and ":" in host else host or ""
    return f"{scheme}://{name}:{port or _PORTS.get(scheme)}"
