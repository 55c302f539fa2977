import platform
import subprocess
import sys

import anyio
import pytest

from mcp_gateway.runtime import malloc as memory
from mcp_gateway.runtime.malloc import MemoryTrimmer, configure_malloc, trim_heap

from ..support.fake_servers import until


async def test_memory_is_given_back_once_for_all_that_was_made_meanwhile(monkeypatch):
    given: list[int] = []
    monkeypatch.setattr(memory, "_QUIET_SECONDS", 0.01)
    monkeypatch.setattr(memory, "trim_heap", lambda: given.append(1))
    async with anyio.create_task_group() as tasks:
        tidying = MemoryTrimmer(tasks)
        tidying.schedule()
        tidying.schedule("a catalogue")
        await until(lambda: given)
        assert given == [1]
        tidying.schedule()
        await until(lambda: len(given) > 1)


def test_where_the_system_has_no_such_thing_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "win32")
    configure_malloc()
    trim_heap()


class Heap:
    """A process whose memory is `used`, and what trimming has not returned since."""

    def __init__(self):
        self.used = self.resident = 20_000
        self.trims = 0

    def use(self, pages):
        self.used = pages
        self.resident = max(self.resident, pages)

    def trim(self):
        self.trims += 1
        self.resident = self.used


async def test_memory_that_was_in_use_at_first_is_given_back_later(monkeypatch):
    heap = Heap()
    monkeypatch.setattr(memory, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(memory, "_MAX_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(memory, "_resident_pages", lambda: heap.resident)
    monkeypatch.setattr(memory, "trim_heap", heap.trim)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(memory.give_back_bursts)
        await anyio.sleep(0.05)
        assert heap.trims == 0
        heap.use(60_000)
        await until(lambda: heap.trims)
        heap.use(30_000)
        await until(lambda: heap.resident == 30_000)
        heap.use(20_000)
        await until(lambda: heap.resident == 20_000)
        trims = heap.trims
        await anyio.sleep(0.1)
        assert heap.trims == trims
        tasks.cancel_scope.cancel()


# What a large result takes: its pieces, the whole, and the response.
MESSAGES = """
import resource
from mcp_gateway.runtime.malloc import configure_malloc
def carry():
    pieces = [bytes(256_000) for _ in range(5)]
    whole = b"".join(pieces)
    return len(whole + whole[-1000:])
configure_malloc()
carry()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    carry()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc")
def test_large_messages_reuse_the_memory_of_those_before():
    ran = subprocess.run([sys.executable, "-c", MESSAGES], capture_output=True, text=True, check=True)
    # New pages for all of it would be more than 900.
    assert int(ran.stdout) < 50
