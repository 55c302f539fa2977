"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .counterparts.fixtures import pythons, town, visit
from .support.gateways import Workshop
from .support.programs import Programs, install_programs

__all__ = ["pythons", "town", "visit"]
"""Fixtures that stand elsewhere."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with ExitStack() as stack:
        yield Workshop(tmp_path, stack)


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Third-party programs from npm: the Inspector, and servers that know nothing of this project."""
    return install_programs()
