"""Streams of events, cut into pieces anywhere."""

from __future__ import annotations

import pytest
from mcp_gateway_transport_http.client.responses.limits import LimitExceeded
from mcp_gateway_transport_http.client.responses.sse import SseParser

STREAM = (
    b': hi\n\nid: 7\nretry: 250\ndata:\n\nevent: message\ndata: {"a":\ndata: 1}\n\ndata:{"b":2}\nid: 8\n\ndata: half'
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_found_however_they_are_cut(end, size):
    stream, events, found = STREAM.replace(b"\n", end), SseParser(), []
    for at in range(0, len(stream), size):
        found += events.parse(stream[at : at + size])
    assert found == [b'{"a":\n1}', b'{"b":2}']
    assert (events.last_event_id, events.retry_delay) == ("8", 0.25)


def test_what_is_no_number_is_no_pause_and_an_id_with_a_nul_is_none():
    events = SseParser()
    assert list(events.parse(b"retry: soon\nid: a\0b\nother: x\n\n")) == []
    assert (events.last_event_id, events.retry_delay) == (None, 1.0)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_only_messages_are_messages(size):
    stream = b"event: ping\ndata: 1\n\nevent: message\ndata: 2\n\nevent\ndata: 3\n\ndata: 4\nevent: x\n\ndata: 5\n\n"
    events, found = SseParser(), []
    for at in range(0, len(stream), size):
        found += events.parse(stream[at : at + size])
    assert found == [b"2", b"3", b"5"]


def test_an_event_that_is_not_finished_is_none_and_its_id_neither():
    events = SseParser()
    assert list(events.parse(b"id: 1\ndata: 1\n\nid: 2\ndata: 2\n")) == [b"1"]
    assert events.last_event_id == "1"


def test_an_empty_id_takes_the_last_one_away():
    events = SseParser()
    assert list(events.parse(b"id: 1\n\n")) == []
    assert events.last_event_id == "1"
    assert list(events.parse(b"id\n\n")) == []
    assert events.last_event_id is None


def test_a_mark_begins_nothing_but_a_stream():
    events = SseParser()
    assert list(events.parse(b"\xef\xbb\xbf\n\n\xef\xbb\xbfdata: 1\n\n")) == []


def test_a_byte_order_mark_may_begin_a_stream():
    assert list(SseParser().parse(b'\xef\xbb\xbfdata: {"a":1}\n\n')) == [b'{"a":1}']


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 2000, b"data: x\n" * 300, b": " + b"x" * 2000])
@pytest.mark.parametrize("size", [1, 64, 5000])
def test_an_event_that_is_too_long_is_not_read_to_its_end(stream, size):
    events, found = SseParser(1000), []
    pieces = (stream[at : at + size] for at in range(0, len(stream), size))
    with pytest.raises(LimitExceeded, match="more than 1000 bytes"):
        found.extend(event for piece in pieces for event in events.parse(piece))
    assert found == []


def test_what_came_before_does_not_count():
    assert len([event for _ in range(100) for event in SseParser(1000).parse(b"data: " + b"x" * 900 + b"\n\n")]) == 100
    events = SseParser(1000)
    assert len([event for _ in range(100) for event in events.parse(b"data: " + b"x" * 900 + b"\n\n")]) == 100


def test_a_line_without_an_end_is_parsed_in_linear_time():
    """Each piece was copied with all that had come before: 60,000 of them took minutes."""
    events = SseParser(64 << 20)
    for _ in range(60_000):
        assert list(events.parse(b"x" * 1000)) == []


@pytest.mark.parametrize("digits", [10, 4000, 5000])
def test_a_pause_that_is_too_long_is_none(digits):
    events = SseParser()
    assert list(events.parse(b"retry: " + b"9" * digits + b"\nid: " + b"7" * 2000 + b"\n\n")) == []
    assert (events.retry_delay, events.last_event_id) == (1.0, None)
