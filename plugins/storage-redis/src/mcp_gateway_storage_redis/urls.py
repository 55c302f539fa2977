"""Forms of `REDIS_URL`: one server, Sentinels, or Cluster nodes.

Several Sentinels or nodes are separated by commas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio.connection import SSLConnection, parse_url

SENTINEL_PORT = 26379
"""The default port of a Sentinel."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The address of a Redis server, Sentinel master or Cluster.

    `options` are those of redis-py, `sentinel` those for the Sentinels themselves.
    """

    kind: str
    options: dict[str, Any]
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel: dict[str, Any] = field(default_factory=dict)


def parse_redis_url(url: str) -> RedisAddress:
    """Parse a `REDIS_URL`.

    The forms are those of redis-py, and redis+sentinel:// and redis+cluster://.

    Raises:
        ValueError: an option is invalid.

    """
    scheme, _, rest = url.partition("://")
    base, _, kind = scheme.partition("+")
    if not kind:
        return RedisAddress("server", _options(url))
    netloc, path, query = urlsplit(f"//{rest}", allow_fragments=False)[1:4]
    who, _, hosts = netloc.rpartition("@")
    who = f"{who}@" if who else ""
    if kind == "cluster":
        options = _options(f"{base}://{who}any{path}?{query}")
        return RedisAddress(kind, _without_host(options), _hosts(hosts, 6379))
    service, _, database = path.strip("/").partition("/")
    if not service:
        raise ValueError("the name of the master is missing: redis+sentinel://HOST:PORT,HOST:PORT/NAME")
    given = parse_qsl(query, keep_blank_values=True)
    mine = urlencode([(key, value) for key, value in given if not key.startswith("sentinel_")])
    options = _without_host(_options(f"{base}://{who}any/{database}?{mine}"))
    login = {key.removeprefix("sentinel_"): value for key, value in given if key.startswith("sentinel_")}
    shared = {key: value for key, value in options.items() if key not in ("db", "username", "password")}
    return RedisAddress(kind, options, _hosts(hosts, SENTINEL_PORT), unquote(service), {**shared, **login})


def _options(url: str) -> dict[str, Any]:
    """Return redis-py's options from a URL.

    `decode_responses` is dropped: values are always bytes.
    """
    options = dict(parse_url(url))
    options.pop("decode_responses", None)
    return options


def _without_host(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options without host and port.

    TLS becomes the option `ssl` of clients; the connection class of pools would not work there.
    """
    kept = {key: value for key, value in options.items() if key not in ("host", "port", "connection_class")}
    return {**kept, "ssl": True} if options.get("connection_class") is SSLConnection else kept


def _hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    parts = [urlsplit(f"//{part}") for part in text.split(",") if part]
    return tuple((part.hostname or "localhost", part.port or port) for part in parts)
