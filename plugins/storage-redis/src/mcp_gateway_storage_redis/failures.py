"""Redis errors as storage errors without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisClusterException, RedisError

from mcp_gateway.plugin import StorageError

_USERINFO = re.compile(r"//[^@/\s]*@")


def failing(reason: str) -> StorageError:
    """Say that Redis fails."""
    return StorageError(f"redis: {_USERINFO.sub('//', reason)}")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of redis-py into that of the gateway."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        raise failing(str(error) or type(error).__name__) from error
