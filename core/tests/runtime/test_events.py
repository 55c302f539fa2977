"""Events: handlers are called in their order, and their exceptions go to the emitter."""

from __future__ import annotations

import pytest

from mcp_gateway.runtime.events import Event, GatewayEvents


def test_all_handlers_get_what_is_emitted_in_order_of_subscription():
    event, received = Event[[str, int]](), []
    event.emit("nobody", 0)
    event.subscribe(lambda name, number: received.append(("first", name, number)))
    event.subscribe(lambda name, number: received.append(("second", name, number)))
    event.emit("a", 1)
    assert received == [("first", "a", 1), ("second", "a", 1)]


def test_an_exception_of_a_handler_goes_to_the_emitter():
    event = Event[[]]()
    event.subscribe(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        event.emit()


def test_each_gateway_has_events_of_its_own():
    one, other, received = GatewayEvents(), GatewayEvents(), []
    one.server_asked.subscribe(lambda: received.append(1))
    other.server_asked.emit()
    one.replica_gap.emit()
    assert received == []
    one.server_asked.emit()
    assert received == [1]
