"""What clients have open over HTTP is bounded, and what is refused says so and when to try again."""

from __future__ import annotations

import anyio
import httpx2
import pytest

from .test_server_transport import serving

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
INFO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INFO}


async def initialize(client: httpx2.AsyncClient, **headers: str) -> httpx2.Response:
    return await client.post("/mcp", json=INITIALIZE, headers={**HEADERS, **headers})


def refusal(answer: httpx2.Response) -> str:
    assert int(answer.headers["retry-after"]) > 0
    error = answer.json()["error"]
    assert (error["code"], error["data"]["retryable"]) == (-31029, True)
    return str(error["message"])


async def test_one_caller_may_have_so_many_sessions_and_another_one_as_many():
    async with serving(GATEWAY_MAX_SESSIONS_PER_CALLER="2") as client:
        first = await initialize(client, authorization="Bearer one")
        assert (await initialize(client, authorization="Bearer one")).status_code == 200
        refused = await initialize(client, authorization="Bearer one")
        assert refused.status_code == 429
        assert "GATEWAY_MAX_SESSIONS_PER_CALLER = 2" in refusal(refused)
        assert (await initialize(client, authorization="Bearer two")).status_code == 200
        session = {"mcp-session-id": first.headers["mcp-session-id"], "authorization": "Bearer one"}
        assert (await client.delete("/mcp", headers={**HEADERS, **session})).status_code == 200
        assert (await initialize(client, authorization="Bearer one")).status_code == 200


async def test_what_does_not_come_to_a_session_does_not_count():
    async with serving(GATEWAY_MAX_SESSIONS_PER_CALLER="1") as client:
        for _ in range(3):
            assert (await client.post("/mcp", content=b"{}", headers=HEADERS)).status_code == 400
        assert (await initialize(client)).status_code == 200


async def test_all_callers_together_may_have_so_many():
    async with serving(GATEWAY_MAX_SESSIONS="1") as client:
        assert (await initialize(client)).status_code == 200
        refused = await initialize(client, authorization="Bearer two")
        assert refused.status_code == 503
        assert "1 sessions are open, as many as may be (GATEWAY_MAX_SESSIONS)" in refusal(refused)


async def test_a_session_that_is_not_used_ends_and_makes_room():
    async with serving(GATEWAY_MAX_SESSIONS="1", MCP_GATEWAY_SESSION_IDLE_TIMEOUT="0.05") as client:
        assert (await initialize(client)).status_code == 200
        with anyio.fail_after(30):
            while (await initialize(client)).status_code != 200:  # noqa: ASYNC110  # the session's end is on the other side
                await anyio.sleep(0.02)


async def test_so_many_requests_may_be_open():
    async with serving(GATEWAY_MAX_REQUESTS="1") as client:
        session = {"mcp-session-id": (await initialize(client)).headers["mcp-session-id"]}
        async with anyio.create_task_group() as tasks:
            opened = anyio.Event()
            tasks.start_soon(listen, client, session, opened)
            with anyio.fail_after(30):
                await opened.wait()
            refused = await initialize(client)
            assert refused.status_code == 503
            assert "GATEWAY_MAX_REQUESTS" in refusal(refused)
            assert (await client.get("/health")).status_code == 200
            tasks.cancel_scope.cancel()


async def listen(client: httpx2.AsyncClient, session: dict[str, str], opened: anyio.Event) -> None:
    """Open the session's stream, once there is room for it."""
    while True:
        async with client.stream("GET", "/mcp", headers={**HEADERS, **session}) as stream:
            if stream.status_code == 200:
                opened.set()
                await anyio.sleep_forever()


@pytest.mark.parametrize("other", [{"authorization": "Bearer two"}, {}], ids=["another", "none"])
async def test_a_session_is_unknown_to_who_brings_another_credential(other):
    async with serving() as client:
        session = {"mcp-session-id": (await initialize(client, authorization="Bearer one")).headers["mcp-session-id"]}
        unknown = await client.post("/mcp", json=PING, headers={**HEADERS, **other, "mcp-session-id": "0" * 32})
        for refused in (
            await client.post("/mcp", json=PING, headers={**HEADERS, **session, **other}),
            await client.get("/mcp", headers={**HEADERS, **session, **other}),
            await client.get("/mcp", headers={**HEADERS, **session, **other, "last-event-id": "1"}),
            await client.delete("/mcp", headers={**session, **other}),
        ):
            assert (refused.status_code, refused.json()) == (unknown.status_code, unknown.json())
            assert refused.status_code == 404
        own = {**session, "authorization": "Bearer one"}
        assert (await client.post("/mcp", json=PING, headers={**HEADERS, **own})).status_code == 200
