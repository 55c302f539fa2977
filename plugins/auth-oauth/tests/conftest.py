import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def world(monkeypatch):
    from .support import open_world

    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    async with open_world() as world:
        yield world
