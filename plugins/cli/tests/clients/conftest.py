"""Home folders in which programs have servers."""

from __future__ import annotations

import pytest


@pytest.fixture
def make_home(tmp_path, monkeypatch):
    """Make the home folder of this test, with these files."""

    def make(files):
        folder = tmp_path / "home"
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return make
