"""Responses to one request: what is written before them, silence, clients that do not read or have gone."""

import asyncio
from typing import Any

import pytest
from mcp_gateway_transport_http.server import response_writer
from mcp_gateway_transport_http.server.client_session import ClientSession, Opener
from mcp_gateway_transport_http.server.event_store import EventLog
from mcp_gateway_transport_http.server.message_request import MessageRequest
from mcp_gateway_transport_http.server.response_writer import HttpResponseWriter

from mcp_gateway.plugin import RawResponse

JSON, SSE = b"application/json", b"text/event-stream"
NEWS, ANSWER = b'{"news":1}', b'{"answer":1}'
MODERN = {"mcp-protocol-version": "2026-07-28"}
HANDSHAKE = {"mcp-session-id": "s", "mcp-protocol-version": "2025-11-25"}


class Transport(asyncio.Transport):
    """A transport with as much unread as a test says."""

    unread = 0
    is_aborted = False

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.is_aborted = True


class Connection:
    """Notes what is written, and what it is told."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.is_write_paused = False
        self.data = b""
        self.ended = self.written = self.dropped = 0

    def default_headers(self) -> bytes:
        return b"date: today\r\n"

    def send(self, data: bytes, *, more: bool = False) -> None:
        self.data += data

    def send_at_once(self, *parts: bytes) -> None:
        self.data += b"".join(parts)

    def on_request_ended(self, _writer: HttpResponseWriter) -> None:
        self.ended += 1

    def on_response_written(self, _writer: HttpResponseWriter) -> None:
        self.written += 1

    def on_message_dropped(self) -> None:
        self.dropped += 1

    def take(self) -> bytes:
        """Return what was written since."""
        data, self.data = self.data, b""
        return data


def opened(
    headers: dict[str, str] = MODERN, *, session: ClientSession | None = None, **more: Any
) -> tuple[Connection, HttpResponseWriter]:
    given = {"keep_alive": True, "is_chunkable": True, **more}
    connection = Connection()
    return connection, HttpResponseWriter(connection, MessageRequest(headers, None, session, **given))


def session_of(log: EventLog) -> ClientSession:
    transport: Any = None
    return ClientSession(Opener("caller", ()), transport, log.open_session_store(), None, 0.0)


def chunks(data: bytes) -> list[bytes]:
    """Return the chunks of a body."""
    found = []
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        found.append(rest[:length])
        assert rest[length : length + 2] == b"\r\n"
        data = rest[length + 2 :]
    return found


def test_a_response_alone_is_one_piece_with_its_length():
    connection, writer = opened()
    writer.finish(RawResponse(ANSWER))
    assert connection.take() == (
        b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n" + ANSWER
    )
    assert (connection.ended, connection.written, writer.response_complete) == (1, 1, True)


@pytest.mark.parametrize(
    "response, status, kind, body",
    [
        (RawResponse(ANSWER, -32601), b"404", JSON, ANSWER),
        (RawResponse(ANSWER, 7), b"200", JSON, ANSWER),
        (
            RawResponse(ANSWER, streamed=True),
            b"200",
            SSE,
            b"event: message\r\ndata: %b\r\n\r\n" % ANSWER,
        ),
        (RawResponse(b"{\n}", streamed=True), b"200", SSE, b"event: message\r\ndata: { }\r\n\r\n"),
        (RawResponse(b""), b"200", SSE, b""),
        (RawResponse(b"", accepted=True), b"202", None, b""),
    ],
    ids=["error", "own-error", "event", "lines", "none", "accepted"],
)
def test_the_kind_of_a_response_decides_its_status_and_content_type(response, status, kind, body):
    connection, writer = opened()
    writer.finish(response)
    head, _, written = connection.take().partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == status
    assert (b"content-type: %b" % (kind or b"")) in head if kind else b"content-type" not in head
    assert b"content-length: %d" % len(body) in head
    assert written == body


def test_what_comes_before_the_response_makes_it_a_stream_of_events():
    connection, writer = opened()
    writer.write(NEWS)
    head, _, first = connection.take().partition(b"\r\n\r\n")
    assert {b"content-type: text/event-stream", b"transfer-encoding: chunked"} <= set(head.split(b"\r\n"))
    assert b"content-length" not in head
    assert chunks(first) == [b'event: message\r\ndata: {"news":1}\r\n\r\n']
    writer.write(b'{"news":\n2}')
    assert chunks(connection.take()) == [b'event: message\r\ndata: {"news": 2}\r\n\r\n']
    writer.finish(RawResponse(ANSWER, -32601))
    assert chunks(connection.take()) == [b'event: message\r\ndata: {"answer":1}\r\n\r\n', b""]
    assert connection.written == 1


def test_a_stream_whose_request_was_cancelled_just_ends():
    connection, writer = opened()
    writer.write(NEWS)
    connection.take()
    writer.finish(RawResponse(b""))
    assert connection.take() == b"0\r\n\r\n"


def test_a_client_of_http_1_0_gets_events_without_chunks():
    connection, writer = opened(keep_alive=False, is_chunkable=False)
    writer.write(NEWS)
    writer.finish(RawResponse(ANSWER))
    head, _, body = connection.take().partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"transfer-encoding" not in head
    assert body == b'event: message\r\ndata: {"news":1}\r\n\r\nevent: message\r\ndata: {"answer":1}\r\n\r\n'


def test_nothing_follows_the_response():
    connection, writer = opened()
    writer.finish(RawResponse(ANSWER))
    connection.take()
    writer.write(NEWS)
    writer.finish(RawResponse(ANSWER))
    assert connection.take() == b""
    assert connection.ended == 1


# -- silence


def test_a_silent_request_becomes_a_stream_with_a_comment_now_and_then():
    connection, writer = opened()
    for now in (100.0, 101.0, 114.9):
        writer.on_tick(now, 15)
    assert connection.take() == b""
    writer.on_tick(115.0, 15)
    head, _, first = connection.take().partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in head
    assert chunks(first) == [b": ping\r\n\r\n"]
    writer.on_tick(116.0, 15)
    assert connection.take() == b""
    writer.on_tick(130.0, 15)
    assert chunks(connection.take()) == [b": ping\r\n\r\n"]
    writer.finish(RawResponse(ANSWER))
    assert chunks(connection.take())[0] == b'event: message\r\ndata: {"answer":1}\r\n\r\n'


def test_what_is_told_breaks_the_silence():
    connection, writer = opened()
    writer.on_tick(100.0, 15)
    writer.write(NEWS)
    connection.take()
    for now in (114.0, 116.0, 128.9):
        writer.on_tick(now, 15)
    assert connection.take() == b""
    writer.on_tick(129.0, 15)
    assert chunks(connection.take()) == [b": ping\r\n\r\n"]


def test_a_client_that_does_not_read_gets_no_comments():
    connection, writer = opened()
    connection.is_write_paused = True
    writer.on_tick(100.0, 15)
    writer.on_tick(200.0, 15)
    assert connection.take() == b""


# -- clients that do not read


def test_messages_are_dropped_and_counted_for_a_client_that_does_not_read_and_the_response_is_written():
    connection, writer = opened()
    writer.write(NEWS)
    connection.take()
    connection.is_write_paused = True
    assert writer.is_congested
    connection.transport.unread = response_writer.MAX_UNREAD_BYTES
    writer.write(NEWS)
    assert chunks(connection.take()) != []
    connection.transport.unread += 1
    writer.write(NEWS)
    assert (connection.take(), connection.dropped) == (b"", 1)
    writer.finish(RawResponse(ANSWER))
    assert b'data: {"answer":1}' in connection.take()


# -- clients that have gone


def test_a_call_of_the_modern_era_is_abandoned_with_its_stream():
    connection, writer = opened()
    abandoned: list[bool] = []
    writer.abandon = lambda: abandoned.append(True)
    writer.write(NEWS)
    connection.take()
    writer.on_connection_lost()
    writer.write(NEWS)
    writer.finish(RawResponse(ANSWER))
    assert (abandoned, connection.ended, connection.take()) == ([True], 1, b"")


def test_a_session_id_beside_a_modern_version_means_nothing():
    _, writer = opened({**HANDSHAKE, **MODERN}, session=session_of(EventLog()))
    abandoned: list[bool] = []
    writer.abandon = lambda: abandoned.append(True)
    writer.on_connection_lost()
    assert abandoned == [True]


async def replayed(session: ClientSession, last: str) -> list[tuple[str, str]]:
    sent: list[tuple[str, str]] = []

    async def send(event: Any) -> None:
        sent.append((event.event_id, event.message.model_dump_json(by_alias=True, exclude_unset=True)))

    assert await session.store.replay_events_after(last, send) is None
    return sent


async def test_a_session_gets_the_events_that_it_missed_and_the_response():
    session = session_of(EventLog())
    connection, writer = opened(HANDSHAKE, session=session)
    writer.abandon = lambda: pytest.fail("abandoned")
    writer.write(NEWS)
    assert chunks(connection.take().partition(b"\r\n\r\n")[2]) == [
        b'id: 1\r\nevent: message\r\nretry: 500\r\ndata: {"news":1}\r\n\r\n'
    ]
    writer.on_connection_lost()
    writer.write(b'{"news":2}')
    writer.finish(RawResponse(ANSWER))
    assert connection.take() == b""
    assert connection.ended == 1
    assert await replayed(session, "1") == [("2", '{"news":2}'), ("3", '{"answer":1}')]


async def test_who_comes_back_early_gets_what_is_still_to_come():
    session = session_of(EventLog())
    _, writer = opened(HANDSHAKE, session=session)
    writer.write(NEWS)
    writer.on_connection_lost()
    coming = asyncio.ensure_future(replayed(session, "1"))
    for number in (2, 3):
        await asyncio.sleep(0)
        writer.write(b'{"news":%d}' % number)
    await asyncio.sleep(0)
    assert not coming.done()
    writer.finish(RawResponse(ANSWER))
    async with asyncio.timeout(30):
        assert [message for _, message in await coming] == ['{"news":2}', '{"news":3}', '{"answer":1}']


async def test_who_waits_for_a_stream_of_a_session_that_ends_waits_no_longer():
    session = session_of(EventLog())
    _, writer = opened(HANDSHAKE, session=session)
    writer.write(NEWS)
    writer.on_connection_lost()
    coming = asyncio.ensure_future(replayed(session, "1"))
    await asyncio.sleep(0)
    session.store.close()
    async with asyncio.timeout(30):
        assert await coming == []


async def test_a_silent_stream_of_a_session_begins_with_an_id():
    session = session_of(EventLog())
    connection, writer = opened(HANDSHAKE, session=session)
    writer.on_tick(0.0, 15)
    writer.on_tick(15.0, 15)
    first = chunks(connection.take().partition(b"\r\n\r\n")[2])
    assert first == [b"id: 1\r\nretry: 500\r\ndata: \r\n\r\n: ping\r\n\r\n"]
    writer.on_connection_lost()
    writer.finish(RawResponse(ANSWER))
    assert await replayed(session, "1") == [("2", '{"answer":1}')]


def test_an_older_client_gets_no_event_that_is_only_an_id():
    connection, writer = opened({**HANDSHAKE, "mcp-protocol-version": "2025-06-18"}, session=session_of(EventLog()))
    writer.on_tick(0.0, 15)
    writer.on_tick(15.0, 15)
    assert chunks(connection.take().partition(b"\r\n\r\n")[2]) == [b": ping\r\n\r\n"]


async def test_what_nobody_fetches_is_forgotten_beyond_a_bound(monkeypatch):
    monkeypatch.setattr("mcp_gateway_transport_http.server.event_store.MAX_EVENTS", 3)
    log = EventLog()
    session = session_of(log)
    _, writer = opened(HANDSHAKE, session=session)
    for number in range(1000):
        writer.write(b'{"news":%d}' % number)
        if number == 0:
            writer.on_connection_lost()
    writer.finish(RawResponse(ANSWER))
    assert len(log.events) == 3
    assert [message for _, message in await replayed(session, "999")] == ['{"news":999}', '{"answer":1}']
    assert await replayed(session, "1") == []


async def test_the_streams_of_two_requests_with_one_id_are_apart():
    session = session_of(EventLog())
    (_, one), (_, two) = opened(HANDSHAKE, session=session), opened(HANDSHAKE, session=session)
    one.write(b'{"one":1}')
    two.write(b'{"two":1}')
    one.finish(RawResponse(b'{"one":2}'))
    two.finish(RawResponse(b'{"two":2}'))
    assert [message for _, message in await replayed(session, "1")] == ['{"one":2}']


def test_at_the_end_of_the_gateway_a_call_is_abandoned_and_its_connection_closed():
    connection, writer = opened(HANDSHAKE, session=session_of(EventLog()))
    abandoned: list[bool] = []
    writer.abandon = lambda: abandoned.append(True)
    writer.cancel(msg="the end")
    writer.cancel(msg="the end")
    assert (abandoned, connection.transport.is_aborted) == ([True], True)
