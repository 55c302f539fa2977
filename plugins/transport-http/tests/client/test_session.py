"""Sessions: their id, their stream, what is sent without a response, their end."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway_transport_http.client import session_stream

from mcp_gateway.plugin import ServerUnavailable, TransportFault

from .scripted_server import ANSWER, NEWS, events, response, scripted

INITIALIZE = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
CANCELLED = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}'
OPENED = b'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}'
ACCEPTED = response(b"", "202 Accepted")
NO_STREAM = response(b"", "405 Method Not Allowed")
MINE = "mcp-session-id: mine\r\n"

pytestmark = pytest.mark.parametrize("carrier", ["direct", "httpx"])


async def shake_hands(wire, opened=OPENED):
    heard, _ = wire.begin({}, INITIALIZE, 1)
    assert await heard.response() == opened
    await wire.channel.send(INITIALIZED, {})


def methods(wire):
    return [request.split(b" ")[0].decode() for request in wire.requests]


async def test_a_session_has_an_id_a_stream_and_an_end(carrier):
    answers = [response(OPENED, more=MINE), ACCEPTED, NO_STREAM, response(ANSWER), response(b"")]
    async with scripted(*answers, carrier=carrier) as wire:
        await shake_hands(wire)
        await wire.until_asked(3)
        assert await wire.send() == ANSWER
        await wire.channel.aclose()
    assert methods(wire) == ["POST", "POST", "GET", "POST", "DELETE"]
    assert b"mcp-session-id" not in wire.requests[0]
    for request in wire.requests[1:]:
        assert b"mcp-session-id: mine\r\n" in request
        assert b"mcp-protocol-version: 2025-06-18\r\n" in request
        assert b"authorization: Bearer me\r\n" in request
    assert wire.closings == [1]


async def test_a_version_that_comes_with_a_request_is_sent_once(carrier):
    answers = [response(OPENED, more=MINE), ACCEPTED, NO_STREAM, response(ANSWER)]
    async with scripted(*answers, carrier=carrier) as wire:
        await shake_hands(wire)
        await wire.until_asked(3)
        assert await wire.send({"mcp-protocol-version": "2025-06-18"}) == ANSWER
    assert wire.requests[3].count(b"mcp-protocol-version") == 1


@pytest.mark.parametrize(
    "answers",
    [
        [response(OPENED), ACCEPTED],
        [
            response(b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}', "400 Bad Request", more=MINE),
            ACCEPTED,
        ],
    ],
)
async def test_without_an_id_there_is_no_stream_and_no_end(carrier, answers):
    async with scripted(*answers, carrier=carrier) as wire:
        heard, _ = wire.begin({}, INITIALIZE, 1)
        await heard.response()
        await wire.channel.send(INITIALIZED, {})
        await wire.channel.aclose()
    assert methods(wire) == ["POST", "POST"]


async def test_only_initialize_opens_a_session(carrier):
    async with scripted(response(ANSWER, more=MINE), response(ANSWER), carrier=carrier) as wire:
        assert [await wire.send(), await wire.send()] == [ANSWER, ANSWER]
    assert not any(b"mcp-session-id" in request for request in wire.requests)


async def test_what_comes_on_the_stream_is_for_everybody(carrier):
    stream = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nid: 9\ndata: " + NEWS + b"\n\ndata: what\n\n"

    async def stay(writer):
        writer.write(stream)
        await writer.wait_closed()

    answers = [response(OPENED, more=MINE), ACCEPTED, stay, response(b"")]
    async with scripted(*answers, carrier=carrier) as wire:
        await shake_hands(wire)
        while not wire.unasked:
            await anyio.lowlevel.checkpoint()
        await wire.channel.aclose()
    assert wire.unasked == [NEWS]
    assert methods(wire) == ["POST", "POST", "GET", "DELETE"]


async def test_a_stream_that_ends_is_opened_again_where_it_ended(carrier, monkeypatch):
    monkeypatch.setattr(session_stream, "_MIN_DELAY", 0.0)
    stream = response(b"retry: 1\nid: 7\ndata: " + NEWS + b"\n\n", kind="text/event-stream")
    answers = [
        response(OPENED, more=MINE),
        ACCEPTED,
        stream,
        response(b"", "503 Busy"),
        stream,
        NO_STREAM,
        response(b""),
    ]
    async with scripted(*answers, carrier=carrier) as wire:
        await shake_hands(wire)
        await wire.until_asked(6)
        while len(wire.unasked) < 2:
            await anyio.lowlevel.checkpoint()
        await wire.channel.aclose()
    assert methods(wire) == ["POST", "POST", "GET", "GET", "GET", "GET", "DELETE"]
    assert [b"last-event-id: 7\r\n" in request for request in wire.requests[2:6]] == [False, True, True, True]


async def test_a_stream_that_ends_at_once_is_not_asked_for_without_end(carrier, monkeypatch):
    monkeypatch.setattr(session_stream, "_MIN_DELAY", 0.0)
    monkeypatch.setattr(session_stream, "_MAX_DELAY", 0.001)
    empty = response(b"retry: 0\n\n", kind="text/event-stream")
    answers = [response(OPENED, more=MINE), ACCEPTED, *[empty] * 30]
    async with scripted(*answers, carrier=carrier) as wire:
        await shake_hands(wire)
        await wire.until_asked(11)
        with anyio.move_on_after(0.2):
            await wire.until_asked(12)
        assert methods(wire)[2:] == ["GET"] * 9


@pytest.mark.parametrize("fruitless, delay", [(0, 1.0), (1, 1.0), (4, 8.0), (7, 60.0)])
async def test_the_pause_grows(carrier, fruitless, delay):
    async with scripted(carrier=carrier) as wire:
        stream = session_stream.SessionStream(wire.channel._link, print, wire.channel._dropped)
        stream._fruitless = fruitless
        stream._began = anyio.current_time()
        stream._schedule()
        assert stream._timer.when() - anyio.current_time() == pytest.approx(delay, abs=0.5)
        stream.end()


async def test_a_notification_that_is_slow_makes_no_request_wait(carrier):
    slow = anyio.Event()

    async def accept_late(writer):
        await slow.wait()
        writer.write(ACCEPTED)

    async with scripted(accept_late, response(ANSWER), carrier=carrier) as wire, anyio.create_task_group() as tasks:
        tasks.start_soon(wire.channel.send, CANCELLED, {"mcp-protocol-version": "x"})
        await wire.until_asked(1)
        assert await wire.send() == ANSWER
        slow.set()
    assert wire.requests[0].endswith(CANCELLED)


@pytest.mark.parametrize(
    "answer",
    [ACCEPTED, response(b"", "204 No Content", ""), response(b"{}"), events(NEWS), response(b"<p>", kind="text/html")],
)
async def test_whatever_success_says_a_notification_is_delivered(carrier, answer):
    async with scripted(answer, response(ANSWER), carrier=carrier) as wire:
        await wire.channel.send(CANCELLED, {})
        assert await wire.send() == ANSWER


@pytest.mark.parametrize(
    "answer, kind, words",
    [
        (response(b"no", "401 Unauthorized"), TransportFault.UNAUTHORIZED, "HTTP 401"),
        (response(b"no", "404 Not Found"), TransportFault.SESSION_LOST, "HTTP 404"),
        (
            response(b'{"error":{"code":-1,"message":"not now"}}', "400 Bad Request"),
            TransportFault.UNREACHABLE,
            "not now",
        ),
        (
            response(b"", "307 Moved", more="location: http://elsewhere.test/\r\n"),
            TransportFault.UNREACHABLE,
            "HTTP 307",
        ),
    ],
)
async def test_a_notification_that_is_refused_says_why(carrier, answer, kind, words):
    async with scripted(answer, carrier=carrier) as wire:
        wire.session.open("mine", "")
        with pytest.raises(MCPError, match=words) as caught:
            await wire.channel.send(CANCELLED, {})
        assert caught.value.error.code == kind


async def test_a_notification_on_a_connection_that_closes_says_so(carrier):
    async with scripted(b"", carrier=carrier) as wire:
        with pytest.raises(ServerUnavailable):
            await wire.channel.send(CANCELLED, {})
        await wire.channel.aclose()
        with pytest.raises(ServerUnavailable, match="ended"):
            await wire.channel.send(CANCELLED, {})


async def test_the_end_does_not_wait_for_a_server_that_is_silent(carrier):
    async with scripted(response(OPENED, more=MINE), ACCEPTED, NO_STREAM, None, carrier=carrier) as wire:
        await shake_hands(wire)
        await wire.until_asked(3)
        with anyio.fail_after(10):
            await wire.channel.aclose()
    assert methods(wire)[-1] == "DELETE"


async def test_a_session_that_is_cancelled_ends_all_the_same(carrier):
    async with scripted(response(OPENED, more=MINE), ACCEPTED, NO_STREAM, response(b""), carrier=carrier) as wire:
        await shake_hands(wire)
        await wire.until_asked(3)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await wire.channel.aclose()
    assert methods(wire)[-1] == "DELETE"


async def test_cookies_come_back_until_they_are_taken_away(carrier):
    more = "set-cookie: replica=7; Path=/; HttpOnly\r\nset-cookie: a=b\r\n"
    gone = "set-cookie: replica=; Max-Age=0; Path=/\r\n"
    answers = [response(ANSWER, more=more), response(ANSWER, more=gone), response(ANSWER)]
    async with scripted(*answers, carrier=carrier) as wire:
        for _ in answers:
            await wire.send()
    sent = [line for request in wire.requests for line in request.split(b"\r\n") if line.lower().startswith(b"cookie:")]
    assert sent == [b"cookie: replica=7; a=b", b"cookie: a=b"]


@pytest.mark.parametrize("value", ["a=\xd3", "\xff\xfe", "a", "=", "a=b; Max-Age=x", "a=b; expires=\xff"])
async def test_odd_cookies_and_ids_hurt_nobody(carrier, value):
    more = f"set-cookie: {value}\r\nmcp-session-id: {value}\r\n"
    async with scripted(response(OPENED, more=more), response(ANSWER), carrier=carrier) as wire:
        heard, _ = wire.begin({}, INITIALIZE, 1)
        assert await heard.response() == OPENED
        assert await wire.send() == ANSWER


async def test_an_id_that_cannot_be_sent_is_none(carrier):
    if carrier != "direct":
        pytest.skip("h11 refuses such a field")
    async with scripted(response(OPENED, more="mcp-session-id: a\x01b\r\n"), response(ANSWER)) as wire:
        heard, _ = wire.begin({}, INITIALIZE, 1)
        assert await heard.response() == OPENED
        assert await wire.send() == ANSWER
        assert b"mcp-session-id" not in wire.requests[1]


async def test_cookies_of_another_domain_are_not_kept(carrier):
    more = "set-cookie: a=b; Domain=elsewhere.test\r\n"
    async with scripted(response(ANSWER, more=more), response(ANSWER), carrier=carrier) as wire:
        assert [await wire.send(), await wire.send()] == [ANSWER, ANSWER]
    assert b"cookie" not in wire.requests[1].lower()
