"""Redis errors as storage errors without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisClusterException, RedisError

from mcp_gateway.plugin import StorageError

_USERINFO = re.compile(r"//[^@/\s]*@")


def storage_error(reason: str) -> StorageError:
    """Return the error of a failing Redis."""
    return StorageError(f"redis: {_USERINFO.sub('//', reason)}")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Convert errors of redis-py to `StorageError`."""
    try:
        yield
    # In redis-py RedisClusterException is not a RedisError.
    except (RedisError, RedisClusterException, OSError) as error:
        raise storage_error(str(error) or type(error).__name__) from error
