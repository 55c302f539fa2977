"""Who shares a session with a server that hears once a session what its clients can do."""

from __future__ import annotations

import anyio
import pytest

from mcp_gateway.client.in_flight import Exchange
from mcp_gateway.plugin import Credentials
from mcp_gateway.protocol.client_channel import Interaction, frozen
from mcp_gateway.sessions.session_key import Borrower

from ..sessions.test_pool import peer, pool_of
from ..support.fake_servers import Remote, text, tool, until
from ..support.gateway import spec

ROOTS, FORMS = frozen({"roots": {}}), frozen({"elicitation": {"form": {}}})
ONE = spec()


def borrower(client, capabilities=ROOTS, one=ONE):
    return Borrower(one, Credentials(), capabilities=capabilities, behalf=client)


def told(session):
    return session.audience.capabilities


async def ask_roots(ctx):
    answer = await ctx.session._request_outbound.send_raw_request("roots/list", {})
    return text(str(answer["roots"]))


def calling(client, roots):
    """Return what calls a tool for a client that answers with these roots."""

    async def answer(*_):
        return {"roots": roots}

    async def call(peer, patience):
        exchange = Exchange(client, Interaction(ask=answer), patience)
        return await peer.request("tools/call", {"name": "x"}, exchange=exchange)

    return call


@pytest.fixture
def old():
    return Remote(tool("x"), handshake=True)


async def test_a_handshake_era_server_is_told_what_its_clients_can_do_and_nothing_else(old):
    async with pool_of(old) as pool:
        assert told(await pool.lend(borrower("ann"), peer)) == {"roots": {}}
        assert told(await pool.lend(borrower("bob", FORMS), peer)) == {"elicitation": {"form": {}}}
        assert told(await pool.lend(borrower("eve", ""), peer)) == {}


async def test_clients_that_can_do_the_same_share_a_session(old):
    async with pool_of(old) as pool:
        first = await pool.lend(borrower("ann"), peer)
        assert await pool.lend(borrower("bob"), peer) is first
        assert await pool.lend(borrower("bob", FORMS), peer) is not first


async def test_a_modern_servers_session_is_for_all_of_them():
    new = Remote(tool("x"))
    async with pool_of(new) as pool:
        first = await pool.lend(borrower("ann"), peer)
        assert await pool.lend(borrower("bob", FORMS), peer) is first
        assert await pool.lend(borrower("eve", ""), peer) is first
    assert len(new.opened) == 1


async def test_a_server_that_has_asked_gives_every_client_a_session_of_its_own(old):
    old.answers["x"] = ask_roots
    async with pool_of(old) as pool:
        assert await pool.lend(borrower("ann"), calling("ann", ["a"])) == text("['a']")
        assert await pool.lend(borrower("bob"), calling("bob", ["b"])) == text("['b']")
        assert await pool.lend(borrower("ann"), calling("ann", ["a"])) == text("['a']")
    assert len(old.opened) == 2


async def test_a_client_that_may_be_several_people_gets_a_session_for_each_request_at_a_time(old):
    gates = {name: anyio.Event() for name in "ab"}

    async def wait_and_ask(ctx):
        await gates[ctx.params["arguments"]["who"]].wait()
        return await ask_roots(ctx)

    async def both(pool, heard):
        async def one(who):
            async def answer(*_):
                return {"roots": [who]}

            async def call(peer, patience):
                exchange = Exchange("anyone", Interaction(ask=answer), patience)
                return await peer.request("tools/call", {"name": "x", "arguments": {"who": who}}, exchange=exchange)

            heard[who] = await pool.lend(borrower("anyone"), call)

        async with anyio.create_task_group() as tasks:
            for who in "ab":
                tasks.start_soon(one, who)
            await until(lambda: len(old.calls) % 2 == 0 and old.calls)
            for gate in gates.values():
                gate.set()

    old.answers["x"] = ask_roots
    async with pool_of(old) as pool:
        await pool.lend(borrower("anyone"), calling("anyone", ["first"]))
        old.calls.clear()
        old.answers["x"], heard = wait_and_ask, {}
        await both(pool, heard)
    assert heard == {"a": text("['a']"), "b": text("['b']")}


async def test_the_session_that_only_the_gateway_has_used_gives_way_to_one_that_clients_use(old):
    async with pool_of(old) as pool:
        await pool.lend(Borrower(ONE), peer)
        mine = await pool.lend(borrower("ann"), peer)
        await until(lambda: old.open == 1)
        assert await pool.lend(Borrower(ONE), peer) is mine, "the gateway itself uses what there is"


async def test_a_session_that_a_client_without_capabilities_uses_stays(old):
    async with pool_of(old) as pool:
        plain = await pool.lend(borrower("eve", ""), peer)
        await pool.lend(borrower("ann"), peer)
        assert await pool.lend(borrower("eve", ""), peer) is plain
        assert old.open == 2


async def test_a_client_that_leaves_takes_the_session_that_only_it_has_used(old):
    old.answers["x"] = ask_roots
    async with pool_of(old) as pool:
        pool.way_to = {"ann": Interaction()}.get
        await pool.lend(borrower("ann"), calling("ann", []))
        pool.forget_client("ann")
        await until(lambda: old.open == 0)


async def test_the_era_of_a_server_is_found_out_by_opening_a_session(old):
    async with pool_of(old) as pool:
        assert await pool.is_modern(borrower("ann")) is False
        assert await pool.is_modern(borrower("ann")) is False
    assert len(old.opened) == 1
