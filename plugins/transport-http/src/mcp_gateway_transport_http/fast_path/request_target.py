"""Where requests go: whether straight there, and what each says of it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass


def can_connect_directly(url: str) -> bool:
    """Whether a server is reached without a proxy and a password.

    Then connections of our own lead to it.
    """
    parts, proxies = urlsplit(url), getproxies()
    if parts.username is not None:
        return False
    return bool(proxy_bypass(parts.hostname or "")) or not (parts.scheme in proxies or "all" in proxies)


def build_request_head(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the head that all requests of a session share.

    All but the method: where it goes, and the session's own headers.
    """
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f" {path} HTTP/1.1",
        f"host: {_host(parts)}",
        "accept-encoding: identity",
        "accept: application/json, text/event-stream",
        "content-type: application/json",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n"


def _host(parts: SplitResult) -> str:
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else (parts.hostname or "")
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return name if parts.port in (None, usual) else f"{name}:{parts.port}"
