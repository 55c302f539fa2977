"""What clients were sent and may ask for again: their own, and not without end."""

from __future__ import annotations

import pytest
from mcp_gateway_transport_http.server import event_store as module
from mcp_gateway_transport_http.server.event_store import EventLog
from mcp_types import JSONRPCNotification, JSONRPCResponse


def message(number):
    return JSONRPCNotification(jsonrpc="2.0", method="m", params={"number": number})


async def replayed(store, last):
    """Return the stream and the numbers of what is sent again."""
    sent = []

    async def send(event):
        sent.append(event.message.params["number"])

    return await store.replay_events_after(last, send), sent


async def test_what_came_later_on_the_same_stream_is_sent_again():
    store = EventLog().open_session_store()
    primed = await store.store_event("1", None)
    await store.store_event("1", message(1))
    await store.store_event("2", message(2))
    third = await store.store_event("1", message(3))
    assert await replayed(store, primed) == ("1", [1, 3])
    assert await replayed(store, third) == ("1", [])


async def test_another_sessions_events_are_nobodys_business():
    past = EventLog()
    mine, theirs = past.open_session_store(), past.open_session_store()
    first = await mine.store_event("1", message(1))
    await theirs.store_event("1", message(2))
    assert await replayed(theirs, first) == (None, [])
    assert await replayed(mine, first) == ("1", [])


@pytest.mark.parametrize("unknown", ["7", "", "x", "-1", "1e3", "٣"])
async def test_an_event_that_never_was_brings_nothing(unknown):
    assert await replayed(EventLog().open_session_store(), unknown) == (None, [])


async def test_the_oldest_events_are_forgotten_beyond_a_number(monkeypatch):
    monkeypatch.setattr(module, "MAX_EVENTS", 3)
    past = EventLog()
    store = past.open_session_store()
    first = await store.store_event("1", message(0))
    for number in range(1, 5):
        await store.store_event("1", message(number))
    assert await replayed(store, first) == (None, [])
    assert len(past.events) == 3


async def test_the_oldest_events_are_forgotten_beyond_an_amount_of_memory(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    past = EventLog()
    store = past.open_session_store()
    for number in range(5):
        await store.store_event("1", JSONRPCResponse(jsonrpc="2.0", id=number, result={"text": ["x" * 400]}))
    assert len(past.events) == 1
    assert past.size == sum(event.size for event in past.events.values())
