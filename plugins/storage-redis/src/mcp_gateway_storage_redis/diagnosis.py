"""Diagnosis of a Redis that does not answer."""

from __future__ import annotations

from redis.exceptions import AuthenticationError, NoPermissionError, RedisClusterException, RedisError

from mcp_gateway.plugin import Diagnosis
from mcp_gateway_storage_redis.failures import storage_error
from mcp_gateway_storage_redis.options import RedisOptions
from mcp_gateway_storage_redis.places import open_place


async def find_diagnoses(options: RedisOptions) -> list[Diagnosis]:
    """Return why Redis does not answer, or nothing if it does."""
    try:
        async with open_place(options.url.get_secret_value()) as place:
            await place.client.get("mcp-gateway:check")
    except AuthenticationError:
        return [
            Diagnosis(
                code="redis-password",
                message="Redis refuses the user name or the password in REDIS_URL",
                mend="correct it: redis://USER:PASSWORD@HOST:PORT/0; without a user name: redis://:PASSWORD@HOST",
            )
        ]
    except NoPermissionError:
        mend = "give it the commands get, set, del, scan, eval, publish and subscribe on keys mcp-gateway:*"
        return [Diagnosis(code="redis-password", message="the user of REDIS_URL may not read in Redis", mend=mend)]
    except (RedisError, RedisClusterException, OSError) as error:
        return [
            Diagnosis(
                code="redis-unreachable",
                message=f"Redis cannot be reached: {str(storage_error(str(error))).removeprefix('redis: ')}",
                mend="start it, or correct REDIS_URL; without several gateways, STORAGE_BACKEND=memory is enough",
            )
        ]
    return []
