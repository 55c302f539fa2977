"""A line that a person types, while the event loop goes on."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from mcp_gateway.control.terminal import show_prompt

ReadLineFn = Callable[[str], Awaitable[str | None]]
"""Shows a prompt and returns the line; None if there is none any more."""

_CHUNK = 4096


async def read_line(prompt: str) -> str | None:
    """Ask for a line on the terminal; None at the end."""
    show_prompt(prompt)
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str | None] = loop.create_future()

    def read() -> None:
        found = _read_terminal()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if line.done() else line.set_result(found))

    # A daemon, so that Ctrl-C ends the program though nobody presses Enter.
    threading.Thread(target=read, daemon=True, name="terminal").start()
    return await line


def _read_terminal() -> str | None:
    """Read a line without Python's buffer.

    Its lock would stop the end of the program.
    """
    encoding = getattr(sys.stdin, "encoding", None) or "utf-8"
    data = b""
    try:
        while not data.endswith(b"\n"):
            if not (chunk := os.read(sys.stdin.fileno(), _CHUNK)):
                break
            data += chunk
    except (OSError, ValueError):  # the terminal is gone
        return None
    return data.decode(encoding, "replace").rstrip("\r\n") if data else None
