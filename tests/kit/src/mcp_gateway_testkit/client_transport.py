"""Contract of client transports."""

from __future__ import annotations

import gc
import json

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ClientTransport, ConnectionDropped, Credentials, RequestNotSent
from mcp_gateway_testkit.contract import Contract
from mcp_gateway_testkit.reference import FAILURE_CODE, FAILURE_DATA, ODD, TOOLS
from mcp_gateway_testkit.wire import session

SECONDS = 30
"""How long a test may take on a slow machine before it counts as hanging."""

ANONYMOUS = Credentials()

WIRE_VALUES: dict[str, object] = {
    "nulls": {"a": None, "b": [None, {"c": None}]},
    "key order": {"z": 1, "a": {"y": 1, "b": 2}, "m": 3},
    "empty names and values": {"": {"": []}, "a": "", "b": {}},
    "2^53+1": 2**53 + 1,
    "a number of 300 digits": 10**299 + 7,
    "fractions": [1.0, -0.0, 0.1, 1e300, 5e-324],
    "NUL and other controls": "a\x00b\x1b[0m\x7f",
    "line ends in texts": "a\nb\r\nc\rd\u2028e\u2029f\x85g",
    "texts that look like framing": ["data: x\n\n", "\n\n", "0\r\n\r\n", '{"jsonrpc":"2.0","id":1,"result":{}}'],
    "members that look like an envelope": {"jsonrpc": "2.0", "id": 1, "method": "ping", "result": {}, "error": None},
    "whole surrogate pairs": "\U0001f98a",
    "a byte order mark": "\ufeff",
}
"""Values that arrive unchanged in arguments and in results."""

OWN_CODES = (-32000, -31001, -31002, -31003, -32603, -32700, 1, 0)
"""Codes that a server may give to its own errors, some of which transports know another meaning of."""

REPORTS = 50
"""How often a call reports progress, where that is looked at."""


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

    @pytest.mark.parametrize("value", WIRE_VALUES.values(), ids=WIRE_VALUES)
    async def test_any_value_goes_there_and_back(self, subject: ClientTransport, value: object) -> None:
        """Also what looks like a part of the wire."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                answer = await opened.call("return", value=value)
        assert json.dumps(answer["structuredContent"]) == json.dumps({"value": value})

    async def test_deep_nesting_goes_there_and_back(self, subject: ClientTransport) -> None:
        """At least 100 levels do."""
        value: list[object] = []
        for _ in range(100):
            value = [value]
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                answer = await opened.call("return", value=value)
        assert answer["structuredContent"]["value"] == value

    @pytest.mark.parametrize("code", OWN_CODES)
    async def test_an_error_of_the_servers_is_no_fault_of_the_transports(
        self, subject: ClientTransport, code: int
    ) -> None:
        """Whatever its code, it comes as a response."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                outcome = opened.begin_call("fail", code=code)
                await outcome.ended.wait()
        assert outcome.failures == []
        assert [response["error"]["code"] for response in outcome.responses] == [code]

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

    async def test_nothing_is_told_before_the_request_has_returned(self, subject: ClientTransport) -> None:
        """Who sends is not called back meanwhile, and then once."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                outcome = opened.begin_call("echo", say="later")
                assert (outcome.responses, outcome.failures) == ([], [])
                await outcome.result()
                await opened.text("echo", say="after it")
        assert (len(outcome.responses), outcome.failures) == (1, [])

    async def test_no_response_overtakes_what_came_before_it(self, subject: ClientTransport) -> None:
        """Progress comes in the server's order, before the response."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                for _ in range(20):
                    opened.messages.clear()
                    outcome = opened.begin_call("report", times=REPORTS)
                    await outcome.result()
                    steps = [params["progress"] for params in opened.params_of("notifications/progress")]
                    assert steps == list(range(1, REPORTS + 1))
                    assert outcome.messages_before == len(opened.messages)

    async def test_nothing_is_told_of_an_abandoned_request(self, subject: ClientTransport) -> None:
        """Its response may come or not: its handler hears nothing more."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                outcome = opened.begin_call("wait", name="abandoned")
                assert await opened.text("echo", say="it is under way") == "it is under way"
                outcome.abandon()
                await opened.text("release", name="abandoned")
                for number in range(3):
                    assert await opened.text("echo", say=str(number)) == str(number)
                outcome.abandon()  # once more, which does nothing
        assert (outcome.responses, outcome.failures) == ([], [])

    async def test_a_request_under_way_fails_when_the_connection_is_over(self, subject: ClientTransport) -> None:
        """Once, and so does a later one, which has not been sent."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                held = opened.begin_call("wait", name="for good")
                assert await opened.text("echo", say="it is under way") == "it is under way"
            await held.ended.wait()
            late = opened.begin_call("echo", say="anyone?")
            assert late.failures == []
            await late.ended.wait()
        assert (held.responses, [type(error) for error in held.failures]) == ([], [ConnectionDropped])
        assert (late.responses, [type(error) for error in late.failures]) == ([], [RequestNotSent])

    async def test_the_end_of_the_connection_is_told_once(self, subject: ClientTransport) -> None:
        """Also where the gateway itself closes it."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                assert await opened.text("echo", say="open") == "open"
                assert opened.closings == 0
        assert opened.closings == 1

    async def test_a_channel_that_was_paused_goes_on(self, subject: ClientTransport) -> None:
        """Nothing is lost meanwhile."""
        with anyio.fail_after(SECONDS):
            async with session(subject.connect(ANONYMOUS)) as opened:
                opened.channel.set_reading_paused(paused=True)
                outcome = opened.begin_call("report", times=REPORTS)
                opened.channel.set_reading_paused(paused=False)
                await outcome.result()
        assert opened.notified.count("notifications/progress") == REPORTS
