"""Calls that wait for answers of their clients: for whom, for how long, and how many of them."""

from __future__ import annotations

import anyio
import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.gateway import suspended_calls as module
from mcp_gateway.gateway.suspended_calls import SuspendedCalls
from mcp_gateway.protocol.client_channel import ALONE
from mcp_gateway.protocol.raw_json import decode_members, encode_members

from ..support.fake_servers import until


def owner(name):
    """Return what names the owner of a call."""
    return lambda: ("server", name, "digest")


ANN, BOB = owner("ann"), owner("bob")
NAME = {"message": "Your name?", "vendor": [None]}
ADA = {"action": "accept", "content": {"name": "Ada"}}


class ReadCalls(SuspendedCalls):
    """Suspended calls whose results are read."""

    async def begin(self, *arguments):
        return decode_members(await super().begin(*arguments))

    async def resume(self, *arguments):
        return decode_members(await super().resume(*arguments))


@pytest.fixture
def suspended():
    return ReadCalls()


class AskingServer:
    """Asks its questions one after the other, or all at once, and answers with what it was told."""

    def __init__(self, *questions, together=False):
        self.questions = questions or (NAME,)
        self.together = together
        self.received = []
        self.cancelled = False

    async def __call__(self, channel):
        try:
            if self.together:
                async with anyio.create_task_group() as tasks:
                    for question in self.questions:
                        tasks.start_soon(self.ask, channel, question)
            else:
                for question in self.questions:
                    await self.ask(channel, question)
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise
        return encode_members({"told": self.received})

    async def ask(self, channel, question):
        self.received.append(await channel.ask("elicitation/create", question))


def answers(result, *given):
    return dict(zip(result["inputRequests"], given or [ADA] * len(result["inputRequests"]), strict=False))


def state(result):
    return result["requestState"]


async def refusal_of(suspended, owner, named, given=None):
    with pytest.raises(MCPError) as refusal:
        await suspended.resume(owner, named, given or {}, ALONE)
    assert refusal.value.code == types.INVALID_PARAMS
    return str(refusal.value)


async def test_a_question_is_the_result_and_its_answer_brings_the_call_s_own(suspended):
    asked = await suspended.begin(ANN, AskingServer(), ALONE)
    assert asked["resultType"] == "input_required"
    assert list(asked["inputRequests"].values()) == [{"method": "elicitation/create", "params": NAME}]
    assert len(suspended) == 1
    typed = {"resultType": "complete", **ADA}
    assert await suspended.resume(ANN, state(asked), answers(asked, typed), ALONE) == {"told": [ADA]}
    assert len(suspended) == 0


async def test_a_call_without_questions_is_not_suspended(suspended):
    async def send(_):
        return encode_members({"content": []})

    assert await suspended.begin(ANN, send, ALONE) == {"content": []}
    assert len(suspended) == 0


async def test_what_only_the_handshake_era_has_is_taken_off(suspended):
    asked = await suspended.begin(ANN, AskingServer({"mode": "url", "elicitationId": "e"}), ALONE)
    assert [request["params"] for request in asked["inputRequests"].values()] == [{"mode": "url"}]


async def test_questions_that_come_together_are_asked_together(suspended):
    asked = await suspended.begin(ANN, AskingServer({"n": 1}, {"n": 2}, together=True), ALONE)
    assert [request["params"]["n"] for request in asked["inputRequests"].values()] == [1, 2]


async def test_what_was_not_answered_is_asked_again(suspended):
    asked = await suspended.begin(ANN, AskingServer({"n": 1}, {"n": 2}, together=True), ALONE)
    first, second = asked["inputRequests"]
    again = await suspended.resume(ANN, state(asked), {first: ADA}, ALONE)
    assert list(again["inputRequests"]) == [second]
    assert state(again) != state(asked)
    assert await suspended.resume(ANN, state(again), {second: {"action": "decline"}}, ALONE) == {
        "told": [ADA, {"action": "decline"}]
    }


async def test_a_repetition_without_answers_asks_the_same(suspended):
    asked = await suspended.begin(ANN, AskingServer(), ALONE)
    for nothing in (None, {}, [], {"other": ADA}, {next(iter(asked["inputRequests"])): "text"}):
        assert await suspended.resume(ANN, state(asked), nothing, ALONE) == asked
    assert await suspended.resume(ANN, state(asked), answers(asked), ALONE) == {"told": [ADA]}


async def test_a_state_works_once_for_its_owner_and_for_nobody_else(suspended):
    asked = await suspended.begin(ANN, AskingServer(), ALONE)
    assert "Invalid or expired" in await refusal_of(suspended, BOB, state(asked), answers(asked))
    for wrong in (None, 7, "", state(asked)[:-1], [state(asked)]):
        await refusal_of(suspended, ANN, wrong, answers(asked))
    assert await suspended.resume(ANN, state(asked), answers(asked), ALONE) == {"told": [ADA]}
    await refusal_of(suspended, ANN, state(asked), answers(asked))


async def test_equal_calls_have_states_of_their_own(suspended):
    one, two = [await suspended.begin(ANN, AskingServer({"n": number}), ALONE) for number in (1, 2)]
    assert state(one) != state(two)
    for asked in (two, one):
        assert await suspended.resume(ANN, state(asked), answers(asked), ALONE) == {"told": [ADA]}


async def test_a_state_of_another_replica_is_refused_with_the_reason(suspended):
    asked = await ReadCalls().begin(ANN, AskingServer(), ALONE)
    assert "waits in another replica of the gateway" in await refusal_of(suspended, ANN, state(asked), answers(asked))


async def test_a_call_that_nobody_takes_up_ends_and_is_forgotten(suspended, monkeypatch):
    monkeypatch.setattr(module, "PARKED_SECONDS", 0.05)
    server = AskingServer()
    asked = await suspended.begin(ANN, server, ALONE)
    await until(lambda: server.cancelled)
    assert "expired" in await refusal_of(suspended, ANN, state(asked), answers(asked))
    assert len(suspended) == 0


async def test_a_call_that_was_taken_up_has_all_the_time_it_needs(suspended, monkeypatch):
    monkeypatch.setattr(module, "PARKED_SECONDS", 0.05)
    asked_once, go_on = anyio.Event(), anyio.Event()

    async def send(channel):
        received = await channel.ask("roots/list", {})
        asked_once.set()
        await go_on.wait()
        return encode_members(received)

    asked = await suspended.begin(ANN, send, ALONE)
    async with anyio.create_task_group() as tasks:

        async def take_up():
            assert await suspended.resume(ANN, state(asked), answers(asked), ALONE) == ADA

        tasks.start_soon(take_up)
        await asked_once.wait()
        await anyio.sleep(0.1)  # longer than it could have stayed parked
        go_on.set()


async def test_only_so_many_calls_may_wait(suspended, monkeypatch):
    monkeypatch.setattr(module, "MAX_PARKED", 2)
    waiting = [await suspended.begin(ANN, AskingServer(), ALONE) for _ in range(2)]
    with pytest.raises(MCPError, match="2 calls are waiting for their clients"):
        await suspended.begin(ANN, AskingServer(), ALONE)
    assert await suspended.resume(ANN, state(waiting[0]), answers(waiting[0]), ALONE) == {"told": [ADA]}
    assert state(await suspended.begin(ANN, AskingServer(), ALONE))


async def test_a_client_that_leaves_takes_its_call_along(suspended):
    began, server = anyio.Event(), AskingServer()

    async def send(channel):
        await server.ask(channel, NAME)
        began.set()
        return await _forever(server)

    asked = await suspended.begin(ANN, send, ALONE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(suspended.resume, ANN, state(asked), answers(asked), ALONE)
        await began.wait()
        tasks.cancel_scope.cancel()
    await until(lambda: server.cancelled)
    assert len(suspended) == 0


async def _forever(server):
    try:
        await anyio.sleep_forever()
    finally:
        server.cancelled = True


@pytest.mark.parametrize("failure", [None, MCPError(-31999, "mine", {"k": None})])
async def test_what_became_of_a_suspended_call_is_the_answer_when_it_is_resumed(suspended, failure):
    over = anyio.Event()

    async def send(channel):
        with anyio.move_on_after(0.05):
            await channel.ask("roots/list", {})
        over.set()
        if failure is not None:
            raise failure
        return encode_members({"content": []})

    asked = await suspended.begin(ANN, send, ALONE)
    await over.wait()
    if failure is None:
        assert await suspended.resume(ANN, state(asked), {}, ALONE) == {"content": []}
    else:
        with pytest.raises(MCPError, match="mine"):
            await suspended.resume(ANN, state(asked), {}, ALONE)
