"""Streams that break: who comes back with the id of the last event gets the rest, and the response."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream
from mcp.client import Client

from mcp_gateway.plugin import RawResponse, ResponseWriter

from ..support import RawServer, open_server

HERE = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": "0", "GATEWAY_SHUTDOWN_GRACE": "0"}
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
INFO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INFO}
BODY = b'{"plain":1}'


class Telling(RawServer):
    """Tells so many things of a call that it holds."""

    news = 1

    def dispatch_raw(self, *given: Any) -> Callable[[], None] | None:
        abandon = super().dispatch_raw(*given)
        if self.held is not None and abandon is not None:
            asyncio.get_running_loop().call_soon(self.tell, given[-1])
        return abandon

    def tell(self, writer: ResponseWriter) -> None:
        for number in range(self.news):
            writer.write(b'{"news":%d}' % number)


class Session:
    """A session of a client at a server that answers when the test says so."""

    def __init__(self, client: httpx2.AsyncClient, server: Telling, headers: dict[str, str]) -> None:
        self.client, self.server, self.headers = client, server, headers

    async def lose_call(self, news: int = 1) -> str:
        """Call, take some news, and lose the connection; return the id of the last event."""
        self.server.news = news
        async with self.client.stream("POST", "/mcp", content=BODY, headers=self.headers) as response:
            events = [event async for event in read_events(response, news)]
        return events[-1][0]

    @asynccontextmanager
    async def resumed(self, last: str) -> AsyncIterator[httpx2.Response]:
        headers = {**self.headers, "last-event-id": last}
        async with self.client.stream("GET", "/mcp", headers=headers) as response:
            assert response.status_code == 200
            yield response


@asynccontextmanager
async def opened() -> AsyncIterator[Session]:
    server = Telling()
    with anyio.fail_after(60):
        async with (
            open_server(server.served(), HERE, 60) as port,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            greeting = await client.post("/mcp", json=INITIALIZE, headers=HEADERS)
            session = {"mcp-session-id": greeting.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
            server.hold()
            yield Session(client, server, {**HEADERS, **session})


async def read_events(response: httpx2.Response, count: int = 0) -> AsyncIterator[tuple[str, str]]:
    """Read events with data: so many, or all; yield their ids and data."""
    last, taken = "", 0
    async for line in response.aiter_lines():
        if line.startswith("id: "):
            last = line[4:]
        elif line.startswith("data: ") and line[6:]:
            taken += 1
            yield last, line[6:]
            if taken == count:
                return


async def test_what_was_told_and_answered_after_the_connection_broke_comes_to_who_comes_back():
    async with opened() as session:
        last = await session.lose_call(2)
        writer = session.server.calls[-1].writer
        writer.write(b'{"news":2}')
        writer.finish(RawResponse(b'{"answer":1}'))
        async with session.resumed(last) as response:
            events = [data async for _, data in read_events(response)]
    assert events == ['{"news":2}', '{"answer":1}']
    assert not session.server.abandoned.is_set()


async def test_who_comes_back_before_the_answer_hears_all_of_it_as_it_comes():
    async with opened() as session:
        last = await session.lose_call()
        writer = session.server.calls[-1].writer
        async with session.resumed(last) as response:
            events = read_events(response)
            writer.write(b'{"news":1}')
            assert (await anext(events))[1] == '{"news":1}'
            writer.finish(RawResponse(b'{"answer":1}'))
            assert [data async for _, data in events] == ['{"answer":1}']


async def test_who_loses_the_second_connection_too_may_come_back_again():
    async with opened() as session:
        last = await session.lose_call()
        writer = session.server.calls[-1].writer
        writer.write(b'{"news":1}')
        async with session.resumed(last) as response:
            last, _ = await anext(read_events(response))
        writer.finish(RawResponse(b'{"answer":1}'))
        async with session.resumed(last) as response:
            assert [data async for _, data in read_events(response)] == ['{"answer":1}']


async def test_other_requests_of_the_session_are_served_meanwhile():
    async with opened() as session:
        await session.lose_call()
        session.server.held = None
        answer = await session.client.post("/mcp", content=b'{"plain":2}', headers=session.headers)
    assert answer.json() == {"plain": 2}


async def test_the_events_of_a_session_are_for_nobody_else():
    async with opened() as session:
        last = await session.lose_call()
        session.server.calls[-1].writer.finish(RawResponse(b'{"answer":1}'))
        greeting = await session.client.post("/mcp", json=INITIALIZE, headers=HEADERS)
        session.headers["mcp-session-id"] = greeting.headers["mcp-session-id"]
        async with session.resumed(last) as response:
            assert [data async for _, data in read_events(response)] == []


async def test_a_session_that_is_ended_lets_nobody_wait():
    async with opened() as session:
        last = await session.lose_call()
        async with session.resumed(last) as response:
            assert (await session.client.delete("/mcp", headers=session.headers)).status_code == 200
            assert [data async for _, data in read_events(response)] == []


@pytest.mark.parametrize("version", ["2025-06-18", "2025-03-26", None])
async def test_events_have_ids_for_older_clients_too(version):
    async with opened() as session:
        session.headers.pop("mcp-protocol-version")
        session.headers |= {"mcp-protocol-version": version} if version else {}
        last = await session.lose_call()
        session.server.calls[-1].writer.finish(RawResponse(b'{"answer":1}'))
        async with session.resumed(last) as response:
            assert [data async for _, data in read_events(response)] == ['{"answer":1}']


async def test_a_client_of_the_modern_era_that_leaves_abandons_its_call():
    async with opened() as session:
        session.headers |= {"mcp-protocol-version": "2026-07-28"}
        assert await session.lose_call() == ""
        await session.server.abandoned.wait()


# -- the SDK's own client, over a wire that breaks


class Calls(RawServer):
    """Answers calls of tools, when the test says so, after a report."""

    def dispatch_raw(self, message: bytes, *more: Any) -> Callable[[], None] | None:
        if b'"tools/call"' not in message:
            return None
        self.came.set()
        self.message, self.writer = json.loads(message), more[-1]
        asyncio.get_running_loop().call_soon(self.report, 1)
        return self.abandoned.set

    def report(self, number: int) -> None:
        params = {"progressToken": self.message["params"]["_meta"]["progressToken"], "progress": number}
        news = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
        self.writer.write(json.dumps(news).encode())

    def conclude(self) -> None:
        result = {"content": [{"type": "text", "text": "done"}]}
        answer = {"jsonrpc": "2.0", "id": self.message["id"], "result": result}
        self.writer.finish(RawResponse(json.dumps(answer).encode()))


class Wire:
    """Passes bytes on to a port until it is cut; later connections pass."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._scopes: list[anyio.CancelScope] = []

    async def serve(self, client: SocketStream) -> None:
        async with client, await anyio.connect_tcp("127.0.0.1", self._port) as server:
            with anyio.CancelScope() as scope:
                self._scopes.append(scope)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._copy, client, server)
                    tasks.start_soon(self._copy, server, client)

    async def _copy(self, source: SocketStream, sink: SocketStream) -> None:
        with contextlib.suppress(anyio.BrokenResourceError):
            async for data in source:
                await sink.send(data)

    def cut(self) -> None:
        for scope in self._scopes:
            scope.cancel()


@pytest.mark.parametrize("is_away", [True, False], ids=["the answer before it is back", "the answer after"])
async def test_the_sdks_client_gets_reports_and_answer_over_a_wire_that_breaks(is_away):
    server, reports, result = Calls(), anyio.Event(), anyio.Event()
    heard: list[float] = []

    async def on_progress(progress: float, _total: float | None, _message: str | None) -> None:
        heard.append(progress)
        reports.set()

    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(60))
        wire = Wire(await stack.enter_async_context(open_server(server.served(), HERE, 60)))
        listener = await stack.enter_async_context(await anyio.create_tcp_listener(local_host="127.0.0.1"))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(listener.serve, wire.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with Client(f"http://127.0.0.1:{port}/mcp", mode="legacy") as client, anyio.create_task_group() as calls:

            async def call() -> None:
                answer = await client.call_tool("echo", {}, progress_callback=on_progress)
                assert answer.content[0].text == "done"
                result.set()

            calls.start_soon(call)
            await reports.wait()
            reports = anyio.Event()
            wire.cut()
            server.report(2)
            if is_away:
                server.conclude()
            else:
                await reports.wait()
                server.conclude()
            await result.wait()
        assert heard == [1, 2]
        assert not server.abandoned.is_set()
        tasks.cancel_scope.cancel()
