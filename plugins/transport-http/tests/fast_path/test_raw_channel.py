"""Plain requests over connections of the gateway's own: every way in which a server can answer, or not."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway_transport_http.client.redirects import follow_redirect
from mcp_gateway_transport_http.fast_path.body_pieces import Pieces
from mcp_gateway_transport_http.fast_path.connection_pool import Connections
from mcp_gateway_transport_http.fast_path.raw_channel import RawChannel
from mcp_gateway_transport_http.fast_path.request_target import build_request_head, can_connect_directly
from mcp_gateway_transport_http.fast_path.responses import RawHttpResponse

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable, TransportFault

MESSAGE = b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{}}'
READ_ON = Pieces._read_on
ANSWER = b'{"jsonrpc":"2.0","id":5,"result":{}}'
NEWS = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'


def response(body, status="200 OK", kind="application/json", more=""):
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body


def events(*data, more=""):
    body = b"".join(b"id: %d\ndata: %b\n\n" % (number, one) for number, one in enumerate(data, 1))
    return response(body, kind="text/event-stream", more=more)


@asynccontextmanager
async def server(*answers):
    """Serve these answers, one for each request; None is silence, an empty one closes, a function writes it."""
    requests, left = [], list(answers)

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                requests.append(head + await reader.readexactly(length))
                answer = left.pop(0)
                if answer is None:
                    await asyncio.sleep(60)
                if not answer:
                    break
                await answer(writer) if callable(answer) else writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    heard = []

    async def on_event(event, request_id):
        heard.append((event, request_id))

    url = f"http://127.0.0.1:{port}/mcp?a=b"
    connections = Connections("127.0.0.1", port, None)
    wire = RawChannel(
        None, connections, build_request_head(url, {"authorization": "Bearer me"}), lambda: {"cookie": "a=b"}, on_event
    )
    try:
        with anyio.fail_after(20):
            yield wire, requests, heard
    finally:
        connections.close()
        listening.close()


async def send(wire, headers=None, seconds=10.0):
    return await wire.request_raw(MESSAGE, 5, headers or {}, seconds)


async def fault(wire):
    """Send, and return what is answered in the server's place: which fault, and the status."""
    with pytest.raises(MCPError) as caught:
        await send(wire)
    return caught.value.error.code, caught.value.error.data["status"]


async def test_a_request_says_where_it_goes_who_sends_it_and_what_it_is():
    async with server(response(ANSWER)) as (wire, requests, _):
        assert await send(wire, {"mcp-name": "x"}) == ANSWER
    head, body = requests[0].split(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /mcp?a=b HTTP/1.1"
    assert {"authorization: Bearer me", "mcp-name: x", "cookie: a=b", f"content-length: {len(MESSAGE)}"} < set(lines)
    assert body == MESSAGE


async def test_a_connection_is_used_again():
    async with server(response(ANSWER), events(ANSWER), response(ANSWER)) as (wire, requests, _):
        for _ in range(3):
            assert await send(wire) == ANSWER
            await anyio.lowlevel.checkpoint()
        assert len(requests) == 3


async def test_heads_that_come_again_are_known_whatever_comes_between():
    longer = ANSWER.replace(b"{}", b'{"content":[]}')
    answers = [ANSWER, longer, ANSWER, longer, ANSWER]
    written = [response(answer) for answer in answers]
    written[2] = events(ANSWER)
    written[3] = response(longer, more="x: y\r\n")
    async with server(*written) as (wire, requests, _):
        assert [await send(wire) for _ in answers] == answers
    assert len(requests) == len(answers)


async def test_a_refusal_behind_a_head_that_is_known_is_one():
    async with server(response(ANSWER), response(ANSWER), response(b"no", "502 Bad Gateway")) as (wire, _, _):
        for _ in range(2):
            assert await send(wire) == ANSWER
        assert await fault(wire) == (TransportFault.UNREACHABLE, 502)


INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\ncontent-type: text/event-stream\r\nretry-after: 9\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-encoding: gzip\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\ncontent-length: %d\r\n\r\n" % len(ANSWER),
    b"HTTP/1.1 199 What\r\n\r\n",
]


@pytest.mark.parametrize("final", [response(ANSWER), events(NEWS, ANSWER)])
@pytest.mark.parametrize("interim", [*INTERIM, b"".join(INTERIM)])
@pytest.mark.parametrize("apart", [True, False])
async def test_interim_responses_are_not_the_answer_and_not_a_head_that_is_known(interim, final, apart):
    gone = asyncio.Event()

    async def in_two_pieces(writer):
        writer.write(interim)
        await writer.drain()
        await gone.wait()
        writer.write(final)

    answers = [response(ANSWER), in_two_pieces if apart else interim + final, response(ANSWER), response(ANSWER)]
    async with server(*answers) as (wire, requests, _):
        assert await send(wire) == ANSWER
        asyncio.get_running_loop().call_later(0.05, gone.set)
        for _ in range(3):
            assert await send(wire) == ANSWER
    assert len(requests) == 4


@pytest.mark.parametrize("more", ["", "connection: upgrade\r\nupgrade: h2c\r\n"])
async def test_a_protocol_that_nobody_asked_for_is_an_error(more):
    switched = f"HTTP/1.1 101 Switching Protocols\r\n{more}\r\n".encode()
    async with server(switched + response(ANSWER)) as (wire, requests, _):
        with pytest.raises(ConnectionDropped):
            await send(wire)
    assert len(requests) == 1


async def test_what_follows_a_response_is_not_taken_for_the_next_one():
    stray = ANSWER.replace(b"{}", b'{"content":["stray"]}')
    async with server(response(ANSWER) + response(stray), response(ANSWER)) as (wire, requests, _):
        assert [await send(wire), await send(wire)] == [ANSWER, ANSWER]
    assert len(requests) == 2


async def test_what_comes_before_the_answer_is_passed_on_with_the_requests_id():
    async with server(events(NEWS, NEWS, ANSWER)) as (wire, _, heard):
        assert await send(wire) == ANSWER
    assert heard == [(NEWS, 5), (NEWS, 5)]


async def test_a_stream_that_ends_early_is_taken_up_where_it_ended():
    begun = response(b"id: 1\nretry: 1\ndata: " + NEWS + b"\n\n", kind="text/event-stream")
    async with server(begun, events(ANSWER)) as (wire, requests, heard):
        assert await send(wire) == ANSWER
    assert requests[1].startswith(b"GET /mcp?a=b HTTP/1.1")
    assert b"last-event-id: 1" in requests[1]
    assert heard == [(NEWS, 5)]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        response(b"", kind="text/event-stream"),
    ],
)
async def test_without_a_whole_answer_nobody_knows_whether_the_request_was_carried_out(answer):
    async with server(answer) as (wire, requests, __):
        with pytest.raises(ConnectionDropped):
            await send(wire)
    assert len(requests) == 1


UNREACHABLE, UNAUTHORIZED, LOST = TransportFault.UNREACHABLE, TransportFault.UNAUTHORIZED, TransportFault.SESSION_LOST
UNKNOWN = b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32001,"message":"Session not found"}}'


@pytest.mark.parametrize(
    "answer, kind, status",
    [
        (response(ANSWER, kind="text/html"), UNREACHABLE, 502),
        (response(ANSWER, kind=""), UNREACHABLE, 502),
        (response(b"", "202 Accepted"), UNREACHABLE, 202),
        (response(b"", "204 No Content", ""), UNREACHABLE, 502),
        (response(b"", "301 Moved Permanently", more="location: /else\r\n"), UNREACHABLE, 301),
        (response(b"", "304 Not Modified"), UNREACHABLE, 304),
        (response(b"", "307 Temporary Redirect"), UNREACHABLE, 307),
        (response(b"", "400 Bad Request"), UNREACHABLE, 400),
        (response(b"{}", "500 Internal Server Error"), UNREACHABLE, 500),
        (response(b"gone", "502 Bad Gateway"), UNREACHABLE, 502),
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
    ],
)
async def test_every_answer_is_understood_and_none_is_taken_for_a_request_that_was_not_sent(answer, kind, status):
    async with server(answer, response(ANSWER)) as (wire, requests, __):
        wire.session = lambda: {"mcp-session-id": "mine"}
        assert await fault(wire) == (kind, status)
        assert await send(wire) == ANSWER
    assert len(requests) == 2


async def test_a_token_that_is_not_known_is_not_a_session_that_is_not_known():
    challenge = 'www-authenticate: Bearer error="invalid_token"\r\n'
    async with server(response(b"session expired", "401 Unauthorized", more=challenge)) as (wire, *_):
        wire.session = lambda: {"mcp-session-id": "mine"}
        assert await fault(wire) == (UNAUTHORIZED, 401)


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "404 Not Found"])
async def test_who_sent_no_session_hears_the_servers_own_words(status):
    async with server(response(UNKNOWN % b"5", status)) as (wire, *_):
        assert await send(wire) == UNKNOWN % b"5"


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "203 Other", "206 Partial Content"])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_message_is_the_answer_with_every_status_of_success(status, kind):
    body = ANSWER if kind == "application/json" else b"data: " + ANSWER + b"\n\n"
    async with server(response(body, status, kind)) as (wire, requests, _):
        assert await send(wire) == ANSWER
    assert len(requests) == 1


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_redirect_is_followed_within_the_origin(status, at_once):
    moved = [response(b"", status, more=f"location: {to}\r\n") for to in ("/next?c=d%20e", "last")]
    async with server(response(ANSWER), *moved, response(ANSWER)) as (wire, requests, _):
        await send(wire)
        if at_once:
            outcomes = []
            came, _ = await begun(wire, outcomes)
            await came.wait()
            assert outcomes == [ANSWER]
        else:
            assert await send(wire) == ANSWER
    lines = [request.split(b"\r\n")[0] for request in requests[1:]]
    assert lines == [b"POST /mcp?a=b HTTP/1.1", b"POST /next?c=d%20e HTTP/1.1", b"POST /last HTTP/1.1"]
    assert all(request.endswith(MESSAGE) and b"authorization: Bearer me" in request for request in requests)


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1:1/mcp", "https://127.0.0.1/mcp", "//other.test/mcp", "http://me:pw@{}/mcp", "http://["],
)
async def test_a_redirect_elsewhere_is_not_followed_and_no_credentials_go_there(location):
    async with server(response(b"", "307 Temporary Redirect", more="location: /a\r\n")) as (wire, requests, _):
        here = wire.connections.origin.removeprefix("http://")
        head = b"POST /mcp HTTP/1.1\r\nauthorization: Bearer me\r\n"
        reply = RawHttpResponse(307, b"", location=location.replace("{}", here))
        assert follow_redirect(head, reply, wire.connections.origin) is None
    assert requests == []


async def test_redirects_without_end_are_given_up():
    moved = response(b"", "307 Temporary Redirect", more="location: /mcp?a=b\r\n")
    async with server(*[moved] * 30) as (wire, requests, _):
        assert await fault(wire) == (UNREACHABLE, 307)
    assert len(requests) == 21


async def test_what_a_server_says_when_a_broken_stream_is_taken_up_is_not_about_the_request():
    begun = response(b"id: 1\nretry: 1\ndata: " + NEWS + b"\n\n", kind="text/event-stream")
    async with server(begun, response(b"", "404 Not Found")) as (wire, *_):
        wire.session = lambda: {"mcp-session-id": "mine"}
        with pytest.raises(ConnectionDropped):
            await send(wire)


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_connection_that_the_server_has_closed_is_not_written_to(at_once):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with server(response(ANSWER)) as (wire, *_):
            first = await wire.connections.open()
            wire.connections.give_back(first)
            wire.connections.port, there = listening.getsockname()[1], wire.connections.port
            stale = await wire.connections.open()
            wire.connections.give_back(stale)
            wire.connections.port = there
            with listening.accept()[0]:
                pass
            assert stale.is_open, "the event loop does not know yet"
            if at_once:
                wire.request_raw_nowait(MESSAGE, 5, {}, 10.0, print)
            else:
                assert await send(wire) == ANSWER
            assert stale.is_closing()


async def test_a_request_that_waits_for_its_turn_on_a_connection_that_closes_was_not_sent():
    outcomes, came = [], anyio.Event()
    async with server(response(ANSWER)) as (wire, requests, _):
        connection = await wire.connections.open()
        wire.connections.outbox.requests_in_flight = 2

        def done(outcome):
            outcomes.append(outcome.was_written)
            came.set()

        connection.send(MESSAGE, done)
        connection.close()
        await came.wait()
    assert (outcomes, requests) == ([False], [])


async def test_an_error_of_the_servers_is_its_answer_whatever_the_status():
    error = b'{"jsonrpc":"2.0","id":5,"error":{"code":-32602,"message":"no"}}'
    async with server(response(error, "422 Unprocessable Entity")) as (wire, _, __):
        assert await send(wire) == error


async def test_a_server_that_is_silent_for_too_long_is_given_up():
    async with server(None) as (wire, _, __):
        with pytest.raises(TimeoutError):
            await send(wire, seconds=0.05)


async def test_a_server_that_cannot_be_connected_to_was_not_sent_anything():
    async with server() as (wire, _, __):
        wire.connections.port = 1
        with pytest.raises(RequestNotSent):
            await send(wire)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "\0"])
async def test_a_header_that_cannot_be_written_is_not_sent(value):
    async with server(response(ANSWER)) as (wire, requests, _):
        with pytest.raises(RequestNotSent):
            await send(wire, {"mcp-name": value})
    assert requests == []


async def test_a_request_that_is_given_up_takes_its_connection_with_it():
    async with server(None, response(ANSWER)) as (wire, requests, _):
        with anyio.move_on_after(0.05):
            await send(wire)
        assert await send(wire) == ANSWER
    assert len(requests) == 2


def test_servers_behind_a_proxy_or_a_password_are_reached_in_the_usual_way(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert can_connect_directly("http://example.org/mcp")
    assert not can_connect_directly("http://me:secret@example.org/mcp")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert not can_connect_directly("http://example.org/mcp")
    monkeypatch.setenv("no_proxy", "example.org")
    assert can_connect_directly("http://example.org/mcp")


# -- without a task


async def begun(wire, outcomes, headers=None):
    """Send at once, and wait for what comes of it."""
    came = anyio.Event()

    def done(outcome):
        outcomes.append(outcome)
        came.set()

    give_up = wire.request_raw_nowait(MESSAGE, 5, headers or {}, 10.0, done)
    assert give_up is not None
    assert wire.connections.outbox.requests_in_flight == 1
    return came, give_up


async def test_without_an_open_connection_or_with_a_header_that_cannot_be_written_nothing_is_sent_at_once():
    async with server(response(ANSWER)) as (wire, requests, _):
        assert wire.request_raw_nowait(MESSAGE, 5, {}, 10.0, print) is None
        await send(wire)
        assert wire.request_raw_nowait(MESSAGE, 5, {"mcp-name": "x\r\ny: z"}, 10.0, print) is None
        assert wire.connections.outbox.requests_in_flight == 0
    assert len(requests) == 1


@pytest.mark.parametrize("second", [response(ANSWER), events(ANSWER), events(NEWS, ANSWER)])
async def test_what_is_sent_at_once_is_answered_and_the_connection_is_used_again(second):
    outcomes = []
    async with server(response(ANSWER), second, response(ANSWER)) as (wire, requests, heard):
        await send(wire)
        came, _ = await begun(wire, outcomes)
        await came.wait()
        assert outcomes == [ANSWER]
        assert wire.connections.outbox.requests_in_flight == 0
        assert await send(wire) == ANSWER
        assert heard == ([(NEWS, 5)] if NEWS in second else [])
    assert len(requests) == 3


@pytest.mark.parametrize(
    "second, kind",
    [
        (b"", ConnectionDropped),
        (response(b"", kind="text/event-stream"), ConnectionDropped),
        (response(b"gone", "502 Bad Gateway"), MCPError),
        (response(b"", "404 Not Found"), MCPError),
    ],
)
async def test_what_is_sent_at_once_may_fail(second, kind):
    outcomes = []
    async with server(response(ANSWER), second) as (wire, _, _):
        await send(wire)
        came, _ = await begun(wire, outcomes)
        await came.wait()
        assert wire.connections.outbox.requests_in_flight == 0
    assert [type(outcome) for outcome in outcomes] == [kind]


async def test_who_gives_up_what_was_sent_at_once_hears_nothing_and_the_connection_is_closed():
    outcomes = []
    async with server(response(ANSWER), None) as (wire, requests, _):
        await send(wire)
        _, give_up = await begun(wire, outcomes)
        while len(requests) < 2:
            await anyio.lowlevel.checkpoint()
        give_up()
        await anyio.lowlevel.checkpoint()
        assert wire.connections.idle() is None
        assert wire.connections.outbox.requests_in_flight == 0
    assert outcomes == []


@pytest.mark.parametrize(
    "answer, said",
    [
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000, "head of its answer has more than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200, "head of its answer has more than 128 fields"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3000, "head of its answer has more than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", "its answer has more than"),
        (response(b" " * 50_000), "its answer has more than 40000 bytes"),
        (response(b"data: " + b"x" * 50_000, kind="text/event-stream"), "more than 40000 bytes"),
        (response(b"data: x\n" * 9000, kind="text/event-stream"), "an event of its answer has more than 40000 bytes"),
        (response(ANSWER, more="content-encoding: gzip\r\n"), "compressed"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
             b"2;" + b"x" * 70_000,
            "head of its answer has more than 65536 bytes",
        ),
    ],
)  # fmt: skip
async def test_what_is_too_long_is_not_read_to_its_end_and_not_asked_for_again(answer, said):
    async with server(answer) as (wire, requests, _):
        wire.connections.max_bytes = 40_000
        with pytest.raises(ServerUnavailable, match=said) as failure:
            await send(wire)
        assert not isinstance(failure.value, ConnectionDropped)
        assert len(requests) == 1


def read_on(pieces, stopped, *, please):
    """Note how much was held when reading stopped."""
    if not please:
        stopped.append(len(pieces._held))
    READ_ON(pieces, please=please)


async def test_a_stream_that_nobody_takes_is_not_read(monkeypatch):
    """What comes faster than it is worked on waits at the server, not here."""
    began, taken, stopped = asyncio.Event(), asyncio.Event(), []
    monkeypatch.setattr(Pieces, "_read_on", lambda self, *, please: read_on(self, stopped, please=please))
    async with server(events(*[NEWS] * 10_000, ANSWER)) as (wire, _, heard):

        async def on_event(event, request_id):
            began.set()
            await taken.wait()
            heard.append((event, request_id))

        wire.on_event = on_event
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, wire)
            await began.wait()
            while not stopped:
                await anyio.lowlevel.checkpoint()
            assert stopped[0] < 1 << 20
            taken.set()
    assert len(heard) == 10_000
