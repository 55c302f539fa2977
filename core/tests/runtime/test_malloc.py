import anyio

from mcp_gateway.runtime import malloc as memory
from mcp_gateway.runtime.malloc import Tidying, give_back, share_one_arena

from ..support.fake_servers import until


async def test_memory_is_given_back_once_for_all_that_was_made_meanwhile(monkeypatch):
    given: list[int] = []
    monkeypatch.setattr(memory, "_QUIET_SECONDS", 0.01)
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    async with anyio.create_task_group() as tasks:
        tidying = Tidying(tasks)
        tidying.begin()
        tidying.begin("a catalogue")
        await until(lambda: given)
        assert given == [1]
        tidying.begin()
        await until(lambda: len(given) > 1)


def test_where_the_system_has_no_such_thing_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "win32")
    share_one_arena()
    give_back()
