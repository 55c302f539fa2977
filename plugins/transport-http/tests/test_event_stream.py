"""Streams of events, cut into pieces anywhere."""

from __future__ import annotations

import pytest
from mcp_gateway_transport_http.event_stream import Events

STREAM = (
    b': hi\n\nid: 7\nretry: 250\ndata:\n\nevent: message\ndata: {"a":\ndata: 1}\n\ndata:{"b":2}\nid: 8\n\ndata: half'
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_found_however_they_are_cut(end, size):
    stream, events, found = STREAM.replace(b"\n", end), Events(), []
    for at in range(0, len(stream), size):
        found += events.parsed(stream[at : at + size])
    assert found == [b'{"a":\n1}', b'{"b":2}']
    assert (events.last, events.retry) == ("8", 0.25)


def test_what_is_no_number_is_no_pause_and_an_id_with_a_nul_is_none():
    events = Events()
    assert list(events.parsed(b"retry: soon\nid: a\0b\nother: x\n\n")) == []
    assert (events.last, events.retry) == (None, 1.0)


def test_a_byte_order_mark_may_begin_a_stream():
    assert list(Events().parsed(b'\xef\xbb\xbfdata: {"a":1}\n\n')) == [b'{"a":1}']
