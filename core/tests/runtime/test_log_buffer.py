"""The log lines that are kept: how many, and what is said of those that are not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from mcp_gateway.runtime.log_buffer import MAX_CHARACTERS, MAX_LINES, LogBuffer


def test_what_is_kept_of_the_log_is_bounded():
    buffer = LogBuffer()
    for number in range(MAX_LINES + 10):
        buffer.add("", "x" * 10_000 if number % 2 else str(number))
    found = buffer.read()
    assert (len(found.lines), found.missed, found.last) == (MAX_LINES, 0, MAX_LINES + 10)
    assert max(len(line.text) for line in found.lines) == MAX_CHARACTERS
    assert [line.number for line in buffer.read(found.last - 1).lines] == [found.last]


def test_lines_that_were_dropped_between_two_readings_are_counted():
    buffer = LogBuffer()
    empty = buffer.read()
    assert (list(empty.lines), empty.missed, empty.last) == ([], 0, 0)
    buffer.add("alpha", "first")
    first = buffer.read(empty.last, "alpha")
    assert ([line.text for line in first.lines], first.missed) == (["first"], 0)
    for number in range(MAX_LINES + 3):
        buffer.add("beta", str(number))
    later = buffer.read(first.last, "alpha")
    assert (list(later.lines), later.missed) == ([], 3)
    assert buffer.read(later.last, "alpha").missed == 0
    assert buffer.servers() == {"beta"}


def test_lines_of_many_threads_are_numbered_in_order():
    buffer = LogBuffer()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: buffer.add("", str(number)), range(1000)))
    assert [line.number for line in buffer.read().lines] == list(range(1, 1001))
