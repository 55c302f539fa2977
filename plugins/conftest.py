"""What the tests of every plugin have: no system keyring but one that a test puts there."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _no_system_keyring() -> Iterator[None]:
    """Keep the keyring of whoever runs the tests out of them, and out of what they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        if (keyring := sys.modules.get("keyring")) is not None:
            keyring.core.init_backend()  # it may have found one already, which it keeps for the process
        yield
