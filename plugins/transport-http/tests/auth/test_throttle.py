"""Wrong tokens: their refusals wait, ever longer, and nothing else does."""

import anyio
import pytest
from mcp_gateway_transport_http.auth import throttle as throttles
from mcp_gateway_transport_http.auth.bearer import BearerAuthMiddleware
from mcp_gateway_transport_http.auth.throttle import FIRST_PAUSE, FORGET_SECONDS, LONGEST_PAUSE, Throttle
from mcp_gateway_transport_http.options import ListenOptions

TOKEN = "the-gateways-own"
HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_each_refusal_takes_longer_for_its_address_up_to_a_bound():
    throttle = Throttle()
    pauses = [throttle.count(HERE, number) for number in range(50)]
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[1] > pauses[0]
    assert pauses[-1] == LONGEST_PAUSE
    assert throttle.count(THERE, 50) == FIRST_PAUSE


def test_an_address_that_was_quiet_begins_anew():
    throttle = Throttle()
    assert throttle.count(HERE, 0) < throttle.count(HERE, 1)
    assert throttle.count(HERE, 1 + FORGET_SECONDS) == FIRST_PAUSE


def test_addresses_take_bounded_memory_and_the_quietest_goes_first(monkeypatch):
    monkeypatch.setattr(throttles, "MAX_ADDRESSES", 3)
    throttle = Throttle()
    for number in range(100):
        throttle.count(f"192.0.2.{number}", 0)
        throttle.count(HERE, 0)
    assert len(throttle) == 3
    assert throttle.count(HERE, 0) == LONGEST_PAUSE


async def test_few_refusals_wait_at_a_time_and_others_are_told_at_once(monkeypatch):
    monkeypatch.setattr(throttles, "FIRST_PAUSE", 1000.0)
    monkeypatch.setattr(throttles, "LONGEST_PAUSE", 1000.0)
    monkeypatch.setattr(throttles, "MAX_WAITING_OF_ADDRESS", 2)
    monkeypatch.setattr(throttles, "MAX_WAITING", 3)
    throttle = Throttle()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for address in (HERE, HERE, THERE):
                tasks.start_soon(throttle.delay_refusal, address)
            await anyio.wait_all_tasks_blocked()
            assert await throttle.delay_refusal(HERE) is False  # two of this address
            assert await throttle.delay_refusal(THERE) is False  # three in all
            tasks.cancel_scope.cancel()
        assert not throttle._waiting


async def test_wrong_tokens_are_logged_at_once_and_then_once_a_minute_with_their_number(monkeypatch, caplog):
    monkeypatch.setattr(throttles, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(throttles, "LONGEST_PAUSE", 0.0)
    throttle = Throttle()
    for _ in range(5):
        await throttle.delay_refusal(HERE)
    assert [(record.requests, record.last_client) for record in caplog.records] == [(1, "192.0.2.1")]
    throttle._write()  # a minute later
    assert (caplog.records[-1].requests, caplog.records[-1].last_client) == (4, "192.0.2.1")
    throttle._write()  # another one later
    assert [record.getMessage() for record in caplog.records] == ["invalid token refused"] * 2


@pytest.mark.parametrize("brought, waits", [(TOKEN, False), ("wrong", True), (None, False)])
async def test_only_who_has_brought_a_wrong_token_waits(monkeypatch, brought, waits):
    waited: list[str] = []

    async def delay(_self: Throttle, host: str) -> bool:
        waited.append(host)
        return False

    monkeypatch.setattr(Throttle, "delay_refusal", delay)
    answers: list[dict[str, object]] = []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        answers.append({"status": 200})

    async def send(message: dict[str, object]) -> None:
        answers.append(message)

    gate = BearerAuthMiddleware(app, ListenOptions.model_validate({"GATEWAY_AUTH_TOKEN": TOKEN}))
    for name in (b"authorization", b"x-mcp-gateway-token"):
        value = b"" if brought is None else (b"Bearer " if name == b"authorization" else b"") + brought.encode()
        headers = [(b"host", b"localhost"), *([(name, value)] if brought is not None else [])]
        scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers, "client": (HERE, 1)}
        await gate(scope, None, send)  # type: ignore[arg-type]
        assert answers[0]["status"] == (200 if brought == TOKEN else 401)
        closes = (b"connection", b"close") in answers[0].get("headers", [])  # type: ignore[operator]
        assert closes is waits  # here as many wait as may, so that it is told at once
        answers.clear()
    assert waited == ([HERE, HERE] if waits else [])
