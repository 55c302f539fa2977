"""When a client counts as one that reads nothing of what waits for it."""

from __future__ import annotations

from mcp_gateway_transport_http.http1.backpressure import OutputProgress
from mcp_gateway_transport_http.http1.connection_bounds import OUTPUT_TIMEOUT

LATER = OUTPUT_TIMEOUT + 1


def test_a_client_that_reads_nothing_has_stalled_after_its_time_and_not_before():
    output = OutputProgress()
    assert [output.has_stalled(now, 100) for now in (0, OUTPUT_TIMEOUT, LATER)] == [False, False, True]


def test_each_byte_that_is_read_begins_the_wait_anew():
    output = OutputProgress()
    assert not any(output.has_stalled(number * LATER, 100 - number) for number in range(10))
    assert output.has_stalled(10 * LATER, 91)


def test_with_nothing_to_read_there_is_no_wait():
    output = OutputProgress()
    assert not any(output.has_stalled(now, unread) for now, unread in ((0, 0), (LATER, 0), (2 * LATER, 100)))
