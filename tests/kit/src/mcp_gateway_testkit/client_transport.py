"""Contract of client transports."""

from __future__ import annotations

import gc

import anyio
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ClientTransport, Credentials
from mcp_gateway_testkit.contract import Contract
from mcp_gateway_testkit.reference import FAILURE_CODE, FAILURE_DATA, ODD, TOOLS
from mcp_gateway_testkit.wire import session

SECONDS = 30
"""How long a test may take on a slow machine before it counts as hanging."""

ANONYMOUS = Credentials()


class ClientTransportContract(Contract[ClientTransport]):
    """Promises of a way to a server.

    `source`, or the fixture `configuration`, must lead to `reference_server()`. As a child
    process it is `python -m mcp_gateway_testkit.reference`.
    """

    hook = "mcp_gateway_client_transports"
    entry_prefix = "transport"

    async def test_it_does_what_a_client_transport_does(self, subject: ClientTransport) -> None:
        """Require a ClientTransport with `carries_credentials`.

        Without credentials all callers share a session.
        """
        assert isinstance(subject, ClientTransport)
        assert isinstance(subject.carries_credentials, bool)

    async def test_an_unopened_session_costs_nothing(self, subject: ClientTransport) -> None:
        """`connect` only prepares: nothing is started, and nothing is left behind."""
        for _ in range(100):
            subject.connect(ANONYMOUS)
        gc.collect()

    async def test_tools_are_listed_as_they_are(self, subject: ClientTransport) -> None:
        """Unknown fields, nulls and large integers included."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                assert (await opened.request("tools/list"))["tools"] == TOOLS

    async def test_results_arrive_as_they_are(self, subject: ClientTransport) -> None:
        """Unknown fields and content survive, in their order."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                answer = await opened.call("odd")
        assert answer == ODD
        assert list(answer["vendorField"]) == list(ODD["vendorField"])

    async def test_the_servers_own_errors_arrive_as_they_are(self, subject: ClientTransport) -> None:
        """Code, message and data; and the session goes on."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                with pytest.raises(MCPError) as caught:
                    await opened.call("fail")
                assert (caught.value.error.code, caught.value.error.data) == (FAILURE_CODE, FAILURE_DATA)
                assert await opened.text("echo", say="still there") == "still there"

    @pytest.mark.parametrize(
        "text", ["", "line\nbreak\r\n", "\u2028 🦊 \x00", "x" * 1_000_000], ids=["0", "n", "u", "1M"]
    )
    async def test_any_text_goes_there_and_back(self, subject: ClientTransport, text: str) -> None:
        """Whatever its length, and whatever is in it."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                assert await opened.text("echo", say=text) == text

    async def test_requests_at_the_same_time_get_their_own_answers(self, subject: ClientTransport) -> None:
        """Callers share a session."""
        answers: dict[int, str] = {}
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened, anyio.create_task_group() as tasks:

                async def ask(number: int) -> None:
                    answers[number] = await opened.text("echo", say=str(number))

                for number in range(30):
                    tasks.start_soon(ask, number)
        assert answers == {number: str(number) for number in range(30)}

    async def test_a_slow_request_holds_up_no_other(self, subject: ClientTransport) -> None:
        """One may wait for what another does."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened, anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: opened.text("wait", name="slow"))
                assert await opened.text("echo", say="quick") == "quick"
                await opened.text("release", name="slow")

    async def test_a_caller_that_goes_away_leaves_the_session_alone(self, subject: ClientTransport) -> None:
        """Its request is cancelled, and nothing else."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(lambda: opened.text("wait", name="never"))
                    assert await opened.text("echo", say="one") == "one"
                    tasks.cancel_scope.cancel()
                assert await opened.text("echo", say="two") == "two"

    async def test_notifications_arrive(self, subject: ClientTransport) -> None:
        """A server tells when its tools change."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                await opened.call("announce")
                await opened.news.wait()
                assert "notifications/tools/list_changed" in opened.notified

    async def test_two_sessions_are_two(self, subject: ClientTransport) -> None:
        """Closing one leaves the other open."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as staying:
                async with session(subject.connect(ANONYMOUS)) as leaving:
                    assert await leaving.text("echo", say="leaving") == "leaving"
                assert await staying.text("echo", say="staying") == "staying"

    async def test_a_cancelled_session_is_gone(self, subject: ClientTransport) -> None:
        """Require that a cancelled session ends and another can open.

        Also with a request in progress.
        """
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:

                async def hold() -> None:
                    async with session(subject.connect(ANONYMOUS)) as held:
                        opened.set()
                        await held.text("wait", name="for good")

                opened = anyio.Event()
                tasks.start_soon(hold)
                await opened.wait()
                tasks.cancel_scope.cancel()
            async with session(subject.connect(ANONYMOUS)) as after:
                assert await after.text("echo", say="again") == "again"

    async def test_the_sdks_own_client_gets_on_with_it(self, subject: ClientTransport) -> None:
        """It opens with the modern era."""
        with anyio.fail_after(SECONDS):
            async with Client(subject.connect(ANONYMOUS)) as client:
                assert [tool.name for tool in (await client.list_tools()).tools] == [tool["name"] for tool in TOOLS]
