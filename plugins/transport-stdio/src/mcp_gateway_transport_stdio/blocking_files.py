"""Transports of asyncio over what the event loop cannot wait for.

These are files, terminals, and on Windows pipes. Each has a thread, a daemon, which does not delay the end of the
process: there may never be input, and nobody may read the output.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

_PIECE = 64 << 10
_HIGH, _LOW = 64 << 10, 16 << 10
"""How many bytes wait when the protocol is told to pause, and to go on: those of asyncio's own transports."""


class _BlockingFile:
    """A duplicate of a descriptor, and the thread that uses it."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        # The thread's own, closed by it: the number of one that is closed here could be another file's by then.
        self._descriptor = os.dup(descriptor)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing

    def _run(self) -> None:
        try:
            self._work()
        finally:
            os.close(self._descriptor)

    def _work(self) -> None:
        raise NotImplementedError

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(callback, *arguments)


class BlockingReader(_BlockingFile, asyncio.ReadTransport):
    """Reads a file for a protocol; what cannot be read has ended."""

    def __init__(self, descriptor: int, protocol: asyncio.Protocol) -> None:
        """Begin to read."""
        super().__init__(descriptor, "standard input")
        self._protocol = protocol
        self._paused = self._waits = False
        # The thread reads once for each: what is paused is not read.
        self._turns = threading.Semaphore(1)
        protocol.connection_made(self)
        self._thread.start()

    def pause_reading(self) -> None:
        """Read no more, once the read that is under way has ended."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        self._read_on()

    def close(self) -> None:
        """Read no more for good."""
        if not self._closing:
            self._closing = True
            self._turns.release()
            self._loop.call_soon(self._protocol.connection_lost, None)

    def _work(self) -> None:
        data = b"-"
        while data:
            self._turns.acquire()
            if self._closing:
                return
            try:
                data = os.read(self._descriptor, _PIECE)
            except OSError:
                data = b""
            self._call(self._on_data, data)

    def _on_data(self, data: bytes) -> None:
        if self._closing:
            return
        if data:
            self._protocol.data_received(data)
            self._waits = True
            self._read_on()
        else:
            self._protocol.eof_received()
            self.close()

    def _read_on(self) -> None:
        if self._waits and not self._paused:
            self._waits = False
            self._turns.release()


class BlockingWriter(_BlockingFile, asyncio.WriteTransport):
    """Writes to a file for a protocol."""

    def __init__(self, descriptor: int, protocol: Any) -> None:
        """Wait for what to write; the protocol is a `BaseProtocol`."""
        super().__init__(descriptor, "standard output")
        self._protocol = protocol
        self._paused = False
        self._size = 0
        self._queue: SimpleQueue[bytes] = SimpleQueue()
        protocol.connection_made(self)
        self._thread.start()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write it, after what waits."""
        if self._closing or not data:
            return
        self._size += len(data)
        self._queue.put(bytes(data))
        if self._size > _HIGH and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        return self._size

    def close(self) -> None:
        """Close it, once all is written."""
        if not self._closing:
            self._closing = True
            self._queue.put(b"")

    def _work(self) -> None:
        error: OSError | None = None
        try:
            while data := self._queue.get():
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
                self._call(self._on_written, len(data))
        except OSError as problem:
            error = problem
        self._call(self._on_end, error)

    def _on_written(self, size: int) -> None:
        self._size -= size
        if self._paused and self._size <= _LOW:
            self._paused = False
            self._protocol.resume_writing()

    def _on_end(self, error: OSError | None) -> None:
        self._closing = True
        self._protocol.connection_lost(error)
