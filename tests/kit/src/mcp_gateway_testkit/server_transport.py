"""Contract of server transports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import anyio
import anyio.abc
import pytest
from mcp.client import Transport
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ServerTransport
from mcp_gateway_testkit.contract import Contract
from mcp_gateway_testkit.reference import FAILURE_CODE, FAILURE_DATA, ODD, TOOLS, reference_server
from mcp_gateway_testkit.wire import session

SECONDS = 30
"""How long a test may take on a slow machine before it counts as hanging."""


@dataclass(slots=True)
class Served:
    """A server transport in operation.

    It has the addresses passed to `ready`, and whether `serve` has returned.
    """

    addresses: list[str] = field(default_factory=list)
    opened: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)

    def ready(self, where: str) -> None:
        """Record the address at which clients can connect."""
        self.addresses.append(where)
        self.opened.set()

    async def serve(self, subject: ServerTransport) -> None:
        """Serve the reference server."""
        try:
            await subject.serve(reference_server(), ready=self.ready)
        finally:
            self.over.set()


class ServerTransportContract(Contract[ServerTransport]):
    """Contract of server transports.

    Implement `reach`, which connects a client to the address that `ready` was called with. If the transport serves
    only one client in its life, as over standard input, set `many_clients = False`.
    """

    hook = "mcp_gateway_server_transports"
    entry_prefix = "transport"

    many_clients: ClassVar[bool] = True

    def reach(self, where: str) -> Transport:
        """Return an unopened client transport to the gateway at `where`.

        The client transport is one of the MCP SDK.
        """
        raise NotImplementedError

    @asynccontextmanager
    async def serving(self, subject: ServerTransport) -> AsyncIterator[Served]:
        """Serve in the background; on exit cancel and await the end."""
        served = Served()
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.serve, subject)
                await served.opened.wait()
                yield served
                tasks.cancel_scope.cancel()
        assert served.over.is_set()

    async def test_it_does_what_a_server_transport_does(self, subject: ServerTransport) -> None:
        """It has the method of the protocol."""
        assert isinstance(subject, ServerTransport)

    async def test_it_is_ready_once_and_says_where(self, subject: ServerTransport) -> None:
        """In one line, for people."""
        async with self.serving(subject) as served, session(self.reach(served.addresses[0])) as client:
            assert await client.text("echo", say="hi") == "hi"
        assert len(served.addresses) == 1
        assert served.addresses[0].strip()
        assert "\n" not in served.addresses[0]

    async def test_what_is_served_arrives_as_it_is(self, subject: ServerTransport) -> None:
        """Unknown fields, nulls, large integers, and the server's own errors."""
        async with self.serving(subject) as served, session(self.reach(served.addresses[0])) as client:
            assert (await client.request("tools/list"))["tools"] == TOOLS
            assert await client.call("odd") == ODD
            with pytest.raises(MCPError) as caught:
                await client.call("fail")
            assert (caught.value.error.code, caught.value.error.data) == (FAILURE_CODE, FAILURE_DATA)

    async def test_requests_at_the_same_time_get_their_own_answers(self, subject: ServerTransport) -> None:
        """A slow one holds up no other."""
        answers: set[str] = set()
        async with self.serving(subject) as served, session(self.reach(served.addresses[0])) as client:

            async def ask(number: int) -> None:
                answers.add(await client.text("echo", say=str(number)))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: client.text("wait", name="slow"))
                for number in range(20):
                    tasks.start_soon(ask, number)
                await client.text("release", name="slow")
        assert answers == {str(number) for number in range(20)}

    async def test_many_clients_are_served_at_once(self, subject: ServerTransport) -> None:
        """One that leaves leaves the others alone."""
        if not self.many_clients:
            pytest.skip("it serves one client")
        async with self.serving(subject) as served, session(self.reach(served.addresses[0])) as staying:
            async with session(self.reach(served.addresses[0])) as leaving:
                assert await leaving.text("echo", say="leaving") == "leaving"
            assert await staying.text("echo", say="staying") == "staying"

    async def test_it_stops_when_cancelled_without_any_client(self, subject: ServerTransport) -> None:
        """The gateway was told to end."""
        async with self.serving(subject) as served:
            assert not served.over.is_set()

    async def test_it_stops_when_cancelled_with_a_call_under_way(self, subject: ServerTransport) -> None:
        """Require cancellation to end `serve` with a call in progress."""
        served = Served()
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.serve, subject)
                await served.opened.wait()
                async with anyio.create_task_group() as calls:
                    await calls.start(self._hold_a_call, served.addresses[0])
                    tasks.cancel_scope.cancel()
                    with anyio.CancelScope(shield=True):
                        await served.over.wait()
                    calls.cancel_scope.cancel()
        assert served.over.is_set()

    async def test_it_can_serve_again(self, subject: ServerTransport) -> None:
        """Require that the transport can serve again.

        Its resources, such as a port, must have been released.
        """
        async with self.serving(subject):
            pass
        async with self.serving(subject) as served, session(self.reach(served.addresses[0])) as client:
            assert await client.text("echo", say="again") == "again"

    async def _hold_a_call(self, where: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with session(self.reach(where)) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: client.text("wait", name="for good"))
            await client.text("echo", say="the call before is under way")
            task_status.started()
