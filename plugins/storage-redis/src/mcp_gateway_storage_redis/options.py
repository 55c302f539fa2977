"""Options of the Redis storage, from the environment."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from mcp_gateway.plugin import Options

_ONE = ("redis", "rediss", "unix")
_SEVERAL = tuple(f"{scheme}+{kind}" for kind in ("sentinel", "cluster") for scheme in ("redis", "rediss"))


def _is_redis(url: SecretStr) -> SecretStr:
    scheme, _, rest = url.get_secret_value().partition("://")
    if not rest or scheme not in (*_ONE, *_SEVERAL):
        raise ValueError(f"it must begin with {'://, '.join((*_ONE, *_SEVERAL))}://")
    try:
        hosts = urlsplit(f"//{rest}").netloc.rpartition("@")[2]
        _ = [urlsplit(f"//{host}").port for host in (hosts.split(",") if scheme in _SEVERAL else [hosts])]
    except ValueError:
        raise ValueError("it is no URL that can be read: redis://[[USER]:PASSWORD@]HOST[:PORT][/NUMBER]") from None
    return url


class RedisOptions(Options):
    """The URL of Redis.

    The URL may contain a password, so it is never printed.
    """

    url: Annotated[SecretStr, AfterValidator(_is_redis)] = Field(
        SecretStr("redis://localhost:6379/0"), alias="REDIS_URL", description="The Redis server, Sentinels or Cluster"
    )
