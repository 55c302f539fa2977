"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .counterparts.fixtures import deployments, pythons, session
from .support.gateways import Launcher
from .support.programs import Programs, install_programs

__all__ = ["deployments", "pythons", "session"]
"""Fixtures that stand elsewhere."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let the tests with counterparts share what they start: one process runs all of their files."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "counterparts" if "/test_counterparts_" in file else file

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


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
