import sys

import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def _no_system_keyring():
    """Keep the keyring of whoever runs the tests out of them, and out of what they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        if (keyring := sys.modules.get("keyring")) is not None:
            keyring.core.init_backend()  # it may have found one already, which it keeps for the process
        yield


@pytest.fixture
async def world():
    from .support import open_world

    async with open_world() as world:
        yield world
