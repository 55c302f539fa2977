"""Requests of a session: every way in which a server can answer, or not."""

from __future__ import annotations

import asyncio
import socket

import anyio
import anyio.lowlevel
import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway_transport_http.client.carriers.direct_carrier import DirectCarrier

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable, TransportFault

from .scripted_server import ANSWER, MESSAGE, NEWS, Early, chunked, events, response, scripted

UNREACHABLE, UNAUTHORIZED, LOST = TransportFault.UNREACHABLE, TransportFault.UNAUTHORIZED, TransportFault.SESSION_LOST
FOREIGN = ANSWER.replace(b":5", b":7")
UNKNOWN = b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32001,"message":"Session not found"}}'

pytestmark = pytest.mark.parametrize("carrier", ["direct", "httpx"])


async def fault(wire):
    """Send, and return what is answered in the server's place: which fault, and the status."""
    with pytest.raises(MCPError) as caught:
        await wire.send()
    return caught.value.error.code, caught.value.error.data["status"]


async def test_a_request_says_where_it_goes_who_sends_it_and_what_it_is(carrier):
    async with scripted(response(ANSWER), carrier=carrier) as wire:
        assert await wire.send({"mcp-name": "x"}) == ANSWER
    head, body = wire.requests[0].split(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    names = [line.partition(":")[0].lower() for line in lines]
    assert first == "POST /mcp?a=b HTTP/1.1"
    assert len(names) == len(set(names))
    assert {"authorization: Bearer me", "mcp-name: x", "accept-encoding: identity"} < set(lines)
    assert f"content-length: {len(MESSAGE)}" in head.decode().lower()
    assert body == MESSAGE


async def test_a_connection_is_used_again(carrier):
    answers = [response(ANSWER), events(ANSWER), chunked(b"data: " + ANSWER + b"\n\n"), response(ANSWER)]
    async with scripted(*answers, carrier=carrier) as wire:
        for _ in answers:
            assert await wire.send() == ANSWER
            await anyio.lowlevel.checkpoint()
        assert (len(wire.requests), wire.connections) == (4, 1)


async def test_a_stream_whose_terminator_comes_late_gives_its_connection_back_when_it_comes(carrier):
    ended = anyio.Event()
    whole = chunked(b"data: " + ANSWER + b"\n\n")

    async def late(writer):
        writer.write(whole.removesuffix(b"0\r\n\r\n"))
        await ended.wait()
        writer.write(b"0\r\n\r\n")

    async with scripted(late, response(ANSWER), carrier=carrier) as wire:
        assert await wire.send() == ANSWER
        ended.set()
        while wire.channel._link.exchanges:
            await anyio.lowlevel.checkpoint()
        assert await wire.send() == ANSWER
        assert wire.connections == 1


async def test_a_stream_that_goes_on_after_the_response_is_closed(carrier):
    gone = anyio.Event()

    async def endless(writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: " + ANSWER + b"\n\n")
        try:
            while True:
                writer.write(b": still here\n\n")
                await writer.drain()
                await anyio.sleep(0.01)
        finally:
            gone.set()

    async with scripted(endless, carrier=carrier) as wire:
        assert await wire.send() == ANSWER
        await gone.wait()


async def test_heads_that_come_again_are_known_whatever_comes_between(carrier):
    longer = ANSWER.replace(b"{}", b'{"content":[]}')
    answers = [ANSWER, longer, ANSWER, longer, ANSWER]
    written = [response(answer) for answer in answers]
    written[2] = events(ANSWER)
    written[3] = response(longer, more="x: y\r\n")
    async with scripted(*written, carrier=carrier) as wire:
        assert [await wire.send() for _ in answers] == answers
    assert len(wire.requests) == len(answers)


async def test_a_refusal_behind_a_head_that_is_known_is_one(carrier):
    answers = [response(ANSWER), response(ANSWER), response(b"no", "502 Bad Gateway")]
    async with scripted(*answers, carrier=carrier) as wire:
        for _ in range(2):
            assert await wire.send() == ANSWER
        assert await fault(wire) == (UNREACHABLE, 502)


INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\ncontent-type: text/event-stream\r\nretry-after: 9\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-encoding: gzip\r\n\r\n",
    b"HTTP/1.1 199 What\r\n\r\n",
]


@pytest.mark.parametrize("final", [response(ANSWER), events(NEWS, ANSWER)])
@pytest.mark.parametrize("interim", [*INTERIM, b"".join(INTERIM)])
@pytest.mark.parametrize("apart", [True, False])
async def test_interim_responses_are_not_the_answer_and_not_a_head_that_is_known(carrier, interim, final, apart):
    gone = asyncio.Event()

    async def in_two_pieces(writer):
        writer.write(interim)
        await writer.drain()
        await gone.wait()
        writer.write(final)

    answers = [response(ANSWER), in_two_pieces if apart else interim + final, response(ANSWER), response(ANSWER)]
    async with scripted(*answers, carrier=carrier) as wire:
        assert await wire.send() == ANSWER
        asyncio.get_running_loop().call_later(0.05, gone.set)
        for _ in range(3):
            assert await wire.send() == ANSWER
    assert len(wire.requests) == 4


@pytest.mark.parametrize("more", ["", "connection: upgrade\r\nupgrade: h2c\r\n"])
async def test_a_protocol_that_nobody_asked_for_is_an_error(carrier, more):
    switched = f"HTTP/1.1 101 Switching Protocols\r\n{more}\r\n".encode()
    async with scripted(switched + response(ANSWER), carrier=carrier) as wire:
        with pytest.raises((ConnectionDropped, MCPError)):
            await wire.send()
    assert len(wire.requests) == 1


async def test_what_follows_a_response_is_not_taken_for_the_next_one(carrier):
    if carrier != "direct":
        pytest.skip("httpx reads it as the next one; its id gives it away")
    stray = ANSWER.replace(b"{}", b'{"content":["stray"]}')
    async with scripted(response(ANSWER) + response(stray), response(ANSWER), carrier=carrier) as wire:
        assert [await wire.send(), await wire.send()] == [ANSWER, ANSWER]
    assert len(wire.requests) == 2


async def test_what_comes_before_the_answer_is_told_in_order_to_its_handler(carrier):
    other = NEWS.replace(b"message", b"progress")
    async with scripted(events(NEWS, other, NEWS, ANSWER, other), carrier=carrier) as wire:
        heard, _ = wire.begin()
        assert await heard.response() == ANSWER
        assert heard.messages == [NEWS, other, NEWS]
        while not wire.unasked:
            await anyio.lowlevel.checkpoint()
        assert wire.unasked == [other]


async def test_an_answer_that_is_not_ours_is_dropped_and_counted(carrier, caplog):
    foreign = [ANSWER.replace(b":5", b":%d" % number) for number in range(100, 112)]
    async with scripted(events(*foreign, ANSWER, ANSWER), carrier=carrier) as wire:
        heard, _ = wire.begin()
        assert await heard.response() == ANSWER
        assert (heard.messages, wire.unasked) == ([], [])
    told = [record for record in caplog.records if record.getMessage() == "message dropped"]
    assert [record.count for record in told if record.reason == "foreign response"] == [1, 10]


async def test_a_stream_that_ends_early_is_taken_up_where_it_ended(carrier):
    begun = response(b"id: 1\nretry: 1\ndata: " + NEWS + b"\n\n", kind="text/event-stream")
    async with scripted(begun, events(ANSWER), carrier=carrier) as wire:
        heard, _ = wire.begin({"mcp-name": "x"})
        assert await heard.response() == ANSWER
    assert wire.requests[1].startswith(b"GET /mcp?a=b HTTP/1.1")
    assert b"last-event-id: 1" in wire.requests[1]
    assert heard.messages == [NEWS]


async def test_a_stream_that_breaks_is_taken_up_too_as_often_as_it_takes(carrier):
    def broken(number):
        body = b"id: %d\nretry: 1\ndata: %b\n\n" % (number, NEWS)
        return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n" + body

    async def cut(writer):
        writer.write(broken(1))
        writer.close()

    async def cut_again(writer):
        writer.write(broken(2))
        writer.close()

    async with scripted(cut, cut_again, events(ANSWER), carrier=carrier) as wire:
        heard, _ = wire.begin()
        assert await heard.response() == ANSWER
    assert b"last-event-id: 2" in wire.requests[2]
    assert heard.messages == [NEWS, NEWS]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        response(b"", kind="text/event-stream"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
    ],
)
async def test_without_a_whole_answer_nobody_knows_whether_the_request_was_carried_out(carrier, answer):
    async def write(writer):
        writer.write(answer)
        writer.close()

    async with scripted(write, carrier=carrier) as wire:
        with pytest.raises(ConnectionDropped):
            await wire.send()
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "answer, kind, status",
    [
        (response(b"<html>", kind="text/html"), UNREACHABLE, 502),
        (response(b"what", kind=""), UNREACHABLE, 502),
        (response(b"{", kind="application/json"), UNREACHABLE, 502),
        (response(b"[]", kind="application/json"), UNREACHABLE, 502),
        (response(b"", "202 Accepted"), UNREACHABLE, 202),
        (response(b"", "204 No Content", ""), UNREACHABLE, 502),
        (response(b"", "301 Moved Permanently", more="location: /else\r\n"), UNREACHABLE, 301),
        (response(b"", "304 Not Modified"), UNREACHABLE, 304),
        (response(b"", "307 Temporary Redirect"), UNREACHABLE, 307),
        (response(b"", "400 Bad Request"), UNREACHABLE, 400),
        (response(b"{}", "500 Internal Server Error"), UNREACHABLE, 500),
        (response(b'{"error": "text"}', "400 Bad Request"), UNREACHABLE, 400),
        (response(b'{"error": {}}', "400 Bad Request"), UNREACHABLE, 400),
        (response(b"gone", "502 Bad Gateway"), UNREACHABLE, 502),
        (response(b"<html>s3cr3t</html>", "599 What"), UNREACHABLE, 599),
        (response(b"", "401 Unauthorized"), UNAUTHORIZED, 401),
        (response(b"", "403 Forbidden"), UNAUTHORIZED, 403),
        (response(b"", "404 Not Found"), LOST, 404),
        (response(b"", "410 Gone"), LOST, 410),
        (response(b"no such session", "400 Bad Request", "text/plain"), LOST, 400),
        (response(b'{"error":"session expired"}', "401 Unauthorized"), LOST, 401),
        (response(UNKNOWN % b"5"), LOST, 200),
        (response(UNKNOWN % b"null"), LOST, 200),
        (events(UNKNOWN % b"5"), LOST, 200),
        (events(UNKNOWN % b"null"), LOST, 200),
        (response(ANSWER.replace(b":5", b":6")), UNREACHABLE, 502),
    ],
)
async def test_every_answer_is_understood_and_none_is_taken_for_a_request_that_was_not_sent(
    carrier, answer, kind, status
):
    async with scripted(answer, response(ANSWER), carrier=carrier) as wire:
        wire.session.open("mine", "2025-11-25")
        assert await fault(wire) == (kind, status)
        assert await wire.send() == ANSWER
        assert len(wire.requests) == 2
    assert b"mcp-session-id: mine" in wire.requests[0]


async def test_a_refusal_keeps_its_words_to_itself_and_says_when_to_try_again(carrier):
    busy = response(b"<html>s3cr3t</html>", "503 Service Unavailable", more="Retry-After: 7\r\n")
    async with scripted(busy, carrier=carrier) as wire:
        with pytest.raises(MCPError) as caught:
            await wire.send()
    assert caught.value.error.data == {"status": 503, "retryAfter": "7"}
    assert "s3cr3t" not in str(caught.value.error)


async def test_a_token_that_is_not_known_is_not_a_session_that_is_not_known(carrier):
    challenge = 'www-authenticate: Bearer error="invalid_token"\r\n'
    async with scripted(response(b"session expired", "401 Unauthorized", more=challenge), carrier=carrier) as wire:
        wire.session.open("mine", "")
        assert await fault(wire) == (UNAUTHORIZED, 401)


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "404 Not Found"])
async def test_who_sent_no_session_hears_the_servers_own_words(carrier, status):
    async with scripted(response(UNKNOWN % b"5", status), carrier=carrier) as wire:
        assert await wire.send() == UNKNOWN % b"5"


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "203 Other", "206 Partial Content"])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_message_is_the_answer_with_every_status_of_success(carrier, status, kind):
    body = ANSWER if kind == "application/json" else b"data: " + ANSWER + b"\n\n"
    async with scripted(response(body, status, kind), carrier=carrier) as wire:
        assert await wire.send() == ANSWER
    assert len(wire.requests) == 1


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_followed_within_the_origin(carrier, status):
    moved = [response(b"", status, more=f"location: {to}\r\n") for to in ("/next?c=d%20e", "last")]
    async with scripted(response(ANSWER), *moved, response(ANSWER), carrier=carrier) as wire:
        assert [await wire.send(), await wire.send()] == [ANSWER, ANSWER]
    lines = [request.split(b"\r\n")[0] for request in wire.requests[1:]]
    assert lines == [b"POST /mcp?a=b HTTP/1.1", b"POST /next?c=d%20e HTTP/1.1", b"POST /last HTTP/1.1"]
    assert all(request.endswith(MESSAGE) and b"authorization: Bearer me" in request for request in wire.requests)


async def test_a_redirect_without_an_end_is_not_read(carrier):
    async def endless(writer):
        writer.write(b"HTTP/1.1 307 Moved\r\nlocation: /other\r\n\r\n")
        while True:
            writer.write(b" " * 1000)
            await writer.drain()

    async with scripted(endless, response(ANSWER), carrier=carrier) as wire:
        assert await wire.send() == ANSWER
    assert wire.requests[1].startswith(b"POST /other ")


async def test_redirects_without_end_are_given_up(carrier):
    moved = response(b"", "307 Temporary Redirect", more="location: /mcp?a=b\r\n")
    async with scripted(*[moved] * 30, carrier=carrier) as wire:
        assert await fault(wire) == (UNREACHABLE, 307)
        assert len(wire.requests) == 21


async def test_what_a_server_says_when_a_broken_stream_is_taken_up_is_not_about_the_request(carrier):
    begun = response(b"id: 1\nretry: 1\ndata: " + NEWS + b"\n\n", kind="text/event-stream")
    async with scripted(begun, response(b"", "404 Not Found"), carrier=carrier) as wire:
        wire.session.open("mine", "")
        with pytest.raises(ConnectionDropped):
            await wire.send()


@pytest.mark.parametrize(
    "error",
    [
        b'{"jsonrpc":"2.0","id":5,"error":{"code":-32602,"message":"no","data":{"a":null}}}',
        b'{"error":{"code":-32000,"message":"Over the limit"}}',
        b'{"jsonrpc":"2.0","id":5,"error":{"code":"E_NO","message":"no"}}',
        b'{"jsonrpc":"2.0","id":null,"error":"no such tool"}',
    ],
)
@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "422 What", "500 Internal Server Error"])
async def test_an_error_of_the_servers_is_its_answer_whatever_the_status(carrier, error, status):
    async with scripted(response(error, status), carrier=carrier) as wire:
        assert await wire.send() == error


async def test_a_request_that_is_abandoned_takes_its_connection_with_it_and_says_nothing_more(carrier):
    closed = anyio.Event()

    async def silence(writer):
        await writer.wait_closed()
        closed.set()

    async with scripted(response(ANSWER), silence, response(ANSWER), carrier=carrier) as wire:
        await wire.send()
        heard, abandon = wire.begin()
        await wire.until_asked(2)
        abandon()
        assert await wire.send() == ANSWER
        assert (heard.outcomes, heard.messages) == ([], [])
        assert wire.connections == 2


async def test_a_request_that_is_abandoned_before_there_is_a_connection_is_not_sent(carrier):
    async with scripted(response(ANSWER), carrier=carrier) as wire:
        heard, abandon = wire.begin({"mcp-name": "first"})
        abandon()
        assert await wire.send({"mcp-name": "second"}) == ANSWER
        assert heard.outcomes == []
    assert [b"mcp-name: second" in request for request in wire.requests] == [True]


async def test_a_server_that_cannot_be_connected_to_was_not_sent_anything(carrier):
    async with scripted(carrier=carrier) as wire:
        with socket.create_server(("127.0.0.1", 0)) as free:
            wire.session.endpoint = type(wire.session.endpoint).of(f"http://127.0.0.1:{free.getsockname()[1]}/")
        with pytest.raises(RequestNotSent, match="refuses connections"):
            await wire.send()


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "\0"])
async def test_a_header_that_cannot_be_written_is_not_sent(carrier, value):
    async with scripted(response(ANSWER), carrier=carrier) as wire:
        with pytest.raises(RequestNotSent):
            await wire.send({"mcp-name": value})
    assert wire.requests == []


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", "its answer has more than"),
        (response(b" " * 50_000), "its answer has more than 40000 bytes"),
        (response(b" " * 50_000, kind="text/html"), "its answer has more than 40000 bytes"),
        (chunked(*[b" " * 1000] * 50, kind="application/json"), "its answer has more than 40000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 50_000, "its answer has more than 40000 bytes"),
        (response(b"data: " + b"x" * 50_000, kind="text/event-stream"), "more than 40000 bytes"),
        (response(b"data: x\n" * 9000, kind="text/event-stream"), "an event of its answer has more than 40000 bytes"),
    ],
)
async def test_what_is_too_long_is_not_read_to_its_end_and_not_asked_for_again(carrier, answer, words):
    async with scripted(answer, carrier=carrier, max_bytes=40_000) as wire:
        with pytest.raises(ServerUnavailable, match=words) as failure:
            await wire.send()
        assert not isinstance(failure.value, ConnectionDropped | RequestNotSent)
        assert len(wire.requests) == 1


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_a_refusal_without_an_end_is_a_refusal(carrier, status):
    async def endless(writer):
        writer.write(f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n\r\n".encode())
        while True:
            writer.write(b" " * 1000)
            await writer.drain()

    async with scripted(endless, carrier=carrier) as wire:
        assert await fault(wire) == (UNREACHABLE, status)


async def test_a_refusal_that_breaks_off_is_a_refusal(carrier):
    async def cut(writer):
        writer.write(b"HTTP/1.1 403 No\r\ncontent-length: 100\r\n\r\nno")
        writer.close()

    async with scripted(cut, carrier=carrier) as wire:
        assert await fault(wire) == (UNAUTHORIZED, 403)


async def test_a_flood_of_events_leaves_others_their_turn_and_comes_whole(carrier):
    """What comes faster than it is worked on waits at the server, not here."""
    count = 30_000
    flood = b"".join(b"data: %b\n\n" % NEWS for _ in range(count))
    body = flood + b"data: " + ANSWER + b"\n\n"
    answers = [response(body, kind="text/event-stream"), response(ANSWER)]
    async with scripted(*answers, carrier=carrier) as wire:
        heard, _ = wire.begin()
        turns = 0
        while not heard.ended.is_set():
            await anyio.lowlevel.checkpoint()
            turns += 1
        assert (len(heard.messages), await heard.response()) == (count, ANSWER)
        assert turns > 10
        assert await wire.send() == ANSWER
        assert wire.connections == 1


async def test_a_connection_on_which_reading_was_paused_serves_again(carrier):
    async with scripted(response(ANSWER), response(ANSWER), response(ANSWER), carrier=carrier) as wire:
        assert await wire.send() == ANSWER
        heard, _ = wire.begin()
        (exchange,) = wire.channel._link.exchanges
        await wire.until_asked(2)
        exchange.set_turn_over(over=True)
        exchange.set_turn_over(over=False)
        assert await heard.response() == ANSWER
        heard, _ = wire.begin()
        wire.channel.set_reading_paused(paused=True)
        wire.channel.set_reading_paused(paused=False)
        assert await heard.response() == ANSWER


async def test_a_server_whose_clients_do_not_keep_up_is_not_read(carrier):
    began = asyncio.Event()

    async def news(writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        writer.write(b"data: " + NEWS + b"\n\n")
        await began.wait()
        writer.write(b"data: " + ANSWER + b"\n\n")
        await writer.drain()
        waiting.set()

    waiting = anyio.Event()
    async with scripted(news, response(ANSWER), carrier=carrier) as wire:
        heard, _ = wire.begin()
        await heard.moved.wait()
        wire.channel.set_reading_paused(paused=True)
        began.set()
        await waiting.wait()
        with anyio.move_on_after(0.2):
            await heard.ended.wait()
        assert heard.outcomes == []
        wire.channel.set_reading_paused(paused=False)
        assert await heard.response() == ANSWER


async def test_at_the_end_requests_fail_and_later_ones_were_not_sent(carrier):
    async with scripted(None, carrier=carrier) as wire:
        heard, _ = wire.begin()
        await wire.until_asked(1)
        await wire.channel.aclose()
        with pytest.raises(ConnectionDropped):
            await heard.response()
        late, _ = wire.begin()
        with pytest.raises(RequestNotSent):
            await late.response()
        assert wire.closings == [1]


# -- connections of our own


async def test_on_a_free_connection_a_request_is_written_at_once_without_a_task_or_a_timer(carrier):
    if carrier != "direct":
        pytest.skip("httpx needs a task")
    async with scripted(response(ANSWER), response(ANSWER)) as wire:
        await wire.send()
        loop = asyncio.get_running_loop()
        tasks, timers = asyncio.all_tasks(), len(loop._scheduled)
        heard, _ = wire.begin()
        (exchange,) = wire.channel._link.exchanges
        assert exchange._flow._is_written
        assert (asyncio.all_tasks(), len(loop._scheduled)) == (tasks, timers)
        assert await heard.response() == ANSWER
        assert wire.connections == 1


async def test_a_connection_that_the_server_has_closed_is_not_written_to(carrier):
    if carrier != "direct":
        pytest.skip("httpx has rules of its own")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with scripted(response(ANSWER)) as wire:
            pool = wire.carrier.pool(wire.session.endpoint.origin)
            pool.port, there = listening.getsockname()[1], pool.port
            stale = await pool.open()
            pool.give_back(stale)
            pool.port = there
            with listening.accept()[0]:
                pass
            assert stale.is_open(), "the event loop does not know yet"
            assert await wire.send() == ANSWER
            assert stale.is_closing()


async def test_connections_that_are_not_used_again_are_closed_without_another_request(carrier):
    if carrier != "direct":
        pytest.skip("httpx has rules of its own")
    async with scripted(response(ANSWER), response(ANSWER)) as wire:
        pool = wire.carrier.pool(wire.session.endpoint.origin)
        pool.keep_seconds = 0.05
        used = [await pool.open() for _ in range(3)]
        for connection in used:
            pool.give_back(connection)
        while not all(connection.is_closing() for connection in used):  # noqa: ASYNC110  # the pool tells nobody
            await anyio.sleep(0.01)
        assert (pool._timer, pool.idle()) == (None, None)


@pytest.mark.parametrize(
    "early",
    [
        response(ANSWER),
        response(b"no", "413 Content Too Large"),
        response(b"", "307 Temporary Redirect", more="location: /other\r\n"),
    ],
)
async def test_what_is_left_of_a_request_that_was_answered_early_is_no_obstacle_for_others(carrier, early):
    if carrier != "direct":
        pytest.skip("httpx reads nothing before all is written")
    async with scripted(Early(early), response(ANSWER), response(ANSWER)) as wire:
        heard, _ = wire.begin(message=MESSAGE.replace(b"{}", b'{"a":"%b"}' % (b"x" * (8 << 20))))
        await heard.ended.wait()
        assert await wire.send() == ANSWER
        assert wire.connections == 2


@pytest.mark.parametrize(
    "foreign", [response(FOREIGN), response(b"data: %b\n\n" % FOREIGN, kind="text/event-stream"), response(NEWS)]
)
async def test_the_connection_of_an_answer_that_is_not_ours_is_not_used_again(carrier, foreign):
    if carrier != "direct":
        pytest.skip("httpx gives a connection back before the answer is known")
    async with scripted(foreign, response(ANSWER), carrier=carrier) as wire:
        with pytest.raises((MCPError, ConnectionDropped)):
            await wire.send()
        assert await wire.send() == ANSWER
        assert wire.connections == 2


async def test_a_request_that_waits_for_its_turn_on_a_connection_that_closes_was_not_sent(carrier):
    if carrier != "direct":
        pytest.skip("it is about our own batches")
    async with scripted(response(ANSWER), None, response(ANSWER)) as wire:
        assert isinstance(wire.carrier, DirectCarrier)
        await wire.send()
        wire.carrier.outbox.requests_in_flight = 2
        heard, _ = wire.begin()
        (exchange,) = wire.channel._link.exchanges
        exchange._flow._transport.abort()
        with pytest.raises(RequestNotSent):
            await heard.response()
        assert len(wire.requests) == 1
        assert wire.carrier.outbox.requests_in_flight == 2


@pytest.mark.parametrize(
    "answer", [response(ANSWER), events(NEWS, ANSWER), b"", response(b"no", "502 Bad Gateway"), None]
)
async def test_whatever_comes_of_requests_none_counts_as_waiting_afterwards(carrier, answer):
    if carrier != "direct":
        pytest.skip("it is about our own batches")
    async with scripted(response(ANSWER), answer) as wire:
        await wire.send()
        heard, abandon = wire.begin()
        assert wire.carrier.outbox.requests_in_flight == 1
        await wire.until_asked(2)
        if answer is None:
            abandon()
        else:
            await heard.ended.wait()
        assert wire.carrier.outbox.requests_in_flight == 0
