"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .counterparts.fixtures import deployments, pythons, session
from .support.gateways import Launcher
from .support.programs import Programs, install_programs

__all__ = ["deployments", "pythons", "session"]
"""Fixtures that stand elsewhere."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    with ExitStack() as stack:
        yield Launcher(tmp_path, stack)


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Third-party programs from npm: the Inspector, and servers that know nothing of this project."""
    return install_programs()
