"""Redis errors as storage errors without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisClusterException, RedisError

from mcp_gateway.plugin import StorageError

_USERINFO = re.compile(r"//[^@/\s]*@")


def storage_error(reason: str) -> StorageError:
    """Say that Redis fails."""
    return StorageError(f"redis: {_USERINFO.sub('//', reason)}")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn the errors of redis-py into that of the gateway."""
    try:
        yield
    # RedisClusterException is no RedisError in redis-py.
    except (RedisError, RedisClusterException, OSError) as error:
        raise storage_error(str(error) or type(error).__name__) from error
