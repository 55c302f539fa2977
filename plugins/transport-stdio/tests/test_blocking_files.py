"""Files and terminals, read and written in threads."""

from __future__ import annotations

import asyncio
import os

import anyio
import anyio.to_thread
import pytest
from mcp_gateway_transport_stdio.blocking_files import BlockingReader, BlockingWriter

SECONDS = 30
LONG = b"x" * 300_000


class Heard(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self, limit=1 << 30):
        self.limit = limit
        self.data, self.events, self.lost = b"", [], anyio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        if len(self.data) >= self.limit:
            self.transport.pause_reading()

    def eof_received(self):
        self.events.append("eof")

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, error):
        self.events.append(type(error))
        self.lost.set()


@pytest.fixture(autouse=True)
async def limit():
    with anyio.fail_after(SECONDS):
        yield


async def test_a_file_is_read_to_its_end(tmp_path):
    (tmp_path / "file").write_bytes(LONG)
    heard = Heard()
    with (tmp_path / "file").open("rb") as file:
        BlockingReader(file.fileno(), heard)
        await heard.lost.wait()
    assert (heard.data, heard.events) == (LONG, ["eof", type(None)])


async def test_what_is_paused_is_not_read_on(tmp_path):
    (tmp_path / "file").write_bytes(LONG)
    heard = Heard(limit=100_000)
    with (tmp_path / "file").open("rb") as file:
        BlockingReader(file.fileno(), heard)
        while len(heard.data) < 100_000:
            await anyio.lowlevel.checkpoint()
        place = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        assert place == len(heard.data) < len(LONG)
        heard.limit = 1 << 30
        heard.transport.resume_reading()
        await heard.lost.wait()
    assert heard.data == LONG


async def test_a_reader_that_waits_can_be_closed():
    reading, writing = os.pipe()
    heard = Heard()
    reader = BlockingReader(reading, heard)
    reader.close()
    reader.close()
    await heard.lost.wait()
    assert reader.is_closing()
    os.write(writing, b"too late")
    await anyio.to_thread.run_sync(reader._thread.join)
    os.close(reading)
    os.close(writing)
    assert (heard.data, heard.events) == (b"", [type(None)])


async def test_what_cannot_be_read_has_ended(tmp_path):
    heard = Heard()
    with (tmp_path / "file").open("wb") as file:
        BlockingReader(file.fileno(), heard)
        await heard.lost.wait()
    assert heard.events == ["eof", type(None)]


async def test_all_is_written_before_a_writer_is_closed():
    reading, writing = os.pipe()
    heard = Heard()
    writer = BlockingWriter(writing, heard)
    os.close(writing)
    for data in (LONG, b"end"):
        writer.write(data)
    writer.close()
    writer.write(b"too late")
    with os.fdopen(reading, "rb") as file:
        assert await anyio.to_thread.run_sync(file.read) == LONG + b"end"
    await heard.lost.wait()
    assert writer.get_write_buffer_size() == 0
    assert heard.events == ["pause", "resume", type(None)]


async def test_a_writer_whose_reader_has_gone_is_lost():
    reading, writing = os.pipe()
    os.close(reading)
    heard = Heard()
    writer = BlockingWriter(writing, heard)
    writer.write(b"x")
    await heard.lost.wait()
    os.close(writing)
    assert writer.is_closing()
    assert heard.events == [BrokenPipeError]
