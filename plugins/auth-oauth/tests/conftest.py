import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def world():
    from .support import open_world

    async with open_world() as world:
        yield world
