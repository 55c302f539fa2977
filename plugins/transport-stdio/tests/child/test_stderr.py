"""What children write to standard error, however much it is."""

from __future__ import annotations

import threading

import pytest
from mcp_gateway_transport_stdio.child.stderr import capture_stderr

SECRET = "s3cr3t-s3cr3t"


def last_lines_of(*pieces: bytes) -> str:
    """Write these, and return the last lines that were heard."""
    with capture_stderr("child", (SECRET,)) as stderr:
        for piece in pieces:
            stderr.file.buffer.write(piece)
            stderr.file.buffer.flush()
        stderr.file.close()
        stderr.reader.join(30)
        return stderr.last_lines()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_last_lines_are_kept_also_one_without_an_end(end):
    assert last_lines_of(end.join([b"%d" % number for number in range(20)])) == "15 | 16 | 17 | 18 | 19"


def test_a_flood_is_taken_and_its_last_lines_are_known():
    assert last_lines_of(*[b"a line that says nothing\n" * 10_000] * 20, b"the end\n").endswith(
        "says nothing | the end"
    )


def test_of_a_line_without_an_end_only_the_beginning_is_kept():
    assert last_lines_of(*[b"x" * 65_536] * 100, b"\nafter\n") == "x" * 400 + " | after"


@pytest.mark.parametrize("before", [380, 390, 395, 399, 4090])
def test_a_secret_is_masked_wherever_a_line_is_cut(before):
    lines = last_lines_of(
        b"x" * before + SECRET.encode() + b"\n", b"half a line with " + SECRET[:5].encode(), SECRET[5:].encode()
    )
    assert not any(SECRET[:length] in lines for length in range(4, len(SECRET) + 1))


def test_nobody_waits_for_a_child_that_goes_on_writing():
    with capture_stderr("child") as stderr:
        over = threading.Event()

        def write() -> None:
            while not over.is_set():
                stderr.file.buffer.write(b"and on\n" * 1000)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            while "and on" not in stderr.last_lines():
                pass
        finally:
            over.set()
            writer.join(30)
        assert not writer.is_alive()
