"""Fixtures of the conformance tests, and the table of their results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..e2e.support.gateways import Launcher
from .support.suite import Suite, install_suite
from .support.table import Table

TABLE = pytest.StashKey[Table]()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    with ExitStack() as stack:
        yield Launcher(tmp_path, stack)


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """The official conformance suite."""
    return install_suite(tmp_path_factory.mktemp("results"))


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Table:
    return request.config.stash.setdefault(TABLE, Table())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if table := config.stash.get(TABLE, None):
        terminalreporter.section("checks passed")
        for line in table.lines:
            terminalreporter.write_line(line)
