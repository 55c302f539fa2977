"""Changes of a modern server's lists: none is missed between the first list and the server's word that it announces."""

from __future__ import annotations

import anyio
import pytest
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError

from mcp_gateway.client import subscribe as watching
from mcp_gateway.client.connection import open_connection
from mcp_gateway.client.handshake import negotiate
from mcp_gateway.plugin import Credentials, TransportFault
from mcp_gateway.sessions import session

from ..support.fake_channel import MODERN, FakeServer
from ..support.fake_servers import Remote, ScriptedTransport, tool, until

OLD, NEW = ["alpha__old"], ["alpha__new"]


class Announcing(Remote):
    """A modern server that says that it announces changes when it may, and no earlier."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._listens = ListenHandler(self._bus)
        super().__init__(tool("old"), on_subscriptions_listen=self._listens)
        self.asked_to_announce = 0
        self.may_announce = anyio.Event()

    async def change(self):
        self.tools = [tool("new")]
        await self._bus.publish(ToolsListChanged())

    def stop_announcing(self):
        self.may_announce = anyio.Event()
        self._listens.close()

    async def _raw(self, ctx, call_next):
        if ctx.method == "subscriptions/listen":
            self.asked_to_announce += 1
            await self.may_announce.wait()
        return await super()._raw(ctx, call_next)


def names(opened):
    return list(opened.gateway.registry.catalog.full_names())


async def wait_until_settled(opened):
    await until(lambda: not opened.gateway.discovery.running)


@pytest.fixture
def alpha():
    return Announcing()


async def test_a_server_is_asked_for_its_lists_once_it_announces_changes_and_only_once(gateway, monkeypatch, alpha):
    monkeypatch.setattr(session, "ANNOUNCING_SECONDS", 60.0)
    async with gateway({"alpha": alpha}) as opened:
        await until(lambda: alpha.asked_to_announce)
        await anyio.wait_all_tasks_blocked()
        assert alpha.listed == 0
        await alpha.change()
        alpha.may_announce.set()
        await wait_until_settled(opened)
        assert names(opened) == NEW
        assert alpha.listed == 1


async def test_a_server_that_is_slow_to_announce_is_not_waited_for_but_asked_again(gateway, monkeypatch, alpha):
    monkeypatch.setattr(session, "ANNOUNCING_SECONDS", 0.0)
    async with gateway({"alpha": alpha}) as opened:
        await wait_until_settled(opened)
        assert names(opened) == OLD
        await alpha.change()
        alpha.may_announce.set()
        await until(lambda: names(opened) == NEW)
        await wait_until_settled(opened)
        assert alpha.listed == 2


async def test_what_changes_while_it_has_stopped_announcing_is_asked_for_when_it_begins_again(
    gateway, monkeypatch, alpha
):
    monkeypatch.setattr(watching, "RELISTEN_SECONDS", 0.0)
    alpha.may_announce.set()
    async with gateway({"alpha": alpha}) as opened:
        await wait_until_settled(opened)
        alpha.stop_announcing()
        await until(lambda: alpha.asked_to_announce == 2 and alpha.listed == 2 and not opened.gateway.discovery.running)
        assert names(opened) == OLD
        await alpha.change()
        alpha.may_announce.set()
        await until(lambda: names(opened) == NEW)


async def test_a_change_after_that_is_received(gateway, alpha):
    alpha.may_announce.set()
    async with gateway({"alpha": alpha}) as opened:
        await wait_until_settled(opened)
        assert names(opened) == OLD
        await alpha.change()
        await until(lambda: names(opened) == NEW)


@pytest.mark.parametrize("refusal", [{}, ValueError("no"), None])
async def test_a_server_that_does_not_announce_though_it_said_so_is_not_waited_for(gateway, monkeypatch, refusal):
    monkeypatch.setattr(session, "ANNOUNCING_SECONDS", 60.0)
    hello = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}}}
    answers = {"server/discover": hello, "tools/list": {"tools": [tool("old")]}}
    refused = {} if refusal is None else {"subscriptions/listen": refusal}
    async with gateway({"alpha": ScriptedTransport({**answers, **refused})}) as opened:
        await until(lambda: names(opened) == OLD)


@pytest.mark.parametrize("honoured", [3, True, None, "x://y", {"x://y": 1}, ["x://z"]])
async def test_a_resource_that_an_acknowledgement_does_not_list_is_not_watched(honoured):
    server, started = FakeServer(), []
    with anyio.fail_after(10):
        async with open_connection(server.connect(Credentials())) as connection, anyio.create_task_group() as tasks:
            connection.set_version(MODERN, {})

            async def follow():
                with pytest.raises(MCPError, match="does not announce changes of this resource"):
                    await watching.watch(connection, "x://y", {}, lambda: started.append(1), lambda _: None)
                started.append("refused")

            tasks.start_soon(follow)
            name = {"io.modelcontextprotocol/subscriptionId": (await server.next_request()).request_id}
            acknowledged = {"notifications": {"resourceSubscriptions": honoured}, "_meta": name}
            server.tell("notifications/subscriptions/acknowledged", acknowledged)
            await until(lambda: started)
    assert started == ["refused"]


async def test_a_subscription_whose_credentials_are_rejected_has_the_lists_asked_for_again_once(monkeypatch):
    monkeypatch.setattr(watching, "RELISTEN_SECONDS", 0.0)
    server = FakeServer(capabilities={"tools": {"listChanged": True}})
    ready, missed = anyio.Event(), []
    with anyio.fail_after(10):
        async with open_connection(server.connect(Credentials())) as connection, anyio.create_task_group() as tasks:
            await negotiate(connection)
            tasks.start_soon(watching.listen, connection, ready, lambda: missed.append(1))
            (await server.next_request()).respond({})  # the server ends it, as the token has expired, say
            rejected = MCPError(TransportFault.UNAUTHORIZED, "HTTP 401", {"status": 401})
            (await server.next_request(2)).fail(rejected)
    assert ready.is_set()
    assert len(missed) == 2
    assert len(server.requests) == 2
