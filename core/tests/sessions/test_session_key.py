"""Who shares a session with a server that hears once a session what its clients can do."""

from __future__ import annotations

import anyio
import pytest

from mcp_gateway.gateway.request import Request
from mcp_gateway.plugin import Credentials
from mcp_gateway.protocol.capabilities import encode_capabilities
from mcp_gateway.protocol.client_channel import ClientChannel
from mcp_gateway.protocol.raw_json import decode_members, encode_members
from mcp_gateway.sessions.exchange import Exchange
from mcp_gateway.sessions.session_key import SessionKey

from ..sessions.test_pool import CALL, connection, pool_of, use_session
from ..support.fake_servers import Remote, text, tool, until
from ..support.gateway import spec

ROOTS, FORMS = encode_capabilities({"roots": {}}), encode_capabilities({"elicitation": {"form": {}}})
ONE = spec()


def session_key(client, capabilities=ROOTS, one=ONE):
    return SessionKey(one, Credentials(), capabilities=capabilities, behalf=client)


def declared(connection):
    return connection.router.capabilities


async def ask_roots(ctx):
    answer = await ctx.session._request_outbound.send_raw_request("roots/list", {})
    return text(str(answer["roots"]))


def make_call(client, roots):
    """Return what calls a tool for a client that answers with these roots."""

    async def answer(*_):
        return {"roots": roots}

    async def call(session):
        return decode_members(await Exchange(client, ClientChannel(ask=answer), session=session).run(CALL))

    return call


@pytest.fixture
def handshake_server():
    return Remote(tool("x"), handshake=True)


async def test_a_handshake_era_server_is_told_what_its_clients_can_do_and_nothing_else(handshake_server):
    async with pool_of(handshake_server) as pool:
        assert declared(await use_session(pool, session_key("ann"), connection)) == {"roots": {}}
        assert declared(await use_session(pool, session_key("bob", FORMS), connection)) == {"elicitation": {"form": {}}}
        assert declared(await use_session(pool, session_key("eve", ""), connection)) == {}


async def test_clients_that_can_do_the_same_share_a_session(handshake_server):
    async with pool_of(handshake_server) as pool:
        first = await use_session(pool, session_key("ann"), connection)
        assert await use_session(pool, session_key("bob"), connection) is first
        assert await use_session(pool, session_key("bob", FORMS), connection) is not first


async def test_a_modern_servers_session_is_for_all_of_them():
    new = Remote(tool("x"))
    async with pool_of(new) as pool:
        first = await use_session(pool, session_key("ann"), connection)
        assert await use_session(pool, session_key("bob", FORMS), connection) is first
        assert await use_session(pool, session_key("eve", ""), connection) is first
    assert len(new.opened) == 1


async def test_a_server_that_has_asked_gives_every_client_a_session_of_its_own(handshake_server):
    handshake_server.answers["x"] = ask_roots
    async with pool_of(handshake_server) as pool:
        assert await use_session(pool, session_key("ann"), make_call("ann", ["a"])) == text("['a']")
        assert await use_session(pool, session_key("bob"), make_call("bob", ["b"])) == text("['b']")
        assert await use_session(pool, session_key("ann"), make_call("ann", ["a"])) == text("['a']")
    assert len(handshake_server.opened) == 2


async def test_a_client_that_may_be_several_people_gets_a_session_for_each_request_at_a_time(handshake_server):
    gates = {name: anyio.Event() for name in "ab"}

    async def wait_and_ask(ctx):
        await gates[ctx.params["arguments"]["who"]].wait()
        return await ask_roots(ctx)

    async def both(pool, results):
        async def one(who):
            async def answer(*_):
                return {"roots": [who]}

            async def call(session):
                request = Request("tools/call", encode_members({"name": "x", "arguments": {"who": who}}))
                exchange = Exchange("anyone", ClientChannel(ask=answer), session=session)
                return decode_members(await exchange.run(request))

            results[who] = await use_session(pool, session_key("anyone"), call)

        async with anyio.create_task_group() as tasks:
            for who in "ab":
                tasks.start_soon(one, who)
            await until(lambda: len(handshake_server.calls) % 2 == 0 and handshake_server.calls)
            for gate in gates.values():
                gate.set()

    handshake_server.answers["x"] = ask_roots
    async with pool_of(handshake_server) as pool:
        await use_session(pool, session_key("anyone"), make_call("anyone", ["first"]))
        handshake_server.calls.clear()
        handshake_server.answers["x"], results = wait_and_ask, {}
        await both(pool, results)
    assert results == {"a": text("['a']"), "b": text("['b']")}


async def test_the_session_that_only_the_gateway_has_used_gives_way_to_one_that_clients_use(handshake_server):
    async with pool_of(handshake_server) as pool:
        await use_session(pool, SessionKey(ONE), connection)
        mine = await use_session(pool, session_key("ann"), connection)
        await until(lambda: handshake_server.open == 1)
        assert await use_session(pool, SessionKey(ONE), connection) is mine, "the gateway itself uses what there is"


async def test_a_session_that_a_client_without_capabilities_uses_stays(handshake_server):
    async with pool_of(handshake_server) as pool:
        plain = await use_session(pool, session_key("eve", ""), connection)
        await use_session(pool, session_key("ann"), connection)
        assert await use_session(pool, session_key("eve", ""), connection) is plain
        assert handshake_server.open == 2


async def test_a_client_that_leaves_takes_the_session_that_only_it_has_used(handshake_server):
    handshake_server.answers["x"] = ask_roots
    async with pool_of(handshake_server) as pool:
        pool.way_to = {"ann": ClientChannel()}.get
        await use_session(pool, session_key("ann"), make_call("ann", []))
        pool.forget_client("ann")
        await until(lambda: handshake_server.open == 0)


async def test_the_era_of_a_server_is_found_out_by_opening_a_session(handshake_server):
    async with pool_of(handshake_server) as pool:
        assert await pool.is_modern(session_key("ann")) is False
        assert await pool.is_modern(session_key("ann")) is False
    assert len(handshake_server.opened) == 1
