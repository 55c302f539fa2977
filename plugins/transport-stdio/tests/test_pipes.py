"""What the event loop can wait for without a thread, and how much a pipe holds."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp_gateway_transport_stdio.pipes import can_poll, grow_pipe

ROOM = 128 << 10


@contextmanager
def pipe():
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def test_pipes_and_sockets_can_be_waited_for_and_files_cannot(tmp_path: Path):
    with pipe() as ends, socket.socket() as found, (tmp_path / "input").open("w") as file:
        assert can_poll(*ends, found.fileno())
        assert not can_poll(*ends, file.fileno())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a pipe's size be chosen")
def test_a_pipe_grows_and_never_shrinks():
    import fcntl

    with pipe() as (_, end):
        grow_pipe(end, ROOM)
        grow_pipe(end, ROOM // 2)
        assert fcntl.fcntl(end, fcntl.F_GETPIPE_SZ) == ROOM


def test_what_is_no_pipe_is_left_alone(tmp_path: Path):
    with (tmp_path / "input").open("w") as file:
        grow_pipe(file.fileno(), ROOM)
