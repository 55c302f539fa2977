import anyio

from mcp_gateway.runtime import malloc as memory
from mcp_gateway.runtime.malloc import MemoryTrimmer, share_one_arena, trim_heap

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
    share_one_arena()
    trim_heap()
