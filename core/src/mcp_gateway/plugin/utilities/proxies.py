"""Proxies of the environment."""

from __future__ import annotations


def can_connect_directly(url: str) -> bool:
    """Whether a server is reached without a proxy of the environment."""
    # Slow to import, and not needed by what only declares plugins.
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts, proxies = urlsplit(url), getproxies()
    return bool(proxy_bypass(parts.hostname or "")) or not (parts.scheme in proxies or "all" in proxies)
