"""The attempts at one request: which is the last, and what each leaves behind."""

from __future__ import annotations

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.errors import RequestRejected
from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, TransportFault
from mcp_gateway.protocol.envelope import ServerError, UnreadableResponse
from mcp_gateway.sessions.circuit_breaker import CircuitOpen
from mcp_gateway.sessions.session_key import SessionKey

from ..sessions.test_pool import pool_of, use_session
from ..support.fake_servers import Remote, tool
from ..support.gateway import spec

KEY = SessionKey(spec(max_retries=2))
UNSENT = MCPError(TransportFault.UNREACHABLE, "refused", {"sent": False})


@pytest.fixture
def alpha():
    return Remote(tool("x"))


def users(pool):
    return [session.users for session in pool._kept]


def raising(error):
    async def operation(*_):
        raise error

    return operation


async def test_an_attempt_that_succeeds_is_the_last(alpha):
    async with pool_of(alpha) as pool:

        async def call(session):
            assert users(pool) == [1]
            return await session.connection.request("tools/call", {"name": "x"})

        assert await pool.attempts(KEY, repeatable=True).run(call)
        assert users(pool) == [0]
    assert len(alpha.calls) == 1


async def test_an_attempt_that_may_be_repeated_leaves_its_error_behind(alpha):
    errors, begun = [UNSENT, UNSENT], []
    async with pool_of(alpha) as pool:

        async def send(_):
            begun.append(users(pool))
            if errors:
                raise errors.pop()

        await pool.attempts(KEY).run(send)
    assert begun == [[1], [1], [1]], "each is counted in, and the one before it out"


async def test_the_error_of_the_last_attempt_is_raised_and_no_other_follows(alpha):
    begun = []
    async with pool_of(alpha) as pool:

        async def send(_):
            begun.append(1)
            raise ConnectionDropped("cut")

        with pytest.raises(ConnectionDropped):
            await pool.attempts(KEY, repeatable=False).run(send)
        assert (begun, users(pool)) == ([1], [0])


@pytest.mark.parametrize(
    "error",
    [
        ValueError("ours"),
        MCPError(-32050, "the transport's"),
        ServerError(UNSENT.code, "the server's", {"sent": False}),
    ],
)
async def test_what_is_no_failure_to_reach_the_server_ends_the_attempts(alpha, error):
    async with pool_of(alpha) as pool:
        with pytest.raises(type(error)) as raised:
            await use_session(pool, KEY, raising(error), repeatable=True)
        assert raised.value is error
        assert users(pool) == [0]


async def test_a_response_that_cannot_be_read_names_the_server_and_never_opens_the_circuit(alpha):
    async with pool_of(alpha) as pool:
        for _ in range(6):
            with pytest.raises(RequestRejected, match=r"^server 'alpha' sent a response that cannot be read: nested"):
                await use_session(pool, KEY, raising(UnreadableResponse(ValueError("nested"))), repeatable=True)


async def test_a_request_that_is_cancelled_is_not_sent_again(alpha):
    begun = []
    async with pool_of(alpha) as pool:
        with anyio.CancelScope() as scope:

            async def send(_):
                begun.append(1)
                scope.cancel()
                await anyio.sleep_forever()

            await pool.attempts(KEY, repeatable=True).run(send)
        assert scope.cancelled_caught
        assert (begun, users(pool)) == ([1], [0])


async def test_what_was_never_sent_counts_once_for_the_circuit_and_an_open_one_gives_no_attempt(alpha):
    async with pool_of(alpha) as pool:
        for failures in (1, 2, 3):
            with pytest.raises(RequestNotSent):
                await use_session(pool, KEY, raising(UNSENT))
            assert pool.breakers.breaker_of(KEY.spec).failures == failures
        with pytest.raises(CircuitOpen):
            pool.attempts(KEY)
