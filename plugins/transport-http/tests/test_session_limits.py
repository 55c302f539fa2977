"""What clients have open over HTTP is bounded, and what is refused says so and when to try again."""

from __future__ import annotations

import anyio
import httpx2
import pytest
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp_gateway_transport_http.server import client_session
from mcp_gateway_transport_http.server.session_limits import caller_key

from .test_server_transport import serving

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
INFO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
TOKEN = "the-token-of-this-gateway"
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INFO}


async def initialize(client: httpx2.AsyncClient, **headers: str) -> httpx2.Response:
    return await client.post("/mcp", json=INITIALIZE, headers={**HEADERS, **headers})


async def ping(client: httpx2.AsyncClient, session: str) -> int:
    return (await client.post("/mcp", json=PING, headers={**HEADERS, "mcp-session-id": session})).status_code


def refusal(answer: httpx2.Response) -> str:
    assert int(answer.headers["retry-after"]) > 0
    error = answer.json()["error"]
    assert (error["code"], error["data"]["retryable"]) == (-31029, True)
    return str(error["message"])


async def test_one_caller_may_have_so_many_sessions_whatever_else_its_requests_say():
    async with serving(GATEWAY_MAX_SESSIONS_PER_CALLER="2", GATEWAY_AUTH_TOKEN=TOKEN) as client:
        client.headers["x-mcp-gateway-token"] = TOKEN
        first = await initialize(client, authorization="Bearer one")
        assert (await initialize(client, authorization="Bearer two")).status_code == 200
        refused = await initialize(client, authorization="Bearer three")
        assert refused.status_code == 429
        assert "GATEWAY_MAX_SESSIONS_PER_CALLER = 2" in refusal(refused)
        session = {"mcp-session-id": first.headers["mcp-session-id"], "authorization": "Bearer one"}
        assert (await client.delete("/mcp", headers={**HEADERS, **session})).status_code == 200
        assert (await initialize(client, authorization="Bearer three")).status_code == 200


async def test_many_requests_at_once_do_not_open_more():
    async with serving(GATEWAY_MAX_SESSIONS_PER_CALLER="2") as client:
        statuses: list[int] = []

        async def note() -> None:
            statuses.append((await initialize(client)).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(note)
    assert statuses.count(200) == 2


async def test_the_session_that_is_idle_for_the_longest_time_makes_room(monkeypatch):
    async with serving(GATEWAY_MAX_SESSIONS_PER_CALLER="2") as client:
        oldest, newer = [(await initialize(client)).headers["mcp-session-id"] for _ in range(2)]
        assert await ping(client, oldest) == 200
        assert (await initialize(client)).status_code == 429  # both were used lately
        monkeypatch.setattr(client_session, "LIVE_SECONDS", 0.0)
        assert (await initialize(client)).status_code == 200
        monkeypatch.undo()
        assert [await ping(client, session) for session in (oldest, newer)] == [200, 404]


async def test_a_session_with_an_open_stream_makes_no_room(monkeypatch):
    monkeypatch.setattr(client_session, "LIVE_SECONDS", 0.0)
    async with serving(GATEWAY_MAX_SESSIONS_PER_CALLER="1") as client:
        session = (await initialize(client)).headers["mcp-session-id"]
        async with anyio.create_task_group() as tasks:
            opened = anyio.Event()
            tasks.start_soon(listen, client, {"mcp-session-id": session}, opened)
            with anyio.fail_after(30):
                await opened.wait()
            assert (await initialize(client)).status_code == 429
            tasks.cancel_scope.cancel()
        with anyio.fail_after(30):
            while (await initialize(client)).status_code != 200:  # noqa: ASYNC110  # the stream's end is on the other side
                await anyio.sleep(0.02)
        assert await ping(client, session) == 404


async def test_who_has_the_most_sessions_makes_room_when_there_are_too_many_in_all(monkeypatch):
    monkeypatch.setattr(client_session, "LIVE_SECONDS", 0.0)
    async with serving(GATEWAY_MAX_SESSIONS="2") as client:
        ghost = (await initialize(client)).headers["mcp-session-id"]
        assert (await initialize(client)).status_code == 200
        assert (await initialize(client)).status_code == 200
        assert await ping(client, ghost) == 404


def scope_of(host: str, **more: object) -> dict[str, object]:
    return {"type": "http", "client": (host, 1), "headers": [(b"authorization", b"Bearer x")], **more}


def test_a_caller_is_the_principal_or_else_the_network():
    access = AccessToken(token="t", client_id="c", scopes=[], subject="ann", claims={"iss": "https://login.example"})
    ann = AuthenticatedUser(access)
    assert caller_key(scope_of("10.0.0.1", user=ann)) == caller_key(scope_of("10.0.0.2", user=ann))
    assert caller_key(scope_of("10.0.0.1")) != caller_key(scope_of("10.0.0.2"))
    assert caller_key(scope_of("2001:db8::1")) == caller_key(scope_of("2001:db8::2"))


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
