"""Recovery: a server that fails is cut off, tried in the background, and back without anybody's doing."""

from __future__ import annotations

import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.catalog.server_health import State
from mcp_gateway.discovery import health_probe as module
from mcp_gateway.plugin import ANONYMOUS, AuthError, ServerUnavailable, TransportFault
from mcp_gateway.protocol.raw_json import decode_members, encode_members
from mcp_gateway.sessions import circuit_breaker as breaker
from mcp_gateway.sessions.circuit_breaker import CircuitOpen

from ..support.fake_channel import FakeServer
from ..support.fake_servers import Remote, text, tool, until


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(breaker, "SPACING_SECONDS", 0.0)


def state(opened, name="alpha"):
    return opened.gateway.registry.states[name]


async def ready(opened, name="alpha"):
    await until(lambda: state(opened, name).name is State.READY)


async def call(opened, name="alpha__x"):
    return decode_members(await opened.gateway.call(name, encode_members({"arguments": {}}), ANONYMOUS))


@pytest.fixture
def alpha():
    remote = Remote(tool("x"))
    remote.answers["x"] = text("done")
    return remote


async def test_a_server_that_crashes_is_started_again_by_itself(gateway, alpha):
    async with gateway({"alpha": alpha}) as opened:
        await ready(opened)
        await alpha.die()
        await until(lambda: len(alpha.opened) == 2)
        await ready(opened)


async def test_a_server_that_stays_away_is_down_and_refused_fast_until_it_is_back(gateway, alpha, monkeypatch):
    async with gateway({"alpha": alpha, "beta": Remote(tool("y"))}, alpha={"max_retries": 0}) as opened:
        await ready(opened)
        await ready(opened, "beta")
        alpha.refusal = OSError("no route")
        await alpha.die()
        await until(lambda: state(opened).name is State.DOWN)
        tried = len(alpha.opened)
        with pytest.raises(CircuitOpen, match=r"server 'alpha' is down since .*: OSError: no route; it is tried again"):
            await call(opened)
        assert [note.split(" since ")[0] for note in opened.gateway.registry.notes()] == ["alpha: down"]
        await until(lambda: len(alpha.opened) > tried + 1)
        alpha.refusal = None
        await ready(opened)
        assert (await call(opened))["content"] == text("done")["content"]
        assert opened.gateway.registry.notes() == []


async def test_a_server_that_was_never_there_comes_with_its_tools(gateway, alpha):
    alpha.refusal = OSError("no route")
    async with gateway({"alpha": alpha}, alpha={"max_retries": 0}) as opened:
        await until(lambda: state(opened).name is State.DOWN and len(alpha.opened) > 3)
        alpha.refusal = None
        await ready(opened)
        assert list(opened.gateway.registry.catalog.full_names()) == ["alpha__x"]


async def test_asking_for_the_tools_tries_a_server_that_is_cut_off_at_once(gateway, alpha, monkeypatch):
    async with gateway({"alpha": alpha}, alpha={"max_retries": 0}) as opened:
        await ready(opened)
        monkeypatch.setattr(module, "FIRST_PAUSE", 1000.0)
        monkeypatch.setattr(module, "LONGEST_PAUSE", 1000.0)
        failing = opened.gateway.pool.breakers.breaker_of(opened.gateway.registry.specs["alpha"])
        for _ in range(breaker.MAX_FAILURES):
            failing.record_failure(ServerUnavailable("no route"))
        with pytest.raises(CircuitOpen):
            await call(opened)
        await opened.gateway.discover("alpha", ANONYMOUS)
        assert state(opened).name is State.READY
        await call(opened)


async def test_a_refusal_of_credentials_is_an_answer(gateway):
    alpha = FakeServer()
    async with gateway(
        {"alpha": alpha}, alpha={"auth_type": "static", "auth_headers": {"Authorization": "a"}}
    ) as opened:
        await ready(opened)
        for _ in range(breaker.MAX_FAILURES + 1):
            alpha.faults.append(MCPError(TransportFault.UNAUTHORIZED, "HTTP 401"))
            with pytest.raises(AuthError, match="refused the credentials"):
                await call(opened)
        assert state(opened).name is State.READY
    assert len(alpha.requests) == breaker.MAX_FAILURES + 1


async def test_a_server_that_wants_the_callers_own_credentials_is_tried_without_any(gateway):
    alpha = Remote(tool("x"), credentials=True)
    async with gateway({"alpha": alpha}, alpha={"auth_type": "forward"}) as opened:
        await until(lambda: state(opened).name is State.NEEDS_LOGIN)
        failing = opened.gateway.pool.breakers.breaker_of(opened.gateway.registry.specs["alpha"])
        for _ in range(breaker.MAX_FAILURES):
            failing.record_failure(ServerUnavailable("no route"))
        assert state(opened).name is State.DOWN
        await until(lambda: state(opened).name is State.NEEDS_LOGIN)
        assert alpha.opened == [{}]


async def test_a_server_that_hangs_is_cut_off_and_its_session_replaced(gateway, alpha, monkeypatch):
    monkeypatch.setattr(module, "KNOCK_SECONDS", 0.05)
    async with gateway({"alpha": alpha}, alpha={"timeout": 0.2, "max_retries": 0}) as opened:
        await ready(opened)
        alpha.silent = True
        with pytest.raises(ServerUnavailable, match="gave no answer within"):
            await call(opened)
        await until(lambda: state(opened).name is State.DOWN)
        alpha.silent = False
        await ready(opened)
        assert len(alpha.opened) > 1


def test_the_pauses_grow_up_to_a_bound_and_are_never_quite_the_same(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 300.0)
    trying = module.HealthProber(discovery=None, tasks=None)
    pauses = [trying._pause("alpha") for _ in range(100)]
    assert all(2**n <= pause <= 1.5 * 2**n for n, pause in enumerate(pauses[:8]))
    assert all(300 <= pause <= 450 for pause in pauses[10:])
    assert len(set(pauses)) == 100
