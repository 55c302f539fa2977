"""What the Redis storage reads from the environment."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from mcp_gateway.plugin import Options


def _is_redis(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it must begin with redis://, rediss:// or unix://")
    try:
        _ = urlsplit(url.get_secret_value()).port
    except ValueError:
        raise ValueError("it is no URL that can be read: redis://[[USER]:PASSWORD@]HOST[:PORT][/NUMBER]") from None
    return url


class RedisOptions(Options):
    """Where Redis is. The URL may hold a password, so it is never printed."""

    url: Annotated[SecretStr, AfterValidator(_is_redis)] = Field(
        SecretStr("redis://localhost:6379/0"), alias="REDIS_URL", description="The URL of the Redis server"
    )
