from __future__ import annotations

import keyring
import pytest

from .memory_keyring import MemoryKeyring


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Put a keyring in memory in the place of the person's own; return what is in it."""
    for name in ("HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    before = keyring.get_keyring()
    keyring.set_keyring(made := MemoryKeyring())
    yield made.kept
    keyring.set_keyring(before)
