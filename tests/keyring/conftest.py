from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..e2e.support.gateways import Launcher
from .support.gnome import GnomeHome, gnome_home, missing


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[GnomeHome]:
    """A home with a session bus and no keyring."""
    if reason := missing():
        pytest.skip(reason)
    with gnome_home(tmp_path / "home") as home:
        yield home


@pytest.fixture
def home(bare: GnomeHome) -> GnomeHome:
    """A home with a keyring that is unlocked."""
    bare.start_daemon()
    return bare


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    with ExitStack() as stack:
        yield Launcher(tmp_path, stack)
